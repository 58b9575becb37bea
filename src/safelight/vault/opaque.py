"""OPAQUE (RFC 9807): one password signs in and unlocks, and the server never sees it.

The suite is that of opaque-snake 0.1.1 and npm @serenity-kit/opaque 1.1.0: ristretto255, SHA-512,
3DH, and Argon2id with 19 MiB, 2 passes, 1 lane inside OPAQUE. Those inner parameters cannot be
chosen in opaque-snake, and an operator who holds the OPRF seed could guess against them; so the
password is stretched with :mod:`safelight.vault.stretch` first, and OPAQUE gets the hexadecimal
result. No identifiers and no context are passed; the credential identifier is the account's name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import opaque_snake

from safelight.errors import AuthenticationError, RequestError
from safelight.ids import new_token
from safelight.secret import Secret
from safelight.vault.stretch import stretch

INNER_ARGON2ID = {"iterations": 2, "memory": 19_456, "parallelism": 1}
"""What ``keyStretching: {"argon2id-custom": ...}`` must be in the browser."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,30}[a-z0-9])?")


def account_name(text: str) -> str:
    """The name as it is kept and signed in with: lower case, 1 to 32 of a-z, 0-9, dot, dash, _.

    Raises :class:`RequestError` for any other.
    """
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise RequestError(
            "not a name for an account",
            hint="1 to 32 of a-z, 0-9, dot, dash and _, starting and ending with a-z or 0-9",
        )
    return name


def stretched_password(name: str, password: Secret[str]) -> str:
    """What OPAQUE gets as the password: 64 hexadecimal digits, bound to the account's name."""
    salt = hashlib.sha256(b"safelight/password/v1\n" + account_name(name).encode()).digest()[:16]
    return stretch(password, salt).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginState:
    """The server's half of a login in progress: lives in memory, works once."""

    state: Any

    def __repr__(self) -> str:
        return "<login state>"


class OpaqueServerSide:
    """The server's half. ``setup`` holds the OPRF seed: its own file, outside every backup."""

    def __init__(self, setup: bytes | None = None) -> None:
        try:
            self._server = opaque_snake.OpaqueServer(setup)
        except opaque_snake.OpaqueError as error:
            raise RequestError("the OPAQUE setup file is broken") from error
        self._decoy = self._make_decoy()

    @property
    def setup(self) -> bytes:
        """What must be kept (0600) for passwords to go on working: 128 bytes."""
        setup: bytes = self._server.export_setup()
        return setup

    def registration_response(self, name: str, request: bytes) -> bytes:
        """Answer the first message of a registration."""
        message = _read(opaque_snake.RegistrationRequest, request)
        answer: bytes = self._server.create_registration_response(
            message, account_name(name)
        ).to_bytes()
        return answer

    def registration_finish(self, upload: bytes) -> bytes:
        """The record to keep for the account: 192 bytes that do not lead to the password."""
        message = _read(opaque_snake.RegistrationUpload, upload)
        record: bytes = self._server.finish_registration(message).to_bytes()
        return record

    def login_start(
        self, name: str, record: bytes | None, request: bytes
    ) -> tuple[bytes, LoginState]:
        """Answer the first message of a login.

        ``record`` None means that no such account is here: the answer has the same shape and
        stays the same kind of answer, so nobody learns which names exist.
        """
        message = _read(opaque_snake.CredentialRequest, request)
        kept = _read(opaque_snake.PasswordFile, self._decoy if record is None else record)
        response, state = self._server.create_credential_response(message, account_name(name), kept)
        return response.to_bytes(), LoginState(state=state)

    def login_finish(self, state: LoginState, finish: bytes) -> bytes:
        """The session key (64 bytes) if the client knew the password.

        Raises :class:`AuthenticationError` otherwise, or when the state was used before.
        """
        message = _read(opaque_snake.CredentialFinalization, finish)
        try:
            keys = self._server.finish_login(message, state.state)
        except opaque_snake.OpaqueError:
            raise AuthenticationError("the name or the password is wrong") from None
        session_key: bytes = keys.session_key
        return session_key

    def _make_decoy(self) -> bytes:
        client, password = opaque_snake.OpaqueClient(), new_token()
        request, state = client.start_registration(password)
        response = self._server.create_registration_response(request, "decoy")
        upload = client.finish_registration(response, state, password).upload
        decoy: bytes = self._server.finish_registration(upload).to_bytes()
        return decoy


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientState:
    """The client's half of an exchange in progress: lives in memory, works once."""

    state: Any
    stretched: str

    def __repr__(self) -> str:
        return "<client state>"


class OpaqueClientSide:
    """The client's half."""

    def __init__(self) -> None:
        self._client = opaque_snake.OpaqueClient()

    def registration_start(self, name: str, password: Secret[str]) -> tuple[bytes, ClientState]:
        """The first message of a registration or a change of password."""
        stretched = stretched_password(name, password)
        request, state = self._client.start_registration(stretched)
        return request.to_bytes(), ClientState(state=state, stretched=stretched)

    def registration_finish(self, state: ClientState, response: bytes) -> tuple[bytes, bytes]:
        """The upload, and the export key (64 bytes) that unlocks the vault."""
        message = _read(opaque_snake.RegistrationResponse, response)
        try:
            result = self._client.finish_registration(message, state.state, state.stretched)
        except opaque_snake.OpaqueError:
            raise AuthenticationError("the server's registration answer is wrong") from None
        return result.upload.to_bytes(), result.export_key

    def login_start(self, name: str, password: Secret[str]) -> tuple[bytes, ClientState]:
        """The first message of a login."""
        stretched = stretched_password(name, password)
        request, state = self._client.start_login(stretched)
        return request.to_bytes(), ClientState(state=state, stretched=stretched)

    def login_finish(self, state: ClientState, response: bytes) -> tuple[bytes, bytes, bytes]:
        """The last message, the export key and the session key (64 bytes each).

        Raises :class:`AuthenticationError` for a wrong password, an unknown name, or a server
        that does not hold the record it registered.
        """
        message = _read(opaque_snake.CredentialResponse, response)
        try:
            result = self._client.finish_login(message, state.state, state.stretched)
        except opaque_snake.OpaqueError:
            raise AuthenticationError("the name or the password is wrong") from None
        keys = result.session_keys
        assert keys.export_key is not None  # the client's half always has it
        return result.finalization.to_bytes(), keys.export_key, keys.session_key


def _read(kind: Any, data: bytes) -> Any:
    try:
        return kind.from_bytes(data)
    except opaque_snake.OpaqueError:
        raise RequestError("a sign-in message is not in the right form") from None
