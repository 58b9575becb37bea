"""The sealing transport refuses whatever it cannot seal, and nothing is sent then."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from safelight.client.profile import Profile
from safelight.client.transport import SealingTransport
from safelight.errors import DowngradeError, KeyNoteError

ORIGIN = "https://studio.example"
CANARY = "canary-7f3a"
MODEL = {
    "name": "pocket",
    "digest": "a" * 64,
    "kind": "model",
    "native_size_px": 64,
    "default_steps": 2,
    "default_guidance": 1.0,
    "side_step_px": 8,
}


class Network(httpx.BaseTransport):
    """Stands for the network: an evil server that never shows a trusted darkroom note."""

    def __init__(self) -> None:
        self.sent: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.sent.append(request)
        if request.url.path == "/api/v1/models":
            return httpx.Response(200, json={"models": [MODEL]})
        if request.url.path == "/api/v1/darkrooms":
            note = "safelight-darkroom/v1\n\n\u2014 safelight-fleet AAAA\n"
            return httpx.Response(200, json={"fleet_key": "b" * 64, "notes": [note]})
        return httpx.Response(200, json={})


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def client(network: Network, tmp_path: Path) -> httpx.Client:
    transport = SealingTransport(ORIGIN, Profile(tmp_path), inner=network)
    return httpx.Client(base_url=ORIGIN, transport=transport)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/images/edits"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/api/v1/jobs/"),
        ("PUT", "/api/v1/jobs"),
        ("POST", "/sdapi/v1/txt2img"),
        ("PATCH", "/v1/images/generations"),
        ("GET", "/api/v1/assets"),
    ],
)
def test_a_body_that_cannot_be_sealed_is_stopped(
    client: httpx.Client, network: Network, method: str, path: str
) -> None:
    with pytest.raises(DowngradeError):
        client.request(method, path, json={"prompt": CANARY})
    assert network.sent == []


def test_another_origin_is_stopped(client: httpx.Client, network: Network) -> None:
    for url in ("https://evil.example/v1/images/generations", "http://studio.example/v1/models"):
        with pytest.raises(DowngradeError):
            client.post(url, json={"prompt": CANARY})
    assert network.sent == []


def test_reading_passes(client: httpx.Client, network: Network) -> None:
    assert client.get("/api/v1/models").json()["models"][0]["name"] == "pocket"
    assert len(network.sent) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/images/generations", {"prompt": CANARY}),
        ("/api/v1/jobs", {"recipe": {"prompt": CANARY}, "wait": True}),
    ],
)
def test_an_untrusted_darkroom_gets_nothing(
    client: httpx.Client, network: Network, path: str, body: dict[str, object]
) -> None:
    """No fall back to transit: the words leave this process sealed or not at all."""
    with pytest.raises(KeyNoteError):
        client.post(path, json=body)
    assert [r.method for r in network.sent] == ["GET", "GET"]
    assert all(CANARY.encode() not in r.content for r in network.sent)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/images/generations", {"prompt": CANARY, "size": "big"}, 400),
        ("/v1/images/generations", {"prompt": CANARY, "size": "7x7"}, 422),
        ("/v1/images/generations", {"prompt": 7}, 422),
        ("/v1/images/generations", {"prompt": CANARY, "model": "nope"}, 404),
        ("/v1/images/generations", {"prompt": CANARY, "image": "x"}, 400),
        ("/v1/images/generations", {"prompt": CANARY, "output_format": "gif"}, 400),
        ("/api/v1/jobs", {"recipe": {"prompt": CANARY, "width_px": 7}}, 422),
        ("/api/v1/jobs", {"recipe": {"prompt": CANARY, "nope": 7}}, 422),
        ("/api/v1/jobs", {"recipe": {"prompt": CANARY}, "retention": "public"}, 400),
        ("/api/v1/jobs", {"nope": CANARY}, 400),
        ("/api/v1/jobs", [CANARY], 400),
    ],
)
def test_wrong_requests_are_answered_here(
    client: httpx.Client, network: Network, path: str, body: object, status: int
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == status
    assert CANARY not in answer.text
    assert answer.json()["code"] == answer.json()["error"]["code"]
    assert all(r.method == "GET" for r in network.sent)


def test_a_body_that_is_not_json(client: httpx.Client, network: Network) -> None:
    assert client.post("/api/v1/jobs", content=b"{").status_code == 400
    assert network.sent == []
