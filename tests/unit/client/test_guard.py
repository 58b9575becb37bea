"""The guard and the wire: where a request may go, and what an answer may do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from safelight.client.guard import GuardedTransport, error_by_code, is_loopback, origin_of
from safelight.client.wire import Wire, parse_events
from safelight.errors import (
    DarkroomKeyLostError,
    DowngradeError,
    NoConnectionError,
    NotFoundError,
    RateLimitError,
    RefusedError,
    RequestError,
    TransientError,
    all_errors,
)

ORIGIN = "https://studio.example"


class Recorder(httpx.MockTransport):
    """Stands for the network: answers by a function, and keeps what was sent."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        super().__init__(answer)
        self.sent: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        return super().handle_request(request)


def wire(answer: Callable[[httpx.Request], httpx.Response], **kw: Any) -> tuple[Wire, Recorder]:
    network = Recorder(answer)
    return Wire(ORIGIN, transport=network, sleep=lambda _: None, **kw), network


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://studio.example/", "https://studio.example"),
        ("https://studio.example:8443", "https://studio.example:8443"),
        ("http://127.0.0.1:7788", "http://127.0.0.1:7788"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://[::1]:7788", "http://[::1]:7788"),
    ],
)
def test_addresses(address: str, origin: str) -> None:
    assert origin_of(address) == origin


@pytest.mark.parametrize(
    "address",
    [
        "",
        "studio.example",
        "ftp://studio.example",
        "https://",
        "https://a:b@studio.example",
        "https://studio.example/path",
        "https://studio.example?x=1",
    ],
)
def test_refused_addresses(address: str) -> None:
    with pytest.raises(RequestError):
        origin_of(address)


@pytest.mark.parametrize(
    "host",
    [
        "http://studio.example",
        "http://10.0.0.1:7788",
        "http://127.0.0.1.evil.example",
        "http://0.0.0.0:1",
    ],
)
def test_plain_http_stays_on_this_machine(host: str) -> None:
    with pytest.raises(DowngradeError):
        origin_of(host)


def test_loopback() -> None:
    assert is_loopback("127.8.9.10")
    assert not is_loopback("localhost.evil.example")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/api",
        "http://studio.example/api",
        "https://studio.example:8443/api",
        "https://studio.example.evil.example/api",
    ],
)
def test_foreign_origins_are_stopped(url: str) -> None:
    network = Recorder(lambda _: httpx.Response(200))
    client = httpx.Client(transport=GuardedTransport(ORIGIN, network))
    with pytest.raises(DowngradeError):
        client.post(url, content=b"words")
    assert network.sent == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_refused(status: int) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"Location": "https://evil.example/"})

    made, network = wire(answer, token="secret-token")
    with pytest.raises(DowngradeError):
        made.post("/api/v1/jobs", {})
    assert [r.url.host for r in network.sent] == ["studio.example"]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda k: k.code)
def test_problems_become_the_same_error(kind: type[Exception]) -> None:
    body = {"code": kind.code, "title": "a line", "hint": "do this", "category": "minors"}  # type: ignore[attr-defined]

    def answer(_: httpx.Request) -> httpx.Response:
        status = kind.http_status  # type: ignore[attr-defined]
        return httpx.Response(status, json=body, headers={"Retry-After": "7"})

    made, _ = wire(answer)
    with pytest.raises(kind) as caught:
        made.get("/x")
    assert caught.value.hint == "do this"  # type: ignore[attr-defined]
    if isinstance(caught.value, RateLimitError):
        assert caught.value.retry_after_seconds == 7
    if isinstance(caught.value, RefusedError):
        assert caught.value.category == "minors"


@pytest.mark.parametrize(
    ("status", "kind"), [(404, RequestError), (500, TransientError), (502, TransientError)]
)
def test_other_failures(status: int, kind: type[Exception]) -> None:
    made, _ = wire(lambda _: httpx.Response(status, text="<html>"))
    with pytest.raises(kind):
        made.get("/x")


def test_no_connection() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    made, _ = wire(answer)
    with pytest.raises(NoConnectionError):
        made.get("/x")


def test_a_failed_job_names_its_error() -> None:
    assert isinstance(error_by_code("darkroom-key-lost", None), DarkroomKeyLostError)
    assert isinstance(error_by_code("no-such-code", "hint"), TransientError)
    assert isinstance(error_by_code("refused", None), TransientError)


def test_events_are_parsed() -> None:
    lines = [
        "retry: 1000",
        "",
        ": beat",
        "",
        "id: 3",
        "event: progress",
        'data: {"step":1,',
        'data: "steps":2}',
        "",
        "id: 4",
        "event: done",
        "data: {}",
        "",
        "event: cut",
        "data: {",
    ]
    events = list(parse_events(iter(lines)))
    assert [(e.seq, e.type) for e in events] == [(3, "progress"), (4, "done")]
    assert events[0].data == {"step": 1, "steps": 2}
    assert "1" not in repr(events[0]).replace("progress", "").replace("3", "")


def sse(*events: tuple[int, str]) -> bytes:
    return b"".join(
        f"id: {seq}\nevent: {kind}\ndata: {json.dumps({'n': seq})}\n\n".encode()
        for seq, kind in events
    )


class Broken(httpx.SyncByteStream):
    """A body whose connection breaks at its end."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __iter__(self) -> Iterator[bytes]:
        yield self.data
        raise httpx.ReadError("broken")


def test_events_resume_after_the_last_one_that_came() -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Last-Event-ID"))
        if len(seen) == 1:
            return httpx.Response(200, stream=Broken(sse((1, "queued"), (2, "running"))))
        if len(seen) == 2:
            raise httpx.ConnectError("the server is being started again", request=request)
        return httpx.Response(200, content=sse((3, "progress"), (4, "done"), (5, "late")))

    made, _ = wire(answer)
    assert [e.seq for e in made.events("/e")] == [1, 2, 3, 4]
    assert seen == [None, "2", "2"]


def test_events_give_up_in_the_end() -> None:
    made, network = wire(lambda _: httpx.Response(200, content=b": beat\n\n"))
    with pytest.raises(NoConnectionError):
        list(made.events("/e"))
    assert 3 < len(network.sent) < 40


def test_events_of_an_unknown_job_end_at_once() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(404, json={"code": "not-found", "title": "no", "hint": "x"})

    made, network = wire(answer)
    with pytest.raises(NotFoundError):
        list(made.events("/e"))
    assert len(network.sent) == 1
