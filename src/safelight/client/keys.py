"""API keys: made here; the server gets a hash and a record that the owner signed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from safelight.client.link import Link, need_session
from safelight.errors import RequestError
from safelight.ids import check_id, sha256_hex
from safelight.secret import Secret
from safelight.vault import identity
from safelight.vault.identity import OwnerKeys
from safelight.vault.notes import KeyRecord, make_key_record

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


def list_keys(link: Link) -> list[dict[str, Any]]:
    """The caller's API keys, without their secrets."""
    need_session(link)
    found: list[dict[str, Any]] = link.wire.get("/api/v1/keys").get("keys", [])
    return found


def revoke_key(link: Link, key: str) -> None:
    """End an API key, at once."""
    need_session(link)
    link.wire.call("DELETE", f"/api/v1/keys/{check_id('key', key)}")
