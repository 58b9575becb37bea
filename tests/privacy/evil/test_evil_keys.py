"""Swapped keys and other ways in: E1 to E4, E11, E12, E15."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from evil.proxy import (
    EVIL,
    EVIL_SEED,
    REFUSED,
    Evil,
    assert_nothing_said,
    evil_note,
    make,
    on,
    submitted,
)
from people import PASSWORD, Person
from safelight.client.profile import Profile
from safelight.client.sdk import Studio
from safelight.errors import (
    AuthenticationError,
    DowngradeError,
    IntegrityError,
    KeyNoteError,
    RequestError,
    TransientError,
)
from safelight.ids import FixedClock, b64, unb64
from safelight.vault.identity import public_hex


def test_e01_swapped_owner_key(anna: Person, evil: Evil, tmp_path: Path) -> None:
    def swap(value: dict[str, Any]) -> None:
        value["account"]["owner_recipient"] = EVIL.recipient

    evil.rewrite = on("/api/v1/sessions/finish", swap, "POST")
    with (
        Studio(anna.studio.link.origin, tmp_path, transport=evil) as studio,
        pytest.raises(IntegrityError),
    ):
        studio.unlock("anna", PASSWORD)
    assert_nothing_said(evil)
    REFUSED.add("E1")


def test_e02_swapped_darkroom_key(device: Studio, evil: Evil) -> None:
    evil.rewrite = on("/api/v1/darkrooms", lambda v: v.update(notes=[evil_note()]))
    with pytest.raises(KeyNoteError):
        make(device)
    assert submitted(evil) == []
    REFUSED.add("E2")


def test_e03_swapped_fleet_key(device: Studio, evil: Evil) -> None:
    fake = {"notes": [evil_note()], "fleet_key": public_hex(EVIL_SEED)}
    evil.rewrite = on("/api/v1/darkrooms", lambda v: v.update(fake))
    with pytest.raises(KeyNoteError):
        make(device)
    assert submitted(evil) == []
    REFUSED.add("E3")


def test_e04_expired_note(anna: Person, evil: Evil, tmp_path: Path) -> None:
    clock = FixedClock(datetime.now(UTC))
    origin = anna.studio.link.origin
    old = httpx.get(f"{origin}/api/v1/darkrooms").json()["notes"]
    shutil.copytree(anna.studio.link.profile.folder, tmp_path / "device")
    profile = Profile(tmp_path / "device", clock=clock)
    with Studio(origin, profile, transport=evil, clock=clock) as studio:
        evil.rewrite = on("/api/v1/darkrooms", lambda v: v.update(notes=old))
        clock.at += timedelta(minutes=11)
        with pytest.raises(KeyNoteError):
            make(studio)
    assert submitted(evil) == []
    REFUSED.add("E4")


def test_e11_no_other_way_in(anna: Person, evil: Evil, tmp_path: Path) -> None:
    """A server that asks for less, or for the password itself, gets neither."""
    weak = {"argon2": {"memory": 8, "passes": 1}, "kdf": "pbkdf2", "iterations": 1}
    with Studio(anna.studio.link.origin, tmp_path, transport=evil) as studio:
        evil.rewrite = on("/api/v1/sessions/start", lambda v: v.update(weak), "POST")
        studio.unlock("anna", PASSWORD)  # the extra fields change nothing

        def steer(value: dict[str, Any]) -> None:
            value.clear()
            value.update(weak, method="srp", salt="00", use="/api/v1/login")

        evil.rewrite = on("/api/v1/sessions/start", steer, "POST")
        with pytest.raises(TransientError):
            studio.unlock("anna", PASSWORD)

        def redirect(request: httpx.Request) -> httpx.Response | None:
            if request.url.path == "/api/v1/sessions/start":
                return httpx.Response(307, headers={"Location": "/api/v1/login"})
            return None

        evil.before, evil.rewrite = redirect, None
        with pytest.raises(DowngradeError):
            studio.unlock("anna", PASSWORD)

        def another(value: dict[str, Any]) -> None:
            value["response"] = b64(unb64(value["response"])[::-1])

        evil.before, evil.rewrite = None, on("/api/v1/sessions/start", another, "POST")
        with pytest.raises((AuthenticationError, RequestError)):
            studio.unlock("anna", PASSWORD)
    assert_nothing_said(evil)
    REFUSED.add("E11")


def test_e12_substituted_person(
    device: Studio, bert: Person, evil: Evil, pictures: tuple[str, str]
) -> None:
    fake = {"recipient": EVIL.recipient, "signing_key": public_hex(EVIL_SEED)}
    evil.rewrite = on("/api/v1/people/bert", lambda v: v.update(fake))
    shown = device.share(pictures[0], person="bert")
    assert shown.verification_code != bert.studio.verification_code(), "seen when compared"
    evil.sent = [r for r in evil.sent if r.url.path != "/api/v1/shares"]
    evil.rewrite = None
    with pytest.raises(IntegrityError):
        device.share(pictures[0], person="bert")
    device.revoke_share(shown.id)
    REFUSED.add("E12")


def test_e12_substituted_person_later(
    device: Studio, bert: Person, evil: Evil, pictures: tuple[str, str]
) -> None:
    assert bert.name == "bert"
    device.revoke_share(device.share(pictures[0], person="bert").id)
    made_before = len([r for r in evil.sent if r.url.path == "/api/v1/shares"])
    fake = {"recipient": EVIL.recipient, "signing_key": public_hex(EVIL_SEED)}
    evil.rewrite = on("/api/v1/people/bert", lambda v: v.update(fake))
    with pytest.raises(IntegrityError):
        device.share(pictures[0], person="bert")
    assert len([r for r in evil.sent if r.url.path == "/api/v1/shares"]) == made_before
    REFUSED.add("E12")


def test_e15_no_fall_back_to_transit(device: Studio, evil: Evil) -> None:
    """Whatever a server answers to a sealed request, the words are never sent in plain form."""
    for status, code in ((415, "bad-media-type"), (422, "bad-seal"), (400, "use-transit")):

        def refuse(
            request: httpx.Request, status: int = status, code: str = code
        ) -> httpx.Response | None:
            if request.method == "POST" and request.url.path == "/api/v1/jobs":
                body = {"code": code, "title": "send JSON", "hint": "recipe as application/json"}
                return httpx.Response(status, json=body)
            return None

        evil.before = refuse
        with pytest.raises((RequestError, IntegrityError)):
            make(device)
    assert all(r.content.startswith(b"age-encryption.org/v1") for r in submitted(evil))
    REFUSED.add("E15")
