"""Signed notes: darkroom keys, and the owner's record for an API key.

Source: https://c2sp.org/signed-note.

A note is text lines, an empty line, and one signature line
``- <name> <base64 of 4 hash bytes and 64 signature bytes>`` that starts with an em dash.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from safelight.errors import KeyNoteError, SealError
from safelight.vault.identity import (
    OwnerKeys,
    check_recipient,
    public_hex,
    sign_bytes,
    signature_ok,
)
from safelight.vault.request import parse_time, time_text

FLEET_NAME = "safelight-fleet"
OWNER_NAME = "safelight-owner"
DARKROOM_HEADER = "safelight-darkroom/v1"
KEY_HEADER = "safelight-api-key/v1"
ROTATION_HEADER = "safelight-owner-keys/v1"
MAX_FORMER = 32
ANNOUNCED_SECONDS = 600
CLOCK_SKEW_SECONDS = 120
MAX_KEPT_HOURS = 25
MAX_NOTE_CHARS = 4_096
_ED25519 = b"\x01"


@dataclass(frozen=True, slots=True, kw_only=True)
class DarkroomKey:
    """One announced darkroom key: X25519 to seal to, Ed25519 that signs what comes back."""

    darkroom: str
    recipient: str
    signing_key: str
    not_before: datetime
    announced_until: datetime
    """Requests may be sealed to it until then: at most 10 minutes after ``not_before``."""
    keeps_until: datetime
    """The darkroom wipes it then at the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What an owner signs when making an API key: to whom its results may be sealed."""

    name: str
    owner_recipient: str
    owner_signing_key: str
    key_recipient: str
    secret_sha256: str
    scopes: tuple[str, ...]
    expires_at: datetime | None


def sign_note(name: str, signing_seed: bytes, lines: list[str]) -> str:
    """A signed note over these lines. Raises :class:`KeyNoteError` for a line that breaks it."""
    if any("\n" in line or "\r" in line or not line for line in lines):
        raise KeyNoteError("a note's line is empty or broken")
    body = "\n".join(lines) + "\n"
    signature = sign_bytes(signing_seed, body.encode())
    blob = _key_hash(name, public_hex(signing_seed)) + signature
    return f"{body}\n\u2014 {name} {base64.b64encode(blob).decode('ascii')}\n"


def open_note(name: str, public: str, text: str) -> list[str]:
    """The lines of a note that the key ``public`` (64 hexadecimal digits) signed as ``name``.

    Raises :class:`KeyNoteError` for no such signature, or any form but the one we write.
    """
    if len(text) > MAX_NOTE_CHARS:
        raise KeyNoteError("a note is over its limit")
    body, gap, tail = text.partition("\n\n")
    prefix = f"\u2014 {name} "
    if not gap or not tail.startswith(prefix) or not tail.endswith("\n") or "\r" in text:
        raise KeyNoteError("a note is not signed by the key that is pinned")
    try:
        blob = base64.b64decode(tail[len(prefix) : -1], validate=True)
        wanted = _key_hash(name, public)
    except ValueError:
        raise KeyNoteError("a note's signature or key is not in the right form") from None
    signed = (body + "\n").encode()
    if len(blob) != 68 or blob[:4] != wanted or not signature_ok(public, signed, blob[4:]):
        raise KeyNoteError("a note is not signed by the key that is pinned")
    return body.split("\n")


def make_note(key: DarkroomKey, fleet_seed: bytes) -> str:
    """The note by which a fleet announces a darkroom key. Raises :class:`KeyNoteError`."""
    _check_times(key)
    return sign_note(
        FLEET_NAME,
        fleet_seed,
        [
            DARKROOM_HEADER,
            f"darkroom {key.darkroom}",
            f"recipient {key.recipient}",
            f"signing-key {key.signing_key}",
            f"not-before {time_text(key.not_before)}",
            f"announced-until {time_text(key.announced_until)}",
            f"keeps-until {time_text(key.keeps_until)}",
        ],
    )


def read_note(text: str, pinned_fleet_key: str) -> DarkroomKey:
    """The key in a note signed by the pinned fleet key, whatever the time is now.

    For checking an old picture's note; to seal, use :func:`verify_note`. Raises
    :class:`KeyNoteError`.
    """
    lines = open_note(FLEET_NAME, pinned_fleet_key, text)
    names = ("darkroom", "recipient", "signing-key", "not-before", "announced-until", "keeps-until")
    values = _values(lines, DARKROOM_HEADER, names)
    try:
        key = DarkroomKey(
            darkroom=values[0],
            recipient=check_recipient(values[1]),
            signing_key=_hex64(values[2]),
            not_before=parse_time(values[3]),
            announced_until=parse_time(values[4]),
            keeps_until=parse_time(values[5]),
        )
    except SealError as error:
        raise KeyNoteError(error.message) from None
    _check_times(key)
    return key


def verify_note(text: str, pinned_fleet_key: str, now: datetime) -> DarkroomKey:
    """The key in a note that may be sealed to now. Raises :class:`KeyNoteError`.

    The note must be signed by the pinned fleet key and announced at ``now``; a clock that differs
    by two minutes is forgiven at its start, not at its end.
    """
    key = read_note(text, pinned_fleet_key)
    if now + timedelta(seconds=CLOCK_SKEW_SECONDS) < key.not_before:
        raise KeyNoteError(
            "a darkroom key note is from the future", hint="check this machine's clock"
        )
    if now > key.announced_until:
        raise KeyNoteError("a darkroom key note has expired", hint="check this machine's clock")
    return key


def make_key_record(record: KeyRecord, owner_signing_seed: bytes) -> str:
    """The owner's signed record for a new API key."""
    expires = "never" if record.expires_at is None else time_text(record.expires_at)
    return sign_note(
        OWNER_NAME,
        owner_signing_seed,
        [
            KEY_HEADER,
            f"name {record.name}",
            f"owner {record.owner_recipient}",
            f"owner-signing-key {record.owner_signing_key}",
            f"key-recipient {record.key_recipient}",
            f"secret-sha256 {record.secret_sha256}",
            f"scopes {','.join(record.scopes) or '-'}",
            f"expires {expires}",
        ],
    )


def verify_key_record(text: str, owner_signing_key: str) -> KeyRecord:
    """Read a record that this owner signed. Raises :class:`KeyNoteError`."""
    lines = open_note(OWNER_NAME, owner_signing_key, text)
    names = (
        "name",
        "owner",
        "owner-signing-key",
        "key-recipient",
        "secret-sha256",
        "scopes",
        "expires",
    )
    values = _values(lines, KEY_HEADER, names)
    try:
        record = KeyRecord(
            name=values[0],
            owner_recipient=check_recipient(values[1]),
            owner_signing_key=_hex64(values[2]),
            key_recipient=check_recipient(values[3]),
            secret_sha256=_hex64(values[4]),
            scopes=() if values[5] == "-" else tuple(values[5].split(",")),
            expires_at=None if values[6] == "never" else parse_time(values[6]),
        )
    except SealError as error:
        raise KeyNoteError(error.message) from None
    if record.owner_signing_key != owner_signing_key:
        raise KeyNoteError("an API key record names another signing key than signed it")
    return record


def read_key_record(text: str) -> KeyRecord:
    """Read a record by the signing key that it names itself: for who has not seen it before.

    Only what is checked beside it says whose that key is. Raises :class:`KeyNoteError`.
    """
    lines = text[:MAX_NOTE_CHARS].split("\n")
    named = [line[18:] for line in lines if line.startswith("owner-signing-key ")]
    if len(named) != 1:
        raise KeyNoteError("a note is not of the kind that is expected here")
    return verify_key_record(text, _hex64(named[0]))


def make_owner_note(keys: OwnerKeys) -> str:
    """The owner's word that their present recipient follows the former ones (the newest 32)."""
    former = [identity.recipient for identity in keys.former[:MAX_FORMER]]
    lines = [ROTATION_HEADER, f"owner {keys.recipient}", f"former {','.join(former) or '-'}"]
    return sign_note(OWNER_NAME, keys.signing_seed, lines)


def read_owner_note(text: str, owner_signing_key: str) -> tuple[str, tuple[str, ...]]:
    """The present recipient and the former ones, as this owner signed them.

    Raises :class:`KeyNoteError`.
    """
    lines = open_note(OWNER_NAME, owner_signing_key, text)
    owner, former = _values(lines, ROTATION_HEADER, ("owner", "former"))
    try:
        before = () if former == "-" else tuple(map(check_recipient, former.split(",")))
        return check_recipient(owner), before
    except SealError as error:
        raise KeyNoteError(error.message) from None


def _key_hash(name: str, public: str) -> bytes:
    raw = bytes.fromhex(public)
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + raw).digest()[:4]


def _values(lines: list[str], header: str, names: tuple[str, ...]) -> list[str]:
    if len(lines) != len(names) + 1 or lines[0] != header:
        raise KeyNoteError("a note is not of the kind that is expected here")
    values: list[str] = []
    for name, line in zip(names, lines[1:], strict=True):
        if not line.startswith(f"{name} "):
            raise KeyNoteError("a note's lines are not the expected ones")
        values.append(line[len(name) + 1 :])
    return values


def _hex64(text: str) -> str:
    if len(text) != 64 or any(c not in "0123456789abcdef" for c in text):
        raise KeyNoteError("a note holds a key that is not 64 hexadecimal digits")
    return text


def _check_times(key: DarkroomKey) -> None:
    announced = (key.announced_until - key.not_before).total_seconds()
    kept = (key.keeps_until - key.announced_until).total_seconds()
    if not 0 < announced <= ANNOUNCED_SECONDS or not 0 <= kept <= MAX_KEPT_HOURS * 3600:
        raise KeyNoteError("a darkroom key is announced or kept for longer than is allowed")
