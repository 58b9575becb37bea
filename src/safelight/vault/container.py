"""The container inside every sealed object: manifest, payload, padding (docs/spec/formats.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from safelight.errors import ManifestError, SealError
from safelight.ids import sha256_hex
from safelight.vault import age, manifest, tar
from safelight.vault.identity import Identity
from safelight.vault.manifest import Kind, Manifest

KIB = 1024
REQUEST_BUCKETS = (4 * KIB, 16 * KIB, 64 * KIB)
THUMB_STEP = 32 * KIB
MIN_BYTES_PER_PIXEL = 2


def padme(n: int) -> int:
    """The Padme length: at most 12 % longer, leaks O(log log n) bits.

    Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files", PETS 2019, section 4.
    """
    if n < 2:
        return n
    exponent = n.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (n + mask) & ~mask


def padded_length(kind: Kind | Literal["request"], n: int) -> int:
    """Length of the whole archive after padding, in bytes: a multiple of 512.

    ``n`` is its length with an empty ``pad`` entry. Requests go to 4, 16 or 64 KiB and then to
    Padme; thumbs to a multiple of 32 KiB; everything else to Padme.
    """
    if kind == "thumb":
        return -(-n // THUMB_STEP) * THUMB_STEP
    if kind == "request":
        for bucket in REQUEST_BUCKETS:
            if n <= bucket:
                return bucket
    return -(-padme(n) // tar.BLOCK) * tar.BLOCK


def typical_result_bytes(width_px: int, height_px: int, count: int) -> int:
    """Least payload size that every off-the-record reply for such a request is padded to.

    A refusal and a result then have the same length for nearly all pictures.
    """
    return MIN_BYTES_PER_PIXEL * width_px * height_px * count + 4 * KIB


def add_pad(
    kind: Kind | Literal["request"], entries: Sequence[tuple[str, bytes]], *, at_least: int = 0
) -> bytes:
    """An archive of ``entries`` and a ``pad`` of zero bytes that brings it to its padded length.

    ``at_least`` pads as if the archive had that many bytes. Raises :class:`SealError` over 64 MiB.
    """
    base = sum(tar.entry_length(len(data)) for _, data in entries) + tar.BLOCK + tar.END_BYTES
    pad = padded_length(kind, max(base, at_least)) - base
    if base + pad > tar.MAX_TAR_BYTES:
        raise SealError(f"a container of {base + pad} bytes is over the limit")
    return tar.write_tar([*entries, ("pad", bytes(pad))])


def strip_pad(
    kind: Kind | Literal["request"], entries: Sequence[tuple[str, bytes]]
) -> list[tuple[str, bytes]]:
    """The entries before ``pad``. Raises :class:`SealError` if it is missing or not zero."""
    if not entries or entries[-1][0] != "pad" or entries[-1][1].strip(b"\0"):
        raise SealError("a container has no padding of zero bytes at its end")
    total = sum(tar.entry_length(len(data)) for _, data in entries) + tar.END_BYTES
    if padded_length(kind, total) != total:
        raise SealError("a container is not padded as its kind must be")
    return list(entries[:-1])


def pack(signed: Manifest, payload: bytes, name: str | None = None, *, at_least: int = 0) -> bytes:
    """``manifest.json``, the payload and ``pad`` as one archive.

    ``name`` is the payload's entry name; by default it follows from the media type. Raises
    :class:`ManifestError` if the manifest does not describe this payload.
    """
    _check_payload(signed, payload)
    return _pack(signed, payload, name, at_least)


def _pack(signed: Manifest, payload: bytes, name: str | None, at_least: int) -> bytes:
    inner = name or manifest.payload_name(signed.media_type)
    if not inner.startswith("payload"):
        raise SealError("the payload's entry is called payload and a suffix")
    entries = [("manifest.json", signed.canonical()), (inner, payload)]
    return add_pad(signed.kind, entries, at_least=at_least)


def unpack(raw: bytes) -> tuple[Manifest, bytes]:
    """Undo :func:`pack`: exactly three entries in order, size and hash as the manifest says.

    The signature is not checked here; :func:`safelight.vault.manifest.verify` does. Raises
    :class:`SealError` for another shape, :class:`ManifestError` for a wrong size or hash.
    """
    entries = tar.read_tar(raw)
    names = [name for name, _ in entries]
    if len(names) != 3 or names[0] != "manifest.json" or not names[1].startswith("payload"):
        raise SealError("a container holds something else than manifest, payload and pad")
    found = Manifest.from_canonical(entries[0][1])
    (_, payload) = strip_pad(found.kind, entries)[1]
    _check_payload(found, payload)
    return found, payload


def seal_object(
    unsigned: Manifest,
    payload: bytes,
    *,
    signing_seed: bytes,
    recipients: Sequence[str],
    at_least: int = 0,
) -> bytes:
    """Sign the manifest, pack, and seal to ``recipients``: one whole sealed object.

    ``unsigned`` comes from :func:`safelight.vault.manifest.describe` with this payload, whose hash
    is not computed a second time.
    """
    if unsigned.size_bytes != len(payload):
        raise ManifestError("a manifest describes another payload")
    signed = manifest.sign(unsigned, signing_seed)
    return age.seal(_pack(signed, payload, None, at_least), recipients)


def open_object(
    sealed: bytes,
    identity: Identity,
    *,
    asset: str | None,
    kind: Kind,
    owner: str,
    request_nonce: str | None,
    darkroom_key: str,
    recipients_expected: int = 1,
) -> tuple[Manifest, bytes]:
    """Open, unpack and verify one sealed object; what every reader calls.

    Raises :class:`SealError` or :class:`ManifestError`; nothing is returned before all checks.
    """
    raw = age.open_sealed(sealed, [identity], recipients_expected=recipients_expected)
    found, payload = unpack(raw)
    manifest.verify(
        found,
        asset=asset,
        kind=kind,
        owner=owner,
        request_nonce=request_nonce,
        darkroom_key=darkroom_key,
    )
    return found, payload


def _check_payload(found: Manifest, payload: bytes) -> None:
    if found.size_bytes != len(payload):
        raise ManifestError(f"a payload has {len(payload)} bytes, its manifest says otherwise")
    if found.sha256 != sha256_hex(payload):
        raise ManifestError("a payload does not have the hash in its manifest")
