"""A library that is rolled back, cut or forked: E9, E10, E14."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from evil.proxy import REFUSED, Evil, entry_like, on
from safelight.client import index
from safelight.client.sdk import Studio
from safelight.errors import ConflictError, RollbackError
from safelight.ids import b64, unb64


def test_e09_rolled_back_head(device: Studio, evil: Evil, pictures: tuple[str, str]) -> None:
    old = device.link.wire.get("/api/v1/vault/head")
    keys = device.link.keys()
    entry = index.load(device.link, keys).entries[0]
    index.add(device.link, keys, [entry_like(entry, "made up")])
    evil.rewrite = on("/api/v1/vault/head", lambda v: v.update(old))
    with pytest.raises(RollbackError):
        list(device.assets())
    evil.rewrite = on("/api/v1/vault/head", lambda v: v.update(seq=0, head=None))
    with pytest.raises(RollbackError):
        device.open(pictures[0])
    evil.rewrite = None
    index.remove(device.link, keys, ["made up"])
    REFUSED.add("E9")


def test_e10_dropped_segment(device: Studio, evil: Evil, pictures: tuple[str, str]) -> None:
    assert pictures

    def drop(request: httpx.Request) -> httpx.Response | None:
        if "/segments/" in request.url.path:
            body = {"code": "not-found", "title": "no such segment", "hint": "x"}
            return httpx.Response(404, json=body)
        return None

    evil.before = drop
    with pytest.raises(RollbackError):
        device.search("lighthouse")

    def unname(value: dict[str, Any]) -> None:
        head = json.loads(unb64(value["head"]))
        head["segments"] = []
        text = json.dumps(head, separators=(",", ":"), sort_keys=True)
        value["head"] = b64(text.encode())

    evil.before, evil.rewrite = None, on("/api/v1/vault/head", unname)
    with pytest.raises(RollbackError):
        device.search("lighthouse")
    REFUSED.add("E10")


def test_e14_forked_head(device: Studio, evil: Evil, pictures: tuple[str, str]) -> None:
    """A head that the owner signed but that lost the race is kept by the server and shown later."""
    assert pictures
    keys = device.link.keys()
    entry = index.load(device.link, keys).entries[0]
    caught: list[dict[str, Any]] = []

    def keep(request: httpx.Request) -> httpx.Response | None:
        if request.method == "PUT" and request.url.path == "/api/v1/vault/head" and not caught:
            caught.append(json.loads(request.content))
            return httpx.Response(409, json={"code": "conflict", "title": "no", "hint": "x"})
        return None

    evil.before = keep
    try:
        index.add(device.link, keys, [entry_like(entry, "forked")])
    except ConflictError:
        pytest.fail("the second try should have passed")
    evil.before = None
    index.remove(device.link, keys, ["forked"])
    index.add(device.link, keys, [entry_like(entry, "forked again")])
    evil.rewrite = on("/api/v1/vault/head", lambda v: v.update(head=caught[0]["head"]))
    with pytest.raises(RollbackError):
        list(device.assets())
    evil.rewrite = None
    index.remove(device.link, keys, ["forked again"])
    REFUSED.add("E14")
