"""The library: list, fetch, put, erase. Every object is sealed; the desk opens none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from safelight.desk.finishing import Finishing
from safelight.errors import ConflictError, NotFoundError, RequestError
from safelight.ids import utc_day
from safelight.records import Asset, SealedAsset, Visibility
from safelight.store.blobs import PARTS, new_name
from safelight.store.records import NewAsset
from safelight.store.records.assets import Kept

MAX_PAGE = 500
_AT_ONCE = 16


class Library(Finishing):
    """One account's assets."""

    async def library(
        self,
        account: str,
        *,
        cursor: str | None = None,
        limit: int = 100,
        visibility: Visibility | None = None,
    ) -> tuple[list[tuple[Asset, bytes | None]], str | None]:
        """One page, newest first: assets with their envelopes, and the next page's cursor."""
        limit = min(max(limit, 1), MAX_PAGE)
        found = await self.records.assets.page(
            account, before=read_cursor(cursor), limit=limit + 1, visibility=visibility
        )
        page = found[:limit]
        envelopes = await self.keys_store.envelopes([kept.blob for kept in page])
        following = str(page[-1].asset.seq) if len(found) > limit else None
        return [(kept.asset, envelopes.get(kept.blob)) for kept in page], following

    async def asset(self, account: str, asset: str) -> tuple[Asset, bytes | None]:
        """One asset and its envelope. Raises :class:`NotFoundError`."""
        kept = await self._kept(account, asset)
        envelopes = await self.keys_store.envelopes([kept.blob])
        return kept.asset, envelopes.get(kept.blob)

    async def asset_part(self, account: str, asset: str, part: str) -> tuple[Asset, bytes]:
        """One sealed object: ``full``, ``thumb`` or ``meta``. Raises :class:`NotFoundError`."""
        if part not in PARTS:
            raise RequestError("an asset has the parts full, thumb and meta")
        kept = await self._kept(account, asset)
        return kept.asset, await self.blobs.get(f"{kept.blob}-{part}")

    async def thumbs(self, account: str, assets: Sequence[str]) -> list[tuple[Asset, bytes]]:
        """Those of the assets that the account has, each with its sealed thumb."""
        found = await self.records.assets.several(account, list(dict.fromkeys(assets)))
        gate = asyncio.Semaphore(_AT_ONCE)

        async def fetch(kept: Kept) -> tuple[Asset, bytes | None]:
            async with gate:
                try:
                    return kept.asset, await self.blobs.get(f"{kept.blob}-thumb")
                except NotFoundError:
                    return kept.asset, None  # erased between the two reads

        fetched = await asyncio.gather(*(fetch(kept) for kept in found))
        return [(asset, data) for asset, data in fetched if data is not None]

    async def put_asset(self, account: str, sealed: SealedAsset) -> Asset:
        """Keep something that the client made and sealed: an upload or a project.

        A project may be put again; anything else has an id that is used once
        (:class:`ConflictError`). Durable when this returns (Note [crash order]).
        """
        name = new_name()
        row = NewAsset(
            id=sealed.id,
            account=account,
            kind=sealed.kind,
            protection="sealed",
            retention="owner",
            size_bytes=len(sealed.full) + len(sealed.thumb) + len(sealed.meta),
            made_on=utc_day(self.clock.now()),
            blob=name,
            job=None,
        )
        before = await self.records.assets.get(account, sealed.id)
        if before is not None and not before.asset.kind == sealed.kind == "project":
            raise ConflictError("this asset id is in use", hint="make a new id")
        await self._put(account, [sealed], [name], None)
        try:
            if before is None:
                await self.records.assets.add(row)
            elif not await self.records.assets.replace(row, before.blob):
                raise ConflictError("the project changed meanwhile")
        except ConflictError:
            await self._unput([name], [])
            raise
        if before is not None:
            await self._unput([before.blob], [])
        return (await self._kept(account, sealed.id)).asset

    async def delete_asset(self, account: str, asset: str) -> bool:
        """Erase one asset: its keys, then its bytes and everything that refers to it."""
        return bool(await self.delete_assets(account, [asset]))

    async def delete_assets(self, account: str, assets: Sequence[str]) -> list[str]:
        """Erase these assets; return the ids of those that were there.

        When this returns, nothing here opens them and nothing lists them. The write-ahead log of
        the keys store is clear within a minute. Order: Note [crash order].
        """
        gone = await self.records.assets.mark_erasing(account, list(dict.fromkeys(assets)))
        if gone:
            await self._erase(gone)
        return [kept.asset.id for kept in gone]

    async def _erase(self, gone: Sequence[Kept]) -> None:
        shares, public = await self.records.assets.links([kept.asset.id for kept in gone])
        jobs = [kept.job for kept in gone if kept.job is not None]
        for job in jobs:
            self._rings.forget(job)
        names = [kept.blob for kept in gone]
        # A crash between any two of these leaves marked rows, which the sweeper goes on with.
        await self.keys_store.erase(blobs=names, jobs=jobs, shares=shares)
        await self.blobs.delete([f"{name}-{part}" for name in names for part in PARTS] + public)
        await self.records.assets.erase(gone)
        self.records.database.scrub_soon()

    async def export(self, account: str) -> AsyncIterator[tuple[str, bytes]]:
        """Everything of an account's, as paths and sealed bytes that stock tools open."""
        files = await self.keys_store.files(account, self.clock.now())
        for method, data in files.items():
            yield f"vault/{method}.age", data
        head = await self.records.vaults.head(account)
        if head is not None:
            yield "vault/head.json", head[1]
        for digest, blob in await self.records.vaults.segments(account):
            yield f"vault/index/{digest}.age", await self.blobs.get(blob)
        before: int | None = None
        while page := await self.records.assets.page(account, before=before, limit=200):
            envelopes = await self.keys_store.envelopes([kept.blob for kept in page])
            for kept in page:
                folder = f"assets/{kept.asset.id}"
                try:
                    parts = [await self.blobs.get(f"{kept.blob}-{part}") for part in PARTS]
                except NotFoundError:
                    continue  # erased while the export runs
                if (envelope := envelopes.get(kept.blob)) is not None:
                    yield f"{folder}/key.age", envelope
                for part, data in zip(PARTS, parts, strict=True):
                    yield f"{folder}/{part}.age", data
            before = page[-1].asset.seq

    async def _kept(self, account: str, asset: str) -> Kept:
        kept = await self.records.assets.get(account, asset)
        if kept is None:
            raise NotFoundError("no such asset")
        return kept


def read_cursor(cursor: str | None) -> int | None:
    """A cursor as a number. Raises :class:`RequestError` for one that was not given by a list."""
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise RequestError("not a cursor", hint="pass `next` of the page before, unchanged")
    return int(cursor)
