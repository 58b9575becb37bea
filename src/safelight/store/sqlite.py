"""SQLite through aiosqlite, with one turn of its thread for each statement.

Note [one turn]
    aiosqlite runs every call of a connection in the connection's own thread: making a cursor,
    executing, fetching and closing are four turns for one statement, and each costs far more than
    what SQLite does in it. Here a statement and its rows are one. Rows were held in memory anyway:
    SQLAlchemy fetches all of them at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Self

import aiosqlite
from sqlalchemy import Connection, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

BUSY_SECONDS = 30
MAX_LOG_PAGES = 16_384
"""If checkpoints do not keep up, a write makes one itself at this length of the log: 64 MiB."""


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite+aiosqlite:///{path}"


def sqlite_path(url: str) -> Path:
    """The file of such a URL."""
    return Path(make_url(url).database or "")


def open_sqlite(url: str, size: int, *, begin: str | None, synchronous: str) -> AsyncEngine:
    """An engine with ``size`` connections.

    ``begin`` None is for reading: each statement stands alone. Otherwise every transaction starts
    with ``BEGIN`` and that word.
    """
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_size=size,
        max_overflow=0,
        isolation_level=None if begin else "AUTOCOMMIT",
        skip_autocommit_rollback=begin is None,
        async_creator=partial(_connect, sqlite_path(url)),
    )

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        if begin:
            connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            "secure_delete=ON",
            "temp_store=MEMORY",
            "cache_size=-8192",
            "journal_size_limit=67108864",
            f"wal_autocheckpoint={MAX_LOG_PAGES}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    if begin:

        @event.listens_for(engine.sync_engine, "begin")
        def on_begin(connection: Connection) -> None:
            connection.exec_driver_sql(f"BEGIN {begin}")

    return engine


async def _connect(path: Path) -> _Connection:
    connection = _Connection(
        partial(sqlite3.connect, path, timeout=BUSY_SECONDS), iter_chunk_size=64
    )
    connection._thread.daemon = True  # as SQLAlchemy does it where it connects by itself
    await connection
    return connection


class _Connection(aiosqlite.Connection):
    _may_be_open = True
    """Whether a transaction may have begun that has not ended."""

    def cursor(self) -> _Cursor:  # type: ignore[override]
        return _Cursor(self)

    async def commit(self) -> None:
        await super().commit()
        self._may_be_open = False

    async def rollback(self) -> None:
        if self._may_be_open:  # SQLAlchemy also asks for it after each commit
            await super().rollback()
            self._may_be_open = False

    async def statement(self, sql: str, parameters: Any, *, many: bool) -> _Done:
        self._may_be_open = True  # and it stays so if the caller is cancelled meanwhile
        done: _Done = await self._execute(self._statement, sql, parameters, many)  # type: ignore[no-untyped-call]
        self._may_be_open = self.in_transaction
        return done

    def _statement(self, sql: str, parameters: Any, many: bool) -> _Done:  # noqa: FBT001
        cursor = (
            self._conn.executemany(sql, parameters) if many else self._conn.execute(sql, parameters)
        )
        rows = cursor.fetchall() if cursor.description else []
        done = _Done(cursor.description, cursor.rowcount, cursor.lastrowid, rows)
        cursor.close()
        return done


class _Done:
    """What a statement left behind."""

    __slots__ = ("description", "lastrowid", "rowcount", "rows")

    def __init__(
        self, description: Any, rowcount: int, lastrowid: int | None, rows: list[Any]
    ) -> None:
        self.description = description
        self.rowcount = rowcount
        self.lastrowid = lastrowid
        self.rows = rows


class _Cursor:
    """The part of an asynchronous cursor that SQLAlchemy uses; it holds what one statement gave."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._done = _Done(None, -1, None, [])
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Any:
        return self._done.description

    @property
    def rowcount(self) -> int:
        return self._done.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._done.lastrowid

    async def execute(self, sql: str, parameters: Any = ()) -> None:
        self._done = await self._connection.statement(sql, parameters, many=False)

    async def executemany(self, sql: str, parameters: Iterable[Any]) -> None:
        self._done = await self._connection.statement(sql, parameters, many=True)

    async def fetchall(self) -> list[Any]:
        rows, self._done.rows = self._done.rows, []
        return rows

    async def close(self) -> None:
        """Nothing is open: the statement was closed in its turn."""
