"""What becomes of a job's result.

Note [crash order]
    A kept result is in three places, and no transaction spans them: blobs, the keys store, the
    records. They are written and deleted in one order, so that a crash at any point leaves either
    the whole asset or bytes that nothing names:

    - **keep** (finish, put_asset): blobs and envelope first, under a fresh random name; then one
      records transaction with the asset's row, the job's end and the bill. Without that row the
      name is an orphan: its envelope and blobs are swept when they are an hour old, and the job
      is tried again under another name (same seed, same picture).
    - **replace** (put_asset of a project): as keep; the row then points from the old name to the
      new one, and only after that the old name's envelope and blobs are erased.
    - **erase** (delete, leave): first the row is marked, which hides it and is the point of no
      return; then the envelope goes, and with it the asset can be opened by nobody; then blobs,
      shares, publications and rows. The sweeper goes on with marked rows after a crash.

    So a row always has an envelope and blobs, unless it is marked. The sweeper
    (:mod:`safelight.desk.sweep`) deletes only what no row names, and never a row that is not
    marked, even if it finds its envelope gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from safelight.desk.fleet import Outcome
from safelight.desk.jobs import GUESTS, Jobs, failure
from safelight.desk.showing import show
from safelight.errors import IntegrityError, SafelightError, TransientError
from safelight.ids import new_id, utc_day
from safelight.pictures import CleanPicture, clean
from safelight.records import Job, Publication, SealedAsset
from safelight.store.blobs import PARTS, new_name
from safelight.store.keys import Envelope, KeptReply
from safelight.store.records import NewAsset

REPLY_KEPT = timedelta(hours=24)


class Finishing(Jobs):
    """Ends running jobs."""

    async def finish(self, job: Job, outcome: Outcome) -> None:
        """Keep what a darkroom made and end the job; or end it as refused.

        If the job was cancelled meanwhile, or is another worker's by now, nothing is kept.
        Raises what the stores raise; the job is then still running.
        """
        if job.retention == "none":
            await self._finish_off_record(job, outcome)
        else:
            await self._finish_kept(job, outcome)

    async def _finish_off_record(self, job: Job, outcome: Outcome) -> None:
        now = self.clock.now()
        done = outcome.state == "done"
        current = self._off_record.get(job.id)
        if current is None or current.state != "running":
            return  # cancelled meanwhile
        if done:
            # All that is written: the day's count and cost. A crash before it leaves nothing of
            # this job; the reply is handed over only after it.
            await self.records.jobs.bill(job.account or GUESTS, now, job.cost.count, job.tokens)
        ended = replace(job, state="done" if done else "refused", ended_at=now)
        if self._off_record.end(job.id, ended) is not None:
            self._rings.end(job.id, ended.state, now, reply=outcome.reply, assets=[])

    async def _finish_kept(self, job: Job, outcome: Outcome) -> None:
        assert job.account is not None
        if {asset.id for asset in outcome.assets} - set(job.assets):
            raise IntegrityError("a darkroom made an asset that was not asked for")
        now = self.clock.now()
        names = [new_name() for _ in outcome.assets]
        reply = None
        if outcome.reply is not None:
            reply = KeptReply(
                job=job.id, account=job.account, reply=outcome.reply, until=now + REPLY_KEPT
            )
        kept = [
            _row(asset, name, job, utc_day(now))
            for asset, name in zip(outcome.assets, names, strict=True)
        ]
        done = outcome.state == "done"
        try:
            await self._put(job.account, outcome.assets, names, reply)
            ended = await self.records.jobs.finish(
                job.id,
                job.attempts,
                state="done" if done else "refused",
                now=now,
                kept=kept,
                charge=done,
            )
        except TransientError:
            raise  # whether the row is there is not known: the sweeper will know
        except SafelightError:
            await self._unput(names, [job.id])
            raise
        if ended is None:  # cancelled, or another worker's by now
            left = await self.records.jobs.get(job.id)
            no_reply = left is None or left.state == "cancelled"
            await self._unput(names, [job.id] if no_reply else [])
            return
        if job.retention == "public":
            await self._show(job, outcome)
        self._rings.end(job.id, ended.state, now, reply=outcome.reply, assets=list(ended.assets))

    async def _show(self, job: Job, outcome: Outcome) -> None:
        """Make the public copies that were wished for when the pictures were made.

        A crash before it, or a picture that cannot be read, leaves the asset kept and private;
        its owner can publish it as any other.
        """
        assert job.account is not None
        for asset, picture in zip(outcome.assets, outcome.public, strict=False):
            with suppress(SafelightError):
                bare = await asyncio.to_thread(clean, picture)
                await show(self, self._publication(job.account, asset.id, bare), bare.data)

    def _publication(self, account: str, asset: str, picture: CleanPicture) -> Publication:
        """Nothing of the recipe, no name, no permission: those are given afterwards, or never."""
        return Publication(
            id=new_id("pub"),
            account=account,
            asset=asset,
            media_type=picture.media_type,
            size_bytes=len(picture.data),
            width_px=picture.width_px,
            height_px=picture.height_px,
            published_at=self.clock.now(),
            words="",
            show_name=False,
            remix=False,
        )

    async def _put(
        self,
        account: str,
        assets: Sequence[SealedAsset],
        names: Sequence[str],
        reply: KeptReply | None,
    ) -> None:
        """Blobs and envelopes side by side; useless without the row (Note [crash order])."""
        envelopes = [
            Envelope(blob=name, account=account, envelope=asset.envelope)
            for asset, name in zip(assets, names, strict=True)
        ]
        puts = [self.keys_store.put_results(envelopes, reply, self.clock.now())]
        puts += [
            self.blobs.put(f"{name}-{part}", getattr(asset, part))
            for asset, name in zip(assets, names, strict=True)
            for part in PARTS
        ]
        for failed in await asyncio.gather(*puts, return_exceptions=True):
            if isinstance(failed, BaseException):
                with suppress(SafelightError):  # what stays is swept
                    await self._unput(names, [])
                raise failed

    async def _unput(self, names: Sequence[str], jobs: Sequence[str]) -> None:
        """Erase what no row will name."""
        await self.keys_store.erase(blobs=names, jobs=jobs)
        await self.blobs.delete(f"{name}-{part}" for name in names for part in PARTS)

    async def _fail(self, job: Job, code: str) -> None:
        """End a job as failed, uncharged."""
        now = self.clock.now()
        if job.id in self._off_record:
            ended = self._off_record.end(
                job.id, replace(job, state="failed", error_code=code, ended_at=now)
            )
        else:
            ended = await self.records.jobs.fail(job.id, code, now)
        if ended is not None:
            self._rings.end(job.id, "failed", now, **failure(code))


def _row(asset: SealedAsset, name: str, job: Job, day: str) -> NewAsset:
    return NewAsset(
        id=asset.id,
        account=job.account or GUESTS,
        kind=asset.kind,
        protection=job.protection,
        # The sealed original is the owner's; a public copy is a publication of its own.
        retention="owner",
        size_bytes=len(asset.full) + len(asset.thumb) + len(asset.meta),
        made_on=day,
        blob=name,
        job=job.id,
    )
