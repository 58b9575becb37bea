"""The keys store: key envelopes, vault files, OPAQUE records, share bundles, sealed replies.

A second, small database. What is deleted or replaced here is overwritten in the file at once and
gone from the write-ahead log within a minute (SQLite), or vacuumed away (PostgreSQL). Its backups
may live only as long as the erasure horizon; :meth:`Keys.backup` keeps to that by itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import bindparam, delete, insert, select, text, update

from safelight.errors import OutputError, RequestError
from safelight.store import key_tables
from safelight.store.database import Database
from safelight.store.key_files import KeyFiles
from safelight.store.key_tables import bundles, credentials, envelopes, replies, vault_files
from safelight.store.times import from_us, to_us

_ENVELOPES = select(envelopes.c.blob, envelopes.c.envelope).where(
    envelopes.c.blob.in_(bindparam("names", expanding=True))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Identity A of one asset, sealed to its owner, under the name of the asset's blobs."""

    blob: str
    account: str
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReply:
    """A job's sealed reply, kept for a while so that the caller can come back for it."""

    job: str
    account: str
    reply: bytes
    until: datetime


class Keys(KeyFiles):
    """``url`` is a SQLAlchemy URL, of another database than the records'."""

    def __init__(self, url: str) -> None:
        super().__init__(
            Database(url, key_tables.metadata, head=key_tables.HEAD, migrations="keys")
        )

    async def open(self) -> None:
        """Make the tables or bring them up to date, and scrub what a crash left in the log."""
        await self._db.open()
        if self._db.is_sqlite:
            await self._db.scrub()

    async def close(self) -> None:
        """Scrub if something was erased, then close every connection."""
        await self._db.close()

    # --- envelopes and replies ---

    async def put_results(
        self, found: Sequence[Envelope], reply: KeptReply | None, now: datetime
    ) -> None:
        """Keep a job's envelopes and its reply, in one transaction.

        A crash after it and before the records' transaction leaves envelopes that no row names;
        they are swept (Note [crash order]).
        """
        async with self._db.write("envelopes") as connection:
            if found:
                await connection.execute(
                    insert(envelopes),
                    [
                        {
                            "blob": e.blob,
                            "account": e.account,
                            "envelope": e.envelope,
                            "created_at": to_us(now),
                        }
                        for e in found
                    ],
                )
            if reply is not None:
                await connection.execute(delete(replies).where(replies.c.job == reply.job))
                await connection.execute(
                    insert(replies).values(
                        job=reply.job,
                        account=reply.account,
                        reply=reply.reply,
                        until=to_us(reply.until),
                    )
                )

    async def envelopes(self, names: Sequence[str]) -> dict[str, bytes]:
        """The envelopes under these names; one that is missing is left out."""
        if not names:
            return {}
        async with self._db.read() as connection:
            rows = await connection.execute(_ENVELOPES, {"names": list(names)})
            return {row[0]: bytes(row[1]) for row in rows}

    async def rewrap(self, changes: Sequence[tuple[str, bytes, bytes]]) -> int:
        """Replace envelopes, given as name, the one until now and the new one; how many were.

        One that is another by now is left alone. A crash leaves all of the old or all of the new.
        """
        count = 0
        async with self._db.write("rewrap") as connection:
            for blob, before, after in changes:
                found = await connection.execute(
                    update(envelopes)
                    .where(envelopes.c.blob == blob, envelopes.c.envelope == before)
                    .values(envelope=after)
                )
                count += int(found.rowcount)
        self._db.scrub_soon()
        return count

    async def reply(self, job: str, now: datetime) -> bytes | None:
        """A job's sealed reply, while it is kept."""
        async with self._db.read() as connection:
            row = (
                await connection.execute(
                    select(replies.c.reply).where(
                        replies.c.job == job, replies.c.until > to_us(now)
                    )
                )
            ).first()
        return None if row is None else bytes(row[0])

    async def erase(
        self,
        *,
        blobs: Sequence[str] = (),
        jobs: Sequence[str] = (),
        shares: Sequence[str] = (),
    ) -> None:
        """Destroy envelopes, replies and bundles: from here on, nothing opens what they opened."""
        async with self._db.write("erase-keys") as connection:
            for table, column, names in (
                (envelopes, envelopes.c.blob, blobs),
                (replies, replies.c.job, jobs),
                (bundles, bundles.c.share, shares),
            ):
                if names:
                    await connection.execute(delete(table).where(column.in_(list(names))))
        self._db.scrub_soon()

    async def erase_account(self, account: str) -> None:
        """Destroy everything here that belongs to an account."""
        async with self._db.write("erase-account") as connection:
            for table in (envelopes, replies, bundles, vault_files, credentials):
                await connection.execute(delete(table).where(table.c.account == account))
        self._db.scrub_soon()

    async def old_envelopes(self, before: datetime, after: str, limit: int) -> list[str]:
        """Names above ``after`` of envelopes older than ``before``, in order: for the sweeper."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(envelopes.c.blob)
                .where(envelopes.c.blob > after, envelopes.c.created_at < to_us(before))
                .order_by(envelopes.c.blob)
                .limit(limit)
            )
            return [row[0] for row in rows]

    async def old_bundles(self, before: datetime) -> list[str]:
        """Share ids of bundles older than ``before``: for the sweeper."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(bundles.c.share).where(bundles.c.created_at < to_us(before))
            )
            return [row[0] for row in rows]

    async def old_accounts(self, before: datetime) -> list[str]:
        """Accounts that have had credentials here since before this time: for the sweeper."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(credentials.c.account).where(credentials.c.created_at < to_us(before))
            )
            return [row[0] for row in rows]

    async def sweep(self, now: datetime) -> int:
        """Erase replies and device files whose time is over."""
        async with self._db.write("key-sweep") as connection:
            gone = await connection.execute(delete(replies).where(replies.c.until <= to_us(now)))
            files = await connection.execute(
                delete(vault_files).where(vault_files.c.until <= to_us(now))
            )
            count = int(gone.rowcount) + int(files.rowcount)
        if count:
            self._db.scrub_soon()
        return count

    # --- share bundles ---

    async def put_bundle(self, share: str, account: str, bundle: bytes, now: datetime) -> None:
        """Keep a share's bundle. A crash before the share's row leaves one that is swept."""
        async with self._db.write("bundle") as connection:
            await connection.execute(
                insert(bundles).values(
                    share=share, account=account, bundle=bundle, created_at=to_us(now)
                )
            )

    async def bundle(self, share: str) -> bytes | None:
        """A share's bundle."""
        async with self._db.read() as connection:
            row = (
                await connection.execute(select(bundles.c.bundle).where(bundles.c.share == share))
            ).first()
        return None if row is None else bytes(row[0])

    # --- erasure and backups ---

    async def scrub(self) -> bool:
        """Clear the write-ahead log now; False if a reader was in the way."""
        return await self._db.scrub()

    async def backup(self, folder: Path, now: datetime, horizon_days: int) -> Path:
        """Write a copy of a SQLite keys store into ``folder`` and delete copies past the horizon.

        The store may be in use. A crash leaves a hidden part, which the next call removes. Raises
        :class:`RequestError` for PostgreSQL, which has its own tools, and :class:`OutputError`.
        """
        if not self._db.is_sqlite:
            raise RequestError(
                "the keys store is PostgreSQL",
                hint=f"back it up with pg_dump, and keep copies {horizon_days} days at most",
            )
        target = folder / f"keys-{to_us(now)}.db"
        part = folder / ".keys.part"
        _make_room(folder, part)
        async with self._db.read() as connection:
            await connection.execute(text("VACUUM INTO :target"), {"target": str(part)})
        _put_in_place(part, target)
        _keep_horizon(folder, now - timedelta(days=horizon_days))
        return target


def _make_room(folder: Path, part: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)  # SQLite fills an empty file, which nobody else may read
    except OSError:
        raise OutputError("the copy cannot be written there") from None


def _put_in_place(part: Path, target: Path) -> None:
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(target)


def _keep_horizon(folder: Path, oldest: datetime) -> None:
    for copy in folder.glob("keys-*.db"):
        number = copy.stem.removeprefix("keys-")
        if number.isdigit() and from_us(int(number)) < oldest:
            copy.unlink()
