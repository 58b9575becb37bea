"""API keys: made here; the server gets a hash and a record that the owner signed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from safelight.client.link import Link, need_session, take_text
from safelight.errors import AuthenticationError, KeyNoteError, RequestError
from safelight.ids import check_id, sha256_hex
from safelight.secret import Secret
from safelight.vault import identity
from safelight.vault.identity import OwnerKeys
from safelight.vault.notes import KeyRecord, make_key_record, read_key_record

MAX_NAME_CHARS = 64


def create_key(
    link: Link,
    keys: OwnerKeys,
    name: str,
    *,
    scopes: Sequence[str] = ("generate",),
    days: float | None = None,
) -> tuple[dict[str, Any], Secret[str]]:
    """Make an API key here; the server gets its hash and a record that the owner signed.

    Returns the key's description and its secret, which is shown once.
    """
    need_session(link)
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME_CHARS:
        raise RequestError(f"a key's name is 1 to {MAX_NAME_CHARS} printable characters")
    secret = identity.new_api_secret()
    expires = None if days is None else link.clock.now() + timedelta(days=days)
    record = KeyRecord(
        name=name,
        owner_recipient=keys.recipient,
        owner_signing_key=keys.signing_public_hex,
        key_recipient=identity.key_identity(secret).recipient,
        secret_sha256=sha256_hex(secret.encode()),
        scopes=tuple(scopes),
        expires_at=expires,
    )
    body = {
        "name": name,
        "scopes": list(scopes),
        "secret_sha256": record.secret_sha256,
        "key_recipient": record.key_recipient,
        "record": make_key_record(record, keys.signing_seed),
    }
    return link.wire.post("/api/v1/keys", body), Secret(secret)


def own_record(link: Link) -> tuple[str, KeyRecord]:
    """The record of the API key that this client acts for: to whom it may keep, as text and read.

    The owner is pinned at first sight. Raises :class:`ForbiddenError` for a key that may not make
    pictures, :class:`KeyNoteError` for a record that is of another key, is not signed by the owner
    it names, or names another owner than before: the server would have pictures sealed to it.
    """
    if link.api_key is None:
        raise AuthenticationError("no API key is used here")
    secret = link.api_key.reveal()
    text = take_text(link.wire.get("/api/v1/keys/current"), "record")
    record = read_key_record(text)
    mine = identity.key_identity(secret).recipient, sha256_hex(secret.encode())
    if (record.key_recipient, record.secret_sha256) != mine:
        raise KeyNoteError("the server shows the record of another API key")
    link.profile.pin_key_owner(link.origin, mine[0], owner_code(record))
    return text, record


def pin_owner(link: Link, code: str) -> None:
    """Pin the owner of the API key in use by their verification code, before the first sight."""
    if link.api_key is None:
        raise RequestError("an owner's code goes with an API key")
    letters = "".join(code.upper().split()).replace("-", "")
    if len(letters) != 24 or not letters.isalnum():
        raise RequestError("a verification code is six groups of four letters")
    spelt = "-".join(letters[i : i + 4] for i in range(0, 24, 4))
    mine = identity.key_identity(link.api_key.reveal()).recipient
    link.profile.pin_key_owner(link.origin, mine, spelt)


def pinned_owner(link: Link) -> str | None:
    """The pinned owner's verification code of the API key in use; None before the first sight."""
    if link.api_key is None:
        return None
    mine = identity.key_identity(link.api_key.reveal()).recipient
    return dict(link.pins().key_owners).get(mine)


def owner_code(record: KeyRecord) -> str:
    """The verification code of the owner that a record names."""
    return identity.verification_code(record.owner_recipient, record.owner_signing_key)


def list_keys(link: Link) -> list[dict[str, Any]]:
    """The caller's API keys, without their secrets."""
    need_session(link)
    found: list[dict[str, Any]] = link.wire.get("/api/v1/keys").get("keys", [])
    return found


def revoke_key(link: Link, key: str) -> None:
    """End an API key, at once."""
    need_session(link)
    link.wire.call("DELETE", f"/api/v1/keys/{check_id('key', key)}")
