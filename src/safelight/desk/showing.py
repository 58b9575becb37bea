"""Putting a public copy where everyone sees it."""

from __future__ import annotations

from safelight.desk.parts import Parts
from safelight.records import Publication
from safelight.store.blobs import new_name


async def show(desk: Parts, publication: Publication, picture: bytes) -> bool:
    """Show a copy that was checked and cleaned; False if there is no such asset."""
    name = new_name()
    # The blob first: a crash leaves one that no row names and nothing serves; it is swept.
    await desk.blobs.put(name, picture)
    shown = await desk.records.publications.add(publication, name)
    if not shown:
        await desk.blobs.delete([name])
    return shown
