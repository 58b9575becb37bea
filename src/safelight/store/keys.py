"""The keys store: key envelopes, vault files, OPAQUE records, share bundles, sealed replies.

A second, small database. What is deleted or replaced here is overwritten in the file at once and
gone from the write-ahead log within a minute (SQLite), or vacuumed away (PostgreSQL). Its backups
may live only as long as the erasure horizon; :meth:`Keys.backup` keeps to that by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, delete, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError as SqlIntegrityError

from safelight.errors import ConflictError, RequestError
from safelight.store import key_tables
from safelight.store.database import Database
from safelight.store.key_tables import bundles, credentials, envelopes, replies, vault_files
from safelight.store.times import from_us, maybe_us, to_us

_ENVELOPES = select(envelopes.c.blob, envelopes.c.envelope).where(
    envelopes.c.blob.in_(bindparam("names", expanding=True))
)
_PUT_FILE = text(
    "INSERT INTO vault_files (account, method, file, until)"
    " VALUES (:account, :method, :file, :until)"
    " ON CONFLICT (account, method) DO UPDATE SET file = excluded.file, until = excluded.until"
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


class Keys:
    """``url`` is a SQLAlchemy URL, of another database than the records'."""

    def __init__(self, url: str) -> None:
        self.database = Database(url, key_tables.metadata, head=key_tables.HEAD, migrations="keys")
        self._db = self.database

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

    # --- credentials and vault files ---

    async def register(
        self,
        account: str,
        opaque_record: bytes,
        recovery_token_sha256: str,
        files: Mapping[str, bytes],
        now: datetime,
    ) -> None:
        """Keep a new account's credentials and files, in one transaction.

        A crash after it and before the account's row leaves rows of no account; they are swept.
        """
        try:
            async with self._db.write("register") as connection:
                await connection.execute(
                    insert(credentials).values(
                        account=account,
                        opaque_record=opaque_record,
                        recovery_token_sha256=recovery_token_sha256,
                        created_at=to_us(now),
                    )
                )
                for method, file in files.items():
                    await connection.execute(
                        _PUT_FILE,
                        {"account": account, "method": method, "file": file, "until": None},
                    )
        except SqlIntegrityError:
            raise ConflictError("this account has credentials already") from None

    async def credentials(self, account: str) -> tuple[bytes, str] | None:
        """The OPAQUE record and the recovery token's hash."""
        async with self._db.read() as connection:
            row = (
                await connection.execute(
                    select(credentials.c.opaque_record, credentials.c.recovery_token_sha256).where(
                        credentials.c.account == account
                    )
                )
            ).first()
        return None if row is None else (bytes(row[0]), str(row[1]))

    async def change_password(
        self,
        account: str,
        opaque_record: bytes,
        files: Mapping[str, bytes],
        recovery_token_sha256: str | None = None,
    ) -> bool:
        """Replace the OPAQUE record and these files together; False for an unknown account.

        A crash leaves the old password with the old file, or the new with the new.
        """
        values: dict[str, Any] = {"opaque_record": opaque_record}
        if recovery_token_sha256 is not None:
            values["recovery_token_sha256"] = recovery_token_sha256
        async with self._db.write("password") as connection:
            found = await connection.execute(
                update(credentials).where(credentials.c.account == account).values(**values)
            )
            if not found.rowcount:
                return False
            for method, file in files.items():
                await connection.execute(
                    _PUT_FILE, {"account": account, "method": method, "file": file, "until": None}
                )
        self._db.scrub_soon()
        return True

    async def put_file(
        self, account: str, method: str, file: bytes, until: datetime | None
    ) -> None:
        """Keep or replace one vault file, until a time if one is given."""
        async with self._db.write("vault-file") as connection:
            await connection.execute(
                _PUT_FILE,
                {"account": account, "method": method, "file": file, "until": maybe_us(until)},
            )
        self._db.scrub_soon()

    async def files(self, account: str, now: datetime) -> dict[str, bytes]:
        """Every vault file of an account that is in force, by method."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(vault_files.c.method, vault_files.c.file)
                .where(
                    vault_files.c.account == account,
                    or_(vault_files.c.until.is_(None), vault_files.c.until > to_us(now)),
                )
                .order_by(vault_files.c.method)
            )
            return {row[0]: bytes(row[1]) for row in rows}

    async def delete_file(self, account: str, method: str) -> bool:
        """Erase one vault file; say whether it was there."""
        async with self._db.write("vault-file-delete") as connection:
            found = await connection.execute(
                delete(vault_files).where(
                    vault_files.c.account == account, vault_files.c.method == method
                )
            )
        self._db.scrub_soon()
        return bool(found.rowcount)

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

        Raises :class:`RequestError` for PostgreSQL, which has its own tools.
        """
        if not self._db.is_sqlite:
            raise RequestError(
                "the keys store is PostgreSQL",
                hint=f"back it up with pg_dump, and keep copies {horizon_days} days at most",
            )
        target = folder / f"keys-{to_us(now)}.db"
        _make_folder(folder)
        async with self._db.read() as connection:
            await connection.execute(text("VACUUM INTO :target"), {"target": str(target)})
        _keep_horizon(folder, target, now - timedelta(days=horizon_days))
        return target


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _keep_horizon(folder: Path, newest: Path, oldest: datetime) -> None:
    newest.chmod(0o600)
    for copy in folder.glob("keys-*.db"):
        number = copy.stem.removeprefix("keys-")
        if number.isdigit() and from_us(int(number)) < oldest:
            copy.unlink()
