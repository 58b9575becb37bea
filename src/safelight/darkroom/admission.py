"""The keeper's questions before anything is drawn: may this request be worked on, and as what?

Note [unpriced]
    The desk charges by the cost header outside the seal and cannot look inside. So the keeper
    compares it with what the recipe costs; a difference fails the job, and nothing is charged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from safelight.darkroom.keyring import KeyRing, SecretKey
from safelight.errors import CostMismatchError, KeyNoteError, ReplayedError, SealError
from safelight.ids import Clock, sha256_hex
from safelight.policy.content import check_text
from safelight.policy.plans import cost_header
from safelight.vault.notes import verify_key_record
from safelight.vault.request import SealedRequest, check_fresh

MAX_REMEMBERED_NONCES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """An opened request that may be worked on, and the key that opened it and will sign."""

    job: str
    key: SecretKey
    request: SealedRequest
    inputs: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"<admitted {self.job}>"

    @property
    def owner(self) -> str:
        """Whom manifests name: the owner's recipient, or a guest's reply recipient."""
        return self.request.owner_recipient or self.request.reply_recipient

    @property
    def reply_recipients(self) -> list[str]:
        """Who may open the reply: the caller, and the API key that asked if one did."""
        extra = [self.request.key_recipient] if self.request.key_recipient else []
        return [self.request.reply_recipient, *extra]

    @property
    def note(self) -> str | None:
        """The signed note of this darkroom's key, if the caller sent it along."""
        line = f"recipient {self.key.public.recipient}"
        notes = self.request.darkroom_notes
        return next((note for note in notes if line in note.split("\n")), None)


class Admission:
    """Opens and checks. Remembers nonces (of requests still in time) and nothing else."""

    def __init__(self, keys: KeyRing, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._taken: dict[str, tuple[datetime, str, str]] = {}

    def admit(self, job: str, cost: Mapping[str, Any], sealed: bytes) -> Admitted:
        """Open a request, and check it except for its words.

        Raises :class:`DarkroomKeyLostError`, :class:`SealError`, :class:`RecipeError`,
        :class:`ExpiredError`, :class:`ReplayedError`, :class:`KeyNoteError` or
        :class:`CostMismatchError`.
        """
        key, request, inputs = self._keys.open(sealed)
        check_fresh(request, self._clock.now())
        self._take_once(job, request, sha256_hex(sealed))
        if cost_header(request.recipe).to_dict() != dict(cost):  # Note [unpriced]
            raise CostMismatchError("the cost header is not what the recipe costs")
        _check_key_record(request, self._clock.now())
        return Admitted(job=job, key=key, request=request, inputs=inputs)

    def check_words(self, admitted: Admitted) -> None:
        """The content rules over prompt and negative prompt. Raises :class:`RefusedError`."""
        recipe = admitted.request.recipe
        check_text(recipe.prompt, recipe.negative_prompt)

    def _take_once(self, job: str, request: SealedRequest, digest: str) -> None:
        """A nonce belongs to one job and one sealed request, for as long as it is in time.

        The same job may come again with the same bytes: its engine was killed, or its lease ran
        out. It gives the same picture to the same owner.
        """
        now = self._clock.now()
        if len(self._taken) >= MAX_REMEMBERED_NONCES:
            self._forget(now)
        seen = self._taken.get(request.request_nonce)
        if seen is not None and seen[1:] != (job, digest):
            raise ReplayedError("the request was taken before, for another job")
        self._taken[request.request_nonce] = (request.expires_at(), job, digest)

    def _forget(self, now: datetime) -> None:
        # Past its time a request is refused for that, so its nonce need not be known any more.
        self._taken = {n: seen for n, seen in self._taken.items() if seen[0] >= now}

    def forget_old(self) -> None:
        """Drop the nonces of requests that are past their time."""
        self._forget(self._clock.now())


def _check_key_record(request: SealedRequest, now: datetime) -> None:
    """With an API key, the recipients must be those that the owner signed for it."""
    if request.key_recipient is None and request.key_record is None:
        return
    if request.key_record is None or request.owner_signing_key is None:
        raise SealError("an API key's request lacks the owner's record")
    record = verify_key_record(request.key_record, request.owner_signing_key)
    if record.key_recipient != request.key_recipient:
        raise KeyNoteError("an API key's record names another key recipient")
    if request.owner_recipient not in (None, record.owner_recipient):
        raise KeyNoteError("an API key's record names another owner")
    if record.expires_at is not None and now > record.expires_at:
        raise KeyNoteError("an API key's record has expired")
