"""Uploads: a person's own picture, cleaned, signed and sealed here before it is sent."""

from __future__ import annotations

from safelight import pictures
from safelight.client import index
from safelight.client.library import one
from safelight.client.link import Link, need_session
from safelight.client.opening import Kept, entry_of
from safelight.errors import ConflictError, TooLargeError
from safelight.ids import b64, new_id, utc_day
from safelight.vault import container
from safelight.vault.head import NO_NONCE
from safelight.vault.identity import Identity, OwnerKeys
from safelight.vault.manifest import Kind, describe
from safelight.vault.reply import Meta, words_of
from safelight.vault.request import seal_envelope

MAX_BYTES = 60 * 1024 * 1024
"""Of the cleaned picture: a container holds 64 MiB."""


def upload(link: Link, keys: OwnerKeys, data: bytes, *, words: str = "") -> str:
    """Keep a PNG, JPEG or WebP file as the owner's own asset; returns its id.

    Only its pixels go on: EXIF, place, comments and colour profile are left behind, and nothing
    knows the file's name. ``words`` are what it can be found by. The owner signs it, so it opens
    and verifies like any other asset. Raises :class:`PictureError` or :class:`TooLargeError`
    before anything is sent.
    """
    need_session(link)
    picture = pictures.clean(data)
    if len(picture.data) > MAX_BYTES:
        raise TooLargeError(f"the picture has over {MAX_BYTES} bytes without its metadata")
    asset, identity = new_id("ast"), Identity.generate()
    day = utc_day(link.clock.now())
    meta = Meta(
        asset=asset,
        recipe=None,
        words=words_of(words),
        tags=(),
        made_on=day,
        model_name="",
        width_px=picture.width_px,
        height_px=picture.height_px,
        media_type=picture.media_type,
        seconds=0.0,
        device="",
        note=None,
    )

    def seal(kind: Kind, payload: bytes, media_type: str) -> tuple[str, bytes, str]:
        unsigned = describe(
            payload,
            asset=asset,
            kind=kind,
            owner=keys.recipient,
            request_nonce=NO_NONCE,
            made_on=day,
            media_type=media_type,
        )
        sealed = container.seal_object(
            unsigned, payload, signing_seed=keys.signing_seed, recipients=[identity.recipient]
        )
        return kind, sealed, "application/age"

    files = {
        "asset": (None, asset),
        "kind": (None, "upload"),
        "envelope": (None, b64(seal_envelope(identity, keys.recipient))),
        "full": seal("full", picture.data, picture.media_type),
        "thumb": seal("thumb", pictures.thumbnail(picture), "image/webp"),
        "meta": seal("meta", meta.to_payload(), "application/json"),
    }
    try:
        # A crash after this leaves an asset outside the index: Note [index order].
        link.wire.call("PUT", "/api/v1/assets", files=files, headers={"Idempotency-Key": asset})
    except ConflictError:
        one(link, asset)  # the line broke after it was kept, and it was sent again
    kept = Kept(asset=asset, identity=identity, nonce=NO_NONCE, signer=keys.signing_public_hex)
    index.add(link, keys, [entry_of(meta, kept)])
    return asset
