"""A darkroom's keys: made in memory, announced for a while, kept a while longer, dropped.

Note [when a key goes]
    A key is announced for ``announced_seconds``; a request may be sealed to it until then, and
    waits ``kept_seconds`` at most. So from ``keeps_until`` on no request can need the key, and it
    is wiped. A job that is being worked on at that moment has been opened already. Wiping drops
    every reference; Python cannot promise that no copy is left in freed memory, and
    ``docs/threat-model.md`` says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from safelight.errors import DarkroomKeyLostError, SealError
from safelight.ids import Clock
from safelight.vault.age import open_sealed, stanza_types
from safelight.vault.identity import Identity, public_hex
from safelight.vault.notes import DarkroomKey
from safelight.vault.request import SealedRequest, read_request


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKey:
    """Both secret halves of an announced key. Its repr shows the public half only."""

    public: DarkroomKey
    identity: Identity
    signing_seed: bytes

    def __repr__(self) -> str:
        return f"<key {self.public.recipient}>"


class KeyRing:
    """The keys of one darkroom, newest first. Nothing of it is ever written."""

    def __init__(
        self,
        darkroom: str,
        clock: Clock,
        *,
        announced_seconds: float,
        kept_seconds: float,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._darkroom = darkroom
        self._clock = clock
        self._announced = timedelta(seconds=announced_seconds)
        self._kept = timedelta(seconds=kept_seconds)
        self._random = random
        self._keys: list[SecretKey] = []

    def __len__(self) -> int:
        return len(self._keys)

    def make(self) -> DarkroomKey:
        """Make the key to announce from now on, and return its public half."""
        now = self._clock.now().replace(microsecond=0)
        identity = Identity.generate(random=self._random)
        seed = self._random(32)
        public = DarkroomKey(
            darkroom=self._darkroom,
            recipient=identity.recipient,
            signing_key=public_hex(seed),
            not_before=now,
            announced_until=now + self._announced,
            keeps_until=now + self._announced + self._kept,
        )
        self._keys.insert(0, SecretKey(public=public, identity=identity, signing_seed=seed))
        return public

    def is_due(self) -> bool:
        """Whether a new key should be announced: half of the newest one's time is over."""
        if not self._keys:
            return True
        newest = self._keys[0].public
        age = self._clock.now() - newest.not_before
        # A clock that jumped back must not leave clients with a note from the future.
        return age >= self._announced / 2 or age < timedelta(seconds=-1)

    def tick_seconds(self, at_most: float) -> float:
        """How long to wait before asking :meth:`is_due` again."""
        return min(at_most, self._announced.total_seconds() / 8)

    def wipe(self) -> int:
        """Drop the keys that no request can need any more; see Note [when a key goes]."""
        now = self._clock.now()
        before = len(self._keys)
        self._keys = [key for key in self._keys if now <= key.public.keeps_until]
        return before - len(self._keys)

    def open(self, sealed: bytes) -> tuple[SecretKey, SealedRequest, dict[str, bytes]]:
        """Open a sealed request with whichever key it was sealed to.

        Raises :class:`DarkroomKeyLostError` if none here opens it, :class:`SealError` or
        :class:`RecipeError` if it opens and is not a request of ours.
        """
        self.wipe()
        stanza_types(sealed)  # not an age file at all: an error of its own
        for key in self._keys:
            try:
                opened = open_sealed(sealed, [key.identity], recipients_expected=None)
            except SealError:
                continue
            return key, *read_request(opened)
        raise DarkroomKeyLostError("no key here opens the request")
