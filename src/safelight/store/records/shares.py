"""Shares: who may open which asset until when. The bundles are in the keys store."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, insert, or_, select, update

from safelight.records import Share
from safelight.store.database import Database
from safelight.store.records.assets import see
from safelight.store.tables import accounts, assets, shares
from safelight.store.times import from_us, maybe_from_us, to_us


class ShareRows:
    """Rows of ``shares``; the records come without their bundle."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, share: Share) -> bool:
        """Add a share of an asset the account has; False if it has not.

        A crash before leaves a bundle that no row names; it is swept.
        """
        async with self._db.write("share") as connection:
            found = await connection.execute(
                select(assets.c.id).where(
                    assets.c.id == share.asset,
                    assets.c.account == share.account,
                    assets.c.erasing.is_(False),
                )
            )
            if found.first() is None:
                return False
            await connection.execute(
                insert(shares).values(
                    id=share.id,
                    account=share.account,
                    asset=share.asset,
                    access_sha256=share.access_sha256,
                    person=share.person,
                    passphrase_salt=share.passphrase_salt,
                    created_at=to_us(share.created_at),
                    expires_at=to_us(share.expires_at),
                    opened=0,
                    revoked_at=None,
                )
            )
            await see(connection, share.asset, to_us(share.created_at))
        return True

    async def of_account(self, account: str) -> list[Share]:
        """The shares that an account made, newest first."""
        return await self._several(shares.c.account == account)

    async def received(self, person: str, now: datetime) -> list[Share]:
        """The live shares to a person, newest first."""
        return await self._several(and_(shares.c.person == person, _live(now)))

    async def live(self, share: str, now: datetime) -> Share | None:
        """A share that has neither ended nor been revoked, whose owner is not disabled."""
        found = await self._several(and_(shares.c.id == share, _live(now)))
        return found[0] if found else None

    async def count_opened(self, share: str) -> None:
        """Count one opening."""
        async with self._db.write_lazily("share-opened") as connection:
            await connection.execute(
                update(shares).where(shares.c.id == share).values(opened=shares.c.opened + 1)
            )

    async def revoke(self, account: str, share: str, now: datetime) -> bool:
        """End a share now; False if the account has no such share."""
        async with self._db.write("revoke") as connection:
            row = (
                await connection.execute(
                    update(shares)
                    .where(
                        shares.c.account == account,
                        shares.c.id == share,
                        shares.c.revoked_at.is_(None),
                    )
                    .values(revoked_at=to_us(now))
                    .returning(shares.c.asset)
                )
            ).first()
            if row is None:
                known = await connection.execute(
                    select(shares.c.id).where(shares.c.account == account, shares.c.id == share)
                )
                return known.first() is not None
            await see(connection, row[0], to_us(now))
        return True

    async def ended(self, now: datetime) -> list[str]:
        """Ids of shares that are over or revoked and still have a row."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(shares.c.id).where(
                    or_(shares.c.expires_at <= to_us(now), shares.c.revoked_at.isnot(None))
                )
            )
            return [row[0] for row in rows]

    async def forget(self, before: datetime) -> int:
        """Delete rows of shares that ended before this time."""
        us = to_us(before)
        async with self._db.write_lazily("share-sweep") as connection:
            found = await connection.execute(
                delete(shares).where(or_(shares.c.expires_at <= us, shares.c.revoked_at <= us))
            )
        return int(found.rowcount)

    async def known(self, ids: list[str]) -> set[str]:
        """Those of the ids that have a row."""
        async with self._db.read() as connection:
            rows = await connection.execute(select(shares.c.id).where(shares.c.id.in_(ids)))
            return {row[0] for row in rows}

    async def _several(self, condition: Any) -> list[Share]:
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(shares)
                .join_from(shares, accounts, shares.c.account == accounts.c.id)
                .join(assets, shares.c.asset == assets.c.id)
                .where(condition, accounts.c.leaving.is_(False), assets.c.erasing.is_(False))
                .order_by(shares.c.created_at.desc(), shares.c.id)
            )
            return [_share(row) for row in rows]


def _live(now: datetime) -> Any:
    return and_(
        shares.c.expires_at > to_us(now),
        shares.c.revoked_at.is_(None),
        accounts.c.disabled.is_(False),
    )


def _share(row: Any) -> Share:
    return Share(
        id=row.id,
        account=row.account,
        asset=row.asset,
        access_sha256=row.access_sha256,
        person=row.person,
        bundle=b"",
        passphrase_salt=None if row.passphrase_salt is None else bytes(row.passphrase_salt),
        created_at=from_us(row.created_at),
        expires_at=from_us(row.expires_at),
        opened=row.opened,
        revoked_at=maybe_from_us(row.revoked_at),
    )
