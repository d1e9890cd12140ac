"""One of the services, as it is, its handlers leaving marks: `python -m tests.chaos.service orders`."""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module
from pathlib import Path

from pavane import App
from pavane.model.definition import WorkerDefinition
from tests.chaos.marks import VARIABLE, Marks


class MarkedApp(App):
    """An app whose handlers leave marks."""

    def __init__(self, app: App, marks: Marks) -> None:
        super().__init__(services=app.services, workflows=app.workflows)
        self._marks = marks

    @property
    def workers(self) -> tuple[WorkerDefinition, ...]:
        return tuple(self._marks.around(worker) for worker in super().workers)


def main(name: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    app: App = import_module(f"services.{name}").app
    MarkedApp(app, Marks(Path(os.environ[VARIABLE]))).run()


if __name__ == "__main__":
    main(sys.argv[1])
