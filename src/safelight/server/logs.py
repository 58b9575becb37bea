"""The log is an allow-list: every record is an event of this file with typed fields.

There is no free text. A value that does not fit its kind, or a record that somebody else's library
wrote, is replaced by the bare fact that it happened. So no prompt, path, query, name, address, key
or exception text can reach a log, whatever a caller sends.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from safelight.errors import all_errors

Value = str | int | float | bool


class Event(StrEnum):
    """Everything that can be logged."""

    START = "server.start"
    READY = "server.ready"
    STOP = "server.stop"
    REQUEST = "http.request"
    CRASH = "crash"
    FLEET = "fleet.state"
    JOB_ENDED = "job.ended"
    SWEPT = "desk.swept"
    LIMITED = "http.limited"
    LIBRARY = "library.record"
    MISFIT = "log.misfit"


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER"})
STATES = frozenset(
    {
        *("starting", "warming", "ready", "restarting", "stopped"),
        *("queued", "running", "done", "refused", "failed", "cancelled"),
    }
)
LEVELS = frozenset({"debug", "info", "warning", "error", "critical"})
CODES = frozenset(error.code for error in all_errors()) | {"none", "internal", "bad-request"}
LIBRARIES = frozenset(
    {
        *("aiosqlite", "alembic", "anyio", "asyncio", "concurrent", "cryptography", "fastapi"),
        *("httpcore", "httpx", "multipart", "obstore", "PIL", "py", "pydantic", "safelight"),
        *("sqlalchemy", "starlette", "uvicorn", "webauthn", "other"),
    }
)
RULES = frozenset(
    {
        "sign-in",
        "sign-in-name",
        "sign-in-address",
        "sign-up",
        "guest",
        "share",
        "recovery",
        "people",
    }
)

_PLACE = re.compile(r"[a-z0-9_./-]{1,80}:[0-9]{1,6}|unknown")
_CLASS = re.compile(r"[A-Z][A-Za-z]{1,40}")


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e12  # type: ignore[operator]


def _one_of(words: frozenset[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value in words


def _matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


_PLAIN: Mapping[str, Callable[[object], bool]] = {
    "method": _one_of(METHODS),
    "status": _is_count,
    "ms": _is_number,
    "seconds": _is_number,
    "bytes": _is_count,
    "count": _is_count,
    "port": _is_count,
    "state": _one_of(STATES),
    "code": _one_of(CODES),
    "level": _one_of(LEVELS),
    "library": _one_of(LIBRARIES),
    "rule": _one_of(RULES),
    "kind": _matches(_CLASS),
    "place": _matches(_PLACE),
}

SCHEMA: Mapping[Event, frozenset[str]] = {
    Event.START: frozenset({"port"}),
    Event.READY: frozenset({"port", "ms"}),
    Event.STOP: frozenset({"seconds"}),
    Event.REQUEST: frozenset({"method", "route", "status", "ms", "bytes"}),
    Event.CRASH: frozenset({"kind", "place"}),
    Event.FLEET: frozenset({"state", "code"}),
    Event.JOB_ENDED: frozenset({"state", "code", "seconds"}),
    Event.SWEPT: frozenset({"count"}),
    Event.LIMITED: frozenset({"rule"}),
    Event.LIBRARY: frozenset({"library", "level"}),
    Event.MISFIT: frozenset(),
}
"""The fields of each event. ``route`` is a template of this server's own route table."""


class Journal:
    """Writes events as JSON lines. Safe from any thread. Never raises and never waits long."""

    def __init__(self, stream: TextIO | None = None, *, level: str = "info") -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._level = level
        self._lock = threading.Lock()
        self.routes: frozenset[str] = frozenset({"unknown"})
        self.counts: Counter[str] = Counter()
        """How often each event was written, for the metrics."""

    def know_routes(self, templates: set[str]) -> None:
        """Allow these route templates in records."""
        self.routes = frozenset(templates | {"unknown"})

    def fits(self, record: Mapping[str, object]) -> bool:
        """Whether a record is an event of the schema with exactly its fields, each of its kind."""
        try:
            event = Event(str(record.get("event")))
        except ValueError:
            return False
        fields = {k: v for k, v in record.items() if k not in ("at", "event")}
        return set(fields) == SCHEMA[event] and all(map(self._field_fits, fields, fields.values()))

    def _field_fits(self, name: str, value: object) -> bool:
        if name == "route":
            return isinstance(value, str) and value in self.routes
        return _PLAIN[name](value)

    def write(self, event: Event, **fields: Value) -> None:
        """Write one record. One that does not fit is written as ``log.misfit``, without fields."""
        record: dict[str, object] = {"event": event.value, **fields}
        if not self.fits(record):
            record = {"event": Event.MISFIT.value}
        self.counts[str(record["event"])] += 1
        if event is Event.LIBRARY and fields.get("level") == "debug" and self._level != "debug":
            return
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"at": at, **record}, separators=(",", ":")) + "\n"
        try:
            with self._lock:
                self._stream.write(line)
                self._stream.flush()
        except (OSError, ValueError):
            return  # a closed or full log must not stop the server

    def crash(self, error: BaseException) -> None:
        """Log that something unknown broke: its class and where in our code, never its text."""
        kind = type(error).__name__
        self.write(
            Event.CRASH, kind=kind if _CLASS.fullmatch(kind) else "Exception", place=place_of(error)
        )


def place_of(error: BaseException) -> str:
    """The innermost line of Safelight's own code in a traceback, as ``room/file.py:line``."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        parts = Path(frame.f_code.co_filename).parts
        if "safelight" in parts:
            at = len(parts) - parts[::-1].index("safelight")
            text = f"{'/'.join(parts[at:])}:{line}"
            return text if _PLACE.fullmatch(text) else "unknown"
    return "unknown"


class LibraryHandler(logging.Handler):
    """Turns every record of the standard library's logging into its bare fact."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        """Write the library's name and the level; for an exception also its class and place."""
        library = record.name.split(".", 1)[0]
        level = record.levelname.lower()
        self._journal.write(
            Event.LIBRARY,
            library=library if library in LIBRARIES else "other",
            level=level if level in LEVELS else "info",
        )
        if record.exc_info and isinstance(record.exc_info[1], BaseException):
            self._journal.crash(record.exc_info[1])


def take_over(journal: Journal, *, level: str = "info") -> None:
    """Make ``journal`` the only thing that writes what this process logs.

    Replaces the handlers of every logger, Python's warnings, and the last-resort printing of
    uncaught exceptions in threads and at the top.
    """
    logging.raiseExceptions = False  # its fallback would print the record's text
    logging.lastResort = None
    root = logging.getLogger()
    root.handlers = [LibraryHandler(journal)]
    root.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    logging.captureWarnings(capture=True)

    def top(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
        journal.crash(error)

    def in_thread(args: Any) -> None:
        if args.exc_value is not None:
            journal.crash(args.exc_value)

    def unraisable(args: Any) -> None:
        if args.exc_value is not None:
            journal.crash(args.exc_value)

    sys.excepthook = top
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable


def loop_handler(journal: Journal) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """An event loop's exception handler that logs the class and place only."""

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            journal.crash(error)
        else:
            journal.write(Event.LIBRARY, library="asyncio", level="error")

    return handle
