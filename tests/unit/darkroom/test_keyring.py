"""When keys are made, announced, kept and dropped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from caller import Caller, make_recipe
from safelight.darkroom.keyring import KeyRing
from safelight.errors import DarkroomKeyLostError, SealError
from safelight.ids import FixedClock, new_id
from safelight.vault.notes import make_note, verify_note
from safelight.vault.request import seal_request

START = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def ring(clock: FixedClock) -> KeyRing:
    return KeyRing(new_id("drk"), clock, announced_seconds=600, kept_seconds=3600)


def sealed_to(recipient: str) -> bytes:
    caller = Caller("")
    return seal_request(caller.request(make_recipe("a" * 64)), {}, [recipient])


def test_a_key_is_due_at_half_its_time_and_gone_when_no_request_can_need_it(
    ring: KeyRing, clock: FixedClock
) -> None:
    assert ring.is_due()
    first = ring.make()
    sealed = sealed_to(first.recipient)
    assert not ring.is_due()
    clock.at = START + timedelta(minutes=5)
    assert ring.is_due()
    second = ring.make()
    assert second.recipient != first.recipient
    assert second.signing_key != first.signing_key
    assert ring.open(sealed)[0].public == first, "an older key still opens"

    clock.at = first.keeps_until
    assert ring.wipe() == 0
    assert ring.open(sealed)[0].public == first
    clock.at = first.keeps_until + timedelta(seconds=1)
    with pytest.raises(DarkroomKeyLostError):
        ring.open(sealed)
    assert len(ring) == 1


def test_a_clock_set_back_makes_a_new_key_due(ring: KeyRing, clock: FixedClock) -> None:
    ring.make()
    clock.at = START - timedelta(hours=1)
    assert ring.is_due()


def test_the_note_of_a_key_is_one_that_clients_take(ring: KeyRing) -> None:
    from safelight.vault.identity import public_hex

    key = ring.make()
    note = make_note(key, b"f" * 32)
    assert verify_note(note, public_hex(b"f" * 32), START) == key
    assert (key.announced_until - key.not_before).total_seconds() == 600
    assert (key.keeps_until - key.announced_until).total_seconds() == 3600


def test_what_is_not_a_request_has_an_error_of_its_own(ring: KeyRing) -> None:
    from safelight.vault.age import seal

    key = ring.make()
    with pytest.raises(SealError):
        ring.open(b"not an age file")
    with pytest.raises(SealError):
        ring.open(seal(b"sealed, and not an archive", [key.recipient]))
    with pytest.raises(DarkroomKeyLostError):
        ring.open(sealed_to(Caller("").owner.recipient))


def test_secret_halves_do_not_show(ring: KeyRing) -> None:
    key = ring.make()
    secret = ring.open(sealed_to(key.recipient))[0]
    assert secret.identity.text() not in repr(secret)
    assert secret.signing_seed.hex() not in repr(secret)
    assert repr(secret.signing_seed) not in repr(secret)
