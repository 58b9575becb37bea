"""Making a picture through a server, sealed: seal, submit, follow, open, verify.

Note [seal again]
    A darkroom's keys live in memory only. When they are gone (``darkroom-key-lost``), or a server
    that kept an off-the-record job in memory was restarted, the request is sealed again to the
    keys in force and sent under the same idempotency key. Asset identities, the reply identity and
    the seed stay, so it is the same picture in the same place, and never two of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from safelight.client import index
from safelight.client.guard import error_by_code
from safelight.client.link import Link, take_text
from safelight.client.opening import Expected, Kept, Opener, entry_of, open_expected
from safelight.client.wire import Event
from safelight.errors import (
    AuthenticationError,
    DarkroomKeyLostError,
    KeyNoteError,
    ManifestError,
    NotFoundError,
    RefusedError,
    SealError,
    TransientError,
)
from safelight.ids import canonical_json, new_id, new_token, sha256_hex, unb64, utc_day
from safelight.policy.plans import cost_header
from safelight.recipe import Recipe
from safelight.records import Protection, Retention
from safelight.vault.identity import Identity, OwnerKeys, derive
from safelight.vault.notes import DarkroomKey, verify_note
from safelight.vault.reply import Reply, unpack_reply
from safelight.vault.request import (
    MAX_DARKROOMS,
    AssetSlot,
    SealedRequest,
    new_nonce,
    seal_envelope,
    seal_request,
    time_text,
)

ATTEMPTS = 4
READY_SECONDS = 180.0
NOT_AFTER_MINUTES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for, beside the recipe."""

    recipe: Recipe
    inputs: Mapping[str, bytes] = field(default_factory=dict)
    retention: Retention = "none"
    media_type: str = "image/png"
    previews: bool = False

    def __repr__(self) -> str:
        return f"<wish {self.retention}>"


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


@dataclass(slots=True)
class _Exchange:
    """What stays the same however often the request is sealed again."""

    keys: OwnerKeys | None
    slots: tuple[tuple[AssetSlot, Identity], ...]
    reply_identity: Identity
    idempotency_key: str
    nonces: set[str]
    signers: set[str]
    ticket: str | None = None

    @property
    def owner(self) -> str:
        return self.keys.recipient if self.keys else self.reply_identity.recipient

    def expected(self, kind: Any, asset: str | None = None) -> Expected:
        return Expected(
            asset=asset,
            kind=kind,
            owner=self.owner,
            nonces=frozenset(self.nonces),
            signers=frozenset(self.signers),
        )


def generate(
    link: Link, wish: Wish, watcher: Watcher | None = None, *, idempotency_key: str | None = None
) -> Made:
    """Make, open and verify; kept pictures also enter the index.

    Raises :class:`RefusedError` for a refusal, the job's own error if it failed,
    :class:`KeyNoteError` before anything is sent if no darkroom note can be trusted, and
    :class:`IntegrityError` for a result that is not what was asked.
    """
    exchange = _begin(link, wish, idempotency_key or new_token(18))
    for attempt in range(ATTEMPTS):
        job = _submit(link, wish, exchange)
        try:
            reply = _follow(link, job, exchange, watcher or Watcher())
            return _finish(link, wish, exchange, job, reply)
        except (DarkroomKeyLostError, NotFoundError) as error:
            lost = error  # Note [seal again]
            if attempt == ATTEMPTS - 1:
                raise
    raise lost


def darkrooms(link: Link, *, sleep: Callable[[float], None] = time.sleep) -> list[DarkroomKey]:
    """The darkroom keys in force, checked against the pinned fleet key; at most three.

    Waits for a darkroom that is warming up. Raises :class:`KeyNoteError` if the server shows
    notes and none can be trusted, :class:`TransientError` after three minutes without one.
    """
    return [key for _, key in _notes(link, sleep)]


def _notes(link: Link, sleep: Callable[[float], None]) -> list[tuple[str, DarkroomKey]]:
    waited = 0.0
    while True:
        answer = link.wire.get("/api/v1/darkrooms")
        pinned = link.profile.pin_fleet(link.origin, take_text(answer, "fleet_key")).fleet_keys[-1]
        texts = [text for text in answer.get("notes", []) if isinstance(text, str)]
        good, bad = [], None
        for text in texts:
            try:
                good.append((text, verify_note(text, pinned, link.clock.now())))
            except KeyNoteError as error:
                bad = error
        if good:
            return good[:MAX_DARKROOMS]
        if bad is not None:
            raise bad
        if waited >= READY_SECONDS:
            raise TransientError("no darkroom is ready", hint="ask the operator")
        sleep(0.25)
        waited += 0.25


def _begin(link: Link, wish: Wish, idempotency_key: str) -> _Exchange:
    keys = link.keys_or_none()
    if wish.retention != "none" and keys is None:
        raise AuthenticationError(
            "keeping a picture needs an account", hint="run `safelight account create`"
        )
    slots: list[tuple[AssetSlot, Identity]] = []
    for _ in range(wish.recipe.count if wish.retention != "none" and keys else 0):
        assert keys is not None  # checked above
        made = Identity.generate()
        slot = AssetSlot(
            id=new_id("ast"),
            recipient=made.recipient,
            envelope=seal_envelope(made, keys.recipient),
        )
        slots.append((slot, made))
    return _Exchange(
        keys=keys,
        slots=tuple(slots),
        reply_identity=Identity.generate(),
        idempotency_key=idempotency_key,
        nonces=set(),
        signers=set(),
    )


def _submit(link: Link, wish: Wish, exchange: _Exchange) -> str:
    notes = _notes(link, time.sleep)
    now, keys, nonce = link.clock.now(), exchange.keys, new_nonce()
    request = SealedRequest(
        request_nonce=nonce,
        not_after=time_text(now + timedelta(minutes=NOT_AFTER_MINUTES)),
        account_tag=_tag(keys, utc_day(now)),
        owner_recipient=None if keys is None else keys.recipient,
        owner_signing_key=None if keys is None else keys.signing_public_hex,
        assets=tuple(slot for slot, _ in exchange.slots),
        reply_recipient=exchange.reply_identity.recipient,
        retention=wish.retention,
        recipe=wish.recipe,
        format=wish.media_type,
        previews=wish.previews,
        publish=wish.retention == "public",
        darkroom_notes=tuple(text for text, _ in notes),
    )
    exchange.nonces.add(nonce)
    exchange.signers.update(key.signing_key for _, key in notes)
    sealed = seal_request(request, wish.inputs, [key.recipient for _, key in notes])
    headers = {
        "Safelight-Cost": canonical_json(cost_header(wish.recipe).to_dict()).decode("ascii"),
        "Safelight-Retention": wish.retention,
        "Safelight-Assets": ",".join(slot.id for slot, _ in exchange.slots),
        "Safelight-Previews": "1" if wish.previews else "0",
        "Idempotency-Key": exchange.idempotency_key,
    }
    answer = link.wire.call("POST", "/api/v1/jobs", content=sealed, headers=headers).json()
    ticket = answer.get("ticket")
    exchange.ticket = ticket if isinstance(ticket, str) else exchange.ticket
    job = answer.get("job")
    return take_text(job if isinstance(job, dict) else {}, "id")


def _follow(link: Link, job: str, exchange: _Exchange, watcher: Watcher) -> bytes | None:
    """Follow a job to its end: the sealed reply, or None if the server no longer has it."""
    for event in link.wire.events(f"/api/v1/jobs/{job}/events", _ticket(exchange)):
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


def _late_reply(link: Link, job: str, exchange: _Exchange) -> bytes | None:
    answer = link.wire.call("GET", f"/api/v1/jobs/{job}", headers=_ticket(exchange)).json()
    text = answer.get("reply")
    return unb64(text) if isinstance(text, str) else None


def _ticket(exchange: _Exchange) -> dict[str, str]:
    return {} if exchange.ticket is None else {"Safelight-Ticket": exchange.ticket}


def _finish(link: Link, wish: Wish, exchange: _Exchange, job: str, sealed: bytes | None) -> Made:
    if sealed is None:
        raise NotFoundError("the server no longer has the reply of this job")
    _, payload = open_expected(sealed, exchange.reply_identity, exchange.expected("reply"))
    reply, pictures = unpack_reply(payload)
    if reply.recipe_digest != wish.recipe.digest():
        raise ManifestError("a reply answers another recipe than was asked")
    if reply.verdict == "refused":
        raise RefusedError(reply.category or "unnamed")
    if len(reply.pictures) != wish.recipe.count:
        raise ManifestError(f"{len(reply.pictures)} pictures came for {wish.recipe.count}")
    if exchange.slots:
        made = _open_kept(link, exchange, reply)
    elif len(pictures) == len(reply.pictures):
        made = _describe(reply, pictures)
    else:
        raise SealError("a reply came without its pictures")
    return Made(
        job=job,
        pictures=made,
        recipe_digest=reply.recipe_digest,
        seed=reply.seed,
        seconds=reply.seconds,
        device=reply.device,
        retention=wish.retention,
    )


def _describe(reply: Reply, pictures: list[bytes]) -> tuple[MadePicture, ...]:
    return tuple(
        MadePicture(
            asset=about.asset,
            seed=about.seed,
            media_type=about.media_type,
            width_px=about.width_px,
            height_px=about.height_px,
            data=data,
        )
        for about, data in zip(reply.pictures, pictures, strict=True)
    )


def _open_kept(link: Link, exchange: _Exchange, reply: Reply) -> tuple[MadePicture, ...]:
    """Fetch what was kept, check that it is what the reply says, and put it into the index."""
    assert exchange.keys is not None  # slots exist only with an owner
    opener, pictures, entries = Opener(link, exchange.keys), list[bytes](), []
    for (slot, identity), about in zip(exchange.slots, reply.pictures, strict=True):
        if about.asset != slot.id:
            raise ManifestError("a reply names another asset than was asked")
        expected = exchange.expected("full", slot.id)
        sealed = link.wire.blob(f"/api/v1/assets/{slot.id}/full")
        found, data = open_expected(sealed, identity, expected)
        if sha256_hex(data) != about.sha256:
            raise ManifestError("a kept picture is not the one that the reply describes")
        pictures.append(data)
        kept = Kept(
            asset=slot.id,
            identity=identity,
            nonce=found.request_nonce,
            signer=found.darkroom_key,
        )
        entries.append(entry_of(opener.meta(kept), kept))
    index.add(link, exchange.keys, entries)
    return _describe(reply, pictures)


def _tag(keys: OwnerKeys | None, day: str) -> str:
    """The same for one account and day, and tells nobody whose it is."""
    if keys is None:
        return new_token(12)
    return derive(keys.signing_seed, f"safelight/account-tag/v1/{day}", 12).hex()
