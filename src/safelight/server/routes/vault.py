"""The vault's own files: one sealed unlock file for each method, the signed head, the index."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request
from pydantic import Field, StringConstraints
from starlette.responses import Response

from safelight.errors import NotFoundError, RequestError
from safelight.ids import b64, sha256_hex, unb64
from safelight.server.auth import Ctx, SignedIn
from safelight.server.routes.accounts import check_proof
from safelight.server.routes.jobs import as_id
from safelight.server.shapes import Empty, Hex64, Id, In, LoginProof, Out, Recipient, SmallB64

router = APIRouter(prefix="/api/v1/vault", tags=["vault"])
_METHOD = re.compile(r"password|recovery|(passkey|device)-[a-z0-9_-]{1,64}")
MAX_ENVELOPES = 500
AGE = "application/age"
_AGE_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"content": {AGE: {"schema": {"type": "string", "format": "binary"}}}}
}
_AGE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {AGE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


class UnlockFile(Out):
    """One unlock file, base64: an age file that this method opens."""

    method: str
    file: str


class UnlockFileIn(In):
    """A new unlock file, base64."""

    file: SmallB64


class Head(Out):
    """The signed vault head, base64; None before the first."""

    seq: int
    head: str | None


class HeadIn(In):
    """The next vault head, base64."""

    head: SmallB64


class RewrapIn(In):
    """Both unlock files of an owner whose keys changed; all others are erased.

    ``proof`` is needed unless this session was signed in within the last five minutes.
    """

    password_file: SmallB64
    recovery_file: SmallB64
    recovery_token_sha256: Hex64 | None = None
    """Given when the recovery code is new too."""
    proof: LoginProof | None = None


class OwnerIn(In):
    """The owner's new recipient, and their signed note that it follows the one until now."""

    owner_recipient: Recipient
    note: Annotated[str, StringConstraints(max_length=4_096)]


class EnvelopeIn(In):
    """A key envelope in place of the one with this SHA-256."""

    asset: Id
    before_sha256: Hex64
    envelope: SmallB64


class EnvelopesIn(In):
    """New key envelopes."""

    envelopes: Annotated[list[EnvelopeIn], Field(min_length=1, max_length=MAX_ENVELOPES)]


class Rewrapped(Out):
    """How many envelopes were replaced; one that is gone or another by now was left alone."""

    rewrapped: int


Method = Annotated[str, Path(max_length=80)]
Digest = Annotated[str, Path(min_length=64, max_length=64)]


def _method(value: str) -> str:
    if not _METHOD.fullmatch(value):
        raise NotFoundError("no unlock file of this method is here")
    return value


def _digest(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise NotFoundError("no index segment with this digest is here")
    return value


@router.get("/files/{method}", operation_id="getUnlockFile")
async def get_unlock_file(method: Method, ctx: Ctx, member: SignedIn) -> UnlockFile:
    """One unlock file."""
    data = await ctx.desk.vault_file(member.account.id, _method(method))
    return UnlockFile(method=method, file=b64(data))


@router.put("/files/{method}", operation_id="putUnlockFile")
async def put_unlock_file(method: Method, body: UnlockFileIn, ctx: Ctx, member: SignedIn) -> Empty:
    """Keep an unlock file in place of the one before."""
    await ctx.desk.put_vault_file(member.account.id, _method(method), unb64(body.file))
    return Empty()


@router.delete("/files/{method}", operation_id="deleteUnlockFile")
async def delete_unlock_file(method: Method, ctx: Ctx, member: SignedIn) -> Empty:
    """Remove a way to unlock. The password's and the recovery code's files stay."""
    if _method(method) in ("password", "recovery"):
        raise RequestError("this unlock file cannot be removed", hint="replace it instead")
    await ctx.desk.delete_vault_file(member.account.id, method)
    return Empty()


@router.post("/rewrap", operation_id="rewrapVault")
async def rewrap_vault(body: RewrapIn, ctx: Ctx, member: SignedIn) -> Empty:
    """Replace the unlock files after a change of the owner's keys; passkeys no longer unlock, and
    all other sessions end."""
    await check_proof(ctx, member, body.proof)
    assert member.session is not None  # SignedIn takes no API key
    await ctx.desk.rewrap_files(
        member.account.id,
        password_file=unb64(body.password_file),
        recovery_file=unb64(body.recovery_file),
        recovery_token_sha256=body.recovery_token_sha256,
        keep_session=member.session.id,
    )
    return Empty()


@router.put("/owner", operation_id="announceOwner")
async def announce_owner(body: OwnerIn, ctx: Ctx, member: SignedIn) -> Empty:
    """Take the owner's new recipient. Ends the API keys, which name the former one, and all other
    sessions."""
    assert member.session is not None  # SignedIn takes no API key
    await ctx.desk.announce_owner(
        member.account, body.owner_recipient, body.note, keep_session=member.session.id
    )
    return Empty()


@router.post("/envelopes", operation_id="rewrapEnvelopes")
async def rewrap_envelopes(body: EnvelopesIn, ctx: Ctx, member: SignedIn) -> Rewrapped:
    """Replace key envelopes; no blob changes."""
    changes = {as_id("ast", e.asset): (e.before_sha256, unb64(e.envelope)) for e in body.envelopes}
    return Rewrapped(rewrapped=await ctx.desk.rewrap_envelopes(member.account.id, changes))


@router.get("/head", operation_id="getVaultHead")
async def get_vault_head(ctx: Ctx, member: SignedIn) -> Head:
    """The newest signed head."""
    seq, head = await ctx.desk.vault_head(member.account.id)
    return Head(seq=seq, head=b64(head) if head is not None else None)


@router.put("/head", operation_id="putVaultHead")
async def put_vault_head(
    body: HeadIn, ctx: Ctx, member: SignedIn, if_match: Annotated[str, Header(max_length=24)]
) -> Head:
    """Replace the head whose number is in `If-Match` (0 for the first)."""
    text = if_match.strip().strip('"')
    if not text.isascii() or not text.isdigit():
        raise RequestError("If-Match is not the number of a head")
    head = unb64(body.head)
    seq = await ctx.desk.put_vault_head(member.account.id, head, expected_seq=int(text))
    return Head(seq=seq, head=b64(head))


@router.get("/segments/{digest}", operation_id="getSegment", responses=_AGE_ANSWER)
async def get_segment(digest: Digest, ctx: Ctx, member: SignedIn) -> Response:
    """One sealed index segment."""
    data = await ctx.desk.segment(member.account.id, _digest(digest))
    return Response(data, media_type=AGE)


@router.put("/segments/{digest}", operation_id="putSegment", openapi_extra=_AGE_BODY)
async def put_segment(digest: Digest, request: Request, ctx: Ctx, member: SignedIn) -> Empty:
    """Keep a sealed index segment under its SHA-256."""
    data = await request.body()
    if sha256_hex(data) != _digest(digest):
        raise RequestError("the segment does not have this digest")
    await ctx.desk.put_segment(member.account.id, digest, data)
    return Empty()
