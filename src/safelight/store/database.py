"""One SQL database: SQLite (WAL) through aiosqlite, or PostgreSQL through asyncpg.

Reads run side by side. On SQLite, writes take turns in this process (SQLite lets one write at a
time anyway, and waiting on a lock here is fair and costs no retries). A write that must survive a
power cut waits for the disk (``synchronous=FULL``); one that may be lost with the power, such as a
heartbeat, does not. Neither is lost when only the process dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from safelight.errors import IntegrityError, NoSpaceError, TransientError
from safelight.store.durable import durable
from safelight.store.sqlite import open_sqlite, sqlite_path

READERS = 4
CHECKPOINT_WRITES = 100
"""After so many writes the log is copied into the file, beside the work instead of in it."""
SCRUB_SECONDS = 5.0
"""How long after an erasure the log is cleared; several erasures in that time share one."""
_VERSION_TABLE = "alembic_version"


class Database:
    """``metadata`` and ``head`` say what the schema must be; ``migrations`` names the folder in
    ``store/migrations`` that brings an older one there.

    What is deleted is overwritten in the file (SQLite).
    """

    def __init__(self, url: str, metadata: MetaData, *, head: str, migrations: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self._metadata = metadata
        self._head = head
        self._migrations = migrations
        self._turn: AbstractAsyncContextManager[Any] = (
            asyncio.Lock() if self.is_sqlite else nullcontext()
        )
        self._writes = 0
        self._checkpointing: asyncio.Task[None] | None = None
        self._dirty = False
        self._scrubbing: asyncio.Task[None] | None = None
        if self.is_sqlite:
            self._readers = open_sqlite(url, READERS, begin=None, synchronous="FULL")
            self._writer = open_sqlite(url, 1, begin="IMMEDIATE", synchronous="FULL")
            self._lazy_writer = open_sqlite(url, 1, begin="IMMEDIATE", synchronous="NORMAL")
        else:
            pool = create_async_engine(
                url, hide_parameters=True, pool_size=READERS + 4, max_overflow=4
            )
            self._readers = pool.execution_options(isolation_level="AUTOCOMMIT")
            self._writer = self._lazy_writer = pool

    async def open(self) -> None:
        """Make the schema, or bring it up to date; quick when it is.

        Raises :class:`IntegrityError` for a database of a newer version than this program, and
        :class:`TransientError` when it cannot be reached.
        """
        if self.is_sqlite:
            _make_private(sqlite_path(self.url))
        async with self.write("schema") as connection:
            await connection.run_sync(self._upgrade)

    async def close(self) -> None:
        """Scrub if something was erased, then close every connection."""
        if self._checkpointing is not None:
            await asyncio.wait({self._checkpointing})
        if self._scrubbing is not None:
            self._scrubbing.cancel()
            await asyncio.wait({self._scrubbing})
            if self._dirty:
                await self.scrub()
        if self.is_sqlite:
            await self._lazy_writer.dispose()
            await self._readers.dispose()
        await self._writer.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for statements that change nothing; each sees the newest commit."""
        with _translated():
            async with self._readers.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, name: str) -> AsyncIterator[AsyncConnection]:
        """One transaction that has reached the disk when the block ends; nothing of it on error.

        ``name`` is how crash tests call it.
        """
        with _translated():
            async with self._turn:
                with durable(name):
                    async with self._writer.begin() as connection:
                        yield connection
                self._count_write()

    @asynccontextmanager
    async def write_lazily(self, name: str) -> AsyncIterator[AsyncConnection]:
        """As :meth:`write`, but a power cut within seconds may undo it. A crash does not."""
        with _translated():
            async with self._turn:
                with durable(name):
                    async with self._lazy_writer.begin() as connection:
                        yield connection
                self._count_write()

    async def scrub(self) -> bool:
        """Remove what deleted rows leave behind; return False if it must be tried again.

        SQLite: the write-ahead log is copied into the file and truncated (pages were overwritten
        by ``secure_delete``). PostgreSQL: ``VACUUM``; its own log ends by its own settings.
        """
        with _translated():
            async with self._turn, self._readers.connect() as connection:
                if not self.is_sqlite:
                    for table in self._metadata.sorted_tables:
                        await connection.execute(text(f"VACUUM {table.name}"))
                    return True
                row = (await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))).one()
                return int(row[0]) == 0

    def _count_write(self) -> None:
        self._writes += 1
        idle = self._checkpointing is None or self._checkpointing.done()
        if self.is_sqlite and self._writes >= CHECKPOINT_WRITES and idle:
            self._writes = 0
            self._checkpointing = asyncio.create_task(self._checkpoint())

    async def _checkpoint(self) -> None:
        with suppress(TransientError):  # the next hundred writes try again
            async with self.read() as connection:
                await connection.execute(text("PRAGMA wal_checkpoint(PASSIVE)"))

    def scrub_soon(self) -> None:
        """:meth:`scrub` within seconds. A crash before that leaves the log for the next start."""
        self._dirty = True
        if self._scrubbing is None or self._scrubbing.done():
            self._scrubbing = asyncio.create_task(self._scrub_until_clean())

    async def _scrub_until_clean(self) -> None:
        while self._dirty:
            await asyncio.sleep(SCRUB_SECONDS)
            self._dirty = False  # before: what is erased during the scrub needs another
            try:
                done = await self.scrub()
            except TransientError:  # the database is away; perhaps not next time
                done = False
            self._dirty = self._dirty or not done

    def _upgrade(self, connection: Connection) -> None:
        inspector = inspect(connection)
        if not inspector.has_table(_VERSION_TABLE):
            # An empty database. A crash here leaves it empty: this is one transaction.
            self._metadata.create_all(connection)
            connection.execute(
                text(
                    f"CREATE TABLE {_VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
                )
            )
            connection.execute(
                text(f"INSERT INTO {_VERSION_TABLE} VALUES (:head)"),  # noqa: S608 - a constant
                {"head": self._head},
            )
            return
        found = connection.execute(text(f"SELECT version_num FROM {_VERSION_TABLE}")).scalar()  # noqa: S608
        if found != self._head:
            from safelight.store.migrations import migrate

            if not migrate(connection, self._migrations, str(found)):
                raise IntegrityError(
                    "the database is of a newer version than this program",
                    hint="start the newer program, or restore the backup from before it",
                )


def _make_private(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)


class _translated:  # noqa: N801 - reads as a verb
    """Turns what a database says when it cannot work now into our errors, without its text."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OperationalError | ConnectionError) or (
            isinstance(error, DBAPIError) and error.connection_invalidated
        ):
            said = str(getattr(error, "orig", error)).lower()
            if "full" in said or "no space" in said:
                raise NoSpaceError("the disk that holds the database is full") from None
            raise TransientError("the database cannot be reached now") from error
