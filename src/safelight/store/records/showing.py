"""Publications: the separate public copies. Their ids do not lead back to their assets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select

from safelight.records import Publication
from safelight.store.database import Database
from safelight.store.records.assets import see
from safelight.store.tables import accounts, assets, publications
from safelight.store.times import from_us, to_us

_NO_CURSOR = 2**62
Shown = tuple[Publication, int, str, str]
"""A publication, its number in the feed, its blob's name, and its owner's name."""


class PublicationRows:
    """Rows of ``publications``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, publication: Publication, blob: str) -> bool:
        """Show a copy whose blob is kept already; False if its asset is not this account's.

        A crash before leaves a blob that no row names; it is swept.
        """
        now = to_us(publication.published_at)
        async with self._db.write("publish") as connection:
            if publication.asset is not None:
                found = await connection.execute(
                    select(assets.c.id).where(
                        assets.c.id == publication.asset,
                        assets.c.account == publication.account,
                        assets.c.erasing.is_(False),
                    )
                )
                if found.first() is None:
                    return False
            await connection.execute(
                insert(publications).values(
                    id=publication.id,
                    account=publication.account,
                    asset=publication.asset,
                    media_type=publication.media_type,
                    size_bytes=publication.size_bytes,
                    width_px=publication.width_px,
                    height_px=publication.height_px,
                    published_at=now,
                    words=publication.words,
                    show_name=publication.show_name,
                    remix=publication.remix,
                    blob=blob,
                )
            )
            if publication.asset is not None:
                await see(connection, publication.asset, now)
        return True

    async def take_down(self, account: str, publication: str, now: datetime) -> str | None:
        """Stop showing it from this moment; its blob's name, or None if it is not the account's.

        A crash after leaves a blob that no row names, and nothing serves; it is swept.
        """
        async with self._db.write("unpublish") as connection:
            row = (
                await connection.execute(
                    delete(publications)
                    .where(publications.c.account == account, publications.c.id == publication)
                    .returning(publications.c.blob, publications.c.asset)
                )
            ).first()
            if row is None:
                return None
            if row.asset is not None:
                await see(connection, row.asset, to_us(now))
        return str(row.blob)

    async def get(self, publication: str) -> Shown | None:
        """One publication, if its owner's account is not disabled."""
        async with self._db.read() as connection:
            row = (
                await connection.execute(_shown().where(publications.c.id == publication))
            ).first()
        return None if row is None else _read(row)

    async def of_account(self, account: str) -> list[Shown]:
        """An account's own publications, newest first."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                _shown()
                .where(publications.c.account == account)
                .order_by(publications.c.seq.desc())
            )
            return [_read(row) for row in rows]

    async def feed(self, *, before: int | None = None, limit: int = 50) -> list[Shown]:
        """Everyone's, newest first, from a cursor."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                _shown()
                .where(publications.c.seq < (_NO_CURSOR if before is None else before))
                .order_by(publications.c.seq.desc())
                .limit(limit)
            )
            return [_read(row) for row in rows]


def _shown() -> Any:
    return (
        select(publications, accounts.c.name.label("owner_name"))
        .join_from(publications, accounts, publications.c.account == accounts.c.id)
        .where(accounts.c.disabled.is_(False), accounts.c.leaving.is_(False))
    )


def _read(row: Any) -> Shown:
    publication = Publication(
        id=row.id,
        account=row.account,
        asset=row.asset,
        media_type=row.media_type,
        size_bytes=row.size_bytes,
        width_px=row.width_px,
        height_px=row.height_px,
        published_at=from_us(row.published_at),
        words=row.words,
        show_name=bool(row.show_name),
        remix=bool(row.remix),
    )
    return publication, int(row.seq), str(row.blob), str(row.owner_name)
