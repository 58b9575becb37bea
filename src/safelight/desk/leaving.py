"""Leaving: everything of an account goes, in the order of Note [crash order]."""

from __future__ import annotations

from safelight.desk.publications import Publications
from safelight.errors import NotFoundError
from safelight.store.blobs import PARTS


class Leaving(Publications):
    """Ends accounts."""

    async def leave(self, account: str) -> None:
        """Delete an account for good: keys first, then blobs, then rows. Cannot be undone.

        Its sessions and keys end at once. Raises :class:`NotFoundError`.
        """
        if not await self.records.people.mark_leaving(account):
            raise NotFoundError("no such account")
        # From here on a crash leaves a shut account, which the sweeper goes on with.
        await self._finish_leaving(account)

    async def _finish_leaving(self, account: str) -> None:
        for job in await self.jobs(account, limit=10_000):
            await self.cancel(job.id)
            self._rings.forget(job.id)
        await self.keys_store.erase_account(account)
        while names := await self.records.people.blobs(account, 200):
            await self.blobs.delete(
                blob for name in names for blob in (name, *(f"{name}-{p}" for p in PARTS))
            )
            await self.records.people.drop_blobs(names)
        await self.records.people.erase(account)
        self.records.database.scrub_soon()
