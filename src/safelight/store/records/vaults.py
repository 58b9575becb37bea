"""Vault heads and index segments: small numbers here, the sealed bytes as blobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError as SqlIntegrityError

from safelight.store.database import Database
from safelight.store.tables import heads, segments
from safelight.store.times import to_us


class VaultRows:
    """Rows of ``heads`` and ``segments``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def head(self, account: str) -> tuple[int, bytes] | None:
        """The newest head and its number."""
        async with self._db.read() as connection:
            row = (
                await connection.execute(
                    select(heads.c.seq, heads.c.head).where(heads.c.account == account)
                )
            ).first()
        return None if row is None else (int(row[0]), bytes(row[1]))

    async def put_head(self, account: str, seq: int, head: bytes) -> bool:
        """Replace head ``seq - 1`` by this one; False if that is not the newest.

        A crash leaves the old head or the new one.
        """
        try:
            async with self._db.write("head") as connection:
                if seq == 1:
                    await connection.execute(
                        insert(heads).values(account=account, seq=1, head=head)
                    )
                    return True
                found = await connection.execute(
                    update(heads)
                    .where(heads.c.account == account, heads.c.seq == seq - 1)
                    .values(seq=seq, head=head)
                )
        except SqlIntegrityError:
            return False
        return bool(found.rowcount)

    async def segment(self, account: str, sha256: str) -> str | None:
        """The blob name of a segment."""
        async with self._db.read() as connection:
            row = (
                await connection.execute(
                    select(segments.c.blob).where(
                        segments.c.account == account, segments.c.sha256 == sha256
                    )
                )
            ).first()
        return None if row is None else str(row[0])

    async def segments(self, account: str) -> list[tuple[str, str]]:
        """Hash and blob name of every segment of an account."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(segments.c.sha256, segments.c.blob).where(segments.c.account == account)
            )
            return [(row[0], row[1]) for row in rows]

    async def add_segment(self, account: str, sha256: str, blob: str, now: datetime) -> bool:
        """Add a segment whose blob is kept already; False if the account has it.

        A crash before leaves a blob that no row names; it is swept.
        """
        try:
            async with self._db.write("segment") as connection:
                await connection.execute(
                    insert(segments).values(
                        account=account, sha256=sha256, blob=blob, created_at=to_us(now)
                    )
                )
        except SqlIntegrityError:
            return False
        return True

    async def with_old_segments(self, before: datetime) -> list[tuple[str, bytes]]:
        """Accounts that have a segment older than ``before``, each with its head."""
        old = exists().where(
            segments.c.account == heads.c.account, segments.c.created_at < to_us(before)
        )
        async with self._db.read() as connection:
            rows = await connection.execute(select(heads.c.account, heads.c.head).where(old))
            return [(row[0], bytes(row[1])) for row in rows]

    async def drop_segments(
        self, account: str, named: Sequence[str], before: datetime
    ) -> list[str]:
        """Delete segments older than ``before`` that the head does not name; their blob names."""
        async with self._db.write("segment-drop") as connection:
            rows = await connection.execute(
                delete(segments)
                .where(
                    segments.c.account == account,
                    segments.c.created_at < to_us(before),
                    segments.c.sha256.notin_(list(named)),
                )
                .returning(segments.c.blob)
            )
            return [row[0] for row in rows]
