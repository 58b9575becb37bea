"""The profile: files only their person reads, pins that do not give way, a lock that locks."""

from __future__ import annotations

import stat
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from safelight.client.alone import WAIT_SECONDS, Alone
from safelight.client.profile import Profile
from safelight.errors import (
    AuthenticationError,
    BusyError,
    IntegrityError,
    KeyNoteError,
    RequestError,
    RollbackError,
)
from safelight.ids import FixedClock
from safelight.vault.head import next_head
from safelight.vault.identity import Identity, OwnerKeys

ORIGIN = "https://studio.example"
KEYS = OwnerKeys(Identity.from_seed(bytes(range(32))), bytes(range(1, 33)))
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def profile(tmp_path: Path, clock: FixedClock) -> Profile:
    return Profile(tmp_path / "profile", clock=clock)


def test_every_file_is_private(profile: Profile) -> None:
    profile.pin_fleet(ORIGIN, "a" * 64)
    profile.unlock(ORIGIN, KEYS)
    profile.use(ORIGIN)
    profile.keep_segment("b" * 64, b"x")
    files = [p for p in profile.folder.rglob("*") if p.is_file()]
    assert len(files) == 6
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
        assert not path.name.startswith("."), "no partial file is left"
        text = path.read_bytes()
        assert KEYS.identity.text().encode() not in text
        assert KEYS.signing_seed.hex().encode() not in text
    for path in profile.folder.rglob("*"):
        if path.is_dir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_the_device_stays_the_same(profile: Profile) -> None:
    assert profile.device() == profile.device() == Profile(profile.folder).device()


def test_the_fleet_key_is_pinned(profile: Profile) -> None:
    profile.pin_fleet(ORIGIN, "a" * 64)
    profile.pin_fleet(ORIGIN, "a" * 64)
    with pytest.raises(KeyNoteError):
        profile.pin_fleet(ORIGIN, "b" * 64)
    assert profile.pins(ORIGIN).fleet_keys == ("a" * 64,)
    profile.pin_fleet("https://other.example", "b" * 64)
    profile.trust_fleet(ORIGIN, "b" * 64)
    assert profile.pin_fleet(ORIGIN, "b" * 64).fleet_keys == ("a" * 64, "b" * 64)
    with pytest.raises(KeyNoteError):
        profile.pin_fleet(ORIGIN, "a" * 64)
    with pytest.raises(RequestError):
        profile.trust_fleet(ORIGIN, "B" * 64)


def test_people_are_pinned(profile: Profile) -> None:
    for _ in range(2):
        profile.pin_person(ORIGIN, "bob", "age1bob", "c" * 64)
    with pytest.raises(IntegrityError):
        profile.pin_person(ORIGIN, "bob", "age1evil", "c" * 64)
    profile.pin_person(ORIGIN, "eve", "age1evil", "c" * 64)


def test_unlocked_for_seven_days_at_most(profile: Profile, clock: FixedClock) -> None:
    with pytest.raises(AuthenticationError):
        profile.keys(ORIGIN)
    profile.unlock(ORIGIN, KEYS)
    clock.at = NOW + timedelta(days=7)
    assert profile.keys(ORIGIN).text() == KEYS.text()
    clock.at = NOW + timedelta(days=7, seconds=1)
    with pytest.raises(AuthenticationError):
        profile.keys(ORIGIN)
    assert not list(profile.folder.rglob("*.age")), "what is over is gone from the disk"
    clock.at = NOW
    with pytest.raises(AuthenticationError):
        profile.keys(ORIGIN)
    for days in (0, 8):
        with pytest.raises(RequestError):
            profile.unlock(ORIGIN, KEYS, days=days)


def test_lock_keeps_pins(profile: Profile) -> None:
    profile.pin_fleet(ORIGIN, "a" * 64)
    profile.unlock(ORIGIN, KEYS)
    profile.lock(ORIGIN)
    with pytest.raises(AuthenticationError):
        profile.keys(ORIGIN)
    assert profile.pins(ORIGIN).fleet_keys == ("a" * 64,)


def test_rollback(profile: Profile) -> None:
    first = next_head(None, segments=[], asset_count=0, keys=KEYS)
    second = next_head(first, segments=["d" * 64], asset_count=1, keys=KEYS)
    other = next_head(first, segments=["e" * 64], asset_count=1, keys=KEYS)
    profile.check_head(ORIGIN, None)
    profile.check_head(ORIGIN, first)
    profile.check_head(ORIGIN, second)
    profile.check_head(ORIGIN, second)
    for older in (None, first, other):
        with pytest.raises(RollbackError):
            profile.check_head(ORIGIN, older)
    assert Profile(profile.folder).pins(ORIGIN).head_seq == 2


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"origin":"https://studio.example"}'])
def test_damaged_pins_are_not_forgotten_pins(profile: Profile, damage: bytes) -> None:
    profile.pin_fleet(ORIGIN, "a" * 64)
    (path,) = profile.folder.rglob("*.json")
    path.write_bytes(damage)
    with pytest.raises(IntegrityError):
        profile.pin_fleet(ORIGIN, "b" * 64)


def test_another_device_does_not_open_the_keys(profile: Profile, clock: FixedClock) -> None:
    profile.unlock(ORIGIN, KEYS)
    (profile.folder / "device.txt").write_text(Identity.from_seed(b"x" * 32).text() + "\n")
    with pytest.raises(IntegrityError):
        profile.keys(ORIGIN)


def test_who_is_alone_may_be_so_again_and_others_wait(tmp_path: Path) -> None:
    waits: list[float] = []
    first = Alone(tmp_path / "new" / "lock")
    second = Alone(tmp_path / "new" / "lock", sleep=waits.append)
    with first, first:
        with pytest.raises(BusyError), second:
            raise AssertionError
        assert sum(waits) >= WAIT_SECONDS
    with second, second:
        pass
    with pytest.raises(ZeroDivisionError), second:
        raise ZeroDivisionError
    with first:
        pass


def test_threads_of_one_process_wait_for_each_other_too(tmp_path: Path) -> None:
    alone, count = Alone(tmp_path / "lock"), 0

    def work() -> None:
        nonlocal count
        for _ in range(50):
            with alone:
                seen = count
                time.sleep(0)  # another thread may run here
                count = seen + 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == 200


def test_a_former_recipient_gives_way_to_the_one_that_follows_it(profile: Profile) -> None:
    profile.pin_person(ORIGIN, "bert", "age1one", "a" * 64)
    profile.pin_person(ORIGIN, "carl", "age1carl", "c" * 64)
    for recipient, key, former in (
        ("age1two", "a" * 64, ()),
        ("age1two", "a" * 64, ("age1other",)),
        ("age1two", "b" * 64, ("age1one",)),
    ):
        with pytest.raises(IntegrityError):
            profile.pin_person(ORIGIN, "bert", recipient, key, former)
    profile.pin_person(ORIGIN, "bert", "age1two", "a" * 64, ("age1one",))
    assert set(profile.pins(ORIGIN).people) == {
        ("bert", "age1two", "a" * 64),
        ("carl", "age1carl", "c" * 64),
    }
    with pytest.raises(IntegrityError):
        profile.pin_person(ORIGIN, "bert", "age1one", "a" * 64)


def test_the_owner_of_a_key_is_pinned_at_first_sight(profile: Profile) -> None:
    profile.pin_key_owner(ORIGIN, "age1key", "CODE")
    profile.pin_key_owner(ORIGIN, "age1other", "ANOTHER")
    profile.pin_key_owner(ORIGIN, "age1key", "CODE")
    with pytest.raises(KeyNoteError):
        profile.pin_key_owner(ORIGIN, "age1key", "ANOTHER")
    assert profile.pins(ORIGIN).key_owners == (("age1key", "CODE"), ("age1other", "ANOTHER"))
