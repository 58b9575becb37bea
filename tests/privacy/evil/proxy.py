"""The proxy between the client and the real server, and what it needs to lie well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from people import PASSWORD
from safelight.client.sdk import Studio
from safelight.errors import SealError
from safelight.ids import new_id
from safelight.vault import age, container, manifest
from safelight.vault.head import NO_NONCE
from safelight.vault.identity import Identity, public_hex
from safelight.vault.notes import DarkroomKey, make_note
from safelight.vault.opaque import stretched_password

CANARY = "canary7f3a lighthouse"
EVIL = Identity.from_seed(b"evil" * 8)
EVIL_SEED = b"evil sign" + bytes(23)

REFUSED: set[str] = set()
"""Attacks that ended as they must, in this run."""

Rewrite = Callable[[httpx.Request, httpx.Response], httpx.Response | None]


@dataclass
class Evil(httpx.BaseTransport):
    """Stands between the client and the real server."""

    rewrite: Rewrite | None = None
    before: Callable[[httpx.Request], httpx.Response | None] | None = None
    sent: list[httpx.Request] = field(default_factory=list)
    inner: httpx.HTTPTransport = field(default_factory=httpx.HTTPTransport)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.sent.append(request)
        if self.before is not None and (early := self.before(request)) is not None:
            return early
        answer = self.inner.handle_request(request)
        if "event-stream" in answer.headers.get("content-type", ""):
            return answer
        answer.read()
        changed = None if self.rewrite is None else self.rewrite(request, answer)
        return answer if changed is None else changed

    def close(self) -> None:
        self.inner.close()


def on(path: str, change: Callable[[dict[str, Any]], Any], method: str = "GET") -> Rewrite:
    """Rewrite the JSON of answers to one path."""

    def rewrite(request: httpx.Request, answer: httpx.Response) -> httpx.Response | None:
        if request.url.path != path or request.method != method or not answer.is_success:
            return None
        value = answer.json()
        change(value)
        return httpx.Response(answer.status_code, json=value)

    return rewrite


def assert_nothing_said(evil: Evil) -> None:
    """No request that went out holds the words, the password, or anything the evil key opens."""
    secrets = [w.encode() for w in (*CANARY.split(), PASSWORD.reveal())]
    secrets.append(stretched_password("anna", PASSWORD).encode())
    for request in evil.sent:
        whole = str(request.url).encode() + str(request.headers).encode() + request.content
        assert not any(secret in whole for secret in secrets)
        if request.content.startswith(b"age-encryption.org/v1"):
            with pytest.raises(SealError):
                age.open_sealed(request.content, [EVIL], recipients_expected=None)


def submitted(evil: Evil) -> list[httpx.Request]:
    return [r for r in evil.sent if r.method == "POST" and r.url.path == "/api/v1/jobs"]


def make(studio: Studio) -> Any:
    recipe = studio.recipe(CANARY, size=(64, 64), steps=1, seed=1)
    return studio.generate(recipe, retention="owner")


def evil_note(now: datetime | None = None, recipient: str = EVIL.recipient) -> str:
    at = (now or datetime.now(UTC)).replace(microsecond=0)
    key = DarkroomKey(
        darkroom=new_id("drk"),
        recipient=recipient,
        signing_key=public_hex(EVIL_SEED),
        not_before=at,
        announced_until=at + timedelta(minutes=9),
        keeps_until=at + timedelta(hours=2),
    )
    return make_note(key, EVIL_SEED)


def sealed_part(
    kind: Any, payload: bytes, asset: str, owner: str, made: Identity, seed: bytes = EVIL_SEED
) -> bytes:
    unsigned = manifest.describe(
        payload,
        asset=asset,
        kind=kind,
        owner=owner,
        request_nonce=NO_NONCE if seed != EVIL_SEED else "1" * 32,
        made_on=datetime.now(UTC).strftime("%Y-%m-%d"),
        media_type="application/json",
    )
    return container.seal_object(unsigned, payload, signing_seed=seed, recipients=[made.recipient])


def entry_like(entry: Any, asset: str) -> Any:
    return replace(entry, asset=asset)
