"""What every part of the client stands on: one server, one profile, one clock."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from safelight.client.profile import Pins, Profile
from safelight.client.wire import Wire
from safelight.errors import AuthenticationError, IntegrityError, RequestError, TransientError
from safelight.ids import Clock, SystemClock, unb64
from safelight.secret import Secret
from safelight.vault.identity import OwnerKeys
from safelight.vault.notes import DarkroomKey

_API_SECRET = re.compile(r"sl_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Link:
    """One server as one profile sees it."""

    wire: Wire
    profile: Profile
    clock: Clock
    api_key: Secret[str] | None = None
    """With a key the client acts for the key alone; the profile's account is left out of it."""
    notes: list[tuple[str, DarkroomKey]] = field(default_factory=list)
    """Darkroom notes that were fetched and checked a moment ago; emptied when one was of no use."""

    @classmethod
    def open(
        cls,
        wire: Wire,
        profile: Profile,
        clock: Clock | None = None,
        api_key: Secret[str] | None = None,
    ) -> Link:
        """Use the API key, or the session that the profile holds for this server if it has one.

        Raises :class:`RequestError` for text that is no API key.
        """
        if api_key is not None:
            wire.token = check_api_secret(api_key).reveal()
        elif wire.token is None:
            wire.token = profile.pins(wire.origin).token
        return cls(wire, profile, clock or SystemClock(), api_key)

    @property
    def origin(self) -> str:
        """The server's origin."""
        return self.wire.origin

    def pins(self) -> Pins:
        """What this device knows of the server."""
        return self.profile.pins(self.origin)

    def keys(self) -> OwnerKeys:
        """The owner's keys. Raises :class:`AuthenticationError` while the device is locked."""
        if self.api_key is not None:
            raise AuthenticationError(
                "an API key opens nothing", hint="leave the key out, and unlock the account"
            )
        return self.profile.keys(self.origin)

    def keys_or_none(self) -> OwnerKeys | None:
        """The owner's keys, or None on a device that is locked or has no account here."""
        if self.api_key is not None or self.pins().account is None or self.wire.token is None:
            return None
        try:
            return self.keys()
        except AuthenticationError:
            return None


def check_api_secret(secret: Secret[str]) -> Secret[str]:
    """Return the secret if it has the form of an API key; raise :class:`RequestError`."""
    if not _API_SECRET.fullmatch(secret.reveal()):
        raise RequestError("this is not an API key", hint="keys are sl_ and 43 characters")
    return secret


def take_bytes(value: dict[str, Any], name: str) -> bytes:
    """A base64 field of an answer. Raises :class:`TransientError` if it is not there."""
    text = value.get(name)
    if not isinstance(text, str):
        raise TransientError(f"the server's answer lacks the field {name}")
    return unb64(text)


def take_text(value: dict[str, Any], name: str) -> str:
    """A text field of an answer. Raises :class:`TransientError` if it is not there."""
    text = value.get(name)
    if not isinstance(text, str):
        raise TransientError(f"the server's answer lacks the field {name}")
    return text


def check_account(account: dict[str, Any], keys: OwnerKeys) -> None:
    """Refuse a server that names other keys for this account than the vault holds.

    Raises :class:`IntegrityError`: pictures would be sealed to somebody else.
    """
    named = (account.get("owner_recipient"), account.get("signing_key"))
    if named != (keys.recipient, keys.signing_public_hex):
        raise IntegrityError("the server names other keys for this account than its vault holds")


def need_session(link: Link) -> None:
    """Raise :class:`AuthenticationError` unless there is a session."""
    if link.wire.token is None:
        raise AuthenticationError(
            "nobody is signed in on this device", hint="run `safelight account unlock`"
        )
