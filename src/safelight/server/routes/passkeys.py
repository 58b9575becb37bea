"""Passkeys: an added way to sign in, and with PRF to unlock. Never the only one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from safelight.errors import AuthenticationError
from safelight.ids import unb64
from safelight.server import views
from safelight.server.auth import Anyone, Ctx, SignedIn
from safelight.server.limits import SIGN_IN_ADDRESS
from safelight.server.passkeys import credential_id
from safelight.server.routes.jobs import as_id
from safelight.server.shapes import (
    Delivery,
    Empty,
    Id,
    In,
    Label,
    Out,
    SignedInAnswer,
    SmallB64,
)

router = APIRouter(prefix="/api/v1", tags=["passkeys"])


class PasskeyOptions(Out):
    """What the browser's credential call takes, and the ticket that names this exchange."""

    ticket: str
    options: dict[str, Any]


class PasskeyRegister(In):
    """The browser's answer, and the file that the passkey's PRF opens.

    The answer must not carry ``clientExtensionResults.prf.results``: it is refused if it does.
    """

    ticket: Id
    credential: dict[str, Any]
    name: Label = ""
    file: SmallB64 | None = None
    """Unlock file, base64; None for a passkey without PRF, which signs in but does not unlock."""


class PasskeySignIn(In):
    """The browser's assertion, without its PRF result."""

    ticket: Id
    credential: dict[str, Any]
    delivery: Delivery = "cookie"
    device: Label = ""


class PasskeyOut(Out):
    """One passkey."""

    id: str
    name: str
    unlocks: bool
    """Whether it has an unlock file."""
    created_at: datetime


class PasskeyList(Out):
    """The caller's passkeys."""

    passkeys: list[PasskeyOut]


def _origin(request: Request) -> str:
    """The page's origin; the front has checked that it is ours."""
    origin = request.headers.get("origin")
    if not origin:
        raise AuthenticationError("a passkey needs a browser page", hint="open this server's page")
    return origin


@router.post("/passkeys/register/start", operation_id="passkeyRegisterStart")
async def register_start(request: Request, ctx: Ctx, member: SignedIn) -> PasskeyOptions:
    """Options for a new passkey."""
    known = [p.credential_id for p in await ctx.desk.passkeys(member.account.id)]
    ticket, options = ctx.passkeys.register_options(
        host=request.headers.get("host", ""),
        account=member.account.id,
        name=member.account.name,
        known=known,
    )
    return PasskeyOptions(ticket=ticket, options=options)


@router.post("/passkeys/register/finish", operation_id="passkeyRegisterFinish", status_code=201)
async def register_finish(
    body: PasskeyRegister, request: Request, ctx: Ctx, member: SignedIn
) -> PasskeyOut:
    """Keep a new passkey, and its unlock file as `passkey-<id>`."""
    found = ctx.passkeys.register_finish(
        ticket=body.ticket,
        account=member.account.id,
        credential=body.credential,
        origin=_origin(request),
    )
    kept = await ctx.desk.add_passkey(
        member.account.id,
        credential_id=found.credential_id,
        public_key=found.public_key,
        sign_count=found.sign_count,
        name=body.name,
        file=unb64(body.file) if body.file is not None else None,
    )
    return passkey_out(kept)


@router.get("/passkeys", operation_id="listPasskeys")
async def list_passkeys(ctx: Ctx, member: SignedIn) -> PasskeyList:
    """The caller's passkeys."""
    found = await ctx.desk.passkeys(member.account.id)
    return PasskeyList(passkeys=[passkey_out(p) for p in found])


@router.delete("/passkeys/{passkey}", operation_id="deletePasskey")
async def delete_passkey(passkey: str, ctx: Ctx, member: SignedIn) -> Empty:
    """Remove a passkey and its unlock file. The password and the recovery code stay."""
    await ctx.desk.delete_passkey(member.account.id, as_id("psk", passkey))
    return Empty()


@router.post("/sessions/passkey/start", operation_id="passkeySignInStart")
async def sign_in_start(request: Request, ctx: Ctx, caller: Anyone) -> PasskeyOptions:
    """Options for signing in; no account is named, so nothing can be found out."""
    ctx.limiter.hit(SIGN_IN_ADDRESS, caller.address)
    ticket, options = ctx.passkeys.login_options(host=request.headers.get("host", ""))
    return PasskeyOptions(ticket=ticket, options=options)


@router.post("/sessions/passkey/finish", operation_id="passkeySignInFinish", status_code=201)
async def sign_in_finish(
    body: PasskeySignIn, request: Request, ctx: Ctx, response: Response
) -> SignedInAnswer:
    """Sign in. The answer has the unlock file that this passkey's PRF opens."""
    passkey = await ctx.desk.passkey_by_credential(credential_id(body.credential))
    if passkey is None:
        raise AuthenticationError("the passkey was not accepted")
    count = ctx.passkeys.login_finish(
        ticket=body.ticket,
        credential=body.credential,
        origin=_origin(request),
        public_key=passkey.public_key,
        sign_count=passkey.sign_count,
    )
    account, session, token = await ctx.desk.passkey_login(
        passkey.id, sign_count=count, device=body.device
    )
    return await views.signed_in(ctx, response, account, session, token, body.delivery)


def passkey_out(passkey: Any) -> PasskeyOut:
    """A passkey, without its keys."""
    return PasskeyOut(
        id=passkey.id,
        name=passkey.name,
        unlocks=passkey.unlocks,
        created_at=passkey.created_at,
    )
