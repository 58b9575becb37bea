"""The sealed request: what a caller asks of a darkroom, and what only a darkroom may read.

``age(darkrooms, tar(request.json, input-0, input-1, ..., pad))``. Inputs are named in the recipe by
their SHA-256; entry ``input-i`` is the i-th digest of ``inputs`` in ``request.json``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, get_args

from safelight.errors import ExpiredError, SealError
from safelight.ids import b64, canonical_json, check_id, sha256_hex, unb64
from safelight.recipe import Recipe
from safelight.records import Retention
from safelight.vault import age, container, tar
from safelight.vault.identity import Identity, check_recipient

REQUEST_VERSION = 1
MAX_DARKROOMS = 3
MAX_NOT_AFTER_HOURS = 24
MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp")


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetSlot:
    """Where one picture of a kept result goes.

    In sealed mode the caller made identity A: ``recipient`` and ``envelope`` (A sealed to O) are
    given. In transit mode both are None: the darkroom makes A, seals it to O and forgets it.
    """

    id: str
    recipient: str | None = None
    envelope: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRequest:
    """Everything in ``request.json``. Its repr shows no word that a person wrote and no key."""

    request_nonce: str
    """32 hexadecimal digits, random; a darkroom takes each once."""
    not_after: str
    """UTC, ``YYYY-MM-DDTHH:MM:SSZ``; a later darkroom refuses."""
    account_tag: str
    """A random tag, the same in one account's requests for a day: fair turns, no identity."""
    owner_recipient: str | None
    owner_signing_key: str | None
    assets: tuple[AssetSlot, ...]
    """One for each picture; empty when nothing is kept."""
    reply_recipient: str
    retention: Retention
    recipe: Recipe
    format: str = "image/png"
    previews: bool = False
    publish: bool = False
    """The caller wants a public copy too, so the reply carries the pictures beside the assets."""
    key_recipient: str | None = None
    """K of the API key that asked: the reply is sealed to it as well (protocol section 2)."""
    key_record: str | None = None
    """The owner's signed record for that key."""
    input_identities: Mapping[str, str] = field(default_factory=dict)
    """Empty in this version: a picture of the library travels as an input like any other."""
    darkroom_notes: tuple[str, ...] = ()
    """The signed notes the caller checked; the darkroom puts its own into ``meta``."""
    v: int = REQUEST_VERSION

    def __post_init__(self) -> None:
        _check(self)

    def to_dict(self) -> dict[str, Any]:
        """The plain form. Contains the prompt."""
        value = {f.name: getattr(self, f.name) for f in fields(self)}
        value["recipe"] = self.recipe.to_dict()
        value["darkroom_notes"] = list(self.darkroom_notes)
        value["input_identities"] = dict(self.input_identities)
        value["assets"] = [
            {
                "id": slot.id,
                "recipient": slot.recipient,
                "envelope": None if slot.envelope is None else b64(slot.envelope),
            }
            for slot in self.assets
        ]
        return value

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> SealedRequest:
        """Read the plain form. Raises :class:`SealError` or :class:`RequestError`."""
        if set(value) != {f.name for f in fields(cls)}:
            raise SealError("a request lacks a field or has one too many")
        data = dict(value)
        try:
            data["recipe"] = Recipe.from_dict(value["recipe"])
            data["darkroom_notes"] = tuple(value["darkroom_notes"])
            data["assets"] = tuple(
                AssetSlot(
                    id=slot["id"],
                    recipient=slot["recipient"],
                    envelope=None if slot["envelope"] is None else unb64(slot["envelope"]),
                )
                for slot in value["assets"]
            )
            return cls(**data)
        except (AttributeError, KeyError, TypeError):
            raise SealError("a request has a field of the wrong kind") from None

    def expires_at(self) -> datetime:
        """``not_after`` as a time."""
        return parse_time(self.not_after)


def new_nonce(*, random: Callable[[int], bytes] = os.urandom) -> str:
    """A fresh request nonce."""
    return random(16).hex()


def time_text(at: datetime) -> str:
    """A time in the only form that notes and requests use: whole seconds, UTC, ``Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Undo :func:`time_text`. Raises :class:`SealError`."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except (TypeError, ValueError):
        raise SealError("a time is not in the form YYYY-MM-DDTHH:MM:SSZ") from None


def seal_envelope(asset_identity: Identity, owner_recipient: str) -> bytes:
    """The key envelope: A as an identity file, sealed to O."""
    return age.seal(asset_identity.text().encode() + b"\n", [owner_recipient])


def open_envelope(envelope: bytes, *owners: Identity) -> Identity:
    """Undo :func:`seal_envelope`. Raises :class:`SealError`."""
    raw = age.open_sealed(envelope, owners)
    try:
        return Identity.parse(raw.decode("ascii"))
    except UnicodeDecodeError:
        raise SealError("a key envelope holds no identity") from None


def seal_request(
    request: SealedRequest, inputs: Mapping[str, bytes], darkroom_recipients: Sequence[str]
) -> bytes:
    """Seal to one, two or three darkrooms.

    ``inputs`` maps each digest that the recipe names to the encoded file. Raises
    :class:`SealError` for a missing, extra or wrong input, or another number of darkrooms.
    """
    if not 1 <= len(darkroom_recipients) <= MAX_DARKROOMS:
        raise SealError(f"a request is sealed to 1 to {MAX_DARKROOMS} darkrooms")
    digests = request.recipe.inputs()
    _check_inputs(digests, inputs)
    entries = [("request.json", canonical_json(request.to_dict()))]
    entries += [(f"input-{i}", inputs[digest]) for i, digest in enumerate(digests)]
    return age.seal(container.add_pad("request", entries), darkroom_recipients)


def open_request(data: bytes, identity: Identity) -> tuple[SealedRequest, dict[str, bytes]]:
    """Open with a darkroom's identity: the request, and its inputs by digest.

    Raises :class:`SealError` or :class:`RequestError`. Freshness is :func:`check_fresh`'s.
    """
    return read_request(age.open_sealed(data, [identity], recipients_expected=None))


def read_request(opened: bytes) -> tuple[SealedRequest, dict[str, bytes]]:
    """Read the archive that was inside the seal: the second half of :func:`open_request`."""
    entries = container.strip_pad("request", tar.read_tar(opened))
    if not entries or entries[0][0] != "request.json":
        raise SealError("a sealed request holds no request")
    try:
        value = json.loads(entries[0][1])
    except ValueError:
        raise SealError("a request is not JSON") from None
    if not isinstance(value, dict):
        raise SealError("a request is not a JSON object")
    request = SealedRequest.from_dict(value)
    digests = request.recipe.inputs()
    if [name for name, _ in entries[1:]] != [f"input-{i}" for i in range(len(digests))]:
        raise SealError("a sealed request has other inputs than its recipe names")
    inputs = dict(zip(digests, (content for _, content in entries[1:]), strict=True))
    _check_inputs(digests, inputs)
    return request, inputs


def check_fresh(request: SealedRequest, now: datetime) -> None:
    """Raise :class:`ExpiredError` past ``not_after`` or if it lies over 24 hours ahead."""
    expires = request.expires_at()
    if now > expires:
        raise ExpiredError("the request is past its time", hint="seal and submit it again")
    if (expires - now).total_seconds() > MAX_NOT_AFTER_HOURS * 3600 + 300:
        raise ExpiredError(f"a request may wait {MAX_NOT_AFTER_HOURS} hours at most")


def _check_inputs(digests: Sequence[str], inputs: Mapping[str, bytes]) -> None:
    if set(inputs) != set(digests):
        raise SealError(f"a recipe names {len(digests)} inputs, {len(inputs)} were given")
    for digest in digests:
        if sha256_hex(inputs[digest]) != digest:
            raise SealError("an input does not have the digest that the recipe names")


def _is_hex(text: object, digits: int) -> bool:
    return (
        isinstance(text, str) and len(text) == digits and all(c in "0123456789abcdef" for c in text)
    )


def _check(request: SealedRequest) -> None:
    if request.v != REQUEST_VERSION:
        raise SealError("a request has a version that this program does not read")
    if not _is_hex(request.request_nonce, 32):
        raise SealError("a request nonce is 32 hexadecimal digits")
    parse_time(request.not_after)
    check_recipient(request.reply_recipient)
    if request.retention not in get_args(Retention) or request.format not in MEDIA_TYPES:
        raise SealError("a request has an unknown retention or format")
    if type(request.previews) is not bool or type(request.publish) is not bool:
        raise SealError("previews and publish are true or false")
    if not isinstance(request.account_tag, str) or len(request.account_tag) > 64:
        raise SealError("an account tag is at most 64 characters")
    if request.owner_recipient is not None:
        check_recipient(request.owner_recipient)
    if request.owner_signing_key is not None and not _is_hex(request.owner_signing_key, 64):
        raise SealError("an owner's signing key is 64 hexadecimal digits")
    if request.key_recipient is not None:
        check_recipient(request.key_recipient)
    if request.input_identities != {}:
        raise SealError("a request names inputs that this version does not fetch")
    if not all(isinstance(note, str) for note in request.darkroom_notes):
        raise SealError("a darkroom note is text")
    _check_assets(request)


def _check_assets(request: SealedRequest) -> None:
    keeps = request.retention != "none"
    if len(request.assets) != (request.recipe.count if keeps else 0):
        raise SealError("a request names one asset for each picture it keeps")
    if keeps and request.owner_recipient is None:
        raise SealError("a kept result needs an owner")
    if len({slot.id for slot in request.assets}) != len(request.assets):
        raise SealError("two pictures of a request have one asset id")
    for slot in request.assets:
        check_id("ast", slot.id)
        if (slot.recipient is None) != (slot.envelope is None):
            raise SealError("an asset's recipient and envelope go together")
        if slot.recipient is not None:
            check_recipient(slot.recipient)
        if slot.envelope is not None:
            age.check_header(slot.envelope)
