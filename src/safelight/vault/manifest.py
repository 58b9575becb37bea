"""The signed manifest: what a sealed object is, whose it is, and which key made it.

Canonical JSON (RFC 8785) with exactly the fields of :class:`Manifest`. ``signature`` is Ed25519
over the canonical JSON of all the other fields, by ``darkroom_key``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from safelight.errors import ManifestError
from safelight.ids import canonical_json, sha256_hex
from safelight.vault.identity import public_hex, sign_bytes, signature_ok

MANIFEST_VERSION = 1
Kind = Literal["full", "thumb", "meta", "reply", "preview", "segment"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "application/json": ".json",
    "application/x-tar": ".tar",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Protocol section 3. ``asset`` is None for a reply, a preview and an index segment."""

    v: int = MANIFEST_VERSION
    asset: str | None
    kind: Kind
    owner: str
    """Recipient of the owner; of the reply when there is none (a guest)."""
    request_nonce: str
    """32 hexadecimal digits of the request; all zero for what an owner makes without one."""
    made_on: str
    """UTC day."""
    media_type: str
    size_bytes: int
    sha256: str
    """Of the payload."""
    model: str
    """Digest of the model; empty where no model was used."""
    darkroom_key: str
    """Ed25519 key that signs, 64 hexadecimal digits: a darkroom's, or the owner's own."""
    signature: str = ""
    """128 hexadecimal digits."""

    def to_dict(self) -> dict[str, Any]:
        """The plain form."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def canonical(self) -> bytes:
        """What ``manifest.json`` holds."""
        return canonical_json(self.to_dict())

    def signed_bytes(self) -> bytes:
        """What ``signature`` covers: the canonical JSON of every field but itself."""
        value = self.to_dict()
        del value["signature"]
        return canonical_json(value)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Manifest:
        """Read the plain form. Raises :class:`ManifestError` for a missing, extra or odd field."""
        if set(value) != {f.name for f in fields(cls)}:
            raise ManifestError("a manifest lacks a field or has one too many")
        text = all(isinstance(value[k], str) for k in set(value) - {"v", "asset", "size_bytes"})
        size, asset = value["size_bytes"], value["asset"]
        if (
            not text
            or type(size) is not int
            or size < 0
            or not (asset is None or type(asset) is str)
        ):
            raise ManifestError("a manifest has a field of the wrong kind")
        if type(value["v"]) is not int or value["v"] != MANIFEST_VERSION:
            raise ManifestError("a manifest has a version that this program does not read")
        if value["kind"] not in KINDS:
            raise ManifestError("a manifest has an unknown kind")
        return cls(**value)

    @classmethod
    def from_canonical(cls, raw: bytes) -> Manifest:
        """Read ``manifest.json``; refuses any form but the canonical one."""
        try:
            value = json.loads(raw)
        except ValueError:
            raise ManifestError("a manifest is not JSON") from None
        if not isinstance(value, dict):
            raise ManifestError("a manifest is not a JSON object")
        manifest = cls.from_dict(value)
        if manifest.canonical() != raw:
            raise ManifestError("a manifest is not in canonical form")
        return manifest


def describe(
    payload: bytes,
    *,
    asset: str | None,
    kind: Kind,
    owner: str,
    request_nonce: str,
    made_on: str,
    media_type: str,
    model: str = "",
) -> Manifest:
    """A manifest for ``payload``, not yet signed."""
    return Manifest(
        asset=asset,
        kind=kind,
        owner=owner,
        request_nonce=request_nonce,
        made_on=made_on,
        media_type=media_type,
        size_bytes=len(payload),
        sha256=sha256_hex(payload),
        model=model,
        darkroom_key="",
    )


def sign(manifest: Manifest, signing_seed: bytes) -> Manifest:
    """The same manifest, naming and signed by the key of ``signing_seed`` (32 bytes)."""
    named = replace(manifest, darkroom_key=public_hex(signing_seed), signature="")
    return replace(named, signature=sign_bytes(signing_seed, named.signed_bytes()).hex())


def verify(
    manifest: Manifest,
    *,
    asset: str | None,
    kind: Kind,
    owner: str,
    request_nonce: str | None,
    darkroom_key: str,
) -> None:
    """Raise :class:`ManifestError`, naming the first field that is not what was expected.

    ``request_nonce`` None skips that one field: for a thing kept long ago, whose request the
    reader does not remember. The payload's hash is checked where it is unpacked.
    """
    expected = {"asset": asset, "kind": kind, "owner": owner, "darkroom_key": darkroom_key}
    if request_nonce is not None:
        expected["request_nonce"] = request_nonce
    for name, value in expected.items():
        if getattr(manifest, name) != value:
            raise ManifestError(f"a manifest has another {name} than was expected")
    try:
        signature = bytes.fromhex(manifest.signature)
    except ValueError:
        raise ManifestError("a manifest's signature is not hexadecimal") from None
    if not signature_ok(darkroom_key, manifest.signed_bytes(), signature):
        raise ManifestError("a manifest's signature is wrong")


def payload_name(media_type: str) -> str:
    """Name of the payload inside the container: ``payload`` and a suffix, never a person's word."""
    return "payload" + _SUFFIXES.get(media_type, ".bin")
