"""The library: sealed objects by id, and nothing that says what is in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from pydantic import Field

from safelight.errors import NotFoundError, TooLargeError
from safelight.ids import b64, check_id, unb64
from safelight.records import SealedAsset
from safelight.server.auth import Ctx, Librarian, SignedIn
from safelight.server.headers import STATED, stated
from safelight.server.routes.jobs import as_id
from safelight.server.shapes import AssetOut, Empty, Id, In, Out, Stated, Visibility
from safelight.server.views import asset_out

router = APIRouter(prefix="/api/v1/assets", tags=["assets"])
MAX_BATCH = 128
AGE = "application/age"
Part = Literal["full", "thumb", "meta"]
_AGE_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": STATED,
        "content": {AGE: {"schema": {"type": "string", "format": "binary"}}},
    }
}
Ids = Annotated[list[Id], Field(min_length=1, max_length=MAX_BATCH)]


class AssetList(Out):
    """One page of the library, newest first. ``next`` is the cursor of the page after it."""

    assets: list[AssetOut]
    next: str | None


class AssetIds(In):
    """Which assets."""

    ids: Ids


class Thumbs(Out):
    """Sealed thumbs by id, base64. Ids that are not the caller's are left out."""

    thumbs: dict[str, str]
    stated: dict[str, Stated]
    """For each of them, by id."""


class Deleted(Out):
    """What became of each id: ``deleted`` or ``not-found``."""

    results: dict[str, Literal["deleted", "not-found"]]


@router.get("", operation_id="listAssets")
async def list_assets(
    ctx: Ctx,
    member: Librarian,
    cursor: Annotated[str | None, Query(max_length=24)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    visibility: Visibility | None = None,
) -> AssetList:
    """One page of the caller's library."""
    found, following = await ctx.desk.library(
        member.account.id, cursor=cursor, limit=limit, visibility=visibility
    )
    return AssetList(assets=[asset_out(a, e) for a, e in found], next=following)


@router.post("/thumbs", operation_id="getThumbs")
async def get_thumbs(body: AssetIds, ctx: Ctx, member: Librarian) -> Thumbs:
    """Many sealed thumbs at once."""
    ids = [as_id("ast", i) for i in body.ids]
    found = await ctx.desk.thumbs(member.account.id, ids)
    return Thumbs(
        thumbs={asset.id: b64(data) for asset, data in found},
        stated={
            asset.id: Stated(protection=asset.protection, retention=asset.retention)
            for asset, _ in found
        },
    )


@router.post("/delete", operation_id="deleteAssets")
async def delete_assets(body: AssetIds, ctx: Ctx, member: Librarian) -> Deleted:
    """Erase many: each one's keys, bytes, shares and publications."""
    ids = [as_id("ast", i) for i in body.ids]
    gone = set(await ctx.desk.delete_assets(member.account.id, ids))
    return Deleted(results={i: "deleted" if i in gone else "not-found" for i in ids})


@router.put("", operation_id="putAsset", status_code=201)
async def put_asset(
    ctx: Ctx,
    member: SignedIn,
    asset: Annotated[str, Form(max_length=64)],
    kind: Annotated[Literal["picture", "clip", "adapter", "project", "upload"], Form()],
    envelope: Annotated[str, Form(max_length=8_192)],
    full: Annotated[UploadFile, File()],
    thumb: Annotated[UploadFile, File()],
    meta: Annotated[UploadFile, File()],
) -> AssetOut:
    """Keep something the client made and sealed itself: an upload, a project."""
    parts = {"full": await full.read(), "thumb": await thumb.read(), "meta": await meta.read()}
    if len(parts["thumb"]) > 256 * 1024 or len(parts["meta"]) > 256 * 1024:
        raise TooLargeError("a thumb or meta is over 262144 bytes")
    sealed = SealedAsset(id=check_id("ast", asset), kind=kind, envelope=unb64(envelope), **parts)
    kept = await ctx.desk.put_asset(member.account.id, sealed)
    return asset_out(kept, sealed.envelope)


@router.get("/{asset}", operation_id="getAsset")
async def get_asset(asset: str, ctx: Ctx, member: Librarian) -> AssetOut:
    """One asset and its key envelope."""
    found, envelope = await ctx.desk.asset(member.account.id, as_id("ast", asset))
    return asset_out(found, envelope)


@router.get("/{asset}/{part}", operation_id="getAssetPart", responses=_AGE_ANSWER)
async def get_asset_part(asset: str, part: Part, ctx: Ctx, member: Librarian) -> Response:
    """One sealed object of an asset."""
    found, data = await ctx.desk.asset_part(member.account.id, as_id("ast", asset), part)
    return Response(data, media_type=AGE, headers=stated(found.protection, found.retention))


@router.delete("/{asset}", operation_id="deleteAsset")
async def delete_asset(asset: str, ctx: Ctx, member: Librarian) -> Empty:
    """Erase one: first its keys, then its bytes, its shares and its publications."""
    if not await ctx.desk.delete_asset(member.account.id, as_id("ast", asset)):
        raise NotFoundError("nothing with this id is here")
    return Empty()
