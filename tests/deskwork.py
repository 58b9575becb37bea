"""What tests of the store and the desk share: records with small values, and a scripted fleet."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from safelight.desk import Desk, make_desk
from safelight.desk.fleet import FleetStatus, Listener, Outcome
from safelight.ids import FixedClock, new_id, new_token, sha256_hex
from safelight.records import Account, CostHeader, Job, SealedAsset, Session
from safelight.settings import Settings
from safelight.store.keys import Keys
from safelight.store.records import Records
from safelight.store.sqlite import sqlite_url

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
COST = CostHeader(model="ab" * 32, width_px=64, height_px=64, steps=2, count=1)


def make_account(name: str = "anna", **changes: Any) -> Account:
    values: dict[str, Any] = {
        "id": new_id("acc"),
        "name": name,
        "role": "member",
        "plan": "home",
        "owner_recipient": "age1qqqq",
        "signing_key": "0" * 64,
        "created_at": NOON,
    }
    return Account(**(values | changes))


def make_session(account: str, token: str = "", **changes: Any) -> Session:
    values: dict[str, Any] = {
        "id": new_id("ses"),
        "account": account,
        "token_sha256": sha256_hex((token or new_token()).encode()),
        "device": "browser",
        "created_at": NOON,
        "seen_at": NOON,
        "expires_at": NOON + timedelta(days=30),
    }
    return Session(**(values | changes))


def make_job(account: str, **changes: Any) -> Job:
    values: dict[str, Any] = {
        "id": new_id("job"),
        "account": account,
        "state": "queued",
        "retention": "owner",
        "protection": "sealed",
        "cost": COST,
        "tokens": 3,
        "created_at": NOON,
        "not_after": NOON + timedelta(hours=1),
        "idempotency_key": None,
        "assets": (new_id("ast"),),
    }
    return Job(**(values | changes))


def sealed_asset(asset: str | None = None, size: int = 300, **changes: Any) -> SealedAsset:
    """Stands for sealed bytes: the desk never looks inside."""
    name = asset or new_id("ast")
    values: dict[str, Any] = {
        "id": name,
        "kind": "picture",
        "full": b"full of " + name.encode() + bytes(size),
        "thumb": b"thumb of " + name.encode(),
        "meta": b"meta of " + name.encode(),
        "envelope": b"envelope of " + name.encode(),
    }
    return SealedAsset(**(values | changes))


def request_for(*assets: str) -> bytes:
    """Sealed bytes that :class:`ScriptedFleet` makes these assets of."""
    return b"sealed:" + ",".join(assets).encode() + b":" + new_token(8).encode()


def assets_of(sealed: bytes) -> list[str]:
    named = sealed.split(b":")[1].decode()
    return named.split(",") if named else []


Script = Callable[[str, bytes, Listener], Outcome]


def make_everything(job: str, sealed: bytes, listener: Listener) -> Outcome:
    """What a darkroom does on a good day."""
    listener.progress(0, 1, 2, 0.5)
    listener.preview(b"sealed preview")
    return Outcome(
        state="done",
        assets=tuple(sealed_asset(name) for name in assets_of(sealed)),
        reply=b"sealed reply of " + job.encode(),
    )


class ScriptedFleet:
    """A fleet whose darkroom follows a script; ``gate`` holds every job until it is set."""

    def __init__(self, script: Script = make_everything, slots: int = 1) -> None:
        self.slots = slots
        self.public_key = "0" * 64
        self.script = script
        self.gate = asyncio.Event()
        self.gate.set()
        self.seen: list[str] = []
        self.cancelled: set[str] = set()
        self._stop: dict[str, asyncio.Event] = {}
        self._begun: dict[str, asyncio.Event] = {}

    async def began(self, job: str) -> None:
        """Wait until a job has reached the darkroom."""
        await asyncio.wait_for(self._begun.setdefault(job, asyncio.Event()).wait(), 60)

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    def notes(self) -> list[str]:
        return ["a note"]

    async def develop(
        self, job_id: str, sealed: bytes, cost: CostHeader, listener: Listener
    ) -> Outcome:
        self.seen.append(job_id)
        self._begun.setdefault(job_id, asyncio.Event()).set()
        stop = self._stop.setdefault(job_id, asyncio.Event())
        waits = {asyncio.ensure_future(self.gate.wait()), asyncio.ensure_future(stop.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if job_id in self.cancelled:
            return Outcome(state="cancelled")
        return self.script(job_id, sealed, listener)

    async def cancel(self, job_id: str) -> None:
        self.cancelled.add(job_id)
        self._stop.setdefault(job_id, asyncio.Event()).set()

    def status(self) -> FleetStatus:
        return FleetStatus(state="ready")


_EMPTY: dict[str, bytes] = {}


async def put_empty_databases(home: Path) -> None:
    """Copy empty databases into a folder: making the tables takes far longer."""
    if not _EMPTY:
        with tempfile.TemporaryDirectory() as folder:
            urls = {name: sqlite_url(Path(folder) / name) for name in ("records.db", "keys.db")}
            for store in (Records(urls["records.db"]), Keys(urls["keys.db"])):
                await store.open()
                await store.close()
            _EMPTY.update({name: (Path(folder) / name).read_bytes() for name in urls})
    for name, data in _EMPTY.items():
        (home / name).touch(mode=0o600)
        (home / name).write_bytes(data)


async def open_test_desk(home: Path, clock: FixedClock | None = None, **settings: Any) -> Desk:
    """An open desk in a fresh home, whose clock stands at noon."""
    desk = make_desk(Settings(home=home, **settings), clock or FixedClock(NOON))
    await desk.open()
    return desk


async def add_account(desk: Desk, name: str = "anna", **changes: Any) -> Account:
    """An account with credentials, without the cost of a real registration."""
    account = make_account(name, **changes)
    files = {"password": b"password file", "recovery": b"recovery file"}
    await desk.keys_store.register(
        account.id, b"opaque record", sha256_hex(b"token"), files, desk.clock.now()
    )
    return await desk.records.accounts.add(account, make_session(account.id))


async def submit_kept(desk: Desk, account: Account, **changes: Any) -> Job:
    """Submit one kept picture."""
    asset = new_id("ast")
    values: dict[str, Any] = {
        "account": account,
        "sealed": request_for(asset),
        "cost": COST,
        "retention": "owner",
        "protection": "sealed",
        "assets": (asset,),
    }
    job, _ = await desk.submit(**(values | changes))
    return job


async def until_end(desk: Desk, job: str) -> str:
    """Follow a job; return the type of its last event."""
    last = ""
    async for event in desk.events(job):
        last = event.type
    return last


def later(clock: FixedClock, **by: float) -> None:
    """Move a clock on."""
    clock.at += timedelta(**by)


def files_with(folder: Path, pattern: str, canary: bytes) -> list[str]:
    """Names of the files that hold these bytes."""
    return [p.name for p in folder.glob(pattern) if p.is_file() and canary in p.read_bytes()]
