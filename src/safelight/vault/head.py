"""The vault head and the index segments: what is in a library, in the owner's own hand.

The server keeps both and can read only the head's numbers. The head is signed by the owner, so a
dropped, added or older segment shows; each device remembers the highest ``seq`` it has seen.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from safelight.errors import ManifestError, RollbackError, SealError
from safelight.ids import canonical_json, sha256_hex
from safelight.vault import age, container, manifest
from safelight.vault.identity import OwnerKeys, signature_ok
from safelight.vault.manifest import describe

HEAD_VERSION = 1
SEGMENT_VERSION = 1
SEGMENT_ENTRIES = 256
NO_HEAD = "0" * 64
NO_NONCE = "0" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultHead:
    """Canonical JSON of these fields; ``signature`` is Ed25519 over all the others."""

    seq: int
    """1 for the first head; each change adds one."""
    prev: str
    """SHA-256 of the head before, or 64 zeros."""
    segments: tuple[str, ...]
    """SHA-256 of each sealed index segment, oldest first."""
    asset_count: int
    signature: str = ""
    v: int = HEAD_VERSION

    def to_bytes(self) -> bytes:
        """What the server keeps."""
        return canonical_json(self._value())

    def digest(self) -> str:
        """SHA-256 of :meth:`to_bytes`: the next head's ``prev``."""
        return sha256_hex(self.to_bytes())

    def signed_bytes(self) -> bytes:
        """What the signature covers."""
        value = self._value()
        del value["signature"]
        return b"safelight-vault-head/v1\n" + canonical_json(value)

    def _value(self) -> dict[str, Any]:
        value = {f.name: getattr(self, f.name) for f in fields(self)}
        value["segments"] = list(self.segments)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """One asset in the index: enough to search, to show, and to trust its signature."""

    asset: str
    kind: str
    words: tuple[str, ...]
    tags: tuple[str, ...]
    made_on: str
    model: str
    """The model's name."""
    width_px: int
    height_px: int
    seed: int
    darkroom_key: str
    """The key whose signature the owner's device checked when the picture arrived."""
    request_nonce: str
    embedding: str | None = None

    def __repr__(self) -> str:
        return f"<index entry of {self.asset}>"


def next_head(
    before: VaultHead | None, *, segments: Sequence[str], asset_count: int, keys: OwnerKeys
) -> VaultHead:
    """The signed head that follows ``before``."""
    unsigned = VaultHead(
        seq=1 if before is None else before.seq + 1,
        prev=NO_HEAD if before is None else before.digest(),
        segments=tuple(segments),
        asset_count=asset_count,
    )
    return VaultHead(
        seq=unsigned.seq,
        prev=unsigned.prev,
        segments=unsigned.segments,
        asset_count=asset_count,
        signature=keys.sign(unsigned.signed_bytes()).hex(),
    )


def read_head(raw: bytes, signing_key: str) -> VaultHead:
    """Read a head that this owner signed. Raises :class:`RollbackError` for any other bytes."""
    try:
        value = json.loads(raw)
        value["segments"] = tuple(value["segments"])
        head = VaultHead(**value)
        signature = bytes.fromhex(head.signature)
        canonical = head.to_bytes() == raw
    except (AttributeError, KeyError, TypeError, ValueError):
        raise RollbackError("the vault head is not in the right form") from None
    numbers = type(head.seq) is int and type(head.asset_count) is int and head.seq >= 1
    if not canonical or not numbers or head.v != HEAD_VERSION:
        raise RollbackError("the vault head is not in the right form")
    if not signature_ok(signing_key, head.signed_bytes(), signature):
        raise RollbackError("the vault head is not signed by its owner")
    return head


def check_not_older(head: VaultHead | None, seen_seq: int, seen_digest: str) -> None:
    """Raise :class:`RollbackError` if this device has seen a later head, or another one as late.

    ``seen_seq`` 0 means that it has seen none.
    """
    seq = 0 if head is None else head.seq
    if seq < seen_seq:
        raise RollbackError(
            f"the server showed library version {seq}; this device has seen version {seen_seq}"
        )
    if head is not None and seq == seen_seq and head.digest() != seen_digest:
        raise RollbackError(f"the server showed another library version {seq} than before")
    if head is not None and seq == seen_seq + 1 and seen_seq and head.prev != seen_digest:
        raise RollbackError(f"library version {seq} does not follow the one seen before")


def seal_segment(
    entries: Sequence[IndexEntry], keys: OwnerKeys, *, made_on: str
) -> tuple[bytes, str]:
    """A sealed index segment and its SHA-256. Raises :class:`SealError` over 256 entries."""
    if len(entries) > SEGMENT_ENTRIES:
        raise SealError(f"an index segment holds {SEGMENT_ENTRIES} entries at most")
    listed = [{f.name: _plain(getattr(entry, f.name)) for f in fields(entry)} for entry in entries]
    payload = canonical_json({"v": SEGMENT_VERSION, "entries": listed})
    unsigned = describe(
        payload,
        asset=None,
        kind="segment",
        owner=keys.recipient,
        request_nonce=NO_NONCE,
        made_on=made_on,
        media_type="application/json",
    )
    sealed = container.seal_object(
        unsigned, payload, signing_seed=keys.signing_seed, recipients=[keys.recipient]
    )
    return sealed, sha256_hex(sealed)


def open_segment(sealed: bytes, digest: str, keys: OwnerKeys) -> list[IndexEntry]:
    """The entries of the segment that a head names by ``digest``.

    Raises :class:`RollbackError` for another file, :class:`SealError` or :class:`ManifestError`
    for one that was not made by this owner.
    """
    if sha256_hex(sealed) != digest:
        raise RollbackError("an index segment is not the one that the vault head names")
    found, payload = container.unpack(age.open_sealed(sealed, keys.identities))
    if found.owner not in keys.recipients:
        raise ManifestError("an index segment names another owner")
    manifest.verify(
        found,
        asset=None,
        kind="segment",
        owner=found.owner,
        request_nonce=NO_NONCE,
        darkroom_key=keys.signing_public_hex,
    )
    try:
        value = json.loads(payload)
        entries = [
            IndexEntry(**(e | {"words": tuple(e["words"]), "tags": tuple(e["tags"])}))
            for e in value["entries"]
        ]
    except (KeyError, TypeError, ValueError):
        raise SealError("an index segment is not in the right form") from None
    if value.get("v") != SEGMENT_VERSION or len(entries) > SEGMENT_ENTRIES:
        raise SealError("an index segment is not in the right form")
    return entries


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
