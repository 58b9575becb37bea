"""How big a body may be, and how often something may be tried."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from safelight.errors import RateLimitError

MIB = 1024 * 1024
SMALL_BODY_BYTES = MIB
SEGMENT_BODY_BYTES = 8 * MIB
_LARGE = ("/api/v1/jobs", "/api/v1/assets", "/api/v1/publications")


def body_limit(path: str, upload_bytes: int) -> int:
    """The largest body, in bytes, that this address takes."""
    if path in _LARGE:
        return upload_bytes
    if path.startswith("/api/v1/vault/segments/"):
        return min(SEGMENT_BODY_BYTES, upload_bytes)
    return min(SMALL_BODY_BYTES, upload_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """At most ``limit`` tries of one key in any ``window_seconds``."""

    name: str
    limit: int
    window_seconds: int


SIGN_IN = Rule(name="sign-in", limit=10, window_seconds=300)
SIGN_IN_NAME = Rule(name="sign-in-name", limit=100, window_seconds=3600)
SIGN_IN_ADDRESS = Rule(name="sign-in-address", limit=60, window_seconds=300)
RECOVERY = Rule(name="recovery", limit=5, window_seconds=900)
SIGN_UP = Rule(name="sign-up", limit=60, window_seconds=3600)
GUEST = Rule(name="guest", limit=120, window_seconds=60)
SHARE = Rule(name="share", limit=60, window_seconds=60)
PEOPLE = Rule(name="people", limit=60, window_seconds=300)

_MAX_KEYS = 50_000


class Limiter:
    """Counts tries in this process's memory; a restart forgets them (docs/threat-model.md)."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._tries: dict[tuple[str, str], deque[float]] = {}

    def hit(self, rule: Rule, key: str) -> None:
        """Count one try. Raises :class:`RateLimitError` when there were too many before it."""
        now = self._now()
        if len(self._tries) > _MAX_KEYS:
            self._forget(now)
        tries = self._tries.setdefault((rule.name, key), deque(maxlen=rule.limit))
        while tries and tries[0] <= now - rule.window_seconds:
            tries.popleft()
        if len(tries) >= rule.limit:
            wait = int(tries[0] + rule.window_seconds - now) + 1
            raise RateLimitError("too many tries", retry_after_seconds=wait)
        tries.append(now)

    def _forget(self, now: float) -> None:
        longest = 3600
        for key in [k for k, t in self._tries.items() if not t or t[-1] < now - longest]:
            del self._tries[key]
        if len(self._tries) > _MAX_KEYS:
            self._tries.clear()
