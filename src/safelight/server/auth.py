"""Who is calling: a session by cookie or bearer token, an API key by bearer token, or nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from starlette.responses import Response

from safelight.errors import AuthenticationError, ForbiddenError
from safelight.records import Account, ApiKey, Session
from safelight.secret import Secret
from safelight.server.context import Context, context
from safelight.settings import Settings

SCOPES = ("generate", "library", "share", "publish")
"""What an API key may be allowed: make pictures and follow its own jobs; list, fetch and delete
sealed assets; share; publish. Everything about the account itself needs a session."""
PROOF_MINUTES = 5
KEY_PREFIX = "sl_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a request. ``account`` is None for a guest; then so are the others."""

    address: str
    account: Account | None = None
    session: Session | None = None
    key: ApiKey | None = None
    secret: Secret[str] | None = None
    """The API key's own text, from which K is derived; only while the request lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A caller with an account."""

    address: str
    account: Account
    session: Session | None
    key: ApiKey | None
    secret: Secret[str] | None


def cookie_name(settings: Settings) -> str:
    """The session cookie's name: with the ``__Host-`` prefix wherever TLS is spoken."""
    return "__Host-safelight" if settings.public_url.startswith("https:") else "safelight"


def set_cookie(response: Response, settings: Settings, token: str) -> None:
    """Hand a session to a browser: not readable by scripts, never sent from another site."""
    response.set_cookie(
        cookie_name(settings),
        token,
        max_age=settings.session_days * 86_400,
        path="/",
        httponly=True,
        secure=settings.public_url.startswith("https:"),
        samesite="strict",
    )


def clear_cookie(response: Response, settings: Settings) -> None:
    """Take the session out of a browser, and with it everything the page stored there."""
    response.delete_cookie(
        cookie_name(settings),
        path="/",
        httponly=True,
        secure=settings.public_url.startswith("https:"),
        samesite="strict",
    )
    response.headers["Clear-Site-Data"] = '"cache", "storage"'


async def anyone(request: Request) -> Caller:
    """The caller, signed in or not.

    A wrong bearer token is refused; a cookie that has ended counts as nobody.
    """
    ctx = context(request)
    address = request.client.host if request.client is not None else "unknown"
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme:
        if scheme.lower() != "bearer" or not credential:
            raise AuthenticationError("the Authorization header is not a bearer token")
        return await _by_bearer(ctx, address, credential.strip())
    token = request.cookies.get(cookie_name(ctx.settings))
    if token:
        found = await ctx.desk.session_by_token(token)
        if found is not None:
            account, session = found
            return Caller(address=address, account=account, session=session)
    return Caller(address=address)


async def _by_bearer(ctx: Context, address: str, credential: str) -> Caller:
    if credential.startswith(KEY_PREFIX):
        held = await ctx.desk.key_by_secret(credential)
        if held is not None:
            account, key = held
            return Caller(address=address, account=account, key=key, secret=Secret(credential))
    else:
        found = await ctx.desk.session_by_token(credential)
        if found is not None:
            account, session = found
            return Caller(address=address, account=account, session=session)
    raise AuthenticationError(
        "this session or key is unknown or has ended",
        hint="sign in again; on the command line, with `safelight account unlock`",
    )


def as_member(caller: Caller) -> Member:
    """The caller as a member. Raises :class:`AuthenticationError` for a guest."""
    if caller.account is None:
        raise AuthenticationError("this needs an account")
    return Member(
        address=caller.address,
        account=caller.account,
        session=caller.session,
        key=caller.key,
        secret=caller.secret,
    )


_CHECKS: set[object] = set()
"""Every dependency that lets only members pass."""


def needs(scope: str | None) -> Callable[[Caller], Awaitable[Member]]:
    """A dependency: a member with a session, or with an API key that has ``scope``.

    ``scope`` None means that no key will do. Raises :class:`AuthenticationError` for a guest and
    :class:`ForbiddenError` for a key without the scope.
    """

    async def check(caller: Annotated[Caller, Depends(anyone)]) -> Member:
        member = as_member(caller)
        check_scope(member.key, scope)
        return member

    _CHECKS.add(check)
    return check


def needs_account(dependant: Dependant) -> bool:
    """Whether a route cannot be called by a guest: for the description."""
    return dependant.call in _CHECKS or any(map(needs_account, dependant.dependencies))


def check_scope(key: ApiKey | None, scope: str | None) -> None:
    """Raise :class:`ForbiddenError` unless this key, if it is one, has the scope."""
    if key is None:
        return
    if scope is None:
        raise ForbiddenError("an API key cannot do this", hint="sign in instead")
    if scope not in key.scopes:
        raise ForbiddenError(f"this key lacks the scope {scope}")


async def operator(caller: Annotated[Caller, Depends(anyone)]) -> Member:
    """A dependency: the operator (role ``owner``) with a session."""
    member = as_member(caller)
    check_scope(member.key, None)
    if member.account.role != "owner":
        raise ForbiddenError("only the operator can do this", hint="ask the operator")
    return member


_CHECKS.add(operator)


def is_fresh(ctx: Context, member: Member) -> bool:
    """Whether this session was signed in within the last five minutes."""
    if member.session is None:
        return False
    return ctx.clock.now() - member.session.created_at <= timedelta(minutes=PROOF_MINUTES)


async def _context(request: Request) -> Context:
    return context(request)  # async: FastAPI calls a plain function in another thread


Ctx = Annotated[Context, Depends(_context)]
Anyone = Annotated[Caller, Depends(anyone)]
SignedIn = Annotated[Member, Depends(needs(None))]
Operator = Annotated[Member, Depends(operator)]
Generator = Annotated[Member, Depends(needs("generate"))]
Librarian = Annotated[Member, Depends(needs("library"))]
Sharer = Annotated[Member, Depends(needs("share"))]
Publisher = Annotated[Member, Depends(needs("publish"))]
