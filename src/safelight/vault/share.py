"""Shares: a way for somebody else to open one asset, by link or by name.

The link carries 32 random bytes in its fragment, which browsers do not send. From them come the
access token (the server keeps its hash) and the identity that the bundle is sealed to.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from safelight.errors import RequestError, SealError
from safelight.ids import canonical_json
from safelight.secret import Secret
from safelight.vault import age
from safelight.vault.identity import Identity, OwnerKeys, derive, signature_ok
from safelight.vault.stretch import stretch

BUNDLE_VERSION = 1
SECRET_BYTES = 32
SALT_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a share hands over: identity A of one asset, and what its manifest must say."""

    asset: str
    identity: Secret[str]
    kinds: tuple[str, ...]
    """Which objects may be asked for: ``full`` and perhaps ``thumb``."""
    owner: str
    owner_signing_key: str
    request_nonce: str
    darkroom_key: str
    signature: str = ""
    """Ed25519 by ``owner_signing_key`` over all the others, 128 hexadecimal digits."""
    v: int = BUNDLE_VERSION

    def signed_bytes(self) -> bytes:
        """What the signature covers."""
        value = self._value()
        del value["signature"]
        return b"safelight-share/v1\n" + canonical_json(value)

    def to_bytes(self) -> bytes:
        """Canonical JSON. Contains identity A."""
        return canonical_json(self._value())

    def _value(self) -> dict[str, Any]:
        value = {f.name: getattr(self, f.name) for f in fields(self)}
        value["identity"] = self.identity.reveal()
        value["kinds"] = list(self.kinds)
        return value


def new_link_secret(*, random: Callable[[int], bytes] = os.urandom) -> bytes:
    """32 fresh random bytes for a link."""
    return random(SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """A link secret as it stands after the ``#``: 43 characters of base64url."""
    return base64.urlsafe_b64encode(secret).decode("ascii").rstrip("=")


def parse_secret(text: str) -> bytes:
    """Undo :func:`secret_text`. Raises :class:`RequestError` without repeating the text."""
    try:
        secret = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES or secret_text(secret) != text:
        raise RequestError(
            "the link is not complete", hint="copy the whole link, with the part after #"
        )
    return secret


def access_token(secret: bytes) -> bytes:
    """What opening sends to the server, which keeps only its SHA-256: 32 bytes."""
    return derive(secret, "safelight/share/access/v1")


def link_identity(
    secret: bytes, passphrase: Secret[str] | None = None, salt: bytes | None = None
) -> Identity:
    """The identity that opens a link's bundle; a passphrase with its 16-byte salt is mixed in."""
    if (passphrase is None) != (salt is None):
        raise SealError("a passphrase and its salt go together")
    factor = b""
    if passphrase is not None and salt is not None:
        if len(salt) != SALT_BYTES:
            raise SealError(f"a passphrase salt has {SALT_BYTES} bytes")
        factor = stretch(passphrase, salt)
    return Identity.from_seed(derive(secret + factor, "safelight/share/identity/v1"))


def seal_bundle(bundle: Bundle, keys: OwnerKeys, recipient: str) -> bytes:
    """Sign as the owner and seal to a link's or a person's recipient."""
    named = replace(bundle, owner_signing_key=keys.signing_public_hex, signature="")
    signed = replace(named, signature=keys.sign(named.signed_bytes()).hex())
    return age.seal(signed.to_bytes(), [recipient])


def open_bundle(
    sealed: bytes, *identities: Identity, owner_signing_key: str | None = None
) -> Bundle:
    """Open a bundle and check its signature.

    A link's secret already proves where its bundle came from. For a share to a named person, pass
    the sender's ``owner_signing_key``. Raises :class:`SealError`.
    """
    raw = age.open_sealed(sealed, identities)
    try:
        value = json.loads(raw)
        value["identity"] = Secret(str(value["identity"]))
        value["kinds"] = tuple(value["kinds"])
        bundle = Bundle(**value)
        signature = bytes.fromhex(bundle.signature)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise SealError("a share's bundle is not in the right form") from None
    if bundle.v != BUNDLE_VERSION or bundle.to_bytes() != raw:
        raise SealError("a share's bundle is not in the right form")
    if owner_signing_key is not None and bundle.owner_signing_key != owner_signing_key:
        raise SealError("a share's bundle was made by somebody else than it says")
    if not signature_ok(bundle.owner_signing_key, bundle.signed_bytes(), signature):
        raise SealError("a share's bundle has a wrong signature")
    return bundle
