"""The front: headers on everything, sizes before reading, origins, crashes without a word."""

from __future__ import annotations

import io
import json
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse

from safelight.server.front import Front
from safelight.server.headers import ALWAYS
from safelight.server.logs import Journal
from safelight.server.metrics import Metrics
from safelight.settings import Settings

CANARY = "violet-canary-8812"


async def inner(scope, receive, send):
    request = Request(scope, receive)
    if scope["path"] == "/crash":
        raise ValueError(CANARY)
    body = await request.body() if scope["path"] != "/late" else b""
    await JSONResponse({"read": len(body)})(scope, receive, send)


def front(**changes: object) -> tuple[Front, io.StringIO, Metrics]:
    stream, metrics = io.StringIO(), Metrics()
    settings = Settings(home=Path("unused"), max_upload_mb=1, **changes)  # type: ignore[arg-type]
    return (
        Front(inner, settings=settings, journal=Journal(stream), metrics=metrics),
        stream,
        metrics,
    )


def client(app: Front, base: str = "http://127.0.0.1:7788") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base)


async def test_every_answer_has_the_headers():
    app, _, _ = front()
    async with client(app) as http:
        for path in ("/", "/crash"):
            answer = await http.get(path)
            for name, value in ALWAYS.items():
                assert answer.headers[name] == value
            assert "strict-transport-security" not in answer.headers


async def test_https_servers_insist_on_it():
    app, _, _ = front(public_url="https://studio.example")
    async with client(app, "https://studio.example") as http:
        answer = await http.get("/")
        assert "max-age=31536000" in answer.headers["strict-transport-security"]


async def test_a_crash_is_a_bare_500():
    app, stream, _ = front()
    async with client(app) as http:
        answer = await http.get("/crash")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert answer.headers["content-type"] == "application/problem+json"
    assert CANARY not in answer.text + stream.getvalue()
    assert '"event":"crash","kind":"ValueError"' in stream.getvalue()


async def test_a_body_over_the_limit_is_refused_before_it_is_read():
    app, _, _ = front()
    read = []

    async def body():
        read.append(1)
        yield b"x"

    async with client(app) as http:
        answer = await http.post("/", content=body(), headers={"content-length": "2000000"})
        assert answer.status_code == 413
        assert answer.json()["code"] == "too-large"
        assert read == [] or len(read) == 1  # the transport may have opened the iterator


async def test_a_body_without_a_length_is_cut_off_at_the_limit():
    app, _, _ = front()

    async def body():
        for _ in range(40):
            yield b"x" * 65_536

    async with client(app) as http:
        answer = await http.post("/", content=body())
        assert answer.status_code == 413
        assert (await http.post("/", content=b"x" * 1_000_000)).json() == {"read": 1_000_000}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:7788"}, 200),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
async def test_other_sites_cannot_change_anything(headers, status):
    app, _, _ = front()
    async with client(app) as http:
        assert (await http.post("/", headers=headers)).status_code == status
        assert (await http.get("/", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7788", 200),
        ("localhost:7788", 200),
        ("[::1]:7788", 200),
        ("192.168.1.4:7788", 200),
        ("rebound.example:7788", 403),
        ("studio.example", 200),
        ("studio.example.evil.example", 403),
        ("", 403),
    ],
)
async def test_only_our_own_names_are_answered(host, status):
    app, _, _ = front(public_url="https://studio.example")
    async with client(app) as http:
        assert (await http.get("/", headers={"host": host})).status_code == status


async def test_log_and_metrics_have_no_path():
    app, stream, metrics = front()
    async with client(app) as http:
        await http.get(f"/{CANARY}?q={CANARY}", headers={"user-agent": CANARY})
    (record,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert record["route"] == "unknown"
    assert CANARY not in stream.getvalue() + metrics.text()
    assert 'safelight_http_requests_total{method="GET",status="2xx"} 1' in metrics.text()
