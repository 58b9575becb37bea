"""OPAQUE: both halves here, the browser's half in Node, and what an attacker can tell."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from safelight.errors import AuthenticationError, RequestError
from safelight.secret import Secret
from safelight.vault import opaque

STUDIO = Path(__file__).parents[3] / "studio"
CANARY = "canary password 7f3a"

NODE = """
import * as opaque from '@serenity-kit/opaque';
import { createInterface } from 'node:readline';
await opaque.ready;
const keyStretching = { 'argon2id-custom': JSON.parse(process.argv[1]) };
const std = (s) => Buffer.from(s, 'base64url').toString('base64');
const url = (s) => Buffer.from(s, 'base64').toString('base64url');
let state;
const ops = {
  registrationStart: ({ password }) => {
    const r = opaque.client.startRegistration({ password });
    state = r.clientRegistrationState;
    return { request: std(r.registrationRequest) };
  },
  registrationFinish: ({ password, response }) => {
    const r = opaque.client.finishRegistration({ password, keyStretching,
      registrationResponse: url(response), clientRegistrationState: state });
    return { upload: std(r.registrationRecord), exportKey: std(r.exportKey) };
  },
  loginStart: ({ password }) => {
    const r = opaque.client.startLogin({ password });
    state = r.clientLoginState;
    return { request: std(r.startLoginRequest) };
  },
  loginFinish: ({ password, response }) => {
    const r = opaque.client.finishLogin({ password, keyStretching,
      loginResponse: url(response), clientLoginState: state });
    return r ? { finish: std(r.finishLoginRequest), exportKey: std(r.exportKey),
      sessionKey: std(r.sessionKey) } : { failed: true };
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...rest } = JSON.parse(line);
  console.log(JSON.stringify(ops[op](rest)));
}
"""


class Browser:
    """The studio's OPAQUE library in a Node process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def __call__(self, op: str, **values: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"op": op, **values}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    command = ["node", "--input-type=module", "-e", NODE, json.dumps(opaque.INNER_ARGON2ID)]
    with subprocess.Popen(
        command, cwd=STUDIO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Browser(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def server() -> opaque.OpaqueServerSide:
    return opaque.OpaqueServerSide()


def register(server: opaque.OpaqueServerSide, name: str, password: str) -> tuple[bytes, bytes]:
    client = opaque.OpaqueClientSide()
    start, state = client.registration_start(name, Secret(password))
    upload, export = client.registration_finish(state, server.registration_response(name, start))
    return server.registration_finish(upload), export


@pytest.fixture(scope="module")
def alice(server: opaque.OpaqueServerSide) -> tuple[bytes, bytes]:
    """Record and export key of an account named alice."""
    return register(server, "Alice", CANARY)


def login(
    server: opaque.OpaqueServerSide, name: str, record: bytes | None, password: str
) -> tuple[bytes, bytes]:
    client = opaque.OpaqueClientSide()
    start, state = client.login_start(name, Secret(password))
    response, held = server.login_start(name, record, start)
    finish, export, session = client.login_finish(state, response)
    assert server.login_finish(held, finish) == session
    return export, session


def test_register_and_login_after_a_restart(
    server: opaque.OpaqueServerSide, alice: tuple[bytes, bytes]
) -> None:
    record, export = alice
    again = opaque.OpaqueServerSide(server.setup)
    assert login(again, "alice", record, CANARY)[0] == export
    assert login(again, "ALICE ", record, CANARY)[0] == export


def test_another_server_key_is_refused(alice: tuple[bytes, bytes]) -> None:
    record, _ = alice
    with pytest.raises(AuthenticationError):
        login(opaque.OpaqueServerSide(), "alice", record, CANARY)


def test_wrong_password_and_unknown_name_look_alike(
    server: opaque.OpaqueServerSide, alice: tuple[bytes, bytes]
) -> None:
    record, _ = alice
    seen = []
    for kept, password in ((record, "wrong"), (None, CANARY)):
        client = opaque.OpaqueClientSide()
        start, state = client.login_start("alice", Secret(password))
        response, _ = server.login_start("alice", kept, start)
        with pytest.raises(AuthenticationError) as caught:
            client.login_finish(state, response)
        seen.append((len(response), caught.value.message))
    assert seen[0] == seen[1]


def test_the_evaluation_for_an_unknown_name_is_stable(server: opaque.OpaqueServerSide) -> None:
    """A name that answers differently each time would give itself away as unknown."""
    start, _ = opaque.OpaqueClientSide().login_start("nobody", Secret("x"))
    first, second = (server.login_start("nobody", None, start)[0][:32] for _ in range(2))
    assert first == second


def test_a_state_works_once(server: opaque.OpaqueServerSide, alice: tuple[bytes, bytes]) -> None:
    record, _ = alice
    client = opaque.OpaqueClientSide()
    start, state = client.login_start("alice", Secret(CANARY))
    response, held = server.login_start("alice", record, start)
    finish, _, _ = client.login_finish(state, response)
    server.login_finish(held, finish)
    with pytest.raises(AuthenticationError):
        server.login_finish(held, finish)


@pytest.mark.parametrize("message", [b"", b"x", bytes(32), b"\xff" * 192, b"\xff" * 320])
def test_broken_messages_are_request_errors(
    server: opaque.OpaqueServerSide, message: bytes
) -> None:
    for call in (
        lambda: server.registration_response("alice", message),
        lambda: server.registration_finish(message),
        lambda: server.login_start("alice", None, message),
    ):
        with pytest.raises(RequestError):
            call()


def test_nothing_sent_or_kept_holds_the_password(server: opaque.OpaqueServerSide) -> None:
    client = opaque.OpaqueClientSide()
    start, state = client.registration_start("alice", Secret(CANARY))
    upload, export = client.registration_finish(state, server.registration_response("alice", start))
    record = server.registration_finish(upload)
    stretched = opaque.stretched_password("alice", Secret(CANARY))
    for secret in (CANARY.encode(), stretched.encode(), bytes.fromhex(stretched), export):
        for sent in (start, upload, record, server.setup):
            assert secret not in sent
    assert CANARY not in repr(state)
    assert stretched not in repr(state)


def test_a_database_without_the_seed_cannot_be_guessed(
    server: opaque.OpaqueServerSide, alice: tuple[bytes, bytes]
) -> None:
    """Protocol C4: the record alone fails even with the right password; with the seed it opens."""
    record, _ = alice
    with pytest.raises(AuthenticationError):
        login(opaque.OpaqueServerSide(), "alice", record, CANARY)
    login(opaque.OpaqueServerSide(server.setup), "alice", record, CANARY)


def test_browser_registers_and_python_logs_in(
    server: opaque.OpaqueServerSide, browser: Browser
) -> None:
    typed = opaque.stretched_password("carol", Secret(CANARY))
    start = browser("registrationStart", password=typed)
    response = server.registration_response("carol", base64.b64decode(start["request"]))
    made = browser(
        "registrationFinish", password=typed, response=base64.b64encode(response).decode()
    )
    record = server.registration_finish(base64.b64decode(made["upload"]))
    export, _ = login(server, "carol", record, CANARY)
    assert (
        hashlib.sha256(export).digest()
        == hashlib.sha256(base64.b64decode(made["exportKey"])).digest()
    )


@pytest.mark.parametrize(("typed", "works"), [(CANARY, True), ("wrong", False)])
def test_python_registers_and_browser_logs_in(
    server: opaque.OpaqueServerSide,
    browser: Browser,
    alice: tuple[bytes, bytes],
    typed: str,
    works: bool,
) -> None:
    record, export = alice
    password = opaque.stretched_password("alice", Secret(typed))
    start = browser("loginStart", password=password)
    response, held = server.login_start("alice", record, base64.b64decode(start["request"]))
    done = browser("loginFinish", password=password, response=base64.b64encode(response).decode())
    if not works:
        assert done == {"failed": True}
        return
    assert base64.b64decode(done["exportKey"]) == export
    session = server.login_finish(held, base64.b64decode(done["finish"]))
    assert session == base64.b64decode(done["sessionKey"])
