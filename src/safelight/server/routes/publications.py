"""Publications: separate public copies, and the plain feed of them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Response, UploadFile

from safelight.pictures import clean
from safelight.server.auth import Ctx, Publisher
from safelight.server.headers import STATED, stated
from safelight.server.routes.jobs import as_id
from safelight.server.shapes import Empty, Out, OwnPublicationOut, PublicationOut
from safelight.server.views import own_publication_out, publication_out

router = APIRouter(prefix="/api/v1", tags=["publications"])
MAX_WORDS = 500
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": STATED,
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class PublicationList(Out):
    """The caller's publications, newest first."""

    publications: list[OwnPublicationOut]


class Feed(Out):
    """One page of everything public, newest first."""

    publications: list[PublicationOut]
    next: str | None


@router.post("/publications", operation_id="publish", status_code=201)
async def publish(
    ctx: Ctx,
    member: Publisher,
    picture: Annotated[UploadFile, File()],
    asset: Annotated[str | None, Form(max_length=64)] = None,
    words: Annotated[str, Form(max_length=MAX_WORDS)] = "",
    show_name: Annotated[bool, Form()] = False,  # noqa: FBT002 - a form field
    remix: Annotated[bool, Form()] = False,  # noqa: FBT002 - a form field
) -> OwnPublicationOut:
    """Publish a plain copy. Its pixels are encoded anew; everything else in the file is dropped."""
    bare = await asyncio.to_thread(clean, await picture.read())
    publication = await ctx.desk.publish(
        member.account.id,
        asset=as_id("ast", asset) if asset else None,
        picture=bare.data,
        media_type=bare.media_type,
        width_px=bare.width_px,
        height_px=bare.height_px,
        words=words,
        show_name=show_name,
        remix=remix,
    )
    return own_publication_out(publication, member.account.name)


@router.get("/publications", operation_id="listPublications")
async def list_publications(ctx: Ctx, member: Publisher) -> PublicationList:
    """The caller's own publications."""
    found = await ctx.desk.publications(member.account.id)
    name = member.account.name
    return PublicationList(publications=[own_publication_out(p, name) for p in found])


@router.get("/explore", operation_id="explore")
async def explore(
    ctx: Ctx,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 40,
) -> Feed:
    """Everything public, newest first."""
    found, following = await ctx.desk.explore(cursor=cursor, limit=limit)
    return Feed(publications=[publication_out(p, n) for p, n in found], next=following)


@router.get("/publications/{publication}", operation_id="getPublication")
async def get_publication(publication: str, ctx: Ctx) -> PublicationOut:
    """One public copy."""
    found, name = await ctx.desk.publication(as_id("pub", publication))
    return publication_out(found, name)


@router.get(
    "/publications/{publication}/picture", operation_id="getPublicPicture", responses=_PICTURE
)
async def get_public_picture(publication: str, ctx: Ctx) -> Response:
    """The picture of a public copy. Caches may keep it for 60 seconds."""
    found, data = await ctx.desk.publication_picture(as_id("pub", publication))
    return Response(
        data,
        media_type=found.media_type,
        headers={
            "Cache-Control": "public, max-age=60",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            **stated("public", "public"),
        },
    )


@router.delete("/publications/{publication}", operation_id="unpublish")
async def unpublish(publication: str, ctx: Ctx, member: Publisher) -> Empty:
    """Take a public copy back: gone from here at once, from caches within 60 seconds."""
    await ctx.desk.unpublish(member.account.id, as_id("pub", publication))
    return Empty()
