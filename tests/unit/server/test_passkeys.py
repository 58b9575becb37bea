"""Passkeys against a small authenticator in software (WebAuthn level 3, ES256, no attestation)."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from safelight.errors import AuthenticationError, RequestError
from safelight.ids import FixedClock
from safelight.server.passkeys import Passkeys, Registered, credential_id
from safelight.settings import Settings

HOST = "localhost:7788"
ORIGIN = "http://localhost:7788"
NOW = datetime(2026, 11, 28, tzinfo=UTC)


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Authenticator:
    """One passkey."""

    def __init__(self, rp_id: str = "localhost", *, verified: bool = True) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = b"\x11" * 16
        self.count = 0
        self._rp = hashlib.sha256(rp_id.encode()).digest()
        self._flags = 0x05 if verified else 0x01

    def _data(self, extra: bytes = b"", flags: int = 0) -> bytes:
        self.count += 1
        return self._rp + bytes([self._flags | flags]) + struct.pack(">I", self.count) + extra

    @staticmethod
    def _client(kind: str, options: dict[str, Any], origin: str) -> bytes:
        value = {"type": kind, "challenge": options["challenge"], "origin": origin}
        return json.dumps(value).encode()

    def create(self, options: dict[str, Any], origin: str = ORIGIN) -> dict[str, Any]:
        point = self.key.public_key().public_numbers()
        cose = {
            1: 2,
            3: -7,
            -1: 1,
            -2: point.x.to_bytes(32, "big"),
            -3: point.y.to_bytes(32, "big"),
        }
        attested = b"\x00" * 16 + struct.pack(">H", len(self.id)) + self.id + cbor2.dumps(cose)
        data = self._data(attested, flags=0x40)
        statement = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        answer = {
            "clientDataJSON": b64url(self._client("webauthn.create", options, origin)),
            "attestationObject": b64url(statement),
        }
        return self._credential(answer)

    def get(self, options: dict[str, Any], origin: str = ORIGIN) -> dict[str, Any]:
        data, client = self._data(), self._client("webauthn.get", options, origin)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        answer = {
            "clientDataJSON": b64url(client),
            "authenticatorData": b64url(data),
            "signature": b64url(signature),
        }
        return self._credential(answer)

    def _credential(self, answer: dict[str, str]) -> dict[str, Any]:
        named = b64url(self.id)
        return {
            "id": named,
            "rawId": named,
            "type": "public-key",
            "response": answer,
            "clientExtensionResults": {"prf": {"enabled": True}},
        }


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def passkeys(clock: FixedClock) -> Passkeys:
    return Passkeys(Settings(home=Path("unused")), clock)


def register(passkeys: Passkeys, key: Authenticator, origin: str = ORIGIN) -> Registered:
    ticket, options = passkeys.register_options(host=HOST, account="acc_1", name="anna", known=[])
    return passkeys.register_finish(
        ticket=ticket, account="acc_1", credential=key.create(options, origin), origin=ORIGIN
    )


def sign_in(passkeys: Passkeys, key: Authenticator, kept: Registered, **more: Any) -> int:
    ticket, options = passkeys.login_options(host=HOST)
    credential = key.get(options, **more)
    assert credential_id(credential) == kept.credential_id
    return passkeys.login_finish(
        ticket=ticket,
        credential=credential,
        origin=ORIGIN,
        public_key=kept.public_key,
        sign_count=kept.sign_count,
    )


def test_a_passkey_registers_and_signs_in(passkeys: Passkeys):
    key = Authenticator()
    kept = register(passkeys, key)
    assert kept.credential_id == key.id
    assert sign_in(passkeys, key, kept) == 2


def test_options_ask_for_a_verified_person_and_a_resident_key(passkeys: Passkeys):
    _, options = passkeys.register_options(host=HOST, account="acc_1", name="anna", known=[b"k"])
    assert options["rp"]["id"] == "localhost"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["excludeCredentials"] == [{"id": b64url(b"k"), "type": "public-key"}]
    _, options = passkeys.login_options(host=HOST)
    assert not options.get("allowCredentials")  # nothing says who has a passkey


def test_another_site_is_refused(passkeys: Passkeys):
    with pytest.raises(AuthenticationError):
        register(passkeys, Authenticator(), origin="https://evil.example")
    with pytest.raises(AuthenticationError):
        register(passkeys, Authenticator(rp_id="evil.example"))
    key = Authenticator()
    kept = register(passkeys, key)
    with pytest.raises(AuthenticationError):
        sign_in(passkeys, key, kept, origin="https://evil.example")


def test_an_unverified_person_is_refused(passkeys: Passkeys):
    with pytest.raises(AuthenticationError):
        register(passkeys, Authenticator(verified=False))


def test_another_key_is_refused(passkeys: Passkeys):
    kept = register(passkeys, Authenticator())
    with pytest.raises(AuthenticationError):
        sign_in(passkeys, Authenticator(), kept)


def test_a_count_that_goes_back_is_a_copy(passkeys: Passkeys):
    key = Authenticator()
    kept = register(passkeys, key)
    key.count = -1
    with pytest.raises(AuthenticationError):
        sign_in(passkeys, key, Registered(
            credential_id=kept.credential_id, public_key=kept.public_key, sign_count=9
        ))  # fmt: skip


def test_an_exchange_works_once_for_one_account_for_five_minutes(
    passkeys: Passkeys, clock: FixedClock
):
    key = Authenticator()

    def finish(ticket: str, options: dict[str, Any], account: str) -> None:
        passkeys.register_finish(
            ticket=ticket, account=account, credential=key.create(options), origin=ORIGIN
        )

    def begin() -> tuple[str, dict[str, Any]]:
        return passkeys.register_options(host=HOST, account="acc_1", name="anna", known=[])

    ticket, options = begin()
    finish(ticket, options, "acc_1")
    with pytest.raises(AuthenticationError):
        finish(ticket, options, "acc_1")
    with pytest.raises(AuthenticationError):
        finish(*begin(), "acc_2")
    late = begin()
    clock.at += timedelta(minutes=6)
    with pytest.raises(AuthenticationError):
        finish(*late, "acc_1")


def test_what_the_browser_must_keep_is_refused(passkeys: Passkeys):
    key = Authenticator()
    ticket, options = passkeys.register_options(host=HOST, account="acc_1", name="a", known=[])
    leaky = key.create(options) | {
        "clientExtensionResults": {"prf": {"results": {"first": b64url(b"\x01" * 32)}}}
    }
    with pytest.raises(RequestError, match="PRF"):
        passkeys.register_finish(ticket=ticket, account="acc_1", credential=leaky, origin=ORIGIN)


@pytest.mark.parametrize(
    "credential",
    [{}, {"id": 7}, {"id": "!"}, {"rawId": "x" * 4_000}, {"id": "AA", "response": "none"}],
)
def test_nonsense_is_refused_in_our_words(passkeys: Passkeys, credential: dict[str, Any]):
    ticket, _ = passkeys.login_options(host=HOST)

    def finish() -> None:
        credential_id(credential)
        passkeys.login_finish(
            ticket=ticket, credential=credential, origin=ORIGIN, public_key=b"", sign_count=0
        )

    with pytest.raises((AuthenticationError, RequestError)):
        finish()
