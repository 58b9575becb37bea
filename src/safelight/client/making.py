"""Making a picture through a server, sealed: seal, submit, follow, open, verify.

Note [seal again]
    A darkroom's keys live in memory only. When they are gone (``darkroom-key-lost``), or a server
    that kept an off-the-record job in memory was restarted, the request is sealed again to the
    keys in force and sent under the same idempotency key. Asset identities, the reply identity and
    the seed stay, so it is the same picture in the same place, and never two of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from safelight.client import index
from safelight.client.exchange import Exchange, Wish, begin, submit
from safelight.client.guard import error_by_code
from safelight.client.link import Link, take_text
from safelight.client.opening import Kept, Opener, entry_of, open_expected
from safelight.client.wire import Event
from safelight.errors import (
    DarkroomKeyLostError,
    ManifestError,
    NotFoundError,
    RefusedError,
    SealError,
    TransientError,
)
from safelight.ids import new_token, sha256_hex, unb64
from safelight.records import Protection, Retention
from safelight.vault.reply import Reply, ReplyPicture, unpack_reply

ATTEMPTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePicture:
    """One picture, opened and checked. ``asset`` is its id if it was kept."""

    asset: str | None
    seed: int
    media_type: str
    width_px: int
    height_px: int
    data: bytes

    def __repr__(self) -> str:
        return f"<picture {self.asset or 'off the record'}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A finished job."""

    job: str
    pictures: tuple[MadePicture, ...]
    recipe_digest: str
    model: str
    seed: int
    seconds: float
    device: str
    retention: Retention
    protection: Protection = "sealed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who is told what: events as they come, and previews already opened."""

    event: Callable[[Event], None] | None = None
    preview: Callable[[bytes], None] | None = None


def generate(
    link: Link, wish: Wish, watcher: Watcher | None = None, *, idempotency_key: str | None = None
) -> Made:
    """Make, open and verify; kept pictures also enter the index.

    Raises :class:`RefusedError` for a refusal, the job's own error if it failed,
    :class:`KeyNoteError` before anything is sent if no darkroom note can be trusted, and
    :class:`IntegrityError` for a result that is not what was asked.
    """
    exchange = begin(link, wish, idempotency_key or new_token(18))
    for attempt in range(1, ATTEMPTS + 1):
        job = submit(link, wish, exchange)
        try:
            return _finish(link, wish, exchange, job, _follow(link, job, exchange, watcher))
        except (DarkroomKeyLostError, NotFoundError):
            link.notes.clear()  # they may be those of a darkroom that is gone
            if attempt == ATTEMPTS:
                raise  # Note [seal again]
    raise AssertionError("unreachable")


def _follow(link: Link, job: str, exchange: Exchange, watcher: Watcher | None) -> bytes | None:
    """Follow a job to its end: the sealed reply, or None if the server no longer has it."""
    watcher = watcher or Watcher()
    for event in link.wire.events(f"/api/v1/jobs/{job}/events", exchange.ticket_header()):
        if watcher.event is not None:
            watcher.event(event)
        if event.type == "preview" and watcher.preview is not None:
            sealed = unb64(take_text(event.data, "sealed"))
            expected = exchange.expected("preview")
            watcher.preview(open_expected(sealed, exchange.reply_identity, expected)[1])
        elif event.type == "failed":
            raise error_by_code(str(event.data.get("code")), event.data.get("hint"))
        elif event.type == "cancelled":
            raise error_by_code("cancelled", None)
        elif event.type in ("done", "refused"):
            text = event.data.get("reply")
            return unb64(text) if isinstance(text, str) else _late_reply(link, job, exchange)
    raise TransientError("the job's events ended early")


def _late_reply(link: Link, job: str, exchange: Exchange) -> bytes | None:
    answer = link.wire.call("GET", f"/api/v1/jobs/{job}", headers=exchange.ticket_header()).json()
    text = answer.get("reply")
    return unb64(text) if isinstance(text, str) else None


def _finish(link: Link, wish: Wish, exchange: Exchange, job: str, sealed: bytes | None) -> Made:
    reply, pictures = None, list[bytes]()
    if sealed is not None:
        expected = exchange.expected("reply")
        _, payload = open_expected(
            sealed, exchange.reply_identity, expected, recipients=exchange.reply_readers
        )
        reply, pictures = unpack_reply(payload)
        _check_reply(wish, reply)
    if exchange.slots and exchange.record is None:
        # The reply may be gone (it lives in memory); what was kept speaks for itself.
        made, seconds, device = _open_kept(link, wish, exchange, reply)
    elif reply is None:
        raise NotFoundError("the server no longer has the reply of this job")
    elif [p.asset for p in reply.pictures] != exchange.assets(wish.recipe.count):
        raise ManifestError("a reply names other assets than were asked for")
    elif len(pictures) != len(reply.pictures):
        raise SealError("a reply came without its pictures")
    else:
        made = tuple(map(_made, reply.pictures, pictures))
        seconds, device = reply.seconds, reply.device
    return Made(
        job=job,
        pictures=made,
        recipe_digest=wish.recipe.digest(),
        model=wish.recipe.model,
        seed=wish.recipe.seed,
        seconds=seconds,
        device=device,
        retention=wish.retention,
    )


def _check_reply(wish: Wish, reply: Reply) -> None:
    if reply.recipe_digest != wish.recipe.digest():
        raise ManifestError("a reply answers another recipe than was asked")
    if reply.verdict == "refused":
        raise RefusedError(reply.category or "unnamed")
    if len(reply.pictures) != wish.recipe.count:
        raise ManifestError(f"{len(reply.pictures)} pictures came for {wish.recipe.count}")


def _made(about: ReplyPicture, data: bytes) -> MadePicture:
    return MadePicture(
        asset=about.asset,
        seed=about.seed,
        media_type=about.media_type,
        width_px=about.width_px,
        height_px=about.height_px,
        data=data,
    )


def _open_kept(
    link: Link, wish: Wish, exchange: Exchange, reply: Reply | None
) -> tuple[tuple[MadePicture, ...], float, str]:
    """Fetch what was kept, check that it is what was asked, and put it into the index."""
    assert exchange.keys is not None  # slots exist only with an owner
    opener, made, entries = Opener(link, exchange.keys), list[MadePicture](), []
    seconds, device = 0.0, ""
    for i, (slot, identity) in enumerate(exchange.slots):
        sealed = link.wire.blob(f"/api/v1/assets/{slot.id}/full")
        found, data = open_expected(sealed, identity, exchange.expected("full", slot.id))
        kept = Kept(
            asset=slot.id,
            identity=identity,
            nonce=found.request_nonce,
            signer=found.darkroom_key,
        )
        meta = opener.meta(kept)
        if meta.recipe is None or meta.recipe != wish.recipe.single(i):
            raise ManifestError("a kept picture was made from another recipe than was asked")
        about = ReplyPicture(
            asset=slot.id,
            seed=meta.recipe.seed,
            media_type=found.media_type,
            width_px=meta.width_px,
            height_px=meta.height_px,
            sha256=sha256_hex(data),
        )
        if reply is not None and reply.pictures[i] != about:
            raise ManifestError("a kept picture is not the one that the reply describes")
        made.append(_made(about, data))
        entries.append(entry_of(meta, kept))
        seconds, device = meta.seconds, meta.device
    index.add(link, exchange.keys, entries)
    return tuple(made), seconds, device
