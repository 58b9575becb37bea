"""Passkeys by WebAuthn (py_webauthn). Their PRF results never reach the server; a body that
carries them is refused, so that a client which forgets to strip them is found out at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from safelight.errors import AuthenticationError, RequestError
from safelight.ids import Clock, new_token
from safelight.settings import Settings

_MINUTES = 5
_MAX_OPEN = 10_000
_CLIENT_FIELDS = {"id", "rawId", "type", "response", "clientExtensionResults"} | {
    "authenticatorAttachment"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What is kept of a new passkey."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    challenge: bytes
    account: str | None
    until: datetime


class Passkeys:
    """Makes and checks challenges. Open challenges live in memory for five minutes, each once."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._open: dict[str, _Open] = {}

    def register_options(
        self, *, host: str, account: str, name: str, known: list[bytes]
    ) -> tuple[str, dict[str, Any]]:
        """A ticket and the creation options for ``navigator.credentials.create``."""
        import webauthn
        from webauthn.helpers import structs

        options = webauthn.generate_registration_options(
            rp_id=self._rp_id(host),
            rp_name="Safelight",
            user_id=account.encode(),
            user_name=name,
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=k) for k in known],
        )
        ticket = self._keep(options.challenge, account)
        return ticket, json.loads(webauthn.options_to_json(options))

    def register_finish(
        self, *, ticket: str, account: str, credential: Mapping[str, Any], origin: str
    ) -> Registered:
        """Check a new passkey. Raises :class:`AuthenticationError`, :class:`RequestError`."""
        import webauthn
        from webauthn.helpers.exceptions import WebAuthnException

        opened = self._take(ticket)
        if opened.account != account:
            raise AuthenticationError("the passkey was not accepted")
        try:
            found = webauthn.verify_registration_response(
                credential=_stripped(credential),
                expected_challenge=opened.challenge,
                expected_rp_id=self._rp_id(urlsplit(origin).netloc),
                expected_origin=origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError):
            raise AuthenticationError("the passkey was not accepted") from None
        return Registered(
            credential_id=found.credential_id,
            public_key=found.credential_public_key,
            sign_count=found.sign_count,
        )

    def login_options(self, *, host: str) -> tuple[str, dict[str, Any]]:
        """A ticket and the request options: no account is named, the passkey says which it is."""
        import webauthn
        from webauthn.helpers import structs

        options = webauthn.generate_authentication_options(
            rp_id=self._rp_id(host),
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        )
        return self._keep(options.challenge, None), json.loads(webauthn.options_to_json(options))

    def login_finish(
        self,
        *,
        ticket: str,
        credential: Mapping[str, Any],
        origin: str,
        public_key: bytes,
        sign_count: int,
    ) -> int:
        """Check an assertion; the new signature count. Raises :class:`AuthenticationError`."""
        import webauthn
        from webauthn.helpers.exceptions import WebAuthnException

        opened = self._take(ticket)
        try:
            found = webauthn.verify_authentication_response(
                credential=_stripped(credential),
                expected_challenge=opened.challenge,
                expected_rp_id=self._rp_id(urlsplit(origin).netloc),
                expected_origin=origin,
                credential_public_key=public_key,
                credential_current_sign_count=sign_count,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError):
            raise AuthenticationError("the passkey was not accepted") from None
        return found.new_sign_count

    def _rp_id(self, host: str) -> str:
        if self._settings.public_url:
            return urlsplit(self._settings.public_url).hostname or "localhost"
        return urlsplit(f"//{host}").hostname or "localhost"

    def _keep(self, challenge: bytes, account: str | None) -> str:
        now = self._clock.now()
        if len(self._open) >= _MAX_OPEN:
            self._open = {k: o for k, o in self._open.items() if o.until > now}
        if len(self._open) >= _MAX_OPEN:
            self._open.pop(next(iter(self._open)))
        ticket = new_token(16)
        until = now + timedelta(minutes=_MINUTES)
        self._open[ticket] = _Open(challenge=challenge, account=account, until=until)
        return ticket

    def _take(self, ticket: str) -> _Open:
        opened = self._open.pop(ticket, None)
        if opened is None or opened.until < self._clock.now():
            raise AuthenticationError("this passkey exchange has ended", hint="start it again")
        return opened


def credential_id(credential: Mapping[str, Any]) -> bytes:
    """The id that a browser's answer names. Raises :class:`RequestError`."""
    import base64

    raw = credential.get("rawId") or credential.get("id")
    if not isinstance(raw, str) or len(raw) > 2_048:
        raise RequestError("a passkey answer has no id")
    try:
        return base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4))
    except ValueError:
        raise RequestError("a passkey answer has no id") from None


def check_no_prf(credential: Mapping[str, Any]) -> None:
    """Raise :class:`RequestError` if a PRF result came along: it is a key, and not ours to see."""
    results = credential.get("clientExtensionResults")
    if isinstance(results, Mapping):
        prf = results.get("prf")
        if isinstance(prf, Mapping) and "results" in prf:
            raise RequestError(
                "a passkey answer carries its PRF result",
                hint="strip clientExtensionResults.prf.results before sending",
            )


def _stripped(credential: Mapping[str, Any]) -> dict[str, Any]:
    check_no_prf(credential)
    unknown = set(credential) - _CLIENT_FIELDS
    if unknown:
        raise RequestError("a passkey answer has a field that is not known")
    return {k: v for k, v in credential.items() if k != "clientExtensionResults"}
