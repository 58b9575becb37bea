"""Getting back in with the recovery code, and setting a new password on the way."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import StringConstraints

from safelight.ids import b64, unb64
from safelight.server import views
from safelight.server.auth import Anyone, Ctx
from safelight.server.limits import RECOVERY, SIGN_IN_ADDRESS
from safelight.server.shapes import (
    Delivery,
    Id,
    In,
    Label,
    Name,
    Out,
    SignedInAnswer,
    SmallB64,
)

router = APIRouter(prefix="/api/v1/recovery", tags=["recovery"])


class RecoveryStart(In):
    """Proof of the recovery code, and the first message of a new registration."""

    name: Name
    token: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    """32 bytes derived from the code, base64."""
    request: SmallB64


class RecoveryAnswer(Out):
    """The file that the recovery code opens, and the server's half of the registration."""

    login: str
    response: str
    recovery_file: str


class RecoveryFinish(In):
    """The new OPAQUE record and the rewrapped password file."""

    login: Id
    upload: SmallB64
    password_file: SmallB64
    recovery_file: SmallB64 | None = None
    """Given when a new recovery code was made; then its token's hash is needed too."""
    recovery_token_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = (
        None
    )
    delivery: Delivery = "cookie"
    device: Label = ""


@router.post("/start", operation_id="recoveryStart")
async def recovery_start(body: RecoveryStart, ctx: Ctx, caller: Anyone) -> RecoveryAnswer:
    """Begin a recovery. An unknown name and a wrong code fail in the same words."""
    ctx.limiter.hit(SIGN_IN_ADDRESS, caller.address)
    ctx.limiter.hit(RECOVERY, body.name.strip().lower())
    login, response, recovery_file = await ctx.desk.recovery_start(
        body.name, unb64(body.token), unb64(body.request)
    )
    return RecoveryAnswer(login=login, response=b64(response), recovery_file=b64(recovery_file))


@router.post("/finish", operation_id="recoveryFinish", status_code=201)
async def recovery_finish(body: RecoveryFinish, ctx: Ctx, response: Response) -> SignedInAnswer:
    """Set the new password and sign in. Every other session ends."""
    account, session, token = await ctx.desk.recovery_finish(
        body.login,
        upload=unb64(body.upload),
        password_file=unb64(body.password_file),
        recovery_file=unb64(body.recovery_file) if body.recovery_file is not None else None,
        recovery_token_sha256=body.recovery_token_sha256,
        device=body.device,
    )
    return await views.signed_in(ctx, response, account, session, token, body.delivery)
