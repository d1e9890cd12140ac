"""`python -m tests.services.histories`: print the histories; with `--write` into their files."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile

from tests.services.histories.scenes import SCENES
from tests.services.histories.told import file_of, history_of


def main() -> None:
    for scene in SCENES:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["DATA"] = folder
            told = asyncio.run(history_of(scene))
        if "--write" in sys.argv:
            file_of(scene).write_text(told)
        else:
            print(f"--- {file_of(scene).name}\n{told}")


if __name__ == "__main__":
    main()
