"""Assets: which sealed things an account has, in the order they came.

Lists go by ``seq``, newest first, from a cursor: a page costs the same wherever it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError as SqlIntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from safelight.errors import ConflictError
from safelight.records import Asset, AssetKind, Protection, Retention, Visibility
from safelight.store.database import Database
from safelight.store.tables import assets, jobs, publications, segments, shares

_NO_CURSOR = 2**62
_PAGE = (
    select(assets)
    .where(
        assets.c.account == bindparam("account"),
        assets.c.erasing.is_(False),
        assets.c.seq < bindparam("before"),
    )
    .order_by(assets.c.seq.desc())
    .limit(bindparam("limit"))
)
_PAGE_BY_VISIBILITY = _PAGE.where(assets.c.visibility == bindparam("visibility"))
_ONE = select(assets).where(
    assets.c.account == bindparam("account"),
    assets.c.id == bindparam("id"),
    assets.c.erasing.is_(False),
)
_SEVERAL = select(assets).where(
    assets.c.account == bindparam("account"),
    assets.c.id.in_(bindparam("ids", expanding=True)),
    assets.c.erasing.is_(False),
)
_INSERT = insert(assets)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAsset:
    """A row to be: ``blob`` names the sealed objects and the envelope, which are kept already."""

    id: str
    account: str
    kind: AssetKind
    protection: Protection
    retention: Retention
    size_bytes: int
    made_on: str
    blob: str
    job: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An asset and the name of its blobs."""

    asset: Asset
    blob: str
    job: str | None


class AssetRows:
    """Rows of ``assets``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, asset: NewAsset) -> None:
        """Add an asset that a client made. Raises :class:`ConflictError` if its id is in use.

        A crash before leaves blobs and an envelope that no row names; they are swept.
        """
        try:
            async with self._db.write("asset") as connection:
                await insert_assets(connection, [asset])
        except SqlIntegrityError:
            raise ConflictError("this asset id is in use") from None

    async def replace(self, asset: NewAsset, old_blob: str) -> bool:
        """Point an asset at new blobs; False if it changed or went meanwhile.

        A crash before leaves the old one whole, after it the new one whole; the other is swept.
        """
        async with self._db.write("asset-replace") as connection:
            found = await connection.execute(
                update(assets)
                .where(
                    assets.c.id == asset.id,
                    assets.c.account == asset.account,
                    assets.c.blob == old_blob,
                    assets.c.erasing.is_(False),
                )
                .values(blob=asset.blob, size_bytes=asset.size_bytes, made_on=asset.made_on)
            )
        return bool(found.rowcount)

    async def get(self, account: str, asset: str) -> Kept | None:
        """One asset of this account."""
        async with self._db.read() as connection:
            row = (await connection.execute(_ONE, {"account": account, "id": asset})).first()
        return None if row is None else _kept(row)

    async def several(self, account: str, ids: Sequence[str]) -> list[Kept]:
        """Those of the named assets that this account has, in no promised order."""
        async with self._db.read() as connection:
            rows = await connection.execute(_SEVERAL, {"account": account, "ids": list(ids)})
            return [_kept(row) for row in rows]

    async def page(
        self,
        account: str,
        *,
        before: int | None = None,
        limit: int = 50,
        visibility: Visibility | None = None,
    ) -> list[Kept]:
        """Up to ``limit`` assets with ``seq`` below ``before``, newest first."""
        values: dict[str, Any] = {
            "account": account,
            "before": _NO_CURSOR if before is None else before,
            "limit": limit,
        }
        statement = _PAGE
        if visibility is not None:
            statement = _PAGE_BY_VISIBILITY
            values["visibility"] = visibility
        async with self._db.read() as connection:
            return [_kept(row) for row in await connection.execute(statement, values)]

    async def mark_erasing(self, account: str, ids: Sequence[str]) -> list[Kept]:
        """Hide these assets for good; return those that were there.

        This is the point of no return: a crash after it leaves the rest to the sweeper.
        """
        async with self._db.write("erase-mark") as connection:
            rows = await connection.execute(
                update(assets)
                .where(
                    assets.c.account == account,
                    assets.c.id.in_(ids),
                    assets.c.erasing.is_(False),
                )
                .values(erasing=True)
                .returning(*assets.c)
            )
            return [_kept(row) for row in rows]

    async def erasing(self, limit: int) -> list[Kept]:
        """Assets whose deletion has begun and not ended."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(assets).where(assets.c.erasing.is_(True)).limit(limit)
            )
            return [_kept(row) for row in rows]

    async def links(self, ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Ids of the shares, and blob names of the publications, of these assets."""
        async with self._db.read() as connection:
            found = await connection.execute(select(shares.c.id).where(shares.c.asset.in_(ids)))
            shown = await connection.execute(
                select(publications.c.blob).where(publications.c.asset.in_(ids))
            )
            return [row[0] for row in found], [row[0] for row in shown]

    async def erase(self, gone: Sequence[Kept]) -> None:
        """Delete the rows of these assets, their shares, publications and job rows, in one step.

        A job's row goes with the last of its assets. A crash before leaves rows that are marked,
        which the sweeper takes up again.
        """
        ids = [kept.asset.id for kept in gone]
        job_ids = [kept.job for kept in gone if kept.job is not None]
        async with self._db.write("erase-rows") as connection:
            await connection.execute(delete(shares).where(shares.c.asset.in_(ids)))
            await connection.execute(delete(publications).where(publications.c.asset.in_(ids)))
            await connection.execute(delete(assets).where(assets.c.id.in_(ids)))
            if job_ids:
                left = select(assets.c.job).where(assets.c.job.in_(job_ids))
                await connection.execute(
                    delete(jobs).where(
                        jobs.c.id.in_(job_ids), jobs.c.ended_at.isnot(None), jobs.c.id.notin_(left)
                    )
                )

    async def known_blobs(self, names: Iterable[str]) -> set[str]:
        """Those of the names that a row of any table keeps."""
        wanted = list(names)
        found: set[str] = set()
        async with self._db.read() as connection:
            for table in (assets, segments, publications):
                rows = await connection.execute(
                    select(table.c.blob).where(table.c.blob.in_(wanted))
                )
                found |= {row[0] for row in rows}
        return found

    async def totals(self, account: str) -> tuple[int, int]:
        """How many assets an account has, and their sealed bytes."""
        async with self._db.read() as connection:
            row = (
                await connection.execute(
                    select(func.count(), func.coalesce(func.sum(assets.c.size_bytes), 0)).where(
                        assets.c.account == account, assets.c.erasing.is_(False)
                    )
                )
            ).one()
        return int(row[0]), int(row[1])

    async def refresh_visibility(self, now_us: int) -> int:
        """Make assets private again whose last share has ended and that are not published."""
        async with self._db.write_lazily("visibility") as connection:
            found = await connection.execute(_UNSHARE_ALL, {"now": now_us})
        return int(found.rowcount)


_UNSHARE_ALL = text(
    "UPDATE assets SET visibility = 'private' WHERE visibility = 'shared' AND NOT EXISTS ("
    "SELECT 1 FROM shares WHERE shares.asset = assets.id AND shares.revoked_at IS NULL"
    " AND shares.expires_at > :now)"
)
_SEE = text(
    "UPDATE assets SET visibility = CASE"
    " WHEN EXISTS (SELECT 1 FROM publications WHERE publications.asset = assets.id) THEN 'public'"
    " WHEN EXISTS (SELECT 1 FROM shares WHERE shares.asset = assets.id"
    " AND shares.revoked_at IS NULL AND shares.expires_at > :now) THEN 'shared'"
    " ELSE 'private' END WHERE id = :asset"
)


async def see(connection: AsyncConnection, asset: str, now_us: int) -> None:
    """Set an asset's visibility to what its publications and live shares say."""
    await connection.execute(_SEE, {"asset": asset, "now": now_us})


async def insert_assets(connection: AsyncConnection, kept: Sequence[NewAsset]) -> None:
    """Add rows inside a transaction of the caller's."""
    if kept:
        await connection.execute(
            _INSERT,
            [
                {
                    "id": asset.id,
                    "account": asset.account,
                    "kind": asset.kind,
                    "protection": asset.protection,
                    "retention": asset.retention,
                    "visibility": "private",
                    "size_bytes": asset.size_bytes,
                    "made_on": asset.made_on,
                    "blob": asset.blob,
                    "job": asset.job,
                    "erasing": False,
                }
                for asset in kept
            ],
        )


def _kept(row: Any) -> Kept:
    return Kept(
        asset=Asset(
            id=row.id,
            account=row.account,
            kind=row.kind,
            protection=row.protection,
            retention=row.retention,
            visibility=row.visibility,
            size_bytes=row.size_bytes,
            made_on=row.made_on,
            seq=row.seq,
        ),
        blob=row.blob,
        job=row.job,
    )
