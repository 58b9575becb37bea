"""What work costs: tokens held by jobs that have not ended, and the bill of each day."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from safelight.ids import utc_day
from safelight.store.database import Database
from safelight.store.records.submitting import USED
from safelight.store.tables import day_bills

_HELD = text(
    "SELECT count(*), coalesce(sum(tokens), 0) FROM jobs"
    " WHERE account = :account AND state IN ('queued', 'running')"
)
_BILL = text(
    "INSERT INTO day_bills (account, day, pictures, tokens)"
    " VALUES (:account, :day, :pictures, :tokens)"
    " ON CONFLICT (account, day) DO UPDATE SET"
    " pictures = day_bills.pictures + excluded.pictures,"
    " tokens = day_bills.tokens + excluded.tokens"
)


class BillRows:
    """Rows of ``day_bills``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def bill(self, account: str, now: datetime, pictures: int, tokens: int) -> None:
        """Add to a day's bill: all that off-the-record work leaves. ``account`` "" for guests."""
        # A crash before leaves the work unbilled; the reply is handed over only afterwards.
        async with self._db.write("bill") as connection:
            await add_to_bill(connection, account, now, pictures, tokens)

    async def usage(self, account: str, month: str) -> tuple[int, int]:
        """Tokens spent since the first day ``month`` (``YYYY-MM-01``), and tokens held now."""
        async with self._db.read() as connection:
            used = await connection.execute(USED, {"account": account, "month": month})
            held = (await connection.execute(_HELD, {"account": account})).one()
        return int(used.scalar_one()), int(held[1])

    async def bills(self, account: str) -> list[tuple[str, int, int]]:
        """Day, pictures and tokens of every day with work, oldest first."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(day_bills.c.day, day_bills.c.pictures, day_bills.c.tokens)
                .where(day_bills.c.account == account)
                .order_by(day_bills.c.day)
            )
            return [(row[0], int(row[1]), int(row[2])) for row in rows]


async def add_to_bill(
    connection: AsyncConnection, account: str, now: datetime, pictures: int, tokens: int
) -> None:
    """Add to a day's bill within the caller's transaction."""
    await connection.execute(
        _BILL, {"account": account, "day": utc_day(now), "pictures": pictures, "tokens": tokens}
    )
