"""What the keeper asks of a request before anything is drawn."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from caller import Caller, make_recipe
from safelight.darkroom.admission import Admission, Admitted
from safelight.darkroom.keyring import KeyRing
from safelight.errors import (
    CostMismatchError,
    DarkroomKeyLostError,
    ExpiredError,
    KeyNoteError,
    ReplayedError,
    SealError,
)
from safelight.ids import FixedClock, new_id
from safelight.policy.plans import cost_header
from safelight.vault.identity import Identity, OwnerKeys
from safelight.vault.notes import KeyRecord, make_key_record, make_note
from safelight.vault.request import SealedRequest, new_nonce, seal_request, time_text

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
MODEL = "a" * 64


class Door:
    """A key ring, an admission and a caller, at one time."""

    def __init__(self) -> None:
        self.clock = FixedClock(START)
        self.ring = KeyRing(new_id("drk"), self.clock, announced_seconds=600, kept_seconds=3600)
        self.key = self.ring.make()
        self.admission = Admission(self.ring, self.clock)
        self.caller = Caller("")

    def request(self, **changes: Any) -> SealedRequest:
        recipe = changes.pop("recipe", make_recipe(MODEL))
        late = time_text(START + timedelta(minutes=30))
        return self.caller.request(recipe, **({"not_after": late} | changes))

    def admit(self, request: SealedRequest, *, job: str | None = None, **cost: Any) -> Admitted:
        sealed = seal_request(request, {}, [self.key.recipient])
        right = cost_header(request.recipe).to_dict()
        return self.admission.admit(job or new_id("job"), right | cost, sealed)


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_sound_request_comes_in(door: Door) -> None:
    request = door.request()
    admitted = door.admit(request)
    assert admitted.request == request
    assert admitted.key.public == door.key
    assert admitted.owner == request.owner_recipient
    assert "lamp" not in repr(admitted)


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 3}, {"count": 2}, {"width_px": 72}, {"model": "b" * 64}, {"features": ["x"]}],
    ids=str,
)
def test_a_cost_header_that_differs_is_unpriced(door: Door, wrong: dict[str, Any]) -> None:
    with pytest.raises(CostMismatchError):
        door.admit(door.request(), **wrong)


def test_a_missing_or_extra_cost_field_is_unpriced(door: Door) -> None:
    right = cost_header(make_recipe(MODEL)).to_dict()
    for cost in ({}, {k: v for k, v in right.items() if k != "steps"}, right | {"more": 1}):
        sealed = seal_request(door.request(), {}, [door.key.recipient])
        with pytest.raises(CostMismatchError):
            door.admission.admit(new_id("job"), cost, sealed)


def test_past_its_time_or_too_far_ahead(door: Door) -> None:
    request = door.request()
    door.clock.at = START + timedelta(minutes=30, seconds=1)
    with pytest.raises(ExpiredError):
        door.admit(request)
    door.clock.at = START
    with pytest.raises(ExpiredError):
        door.admit(door.request(not_after=time_text(START + timedelta(hours=25))))


def test_a_nonce_is_taken_once(door: Door) -> None:
    request = door.request()
    sealed = seal_request(request, {}, [door.key.recipient])
    cost = cost_header(request.recipe).to_dict()
    first = new_id("job")
    door.admission.admit(first, cost, sealed)
    door.admission.admit(first, cost, sealed)  # its engine was killed: the same job again
    with pytest.raises(ReplayedError):
        door.admission.admit(new_id("job"), cost, sealed)
    with pytest.raises(ReplayedError):  # the same nonce in another seal
        door.admit(request, job=first)
    door.admit(replace(request, request_nonce=new_nonce()))


def test_forgotten_nonces_are_those_of_expired_requests(door: Door) -> None:
    request = door.request()
    door.admit(request)
    door.clock.at = START + timedelta(minutes=31)
    door.admission.forget_old()
    with pytest.raises(ExpiredError):
        door.admit(request)


def test_a_key_that_is_gone(door: Door) -> None:
    request = door.request(not_after=time_text(START + timedelta(hours=2)))
    sealed = seal_request(request, {}, [door.key.recipient])
    door.clock.at = door.key.keeps_until + timedelta(seconds=1)
    with pytest.raises(DarkroomKeyLostError):
        door.admission.admit(new_id("job"), cost_header(request.recipe).to_dict(), sealed)


def test_the_darkrooms_own_note_is_found(door: Door) -> None:
    mine = make_note(door.key, b"f" * 32)
    other = make_note(replace(door.key, recipient=Identity.generate().recipient), b"f" * 32)
    assert door.admit(door.request(darkroom_notes=(other, mine))).note == mine
    assert door.admit(door.request(darkroom_notes=(other,))).note is None


def key_request(door: Door, **changes: Any) -> SealedRequest:
    """A request by an API key: the owner signed to whom its results go."""
    owner: OwnerKeys = door.caller.owner
    reader = Identity.generate().recipient
    record = KeyRecord(
        name="a key",
        owner_recipient=changes.pop("recorded_owner", owner.recipient),
        owner_signing_key=owner.signing_public_hex,
        key_recipient=reader,
        secret_sha256="0" * 64,
        scopes=("jobs",),
        expires_at=changes.pop("expires_at", None),
    )
    text = make_key_record(record, changes.pop("signing_seed", owner.signing_seed))
    return door.request(**({"key_recipient": reader, "key_record": text} | changes))


def test_a_key_with_the_owners_record(door: Door) -> None:
    request = key_request(door)
    assert door.admit(request).reply_recipients == [
        request.reply_recipient,
        request.key_recipient,
    ]


def test_a_key_without_a_true_record_is_refused(door: Door) -> None:
    stranger = OwnerKeys.generate()
    with pytest.raises(SealError):
        door.admit(door.request(key_recipient=stranger.recipient))
    for changes in (
        {"key_recipient": stranger.recipient},
        {"recorded_owner": stranger.recipient},
        {"signing_seed": stranger.signing_seed},
        {"expires_at": START - timedelta(days=1)},
    ):
        with pytest.raises(KeyNoteError):
            door.admit(key_request(door, **changes))
