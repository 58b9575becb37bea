"""The door for callers that cannot seal: the server seals for them and opens what comes back.

What a caller sent in plain form lives in this process's memory while the request lasts, and the
answer says ``transit``. The darkroom gets the same sealed request as from anybody else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from safelight.desk.fleet import Fleet
from safelight.errors import (
    AuthenticationError,
    ConflictError,
    KeyNoteError,
    SealError,
    TransientError,
)
from safelight.ids import Clock, new_id, new_token, utc_day
from safelight.policy.plans import cost_header
from safelight.recipe import Recipe
from safelight.records import Account, ApiKey, CostHeader, Retention
from safelight.secret import Secret
from safelight.settings import Settings
from safelight.vault import age, container, manifest
from safelight.vault.identity import Identity, key_identity
from safelight.vault.notes import verify_key_record, verify_note
from safelight.vault.reply import Reply, unpack_reply
from safelight.vault.request import (
    MAX_DARKROOMS,
    AssetSlot,
    SealedRequest,
    new_nonce,
    seal_request,
    time_text,
)

_MAX_OPEN = 10_000
KEPT_HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedAtDoor:
    """A request as the desk takes it, and the id under which its reply can be opened here."""

    sealed: bytes
    cost: CostHeader
    assets: tuple[str, ...]
    not_after: datetime
    exchange: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """What makes a plain request the same request: who, under which key, with which body."""

    account: str | None
    key: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An opened reply. Its repr shows nothing of it."""

    reply: Reply
    pictures: list[bytes]

    def __repr__(self) -> str:
        return f"<reply of {self.reply.job}>"


@dataclass(frozen=True, slots=True)
class _Exchange:
    identity: Identity
    nonce: str
    owner: str
    signers: tuple[str, ...]
    recipients: int
    key: str | None
    """Id of the API key that asked."""
    until: datetime


class TransitDoor:
    """Seals requests and opens replies. Reply identities live here, in memory, for 24 hours."""

    def __init__(self, fleet: Fleet, settings: Settings, clock: Clock) -> None:
        self._fleet = fleet
        self._settings = settings
        self._clock = clock
        self._open: OrderedDict[str, _Exchange] = OrderedDict()
        self._once: OrderedDict[tuple[str | None, str], tuple[str, str]] = OrderedDict()
        self._tags: dict[str, tuple[str, str]] = {}

    def seal(
        self,
        recipe: Recipe,
        inputs: Mapping[str, bytes],
        *,
        account: Account | None,
        key: ApiKey | None,
        retention: Retention,
        media_type: str,
    ) -> SealedAtDoor:
        """Seal one request to the darkrooms in force.

        A kept result goes to the account's owner; with an API key, to the owner that the key's
        signed record names, and its reply to the key as well. Raises :class:`TransientError`
        while no darkroom has announced a key, :class:`KeyNoteError` for a broken record.
        """
        now = self._clock.now()
        notes, keys = self._darkrooms(now)
        identity, nonce = Identity.generate(), new_nonce()
        owner = account.owner_recipient if account is not None else None
        signer = account.signing_key if account is not None else None
        record = None
        if key is not None and account is not None:
            record = key.record.decode("utf-8")
            owner = verify_key_record(record, account.signing_key).owner_recipient
        if retention != "none" and owner is None:
            raise AuthenticationError("keeping a picture needs an account")
        count = recipe.count if retention != "none" else 0
        slots = tuple(AssetSlot(id=new_id("ast")) for _ in range(count))
        not_after = now + timedelta(minutes=self._settings.not_after_minutes)
        request = SealedRequest(
            request_nonce=nonce,
            not_after=time_text(not_after),
            account_tag=self._tag(account, now),
            owner_recipient=owner,
            owner_signing_key=signer,
            assets=slots,
            reply_recipient=identity.recipient,
            retention=retention,
            recipe=recipe,
            format=media_type,
            publish=retention != "none",  # the reply carries the pictures beside the assets
            key_recipient=key.key_recipient if key is not None else None,
            key_record=record,
            darkroom_notes=tuple(notes),
        )
        exchange = new_token(16)
        self._keep(
            exchange,
            _Exchange(
                identity=identity,
                nonce=nonce,
                owner=owner or identity.recipient,
                signers=tuple(k.signing_key for k in keys),
                recipients=1 if key is None else 2,
                key=key.id if key is not None else None,
                until=now + timedelta(hours=KEPT_HOURS),
            ),
        )
        return SealedAtDoor(
            sealed=seal_request(request, inputs, [k.recipient for k in keys]),
            cost=cost_header(recipe),
            assets=tuple(slot.id for slot in slots),
            not_after=not_after,
            exchange=exchange,
        )

    def remember(self, exchange: str, job: str, once: Once | None) -> None:
        """File an exchange under its job's id, once the desk has taken it."""
        self._open[job] = self._open.pop(exchange)
        if once is not None:
            if len(self._once) >= _MAX_OPEN:
                self._once.popitem(last=False)
            self._once[(once.account, once.key)] = (once.digest, job)

    def earlier(self, once: Once) -> str | None:
        """The job that this caller made before with the same idempotency key and body.

        Sealing twice gives other bytes, so the desk cannot tell that a plain request came again.
        Raises :class:`ConflictError` if the key was used for another body.
        """
        digest, job = self._once.get((once.account, once.key), (None, None))
        if digest is not None and digest != once.digest:
            raise ConflictError(
                "this idempotency key was used for another request",
                hint="make a new key per request",
            )
        return job

    def open(
        self, job: str, sealed: bytes, *, key: ApiKey | None, secret: Secret[str] | None
    ) -> Opened | None:
        """The reply of a transit job, if it can be opened for this caller.

        While this process lives, with the identity it kept: for the account's sessions, or for
        the API key that asked and no other. Afterwards only with that key's ``secret``, from
        which K is derived. None if neither is at hand.
        """
        exchange = self._open.get(job)
        if exchange is not None and exchange.until > self._clock.now():
            if key is not None and key.id != exchange.key:
                return None
            return _open_verified(exchange, sealed)
        if secret is None:
            return None
        try:
            raw = age.open_sealed(sealed, [key_identity(secret.reveal())], recipients_expected=2)
        except SealError:
            return None  # another key of the same account made this job
        # The nonce and the darkroom's key went with the process that knew them; what is left is
        # that the desk kept this file under this job, which is all that transit promises.
        _, payload = container.unpack(raw)
        return _opened(payload)

    def _darkrooms(self, now: datetime) -> tuple[list[str], list[_Key]]:
        notes, keys = [], []
        for text in self._fleet.notes():
            try:
                key = verify_note(text, self._fleet.public_key, now)
            except KeyNoteError:
                continue  # it ended between two announcements
            notes.append(text)
            keys.append(_Key(recipient=key.recipient, signing_key=key.signing_key))
        if not keys:
            raise TransientError("the darkroom is not ready", hint="try again in a few seconds")
        return notes[:MAX_DARKROOMS], keys[:MAX_DARKROOMS]

    def _tag(self, account: Account | None, now: datetime) -> str:
        if account is None:
            return new_token(12)
        day = utc_day(now)
        kept = self._tags.get(account.id)
        if kept is None or kept[0] != day:
            if len(self._tags) > _MAX_OPEN:
                self._tags.clear()
            kept = self._tags[account.id] = (day, new_token(12))
        return kept[1]

    def _keep(self, name: str, exchange: _Exchange) -> None:
        now = self._clock.now()
        while self._open and (
            len(self._open) >= _MAX_OPEN or next(iter(self._open.values())).until <= now
        ):
            self._open.popitem(last=False)
        self._open[name] = exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    recipient: str
    signing_key: str


def _open_verified(exchange: _Exchange, sealed: bytes) -> Opened:
    raw = age.open_sealed(sealed, [exchange.identity], recipients_expected=exchange.recipients)
    found, payload = container.unpack(raw)
    if found.darkroom_key not in exchange.signers:
        raise KeyNoteError("a reply is signed by a darkroom that was not asked")
    manifest.verify(
        found,
        asset=None,
        kind="reply",
        owner=exchange.owner,
        request_nonce=exchange.nonce,
        darkroom_key=found.darkroom_key,
    )
    return _opened(payload)


def _opened(payload: bytes) -> Opened:
    reply, pictures = unpack_reply(payload)
    return Opened(reply=reply, pictures=pictures)
