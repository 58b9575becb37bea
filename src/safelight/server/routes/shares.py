"""Shares: a way for somebody else to open one asset, until it ends or is revoked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field, StringConstraints

from safelight.errors import RequestError
from safelight.ids import b64, sha256_hex, unb64
from safelight.records import Asset, Share
from safelight.server.auth import Anyone, Ctx, Sharer, SignedIn
from safelight.server.limits import PEOPLE, SHARE
from safelight.server.routes.jobs import as_id
from safelight.server.shapes import (
    Empty,
    Hex64,
    Id,
    In,
    Name,
    Out,
    Protection,
    Retention,
    ShareOut,
    SmallB64,
)
from safelight.server.views import share_out

router = APIRouter(prefix="/api/v1", tags=["shares"])
MAX_DAYS = 365


class ShareIn(In):
    """A new share: by link (``access_sha256``) or to a named person (``person``), never both."""

    asset: Id
    bundle: SmallB64
    """Sealed to the share identity or to the person's recipient, base64."""
    access_sha256: Hex64 | None = None
    """SHA-256 of the link's access token."""
    person: Name | None = None
    passphrase_salt: Annotated[str, StringConstraints(max_length=64)] | None = None
    """16 bytes, base64; there when the link also needs a passphrase."""
    expires_days: Annotated[float, Field(gt=0, le=MAX_DAYS)] = 7


class ShareList(Out):
    """Shares that the caller made."""

    shares: list[ShareOut]


class ShareOpen(In):
    """The access token of a link, base64: 32 bytes derived from the secret in its fragment."""

    access_token: Annotated[str, StringConstraints(min_length=1, max_length=128)]


class SharedOut(Out):
    """An opened share: sealed objects that the link's secret opens in the reader's own browser."""

    id: str
    asset: str
    bundle: str
    full: str
    """The sealed picture, base64."""
    passphrase_salt: str | None
    expires_at: datetime
    protection: Protection
    retention: Retention


class ReceivedOut(Out):
    """A share that names the caller."""

    id: str
    sender: str
    """Name of the one who shared it."""
    asset: str
    bundle: str
    expires_at: datetime


class ReceivedList(Out):
    """Shares that name the caller, newest first."""

    shares: list[ReceivedOut]


class PersonOut(Out):
    """Another person's public keys: compare the verification code before sharing."""

    name: str
    recipient: str
    signing_key: str
    owner_note: str | None
    """Signed with ``signing_key``: ``recipient`` follows former ones; None where it never did."""


@router.post("/shares", operation_id="createShare", status_code=201)
async def create_share(body: ShareIn, ctx: Ctx, member: Sharer) -> ShareOut:
    """Share one asset."""
    if (body.access_sha256 is None) == (body.person is None):
        raise RequestError("a share is by link or to a person", hint="give exactly one of the two")
    share = await ctx.desk.create_share(
        member.account.id,
        asset=as_id("ast", body.asset),
        access_sha256=body.access_sha256,
        person=body.person,
        bundle=unb64(body.bundle),
        passphrase_salt=unb64(body.passphrase_salt) if body.passphrase_salt is not None else None,
        expires_at=ctx.clock.now() + timedelta(days=body.expires_days),
    )
    return share_out(share, await ctx.desk.name_of(share.person))


@router.get("/shares", operation_id="listShares")
async def list_shares(ctx: Ctx, member: Sharer) -> ShareList:
    """The shares that the caller made and that have not ended."""
    found = await ctx.desk.shares(member.account.id)
    return ShareList(shares=[share_out(s, await ctx.desk.name_of(s.person)) for s in found])


@router.get("/shares/received", operation_id="listReceivedShares")
async def list_received(ctx: Ctx, member: Sharer) -> ReceivedList:
    """The shares that name the caller."""
    found = await ctx.desk.received_shares(member.account.id)
    return ReceivedList(
        shares=[
            ReceivedOut(
                id=share.id,
                sender=sender,
                asset=share.asset,
                bundle=b64(share.bundle),
                expires_at=share.expires_at,
            )
            for share, sender in found
        ]
    )


@router.get("/shares/received/{share}", operation_id="openReceivedShare")
async def open_received(share: str, ctx: Ctx, member: Sharer) -> SharedOut:
    """Open a share that names the caller."""
    return _shared(*await ctx.desk.open_received(member.account.id, as_id("shr", share)))


@router.delete("/shares/{share}", operation_id="revokeShare")
async def revoke_share(share: str, ctx: Ctx, member: Sharer) -> Empty:
    """Revoke a share, at once."""
    await ctx.desk.revoke_share(member.account.id, as_id("shr", share))
    return Empty()


@router.post("/shares/{share}/open", operation_id="openShare")
async def open_share(share: str, body: ShareOpen, ctx: Ctx, caller: Anyone) -> SharedOut:
    """Open a share by link. A missing, ended or revoked share and a wrong token answer alike."""
    ctx.limiter.hit(SHARE, caller.address)
    token = sha256_hex(unb64(body.access_token))
    return _shared(*await ctx.desk.open_share(as_id("shr", share), token))


@router.get("/people/{name}", operation_id="getPerson")
async def get_person(
    name: Annotated[str, Path(max_length=64)], ctx: Ctx, member: SignedIn
) -> PersonOut:
    """The public keys of another person, by exact name; 404 for none. Signed-in callers only."""
    ctx.limiter.hit(PEOPLE, member.account.id)
    account = await ctx.desk.person(name)
    return PersonOut(
        name=account.name,
        recipient=account.owner_recipient,
        signing_key=account.signing_key,
        owner_note=account.owner_note,
    )


def _shared(share: Share, asset: Asset, full: bytes) -> SharedOut:
    salt = share.passphrase_salt
    return SharedOut(
        id=share.id,
        asset=share.asset,
        bundle=b64(share.bundle),
        full=b64(full),
        passphrase_salt=b64(salt) if salt is not None else None,
        expires_at=share.expires_at,
        protection=asset.protection,
        retention=asset.retention,
    )
