"""C3: an unknown name and a wrong password look alike, and guessing is slow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from people import join
from running import Running
from safelight.ids import b64, unb64
from safelight.secret import Secret
from safelight.server.limits import RECOVERY, SIGN_IN
from safelight.vault.opaque import OpaqueClientSide

WRONG = Secret("four other words instead")


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("guessing")
    with Running(folder / "home") as server, httpx.Client(base_url=server.url) as client:
        join(server.url, "anna", folder).studio.close()
        yield client


def guess(http: httpx.Client, name: str, state_of: str = "") -> tuple[httpx.Response, ...]:
    """One wrong guess: both answers."""
    side = OpaqueClientSide()
    start, _ = side.login_start(state_of or name, WRONG)
    begun = http.post("/api/v1/sessions/start", json={"name": name, "request": b64(start)})
    finish = {"login": begun.json()["login"], "finish": b64(b"\x05" * 64)}
    return begun, http.post("/api/v1/sessions/finish", json=finish)


def shape(answer: httpx.Response) -> tuple[Any, ...]:
    """All of an answer that does not change from one to the next."""
    headers = {k: v for k, v in answer.headers.items() if k != "date"}
    body = answer.json()
    lengths = {k: len(v) if isinstance(v, str) else v for k, v in body.items()}
    return answer.status_code, headers, lengths


def test_an_unknown_name_looks_like_a_wrong_password(http: httpx.Client):
    known, unknown = guess(http, "anna"), guess(http, "nobody")
    assert shape(known[0]) == shape(unknown[0])
    assert known[1].status_code == unknown[1].status_code == 401
    assert known[1].content == unknown[1].content
    lengths = [len(unb64(answers[0].json()["response"])) for answers in (known, unknown)]
    assert lengths[0] == lengths[1]


def test_the_client_cannot_tell_them_apart_either(http: httpx.Client):
    side, errors = OpaqueClientSide(), []
    for name in ("anna", "nobody"):
        start, state = side.login_start(name, WRONG)
        begun = http.post("/api/v1/sessions/start", json={"name": name, "request": b64(start)})
        with pytest.raises(Exception) as caught:  # noqa: PT011 - compared below
            side.login_finish(state, unb64(begun.json()["response"]))
        errors.append(repr(caught.value))
    assert errors[0] == errors[1]


def test_registering_says_nothing_before_the_end(http: httpx.Client):
    start, _ = OpaqueClientSide().registration_start("anna", WRONG)
    answers = [
        http.post("/api/v1/accounts/register/start", json={"name": n, "request": b64(start)})
        for n in ("anna", "nobody")
    ]
    assert shape(answers[0]) == shape(answers[1])


def test_recovery_says_nothing_and_slows_down(http: httpx.Client):
    start, _ = OpaqueClientSide().registration_start("anna", WRONG)
    seen = {}
    for name in ("anna", "nobody"):
        body = {"name": name, "token": b64(b"\x01" * 32), "request": b64(start)}
        answers = [http.post("/api/v1/recovery/start", json=body) for _ in range(6)]
        seen[name] = [(a.status_code, a.content) for a in answers]
        assert [status for status, _ in seen[name]] == [401] * RECOVERY.limit + [429]
    assert seen["anna"] == seen["nobody"]


def test_guessing_slows_down_alike(http: httpx.Client):
    for name in ("berta", "anna"):  # one is unknown
        statuses = []
        for _ in range(SIGN_IN.limit + 1):
            answer = http.post(
                "/api/v1/sessions/start", json={"name": name, "request": b64(b"\x00" * 96)}
            )
            statuses.append(answer.status_code)
        assert statuses[-1] == 429
        assert int(answer.headers["retry-after"]) > 1
        assert answer.json()["code"] == "rate-limited"
        assert set(statuses) == {400, 429} or set(statuses) == {200, 429}
