"""API keys: made by the client, known to the server by a hash."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from safelight.errors import ConflictError, KeyNoteError, NotFoundError, RequestError
from safelight.server.auth import Ctx, Generator, SignedIn
from safelight.server.routes.jobs import as_id
from safelight.server.shapes import Empty, Hex64, In, KeyOut, Label, Out, Recipient
from safelight.server.views import key_out
from safelight.vault.notes import verify_key_record

router = APIRouter(prefix="/api/v1/keys", tags=["keys"])
Scope = Literal["generate", "library", "share", "publish"]
MAX_KEYS = 100


class KeyIn(In):
    """A new API key. Its secret stays with the client.

    ``record`` is the signed note by the owner's signing key that names the same values: a darkroom
    takes the recipients of the key's results from it and from nowhere else.
    """

    name: Annotated[Label, StringConstraints(min_length=1)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)]
    secret_sha256: Hex64
    key_recipient: Recipient
    record: Annotated[str, StringConstraints(max_length=4_096)]


class KeyList(Out):
    """The caller's API keys."""

    keys: list[KeyOut]


class CurrentKey(Out):
    """The key that asks, and the note by which its owner says to whom its results are sealed."""

    key: KeyOut
    record: str


@router.post("", operation_id="createKey", status_code=201)
async def create_key(body: KeyIn, ctx: Ctx, member: SignedIn) -> KeyOut:
    """Register an API key. The time it ends is the one in the signed record."""
    try:
        record = verify_key_record(body.record, member.account.signing_key)
    except KeyNoteError:
        raise RequestError("the record is not signed by this account's owner") from None
    if (
        record.name != body.name
        or record.scopes != tuple(body.scopes)
        or record.secret_sha256 != body.secret_sha256
        or record.key_recipient != body.key_recipient
        or record.owner_recipient != member.account.owner_recipient
    ):
        raise RequestError("the signed record says something else than the request")
    if record.expires_at is not None and record.expires_at <= ctx.clock.now():
        raise RequestError("the key would have ended already")
    if len(await ctx.desk.keys(member.account.id)) >= MAX_KEYS:
        raise ConflictError(f"an account has {MAX_KEYS} keys at most", hint="delete one first")
    key = await ctx.desk.create_key(
        account=member.account.id,
        name=body.name,
        scopes=tuple(body.scopes),
        secret_sha256=body.secret_sha256,
        owner_recipient=record.owner_recipient,
        key_recipient=record.key_recipient,
        record=body.record.encode(),
        expires_at=record.expires_at,
    )
    return key_out(key)


@router.get("", operation_id="listKeys")
async def list_keys(ctx: Ctx, member: SignedIn) -> KeyList:
    """The caller's API keys, newest first."""
    return KeyList(keys=[key_out(key) for key in await ctx.desk.keys(member.account.id)])


@router.get("/current", operation_id="getCurrentKey")
async def get_current_key(member: Generator) -> CurrentKey:
    """The API key that this request carries: with its record it can keep, sealed to its owner."""
    if member.key is None:
        raise NotFoundError("no API key asks")
    return CurrentKey(key=key_out(member.key), record=member.key.record.decode("utf-8"))


@router.delete("/{key}", operation_id="deleteKey")
async def delete_key(key: str, ctx: Ctx, member: SignedIn) -> Empty:
    """End a key, at once."""
    await ctx.desk.delete_key(member.account.id, as_id("key", key))
    return Empty()
