"""Signing in by password, seeing where one is signed in, and signing out."""

from __future__ import annotations

from fastapi import APIRouter, Response

from safelight.ids import b64, unb64
from safelight.server import views
from safelight.server.auth import Anyone, Ctx, SignedIn, clear_cookie
from safelight.server.context import Context
from safelight.server.limits import SIGN_IN, SIGN_IN_ADDRESS, SIGN_IN_NAME
from safelight.server.routes.jobs import as_id
from safelight.server.shapes import (
    Delivery,
    Empty,
    Label,
    LoginProof,
    OpaqueAnswer,
    OpaqueRequest,
    Out,
    SessionOut,
    SignedInAnswer,
)

router = APIRouter(prefix="/api/v1/sessions", tags=["sessions"])


class SignInFinish(LoginProof):
    """The last OPAQUE message of a sign-in."""

    delivery: Delivery = "cookie"
    device: Label = ""


class SessionList(Out):
    """Every device that is signed in."""

    sessions: list[SessionOut]


def limit_guesses(ctx: Context, address: str, name: str) -> None:
    """Count one guess: by address, by name, and by both. Raises :class:`RateLimitError`."""
    folded = name.strip().lower()
    ctx.limiter.hit(SIGN_IN_ADDRESS, address)
    ctx.limiter.hit(SIGN_IN, f"{address} {folded}")
    ctx.limiter.hit(SIGN_IN_NAME, folded)


@router.post("/start", operation_id="signInStart")
async def sign_in_start(body: OpaqueRequest, ctx: Ctx, caller: Anyone) -> OpaqueAnswer:
    """Begin a sign-in. An unknown name gets the same kind of answer as a known one."""
    limit_guesses(ctx, caller.address, body.name)
    login, response = await ctx.desk.login_start(body.name, unb64(body.request))
    return OpaqueAnswer(login=login, response=b64(response))


@router.post("/finish", operation_id="signInFinish", status_code=201)
async def sign_in_finish(body: SignInFinish, ctx: Ctx, response: Response) -> SignedInAnswer:
    """Finish a sign-in. An unknown name and a wrong password fail in the same words."""
    account, session, token = await ctx.desk.login_finish(
        body.login, unb64(body.finish), device=body.device
    )
    return await views.signed_in(ctx, response, account, session, token, body.delivery)


@router.get("", operation_id="listSessions")
async def list_sessions(ctx: Ctx, member: SignedIn) -> SessionList:
    """Every device that is signed in to the caller's account."""
    current = member.session.id if member.session is not None else None
    found = await ctx.desk.sessions(member.account.id)
    return SessionList(sessions=[views.session_out(s, current) for s in found])


@router.delete("/{session}", operation_id="endSession")
async def end_session(session: str, ctx: Ctx, member: SignedIn, response: Response) -> Empty:
    """Sign one device out, at once. `current` is the one that asks."""
    assert member.session is not None  # SignedIn takes no API key
    own = session in ("current", member.session.id)
    ended = member.session.id if own else as_id("ses", session)
    await ctx.desk.end_session(member.account.id, ended)
    if own:
        clear_cookie(response, ctx.settings)
    return Empty()
