"""The keys store, the same on SQLite and PostgreSQL; and erasure by raw scan on SQLite."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from deskwork import NOON
from safelight.errors import ConflictError, RequestError
from safelight.store.blobs import new_name
from safelight.store.keys import Envelope, KeptReply, Keys

LATER = NOON + timedelta(days=8)
CANARY = b"canary-that-must-not-survive-7f3a"


def envelope(account: str = "acc_a", data: bytes = b"sealed identity") -> Envelope:
    return Envelope(blob=new_name(), account=account, envelope=data)


async def register(keys: Keys, account: str = "acc_a") -> None:
    files = {"password": b"pw file", "recovery": b"rc file"}
    await keys.register(account, b"record", "aa" * 32, files, NOON)


async def test_results_are_kept_together_and_erased(keys: Keys) -> None:
    one, two = envelope(), envelope(data=b"other")
    reply = KeptReply(job="job_1", account="acc_a", reply=b"reply", until=LATER)
    await keys.put_results([one, two], reply, NOON)
    assert await keys.envelopes([one.blob, two.blob, "none"]) == {
        one.blob: one.envelope,
        two.blob: two.envelope,
    }
    assert await keys.reply("job_1", NOON) == b"reply"
    assert await keys.reply("job_1", LATER) is None
    await keys.erase(blobs=[one.blob], jobs=["job_1"])
    assert await keys.envelopes([one.blob, two.blob]) == {two.blob: b"other"}
    assert await keys.reply("job_1", NOON) is None
    assert await keys.envelopes([]) == {}


async def test_credentials_and_files_are_one_step(keys: Keys) -> None:
    await register(keys)
    assert await keys.credentials("acc_a") == (b"record", "aa" * 32)
    assert await keys.credentials("acc_b") is None
    with pytest.raises(ConflictError):
        await register(keys)
    assert await keys.change_password("acc_a", b"new record", {"password": b"new file"})
    assert await keys.credentials("acc_a") == (b"new record", "aa" * 32)
    assert await keys.files("acc_a", NOON) == {"password": b"new file", "recovery": b"rc file"}
    assert await keys.change_password("acc_a", b"r", {"recovery": b"n"}, "bb" * 32)
    assert await keys.credentials("acc_a") == (b"r", "bb" * 32)
    assert not await keys.change_password("acc_b", b"r", {"password": b"never"})
    assert await keys.files("acc_b", NOON) == {}


async def test_a_rewrap_replaces_what_is_still_the_same(keys: Keys) -> None:
    one, two, gone = envelope(), envelope(data=b"two"), envelope()
    await keys.put_results([one, two], None, NOON)
    changes = [
        (one.blob, one.envelope, b"anew"),
        (two.blob, b"another by now", b"never"),
        (gone.blob, gone.envelope, b"never"),
    ]
    assert await keys.rewrap(changes) == 1
    assert await keys.envelopes([one.blob, two.blob, gone.blob]) == {
        one.blob: b"anew",
        two.blob: b"two",
    }
    assert await keys.rewrap([]) == 0


async def test_rewrapped_files_are_the_only_ones_left(keys: Keys) -> None:
    await register(keys)
    await register(keys, "acc_b")
    await keys.put_file("acc_a", "passkey-1", b"former keys", None)
    await keys.put_file("acc_a", "device-1", b"former keys", LATER)
    anew = {"password": b"new pw", "recovery": b"new rc"}
    assert await keys.rewrap_files("acc_a", anew)
    assert await keys.files("acc_a", NOON) == anew
    assert await keys.credentials("acc_a") == (b"record", "aa" * 32)
    assert await keys.rewrap_files("acc_a", anew, "bb" * 32)
    assert await keys.credentials("acc_a") == (b"record", "bb" * 32)
    assert not await keys.rewrap_files("acc_c", anew)
    assert await keys.files("acc_c", NOON) == {}
    assert await keys.files("acc_b", NOON) == {"password": b"pw file", "recovery": b"rc file"}


async def test_a_device_file_ends_by_itself(keys: Keys) -> None:
    await register(keys)
    await keys.put_file("acc_a", "device-x", b"unlocked", NOON + timedelta(days=7))
    assert "device-x" in await keys.files("acc_a", NOON)
    assert "device-x" not in await keys.files("acc_a", LATER)
    assert await keys.sweep(NOON) == 0
    assert await keys.sweep(LATER) == 1
    assert not await keys.delete_file("acc_a", "device-x")
    await keys.put_file("acc_a", "passkey-y", b"one", None)
    await keys.put_file("acc_a", "passkey-y", b"two", None)
    assert (await keys.files("acc_a", LATER))["passkey-y"] == b"two"
    assert await keys.delete_file("acc_a", "passkey-y")


async def test_an_account_is_erased_whole(keys: Keys) -> None:
    await register(keys)
    await register(keys, "acc_b")
    mine, other = envelope(), envelope("acc_b")
    await keys.put_results([mine, other], None, NOON)
    await keys.put_bundle("shr_1", "acc_a", b"bundle", NOON)
    assert await keys.bundle("shr_1") == b"bundle"
    await keys.erase_account("acc_a")
    assert await keys.credentials("acc_a") is None
    assert await keys.files("acc_a", NOON) == {}
    assert await keys.bundle("shr_1") is None
    assert await keys.envelopes([mine.blob, other.blob]) == {other.blob: other.envelope}


async def test_the_sweeper_sees_what_is_old(keys: Keys) -> None:
    found = sorted([envelope() for _ in range(5)], key=lambda e: e.blob)
    await keys.put_results(found, None, NOON)
    await register(keys)
    await keys.put_bundle("shr_1", "acc_a", b"bundle", NOON)
    assert await keys.old_envelopes(NOON, "", 10) == []
    assert await keys.old_envelopes(LATER, "", 3) == [e.blob for e in found[:3]]
    assert await keys.old_envelopes(LATER, found[2].blob, 3) == [e.blob for e in found[3:]]
    assert await keys.old_bundles(LATER) == ["shr_1"]
    assert await keys.old_accounts(LATER) == ["acc_a"]
    assert await keys.old_accounts(NOON) == []


async def test_scrubbing_works_while_the_store_is_open(keys: Keys) -> None:
    await keys.put_results([envelope()], None, NOON)
    assert await keys.scrub()


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("keys*") if path.is_file())


@pytest.fixture
async def sqlite_keys(tmp_path: Path) -> Keys:
    from safelight.store.sqlite import sqlite_url

    found = Keys(sqlite_url(tmp_path / "keys.db"))
    await found.open()
    return found


async def test_no_byte_of_what_was_erased_is_left_in_the_files(
    sqlite_keys: Keys, tmp_path: Path
) -> None:
    keys = sqlite_keys
    canary = envelope(data=CANARY * 40)
    reply = KeptReply(job="job_1", account="acc_a", reply=CANARY * 400, until=LATER)
    await keys.put_results([canary, *(envelope() for _ in range(50))], reply, NOON)
    await keys.put_bundle("shr_1", "acc_a", CANARY, NOON)
    await keys.register("acc_a", b"record", "aa" * 32, {"password": CANARY}, NOON)
    assert CANARY in bytes_of(tmp_path)
    await keys.erase(blobs=[canary.blob], jobs=["job_1"], shares=["shr_1"])
    await keys.change_password("acc_a", b"record", {"password": b"another"})
    assert await keys.scrub()
    assert CANARY not in bytes_of(tmp_path)
    await keys.close()
    assert CANARY not in bytes_of(tmp_path)


async def test_what_was_rewrapped_is_nowhere_on_the_disk(sqlite_keys: Keys, tmp_path: Path) -> None:
    canary = envelope(data=CANARY)
    await register(sqlite_keys)
    await sqlite_keys.put_file("acc_a", "passkey-1", CANARY, None)
    await sqlite_keys.put_results([canary], None, NOON)
    await sqlite_keys.rewrap([(canary.blob, CANARY, b"anew")])
    await sqlite_keys.rewrap_files("acc_a", {"password": b"p", "recovery": b"r"})
    assert await sqlite_keys.scrub()
    assert CANARY not in bytes_of(tmp_path)
    await sqlite_keys.close()


async def test_the_log_is_cleared_by_itself_soon_after_an_erasure(
    sqlite_keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from safelight.store import database as module

    assert module.SCRUB_SECONDS <= 30  # the promise is 60 s
    monkeypatch.setattr(module, "SCRUB_SECONDS", 0.01)
    canary = envelope(data=CANARY)
    await sqlite_keys.put_results([canary], None, NOON)
    await sqlite_keys.erase(blobs=[canary.blob])
    for _ in range(500):
        if CANARY not in bytes_of(tmp_path):
            break
        await asyncio.sleep(0.01)
    assert CANARY not in bytes_of(tmp_path)
    await sqlite_keys.close()


async def test_opening_clears_what_a_crash_left_in_the_log(tmp_path: Path) -> None:
    from safelight.store.sqlite import sqlite_url

    keys = Keys(sqlite_url(tmp_path / "keys.db"))
    await keys.open()
    canary = envelope(data=CANARY)
    await keys.put_results([canary], None, NOON)
    await keys.erase(blobs=[canary.blob])
    assert CANARY in bytes_of(tmp_path)  # in the log, as after a kill
    other = Keys(sqlite_url(tmp_path / "keys.db"))
    await other.open()
    assert CANARY not in bytes_of(tmp_path)
    await other.close()
    await keys.close()


async def test_backups_of_the_keys_live_no_longer_than_the_horizon(
    sqlite_keys: Keys, tmp_path: Path
) -> None:
    kept = envelope()
    await sqlite_keys.put_results([kept], None, NOON)
    folder = tmp_path / "backups"
    old = await sqlite_keys.backup(folder, NOON, 7)
    week = await sqlite_keys.backup(folder, NOON + timedelta(days=7), 7)
    assert old.exists()
    newest = await sqlite_keys.backup(folder, LATER, 7)
    assert sorted(folder.iterdir()) == [week, newest]
    with sqlite3.connect(newest) as copy:
        rows = copy.execute("SELECT envelope FROM envelopes").fetchall()
    copy.close()
    assert rows == [(kept.envelope,)]
    await sqlite_keys.close()


async def test_postgresql_is_backed_up_by_its_own_tools(
    keys: Keys, database_kind: str, tmp_path: Path
) -> None:
    if database_kind == "sqlite":
        assert (await keys.backup(tmp_path, NOON, 7)).exists()
        return
    with pytest.raises(RequestError):
        await keys.backup(tmp_path, NOON, 7)
