"""Log lines of a process that runs workers: text for people, JSON for programs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from pavane.cli.output import clean
from pavane.settings import Settings

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class TextLines(logging.Formatter):
    """Time, level, text; control characters in data are shown as escapes."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        text = f"{at} {record.levelname.lower():8}{clean(record.getMessage(), lines=True)}"
        if record.exc_info:
            text += "\n" + clean(self.formatException(record.exc_info), lines=True)
        return text


class JsonLines(logging.Formatter):
    """One object per line; what a log call added as `extra` is among its fields."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {name: value for name, value in record.__dict__.items() if name not in _OWN}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def quiet_logs(*, json: bool) -> None:
    """For a command that answers and ends: only pavane's own warnings, and none beside a JSON answer.

    What the libraries log is said better by the error that follows.
    """
    handler = logging.NullHandler() if json else logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLines())
    logging.basicConfig(level=logging.CRITICAL, handlers=[handler], force=True)
    logging.getLogger("pavane").setLevel(logging.WARNING)


def set_up_logs(settings: Settings) -> None:
    """Log to stderr as the settings say."""
    text = settings.log_format == "text" or (settings.log_format is None and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLines() if text else JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("pavane").setLevel(settings.log_level)
    # Every lost connection is reported by pavane, once; the library would add a line per try.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
