"""Publications: separate public copies under ids that do not lead back to their assets."""

from __future__ import annotations

from safelight.desk.library import read_cursor
from safelight.desk.shares import Shares
from safelight.desk.showing import show
from safelight.errors import NotFoundError
from safelight.ids import new_id
from safelight.records import Publication
from safelight.store.records.showing import Shown

_GONE = "no such publication"


class Publications(Shares):
    """Shows copies to everyone, and takes them back."""

    async def publish(
        self,
        account: str,
        *,
        asset: str | None,
        picture: bytes,
        media_type: str,
        width_px: int,
        height_px: int,
        words: str,
        show_name: bool,
        remix: bool,
    ) -> Publication:
        """Show a plain copy that the server has checked and cleaned."""
        publication = Publication(
            id=new_id("pub"),
            account=account,
            asset=asset,
            media_type=media_type,
            size_bytes=len(picture),
            width_px=width_px,
            height_px=height_px,
            published_at=self.clock.now(),
            words=words,
            show_name=show_name,
            remix=remix,
        )
        if not await show(self, publication, picture):
            raise NotFoundError("no such asset")
        return publication

    async def unpublish(self, account: str, publication: str) -> None:
        """Take a copy back: when this returns, it is gone from here."""
        blob = await self.records.publications.take_down(account, publication, self.clock.now())
        if blob is None:
            raise NotFoundError(_GONE)
        await self.blobs.delete([blob])
        self.records.database.scrub_soon()

    async def publications(self, account: str) -> list[Publication]:
        """An account's own publications, newest first."""
        return [shown[0] for shown in await self.records.publications.of_account(account)]

    async def explore(
        self, *, cursor: str | None = None, limit: int = 40
    ) -> tuple[list[tuple[Publication, str | None]], str | None]:
        """Everyone's publications, newest first, each with its owner's name if that is shown."""
        found = await self.records.publications.feed(before=read_cursor(cursor), limit=limit + 1)
        page = found[:limit]
        following = str(page[-1][1]) if len(found) > limit else None
        return [(shown[0], _name(shown)) for shown in page], following

    async def publication(self, publication: str) -> tuple[Publication, str | None]:
        """One publication, and its owner's name if that is shown."""
        shown = await self._shown(publication)
        return shown[0], _name(shown)

    async def publication_picture(self, publication: str) -> tuple[Publication, bytes]:
        """One publication and its picture."""
        shown = await self._shown(publication)
        return shown[0], await self.blobs.get(shown[2])

    async def _shown(self, publication: str) -> Shown:
        shown = await self.records.publications.get(publication)
        if shown is None:
            raise NotFoundError(_GONE)
        return shown


def _name(shown: Shown) -> str | None:
    return shown[3] if shown[0].show_name else None
