"""Opening what the server hands over, and refusing what no darkroom of ours signed.

Note [who may have signed]
    Just after making a picture, the signer must be a darkroom whose note this client sealed to.
    Later, the index says which key was checked then, in the owner's own hand. An asset that never
    reached the index carries its darkroom's note in ``meta``: a pinned fleet key must have signed
    it. What the owner's own devices uploaded is signed by the owner. Anything else is refused,
    because everybody who knows the owner's recipient could have sealed it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from safelight.client.link import Link, take_bytes
from safelight.errors import KeyNoteError, ManifestError
from safelight.ids import check_id, utc_day
from safelight.vault import age, container, manifest
from safelight.vault.head import NO_NONCE, IndexEntry
from safelight.vault.identity import Identity, OwnerKeys
from safelight.vault.manifest import Kind, Manifest
from safelight.vault.notes import read_note
from safelight.vault.reply import Meta
from safelight.vault.request import open_envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a sealed object must say. ``owners``, ``nonces``, ``signers`` are sets to be one of."""

    asset: str | None
    kind: Kind
    owners: frozenset[str]
    nonces: frozenset[str] | None
    signers: frozenset[str]


def open_expected(
    sealed: bytes, identity: Identity, expected: Expected, *, recipients: int = 1
) -> tuple[Manifest, bytes]:
    """Open and check one object. Raises :class:`SealError` or :class:`ManifestError`."""
    raw = age.open_sealed(sealed, [identity], recipients_expected=recipients)
    found, payload = container.unpack(raw)
    if found.darkroom_key not in expected.signers:
        raise ManifestError("an object is signed by a key that is not trusted here")
    if expected.nonces is not None and found.request_nonce not in expected.nonces:
        raise ManifestError("an object belongs to another request")
    if found.owner not in expected.owners:
        raise ManifestError("an object belongs to another owner")
    manifest.verify(
        found,
        asset=expected.asset,
        kind=expected.kind,
        owner=found.owner,
        request_nonce=None,
        darkroom_key=found.darkroom_key,
    )
    return found, payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One kept asset, ready to be opened. Its repr shows no key."""

    asset: str
    identity: Identity
    nonce: str
    signer: str


class Opener:
    """Opens the owner's kept assets, trusting signers as in Note [who may have signed]."""

    def __init__(self, link: Link, keys: OwnerKeys, entries: Iterable[IndexEntry] = ()) -> None:
        self._link = link
        self._keys = keys
        self._entries = {entry.asset: entry for entry in entries}

    def locate(self, asset: str, envelope: bytes | None = None) -> Kept:
        """Identity, nonce and signer of an asset.

        Raises :class:`NotFoundError`, :class:`SealError` or :class:`ManifestError`.
        """
        check_id("ast", asset)
        if envelope is None:
            envelope = take_bytes(self._describe(asset), "envelope")
        opener = open_envelope(envelope, *self._keys.identities)
        entry = self._entries.get(asset)
        if entry is not None:
            return Kept(
                asset=asset,
                identity=opener,
                nonce=entry.request_nonce,
                signer=entry.darkroom_key,
            )
        found, _ = self._meta_of(asset, opener)
        return Kept(
            asset=asset,
            identity=opener,
            nonce=found.request_nonce,
            signer=found.darkroom_key,
        )

    def open(self, kept: Kept, kind: Kind) -> tuple[Manifest, bytes]:
        """The manifest and payload of one object of an asset."""
        sealed = self._link.wire.blob(f"/api/v1/assets/{kept.asset}/{kind}")
        expected = Expected(
            asset=kept.asset,
            kind=kind,
            owners=self._keys.recipients,
            nonces=frozenset({kept.nonce}),
            signers=frozenset({kept.signer}),
        )
        return open_expected(sealed, kept.identity, expected)

    def meta(self, kept: Kept) -> Meta:
        """The meta of an asset."""
        found, payload = self.open(kept, "meta")
        return _same_asset(Meta.from_payload(payload), found)

    def _describe(self, asset: str) -> dict[str, Any]:
        answer = self._link.wire.get(f"/api/v1/assets/{asset}")
        inner = answer.get("asset")
        return inner if isinstance(inner, dict) else answer

    def _meta_of(self, asset: str, opener: Identity) -> tuple[Manifest, Meta]:
        sealed = self._link.wire.blob(f"/api/v1/assets/{asset}/meta")
        found, payload = container.unpack(age.open_sealed(sealed, [opener]))
        meta = Meta.from_payload(payload)
        own = found.darkroom_key == self._keys.signing_public_hex
        if own and found.request_nonce != NO_NONCE:
            raise ManifestError("an upload names a request")
        if not own:
            self._check_note(meta, found)
        if found.owner not in self._keys.recipients:
            raise ManifestError("an object belongs to another owner")
        manifest.verify(
            found,
            asset=asset,
            kind="meta",
            owner=found.owner,
            request_nonce=None,
            darkroom_key=found.darkroom_key,
        )
        return found, _same_asset(meta, found)

    def _check_note(self, meta: Meta, found: Manifest) -> None:
        for pinned in self._link.pins().fleet_keys:
            try:
                key = read_note(meta.note or "", pinned)
            except KeyNoteError:
                continue
            days = utc_day(key.not_before), utc_day(key.keeps_until)
            if key.signing_key == found.darkroom_key and days[0] <= found.made_on <= days[1]:
                return
        raise ManifestError("an asset is signed by a key that no pinned fleet announced")


def _same_asset(meta: Meta, found: Manifest) -> Meta:
    if meta.asset != found.asset:
        raise ManifestError("a meta names another asset than its manifest")
    return meta


def entry_of(meta: Meta, kept: Kept) -> IndexEntry:
    """The index entry of an asset whose meta was opened and checked."""
    return IndexEntry(
        asset=meta.asset,
        kind="upload" if meta.recipe is None else "picture",
        words=meta.words,
        tags=meta.tags,
        made_on=meta.made_on,
        model=meta.model_name,
        width_px=meta.width_px,
        height_px=meta.height_px,
        seed=0 if meta.recipe is None else meta.recipe.seed,
        darkroom_key=kept.signer,
        request_nonce=kept.nonce,
        embedding=meta.embedding,
    )
