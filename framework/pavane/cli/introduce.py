"""A process that loads one app and says what it is: `python -m pavane.cli.introduce ROOT MODULE:APP NAME`.

Apps are separate programs: two of them may have modules, events or environments that cannot be loaded side by
side. The answer is the only line on stdout; whatever the app prints while it is loaded goes to stderr.
"""

from __future__ import annotations

import os
import sys
import warnings

from pavane.cli.exits import remedy_of
from pavane.cli.loading import load_app
from pavane.cli.programs import INTRODUCTION, Introduction, program_of
from pavane.errors import DefinitionError, PavaneError
from pavane.settings import Settings


def introduce(name: str, shown: str) -> Introduction:
    """Load the app `name` (`module:app`); it is called `shown` in what is found."""
    try:
        return Introduction(program=program_of(load_app(name, Settings.model_construct()), shown))
    except DefinitionError as error:
        return Introduction(problems=error.problems, refusal=str(error), remedy=remedy_of(error))
    except PavaneError as error:
        return Introduction(refusal=str(error), remedy=remedy_of(error))


def main() -> None:
    root, name, shown = sys.argv[1:]
    answers = os.dup(1)
    os.dup2(2, 1)
    sys.path.insert(0, root)
    warnings.simplefilter("ignore")
    answer = INTRODUCTION.dump_json(introduce(name, shown))
    with open(answers, "wb") as out:
        out.write(answer)


if __name__ == "__main__":
    main()
