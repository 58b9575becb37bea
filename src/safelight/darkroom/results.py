"""What the keeper makes of finished pictures: signed, sealed objects and a sealed reply."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from safelight.darkroom.admission import Admitted
from safelight.errors import DarkroomError
from safelight.ids import sha256_hex
from safelight.recipe import Recipe
from safelight.records import SealedAsset
from safelight.vault import container, manifest
from safelight.vault.identity import Identity
from safelight.vault.manifest import Kind
from safelight.vault.reply import Meta, Reply, ReplyPicture, pack_reply, words_of
from safelight.vault.request import AssetSlot, SealedRequest, seal_envelope

MAX_REPLY_KINDS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One picture as it came from the engine process. Its repr shows nothing of it."""

    index: int
    seed: int
    media_type: str
    width_px: int
    height_px: int
    full: bytes
    thumb: bytes = b""
    embedding: bytes = b""

    def __repr__(self) -> str:
        return f"<picture {self.index}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How a job was drawn: for the reply and the meta."""

    day: str
    device: str
    model_name: str
    seconds: float


class ReplySizes:
    """The largest reply seen for each kind of request: what later ones are padded to.

    So a refusal has the size class of a result also where results are larger than usual. It
    remembers numbers only, and only while the keeper runs.
    """

    def __init__(self) -> None:
        self._largest: dict[tuple[int, int, int, str], int] = {}

    def at_least(self, request: SealedRequest, payload_bytes: int = 0) -> int:
        """How long a reply must be at least; a result also says how long its payload is."""
        recipe = request.recipe
        count = 0 if request.assets and not request.publish else recipe.count
        kind = (recipe.width_px, recipe.height_px, count, request.format)
        typical = container.typical_result_bytes(*kind[:3])
        if len(self._largest) > MAX_REPLY_KINDS:
            self._largest.clear()
        least = max(typical, payload_bytes, self._largest.get(kind, 0))
        if payload_bytes:
            self._largest[kind] = least
        return least


def seal_assets(admitted: Admitted, drawn: Sequence[Drawn], work: Work) -> list[SealedAsset]:
    """Full, thumb and meta of every kept picture, each sealed to its own asset identity.

    In transit mode the caller gave no identity: one is made here, sealed to the owner, and
    forgotten. Raises :class:`DarkroomError` if there are more pictures than places for them.
    """
    slots = admitted.request.assets
    if not slots:
        return []
    if len(slots) != len(drawn):
        raise DarkroomError(f"{len(drawn)} pictures were drawn for {len(slots)} assets")
    return [
        _seal_asset(admitted, slot, picture, work)
        for slot, picture in zip(slots, drawn, strict=True)
    ]


def _seal_asset(admitted: Admitted, slot: AssetSlot, picture: Drawn, work: Work) -> SealedAsset:
    recipient, envelope = slot.recipient, slot.envelope
    if recipient is None or envelope is None:
        identity = Identity.generate()
        assert admitted.request.owner_recipient is not None  # the request was checked for it
        recipient = identity.recipient
        envelope = seal_envelope(identity, admitted.request.owner_recipient)

    def seal(kind: Kind, payload: bytes, media_type: str) -> bytes:
        return _seal(admitted, work.day, kind, payload, media_type, [recipient], asset=slot.id)

    about = _meta(admitted, slot.id, picture, work)
    return SealedAsset(
        id=slot.id,
        kind="picture",
        full=seal("full", picture.full, picture.media_type),
        thumb=seal("thumb", picture.thumb, "image/webp"),
        meta=seal("meta", about.to_payload(), "application/json"),
        envelope=envelope,
    )


def public_copies(admitted: Admitted, drawn: Sequence[Drawn]) -> tuple[bytes, ...]:
    """The plain pictures, in the order of the assets, if the caller wants them public; else none.

    Only what stands inside the seal counts: nobody outside can ask a darkroom for them.
    """
    request = admitted.request
    if request.retention != "public" or not request.publish:
        return ()
    return tuple(picture.full for picture in drawn)


def seal_reply(admitted: Admitted, drawn: Sequence[Drawn], work: Work, sizes: ReplySizes) -> bytes:
    """The reply of a job that was allowed; off the record it carries the pictures."""
    request = admitted.request
    carries = request.publish or not request.assets
    ids: list[str | None] = [slot.id for slot in request.assets] or [None] * len(drawn)
    reply = _reply(admitted, work, None, tuple(map(_describe, ids, drawn)))
    payload = pack_reply(reply, [picture.full for picture in drawn] if carries else ())
    least = sizes.at_least(request, len(payload))
    return _seal_reply(admitted, work.day, payload, least)


def seal_refusal(admitted: Admitted, category: str, work: Work, sizes: ReplySizes) -> bytes:
    """The reply of a job that was refused: the same shape, recipients and size class."""
    payload = pack_reply(_reply(admitted, work, category, ()))
    return _seal_reply(admitted, work.day, payload, sizes.at_least(admitted.request))


def seal_preview(admitted: Admitted, day: str, picture: bytes) -> bytes:
    """A small WebP preview, for the caller only."""
    recipients = [admitted.request.reply_recipient]
    return _seal(admitted, day, "preview", picture, "image/webp", recipients)


def _seal_reply(admitted: Admitted, day: str, payload: bytes, at_least: int) -> bytes:
    recipients = admitted.reply_recipients
    media_type = "application/x-tar"
    return _seal(admitted, day, "reply", payload, media_type, recipients, at_least=at_least)


def _seal(
    admitted: Admitted,
    day: str,
    kind: Kind,
    payload: bytes,
    media_type: str,
    recipients: list[str],
    *,
    asset: str | None = None,
    at_least: int = 0,
) -> bytes:
    unsigned = manifest.describe(
        payload,
        asset=asset,
        kind=kind,
        owner=admitted.owner,
        request_nonce=admitted.request.request_nonce,
        made_on=day,
        media_type=media_type,
        model=admitted.request.recipe.model,
    )
    seed = admitted.key.signing_seed
    return container.seal_object(
        unsigned, payload, signing_seed=seed, recipients=recipients, at_least=at_least
    )


def _reply(
    admitted: Admitted, work: Work, category: str | None, pictures: tuple[ReplyPicture, ...]
) -> Reply:
    recipe = admitted.request.recipe
    return Reply(
        job=admitted.job,
        verdict="allowed" if category is None else "refused",
        category=category,
        recipe_digest=recipe.digest(),
        model=recipe.model,
        seed=recipe.seed,
        seconds=work.seconds,
        device=work.device,
        pictures=pictures,
    )


def _describe(asset: str | None, picture: Drawn) -> ReplyPicture:
    return ReplyPicture(
        asset=asset,
        seed=picture.seed,
        media_type=picture.media_type,
        width_px=picture.width_px,
        height_px=picture.height_px,
        sha256=sha256_hex(picture.full),
    )


def _meta(admitted: Admitted, asset: str, picture: Drawn, work: Work) -> Meta:
    single: Recipe = admitted.request.recipe.single(picture.index)
    return Meta(
        asset=asset,
        recipe=single,
        words=words_of(single.to_dict()["prompt"]),
        tags=(),
        made_on=work.day,
        model_name=work.model_name,
        width_px=picture.width_px,
        height_px=picture.height_px,
        media_type=picture.media_type,
        seconds=work.seconds,
        device=work.device,
        note=admitted.note,
        embedding=base64.b64encode(picture.embedding).decode("ascii"),
    )
