"""The sweeper: goes on with what a crash interrupted, and deletes what no row names.

It never deletes a row that is not marked (Note [crash order]). What is younger than an hour may
belong to work under way, here or at another desk, and is left alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta

from safelight.desk.leaving import Leaving
from safelight.desk.vaults import SEGMENT_GRACE
from safelight.store.times import to_us

ORPHAN_AGE = timedelta(hours=1)
JOBS_KEPT = timedelta(hours=24)
"""How long the row of an ended job stays; its assets stay until they are deleted."""
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one round did, in counts."""

    assets: int = 0
    accounts: int = 0
    blobs: int = 0
    envelopes: int = 0
    jobs: int = 0


class Sweep(Leaving):
    """Tidies up behind crashes and the passing of time."""

    async def sweep(self, *, orphan_age: timedelta = ORPHAN_AGE) -> Swept:
        """One whole round. ``orphan_age`` zero only while nothing else is at work."""
        now = self.clock.now()
        assets, accounts = await self.go_on()
        await self.records.accounts.sweep_sessions(now)
        await self.keys_store.sweep(now)
        await self._sweep_shares()
        await self._sweep_segments()
        jobs = await self.records.jobs.forget_ended(now - JOBS_KEPT)
        envelopes = await self._sweep_envelopes(orphan_age)
        await self._sweep_accounts(orphan_age)
        blobs = await self._sweep_blobs(orphan_age)
        return Swept(assets=assets, accounts=accounts, blobs=blobs, envelopes=envelopes, jobs=jobs)

    async def go_on(self) -> tuple[int, int]:
        """Finish the deletions that a crash interrupted: counts of assets and accounts."""
        assets = 0
        while not self._closing and (marked := await self.records.assets.erasing(_BATCH)):
            await self._erase(marked)
            assets += len(marked)
        leaving = await self.records.people.leaving()
        for account in leaving:
            if self._closing:
                break
            await self._finish_leaving(account)
        return assets, len(leaving)

    async def tidy_memory(self) -> None:
        """Forget events and off-the-record jobs whose time is over."""
        now = self.clock.now()
        self._rings.sweep(now)
        self._off_record.sweep(now)

    async def _sweep_shares(self) -> None:
        now = self.clock.now()
        ended = await self.records.shares.ended(now)
        if ended:
            await self.keys_store.erase(shares=ended)
            await self.records.shares.forget(now)
        await self.records.assets.refresh_visibility(to_us(now))
        old = await self.keys_store.old_bundles(now - ORPHAN_AGE)
        for start in range(0, len(old), _BATCH):
            batch = old[start : start + _BATCH]
            known = await self.records.shares.known(batch)
            if orphans := [share for share in batch if share not in known]:
                await self.keys_store.erase(shares=orphans)

    async def _sweep_segments(self) -> None:
        """Delete index segments that no head names any more: former versions, and what a crash
        left before its head."""
        before = self.clock.now() - SEGMENT_GRACE
        for account, head in await self.records.vaults.with_old_segments(before):
            if self._closing:
                break
            named = set(json.loads(head)["segments"])
            if named.issuperset({d for d, _ in await self.records.vaults.segments(account)}):
                continue
            gone = await self.records.vaults.drop_segments(account, sorted(named), before)
            await self.blobs.delete(gone)

    async def _sweep_envelopes(self, age: timedelta) -> int:
        found, after = 0, ""
        before = self.clock.now() - age
        while names := await self.keys_store.old_envelopes(before, after, _BATCH):
            if self._closing:
                break
            after = names[-1]
            known = await self.records.assets.known_blobs(names)
            if orphans := [name for name in names if name not in known]:
                await self.keys_store.erase(blobs=orphans)
                found += len(orphans)
        return found

    async def _sweep_accounts(self, age: timedelta) -> None:
        old = await self.keys_store.old_accounts(self.clock.now() - age)
        for start in range(0, len(old), _BATCH):
            batch = old[start : start + _BATCH]
            known = await self.records.people.known(batch)
            for account in batch:
                if account not in known:
                    await self.keys_store.erase_account(account)

    async def _sweep_blobs(self, age: timedelta) -> int:
        """Delete blobs that no row names. The records are asked after the blob was seen."""
        found = 0
        before = self.clock.now() - age
        batch: list[str] = []
        async for blob in self.blobs.list():
            if blob.changed_at <= before:
                batch.append(blob.name)
            if len(batch) >= _BATCH:
                found += await self._drop_unknown(batch)
                batch = []
            if self._closing:
                break
        return found + await self._drop_unknown(batch)

    async def _drop_unknown(self, names: list[str]) -> int:
        if not names:
            return 0
        known = await self.records.assets.known_blobs({name.partition("-")[0] for name in names})
        orphans = [name for name in names if name.partition("-")[0] not in known]
        await self.blobs.delete(orphans)
        return len(orphans)
