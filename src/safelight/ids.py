"""Canonical JSON, digests, random ids with their kind, and the clock that is passed in."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import rfc8785

from safelight.errors import RequestError

KINDS = frozenset({"acc", "job", "ast", "pub", "shr", "ses", "key", "psk", "drk", "prj", "rpt"})
"""Account, job, asset, publication, share, session, API key, passkey, darkroom, project, report."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base32, lower case
_ID_CHARS = 26


def canonical_json(value: Any) -> bytes:
    """RFC 8785 canonical JSON, so that equal values have equal bytes in Python and TypeScript."""
    return rfc8785.dumps(value)


def sha256_hex(data: bytes) -> str:
    """Lower-case hexadecimal SHA-256, 64 characters."""
    return hashlib.sha256(data).hexdigest()


def crockford32(data: bytes) -> str:
    """Lower-case Crockford base32 without padding; 5 bits a character, first bit first."""
    bits = int.from_bytes(data, "big")
    length = (len(data) * 8 + 4) // 5
    bits <<= length * 5 - len(data) * 8
    return "".join(_ALPHABET[(bits >> (5 * (length - 1 - i))) & 31] for i in range(length))


def new_id(kind: str, *, random: Callable[[int], bytes] = os.urandom) -> str:
    """A fresh id such as ``job_7k2m...``: a kind, then 128 random bits in 26 characters."""
    if kind not in KINDS:
        raise ValueError(f"unknown id kind {kind!r}")
    return f"{kind}_{crockford32(random(16))}"


def check_id(kind: str, value: str) -> str:
    """Return ``value`` if it has the form of an id of this kind.

    Raises :class:`RequestError` otherwise, without repeating the value.
    """
    prefix, _, rest = value.partition("_")
    if prefix != kind or len(rest) != _ID_CHARS or any(c not in _ALPHABET for c in rest):
        raise RequestError(
            f"not an id of kind {kind}", hint=f"ids look like {kind}_ and 26 letters"
        )
    return value


def new_token(n_bytes: int = 32) -> str:
    """A URL-safe random secret of ``n_bytes`` bytes."""
    return secrets.token_urlsafe(n_bytes)


def b64(data: bytes) -> str:
    """Standard base64 text with padding: how bytes travel inside JSON."""
    return base64.b64encode(data).decode("ascii")


def unb64(text: str) -> bytes:
    """Undo :func:`b64`. Raises :class:`RequestError` on anything else, without repeating it."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, UnicodeEncodeError) as error:
        raise RequestError("a field is not base64") from error


class Clock(Protocol):
    """The time, passed in so that tests can move it."""

    def now(self) -> datetime:
        """The current time, timezone-aware, UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current time, UTC."""
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        """The time it was set to."""
        return self.at


def utc_day(at: datetime) -> str:
    """The UTC day as ``YYYY-MM-DD``: the finest time that a manifest or a day bill states."""
    return at.astimezone(UTC).strftime("%Y-%m-%d")
