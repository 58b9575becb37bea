"""What the operator may see and do about accounts, and how an account ends. Nothing opens."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, select, update

from safelight.records import Account
from safelight.store.database import Database
from safelight.store.records.accounts import _account
from safelight.store.tables import (
    accounts,
    api_keys,
    assets,
    day_bills,
    heads,
    jobs,
    passkeys,
    publications,
    segments,
    sessions,
    shares,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """One account in numbers."""

    account: Account
    assets: int
    size_bytes: int


class PeopleRows:
    """Every account, for the operator; and leaving."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def all(self) -> list[PersonRow]:
        """Every account with its counts, oldest first."""
        async with self._db.read() as connection:
            counted = await connection.execute(
                select(assets.c.account, func.count(), func.sum(assets.c.size_bytes))
                .where(assets.c.erasing.is_(False))
                .group_by(assets.c.account)
            )
            counts = {row[0]: (int(row[1]), int(row[2])) for row in counted}
            rows = await connection.execute(
                select(accounts)
                .where(accounts.c.leaving.is_(False))
                .order_by(accounts.c.created_at, accounts.c.name)
            )
            found = [_account(row, "") for row in rows]
        return [
            PersonRow(
                account=account,
                assets=counts.get(account.id, (0, 0))[0],
                size_bytes=counts.get(account.id, (0, 0))[1],
            )
            for account in found
        ]

    async def set_disabled(self, account: str, *, disabled: bool) -> bool:
        """Shut an account out (its sessions end) or let it in again; False if there is none."""
        async with self._db.write("disable") as connection:
            found = await connection.execute(
                update(accounts)
                .where(accounts.c.id == account, accounts.c.leaving.is_(False))
                .values(disabled=disabled)
            )
            if disabled:
                await connection.execute(delete(sessions).where(sessions.c.account == account))
        return bool(found.rowcount)

    async def set_plan(self, account: str, plan: str) -> bool:
        """Give an account another plan; False if there is none."""
        async with self._db.write("plan") as connection:
            found = await connection.execute(
                update(accounts)
                .where(accounts.c.id == account, accounts.c.leaving.is_(False))
                .values(plan=plan)
            )
        return bool(found.rowcount)

    async def mark_leaving(self, account: str) -> bool:
        """Shut an account for good: its sessions, keys, passkeys, shares and publications end now.

        The point of no return: a crash after it leaves the rest to the sweeper.
        """
        async with self._db.write("leave-mark") as connection:
            found = await connection.execute(
                update(accounts)
                .where(accounts.c.id == account, accounts.c.leaving.is_(False))
                .values(leaving=True)
            )
            for table in (sessions, api_keys, passkeys):
                await connection.execute(delete(table).where(table.c.account == account))
        return bool(found.rowcount)

    async def leaving(self) -> list[str]:
        """Accounts whose leaving has begun and not ended."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(accounts.c.id).where(accounts.c.leaving.is_(True))
            )
            return [row[0] for row in rows]

    async def blobs(self, account: str, limit: int) -> list[str]:
        """Names of up to ``limit`` assets' blobs, then of segments and publications."""
        async with self._db.read() as connection:
            for table in (assets, segments, publications):
                rows = await connection.execute(
                    select(table.c.blob).where(table.c.account == account).limit(limit)
                )
                if found := [row[0] for row in rows]:
                    return found
        return []

    async def drop_blobs(self, names: list[str]) -> None:
        """Delete the rows of these blobs. A crash before leaves rows without blobs, of an account
        that is shut; the sweeper goes on.
        """
        async with self._db.write("leave-rows") as connection:
            for table in (assets, segments, publications):
                await connection.execute(delete(table).where(table.c.blob.in_(names)))

    async def erase(self, account: str) -> None:
        """Delete every row that is left of an account."""
        async with self._db.write("leave") as connection:
            for table in (jobs, day_bills, heads, shares, assets, segments, publications):
                await connection.execute(delete(table).where(table.c.account == account))
            await connection.execute(delete(shares).where(shares.c.person == account))
            await connection.execute(delete(accounts).where(accounts.c.id == account))

    async def known(self, ids: list[str]) -> set[str]:
        """Those of the ids that are accounts, also leaving ones."""
        async with self._db.read() as connection:
            rows = await connection.execute(select(accounts.c.id).where(accounts.c.id.in_(ids)))
            return {row[0] for row in rows}
