"""Making, seeing, changing and leaving an account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from starlette.responses import JSONResponse, Response

from safelight.errors import AuthenticationError, RequestError
from safelight.ids import b64, unb64
from safelight.server import views
from safelight.server.auth import Anyone, Ctx, Librarian, Member, SignedIn, clear_cookie, is_fresh
from safelight.server.context import Context
from safelight.server.limits import SIGN_UP
from safelight.server.shapes import (
    AccountOut,
    Delivery,
    Empty,
    Hex64,
    In,
    Label,
    LoginProof,
    Name,
    OpaqueRequest,
    Out,
    Recipient,
    SignedInAnswer,
    SmallB64,
)
from safelight.vault.identity import verification_code

router = APIRouter(prefix="/api/v1", tags=["accounts"])


class RegisterAnswer(Out):
    """The server's half of a registration."""

    response: str


class RegisterFinish(In):
    """A new account: the OPAQUE record, the owner's public keys, and two sealed unlock files."""

    name: Name
    upload: SmallB64
    owner_recipient: Recipient
    signing_key: Hex64
    password_file: SmallB64
    recovery_file: SmallB64
    recovery_token_sha256: Hex64
    delivery: Delivery = "cookie"
    device: Label = ""


class PasswordStart(In):
    """The first message of a change of password."""

    request: SmallB64


class PasswordFinish(In):
    """The new OPAQUE record and the rewrapped file; the old password works no more.

    ``proof`` is needed unless this session was signed in within the last five minutes.
    """

    upload: SmallB64
    password_file: SmallB64
    recovery_file: SmallB64 | None = None
    """Given when a new recovery code was made; then its token's hash is needed too."""
    recovery_token_sha256: Hex64 | None = None
    proof: LoginProof | None = None


class Leave(In):
    """Leaving for good: the password must be given now, however fresh the session is."""

    proof: LoginProof


class Verification(Out):
    """Six groups of four letters that two people compare to know each other's keys."""

    code: str


@router.post("/accounts/register/start", operation_id="registerStart")
async def register_start(body: OpaqueRequest, ctx: Ctx, caller: Anyone) -> RegisterAnswer:
    """Begin a registration: answer the OPAQUE request. Says nothing about which names exist."""
    ctx.limiter.hit(SIGN_UP, caller.address)
    response = await ctx.desk.registration_start(body.name, unb64(body.request))
    return RegisterAnswer(response=b64(response))


@router.post("/accounts/register/finish", operation_id="registerFinish", status_code=201)
async def register_finish(
    body: RegisterFinish, ctx: Ctx, caller: Anyone, response: Response
) -> SignedInAnswer:
    """Make the account and sign in. The first account of an instance gets the role `owner`."""
    ctx.limiter.hit(SIGN_UP, caller.address)
    account, session, token = await ctx.desk.registration_finish(
        name=body.name,
        upload=unb64(body.upload),
        owner_recipient=body.owner_recipient,
        signing_key=body.signing_key,
        password_file=unb64(body.password_file),
        recovery_file=unb64(body.recovery_file),
        recovery_token_sha256=body.recovery_token_sha256,
        device=body.device,
    )
    return await views.signed_in(ctx, response, account, session, token, body.delivery)


@router.get("/account", operation_id="getAccount")
async def get_account(ctx: Ctx, member: Librarian) -> AccountOut:
    """The caller's own account."""
    return await views.account_out(ctx, member.account)


@router.get("/account/verification", operation_id="getVerification")
async def get_verification(member: SignedIn) -> Verification:
    """The verification code of the caller's own keys, as the server knows them."""
    account = member.account
    return Verification(code=verification_code(account.owner_recipient, account.signing_key))


@router.post("/account/password/start", operation_id="passwordStart")
async def password_start(body: PasswordStart, ctx: Ctx, member: SignedIn) -> RegisterAnswer:
    """Begin a change of password."""
    response = await ctx.desk.registration_start(member.account.name, unb64(body.request))
    return RegisterAnswer(response=b64(response))


@router.post("/account/password/finish", operation_id="passwordFinish")
async def password_finish(body: PasswordFinish, ctx: Ctx, member: SignedIn) -> Empty:
    """Change the password: one new record, one rewrapped file. Ends all other sessions."""
    await check_proof(ctx, member, body.proof)
    assert member.session is not None  # SignedIn takes no API key
    if (body.recovery_file is None) != (body.recovery_token_sha256 is None):
        raise RequestError("a new recovery file and the hash of its token go together")
    await ctx.desk.change_password(
        member.account.id,
        upload=unb64(body.upload),
        password_file=unb64(body.password_file),
        keep_session=member.session.id,
        recovery_file=unb64(body.recovery_file) if body.recovery_file is not None else None,
        recovery_token_sha256=body.recovery_token_sha256,
    )
    return Empty()


@router.delete("/account", operation_id="leave")
async def leave(ctx: Ctx, member: SignedIn, body: Annotated[Leave, Body()]) -> Response:
    """Leave: every row, key and blob of this account is deleted. Cannot be undone."""
    await check_proof(ctx, member, body.proof)
    await ctx.desk.leave(member.account.id)
    answer = JSONResponse(Empty().model_dump())
    clear_cookie(answer, ctx.settings)
    return answer


async def check_proof(ctx: Context, member: Member, proof: LoginProof | None) -> None:
    """Raise :class:`AuthenticationError` unless the password is known to be known now."""
    if proof is None and is_fresh(ctx, member):
        return
    if proof is not None:
        proved = await ctx.desk.check_login(proof.login, unb64(proof.finish))
        if proved == member.account.id:
            return
    raise AuthenticationError("this needs a fresh sign-in", hint="give the password again")
