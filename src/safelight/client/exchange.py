"""One exchange with a darkroom: what is asked, sealed to whom, and what may come back.

What stays the same however often a request is sealed again is in :class:`Exchange`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from safelight.client.keys import own_record
from safelight.client.link import Link, take_text
from safelight.client.opening import Expected
from safelight.errors import AuthenticationError, KeyNoteError, TransientError
from safelight.ids import canonical_json, new_id, new_token, utc_day
from safelight.policy.plans import cost_header
from safelight.recipe import Recipe
from safelight.records import Retention
from safelight.vault.identity import Identity, OwnerKeys, derive
from safelight.vault.manifest import Kind
from safelight.vault.notes import DarkroomKey, KeyRecord, verify_note
from safelight.vault.request import (
    MAX_DARKROOMS,
    AssetSlot,
    SealedRequest,
    new_nonce,
    seal_envelope,
    seal_request,
    time_text,
)

READY_SECONDS = 180.0
NOT_AFTER_MINUTES = 60
NOTE_MARGIN_SECONDS = 300
"""A note that is announced for longer than this is used again without asking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for: a recipe, its input files by digest, and what becomes of the result."""

    recipe: Recipe
    inputs: Mapping[str, bytes] = field(default_factory=dict)
    retention: Retention = "none"
    media_type: str = "image/png"
    previews: bool = False

    def __repr__(self) -> str:
        return f"<wish {self.retention}>"


@dataclass(slots=True, kw_only=True)
class Exchange:
    """Identities and keys of one exchange; its repr shows none of them."""

    keys: OwnerKeys | None
    record: tuple[str, KeyRecord] | None = None
    """With an API key that keeps: its owner's signed record, as text and read."""
    reply_identity: Identity
    idempotency_key: str
    slots: tuple[tuple[AssetSlot, Identity], ...] = ()
    nonces: set[str] = field(default_factory=set)
    signers: set[str] = field(default_factory=set)
    """Signing keys of every darkroom that this was sealed to."""
    ticket: str | None = None
    """A guest's proof that the job is theirs."""

    def __repr__(self) -> str:
        return "<exchange>"

    @property
    def owner(self) -> str:
        """Whom manifests must name."""
        return self.owner_recipient or self.reply_identity.recipient

    @property
    def owner_recipient(self) -> str | None:
        """O, to which what is kept is sealed."""
        if self.record is not None:
            return self.record[1].owner_recipient
        return None if self.keys is None else self.keys.recipient

    @property
    def owner_signing_key(self) -> str | None:
        """The owner's Ed25519 key."""
        if self.record is not None:
            return self.record[1].owner_signing_key
        return None if self.keys is None else self.keys.signing_public_hex

    @property
    def reply_readers(self) -> int:
        """How many may open the reply: an API key that keeps may as well."""
        return 1 if self.record is None else 2

    def expected(self, kind: Kind, asset: str | None = None) -> Expected:
        """What an object of this exchange must say."""
        return Expected(
            asset=asset,
            kind=kind,
            owners=frozenset({self.owner}),
            nonces=frozenset(self.nonces),
            signers=frozenset(self.signers),
        )

    def assets(self, count: int) -> list[str | None]:
        """The asset of each of ``count`` pictures; None where nothing is kept."""
        return [slot.id for slot, _ in self.slots] or [None] * count

    def ticket_header(self) -> dict[str, str]:
        """The header that a guest's calls about the job carry."""
        return {} if self.ticket is None else {"Safelight-Ticket": self.ticket}


def begin(link: Link, wish: Wish, idempotency_key: str) -> Exchange:
    """Make the identities of an exchange, one for each picture that is kept.

    Raises :class:`AuthenticationError` if something is to be kept and the vault is locked.
    """
    keys, record = link.keys_or_none(), None
    if wish.retention != "none" and link.api_key is not None:
        record = own_record(link)
    elif wish.retention != "none" and keys is None:
        if link.pins().account is not None:
            keys = link.keys()  # says that the vault is locked, and how to unlock it
        raise AuthenticationError(
            "keeping a picture needs an account", hint="run `safelight account create`"
        )
    exchange = Exchange(
        keys=keys,
        record=record,
        reply_identity=Identity.generate(),
        idempotency_key=idempotency_key,
    )
    owner = exchange.owner_recipient
    slots: list[tuple[AssetSlot, Identity]] = []
    for _ in range(wish.recipe.count if wish.retention != "none" else 0):
        assert owner is not None  # checked above
        made = Identity.generate()
        envelope = seal_envelope(made, owner)
        slot = AssetSlot(id=new_id("ast"), recipient=made.recipient, envelope=envelope)
        slots.append((slot, made))
    exchange.slots = tuple(slots)
    return exchange


def submit(link: Link, wish: Wish, exchange: Exchange) -> str:
    """Seal to the darkroom keys in force and submit; returns the job's id.

    Raises :class:`KeyNoteError` before anything is sealed if no darkroom note can be trusted.
    """
    notes = trusted_notes(link)
    now, nonce, record = link.clock.now(), new_nonce(), exchange.record
    request = SealedRequest(
        request_nonce=nonce,
        not_after=time_text(now + timedelta(minutes=NOT_AFTER_MINUTES)),
        account_tag=_tag(link, exchange.keys, utc_day(now)),
        owner_recipient=exchange.owner_recipient,
        owner_signing_key=exchange.owner_signing_key,
        assets=tuple(slot for slot, _ in exchange.slots),
        reply_recipient=exchange.reply_identity.recipient,
        retention=wish.retention,
        recipe=wish.recipe,
        format=wish.media_type,
        previews=wish.previews,
        # A key cannot open what it keeps, so its reply carries the pictures beside the assets.
        publish=wish.retention == "public" or record is not None,
        key_recipient=None if record is None else record[1].key_recipient,
        key_record=None if record is None else record[0],
        darkroom_notes=tuple(text for text, _ in notes),
    )
    exchange.nonces.add(nonce)
    exchange.signers.update(key.signing_key for _, key in notes)
    sealed = seal_request(request, wish.inputs, [key.recipient for _, key in notes])
    headers = {
        "Safelight-Cost": canonical_json(cost_header(wish.recipe).to_dict()).decode("ascii"),
        "Safelight-Retention": wish.retention,
        "Safelight-Assets": ",".join(slot.id for slot, _ in exchange.slots),
        "Idempotency-Key": exchange.idempotency_key,
    }
    answer = link.wire.call("POST", "/api/v1/jobs", content=sealed, headers=headers).json()
    ticket = answer.get("ticket")
    exchange.ticket = ticket if isinstance(ticket, str) else exchange.ticket
    job = answer.get("job")
    return take_text(job if isinstance(job, dict) else {}, "id")


def trusted_notes(
    link: Link, *, sleep: Callable[[float], None] = time.sleep
) -> list[tuple[str, DarkroomKey]]:
    """The darkroom notes in force, checked against the pinned fleet key; one to three.

    Those of a moment ago are used again while they have five minutes left.

    Waits for a darkroom that is warming up. Raises :class:`KeyNoteError` if the server shows
    notes and none can be trusted, :class:`TransientError` after three minutes without one.
    """
    ahead = link.clock.now() + timedelta(seconds=NOTE_MARGIN_SECONDS)
    if link.notes and all(ahead < key.announced_until for _, key in link.notes):
        return list(link.notes)
    waited = 0.0
    while True:
        answer = link.wire.get("/api/v1/darkrooms")
        pinned = link.profile.pin_fleet(link.origin, take_text(answer, "fleet_key")).fleet_keys[-1]
        good: list[tuple[str, DarkroomKey]] = []
        bad: KeyNoteError | None = None
        for text in answer.get("notes", []):
            try:
                good.append((text, verify_note(str(text), pinned, link.clock.now())))
            except KeyNoteError as error:
                bad = error
        if good:
            link.notes[:] = good[:MAX_DARKROOMS]
            return list(link.notes)
        if bad is not None:
            raise bad
        if waited >= READY_SECONDS:
            raise TransientError("no darkroom is ready", hint="ask the operator")
        sleep(0.25)
        waited += 0.25


def _tag(link: Link, keys: OwnerKeys | None, day: str) -> str:
    """The same for one account or key and day, and tells nobody whose it is."""
    if link.api_key is not None:
        secret = link.api_key.reveal().encode()
    elif keys is not None:
        secret = keys.signing_seed
    else:
        return new_token(12)
    return derive(secret, f"safelight/account-tag/v1/{day}", 12).hex()
