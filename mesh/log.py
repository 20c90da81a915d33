"""One line a record, JSON by default, each with the id of the request it belongs to. Callers never pass whole URLs."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from mesh import call, traces

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up(service: str, log_format: str, level: str) -> None:
    """Send everything that is logged in this process to standard error in one format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(service) if log_format == "json" else _TextLines(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Their messages hold whole URLs.
    for chatty in ("aiohttp", "asyncio", "PIL"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _JsonLines(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _timestamp(record),
            "level": record.levelname.lower(),
            "service": self._service,
            "message": record.getMessage(),
            "request_id": call.request_id(),
            "trace_id": traces.trace_id(),
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({key: value for key, value in line.items() if value != ""}, default=str)


class _TextLines(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        extra = {"request_id": call.request_id(), **_extra(record)}
        shown = " ".join(f"{key}={value!r}" if " " in str(value) else f"{key}={value}" for key, value in extra.items() if value != "")
        # What came from outside must not start a line of its own.
        text = f"{record.getMessage()} {shown}".rstrip().encode("unicode_escape").decode()
        line = f"{_timestamp(record)[11:19]} {record.levelname.lower():7} {self._service:8} {text}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _timestamp(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}
