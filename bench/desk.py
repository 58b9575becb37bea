"""The desk: pages of a library by its size, submissions while a darkroom works, 10,000 jobs."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bench.rows import Row

from safelight.desk import Desk, make_desk
from safelight.desk.fleet import FleetStatus, Listener, Outcome
from safelight.ids import SystemClock, new_id
from safelight.records import Account, CostHeader, Session
from safelight.settings import Settings
from safelight.store.key_tables import envelopes
from safelight.store.tables import assets

SIZES = (1_000, 100_000, 1_000_000)
PAGE = 50
READS = 300
COST = CostHeader(model="ab" * 32, width_px=512, height_px=512, steps=20, count=1)
NOW = datetime.now(UTC)
# As the engine process does: on every core, and giving way (10).
_WORK = "import os, numpy as n\nos.nice(10)\na = n.random.rand(600, 600)\nwhile True: a @ a"


class QuickFleet:
    """Ends every job at once, so that what is measured is the desk."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.public_key = "0" * 64

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def notes(self) -> list[str]:
        """No keys."""
        return []

    async def develop(
        self,
        job_id: str,  # noqa: ARG002
        sealed: bytes,  # noqa: ARG002
        cost: CostHeader,  # noqa: ARG002
        listener: Listener,  # noqa: ARG002
    ) -> Outcome:
        """Done, with nothing to keep."""
        return Outcome(state="done", reply=b"reply")

    async def cancel(self, job_id: str) -> None:
        """Nothing runs long enough."""

    def status(self) -> FleetStatus:
        """Ready."""
        return FleetStatus(state="ready")


@asynccontextmanager
async def open_desk(**settings: str | int) -> AsyncIterator[Desk]:
    home = Path(tempfile.mkdtemp(prefix="safelight-bench-"))
    desk = make_desk(Settings(home=home, **settings), SystemClock())  # type: ignore[arg-type]
    await desk.open()
    try:
        yield desk
    finally:
        await desk.close()
        shutil.rmtree(home)


async def add_account(desk: Desk, name: str) -> Account:
    account = Account(
        id=new_id("acc"), name=name, role="member", plan="home", owner_recipient="age1",
        signing_key="0" * 64, created_at=NOW,
    )  # fmt: skip
    session = Session(
        id=new_id("ses"), account=account.id, token_sha256=new_id("ses"), device="bench",
        created_at=NOW, seen_at=NOW, expires_at=NOW,
    )  # fmt: skip
    return await desk.records.accounts.add(account, session)


async def fill(desk: Desk, account: str, start: int, end: int) -> None:
    """Rows ``start`` to ``end`` of a library, with their envelopes, without the blobs."""
    step = 5_000
    for first in range(start, end, step):
        names = [f"{i:026d}" for i in range(first, min(first + step, end))]
        rows = [
            {
                "id": f"ast_{name}", "account": account, "kind": "picture", "protection": "sealed",
                "retention": "owner", "visibility": "private", "size_bytes": 500_000,
                "made_on": "2026-11-28", "blob": name, "job": None, "erasing": False,
            }
            for name in names
        ]  # fmt: skip
        sealed = [
            {"blob": name, "account": account, "envelope": bytes(300), "created_at": 0}
            for name in names
        ]
        async with desk.records.database.write("fill") as connection:
            await connection.execute(assets.insert(), rows)
        async with desk.keys_store.database.write("fill") as connection:
            await connection.execute(envelopes.insert(), sealed)


def percentile(times: Sequence[float], share: float) -> float:
    """In milliseconds."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1_000


async def time_pages(desk: Desk, account: str, size: int) -> tuple[list[float], list[float]]:
    """Seconds of the first page, and of pages from all depths."""
    first, deep = [], []
    for i in range(READS):
        began = time.perf_counter()
        found, _ = await desk.library(account, limit=PAGE)
        first.append(time.perf_counter() - began)
        cursor = str(PAGE + 1 + (size - PAGE) * i // READS)
        began = time.perf_counter()
        deeper, _ = await desk.library(account, cursor=cursor, limit=PAGE)
        deep.append(time.perf_counter() - began)
        assert len(found) == len(deeper) == PAGE
    return first, deep


async def pages() -> list[Row]:
    rows, medians = [], {}
    async with open_desk() as desk:
        account, size = await add_account(desk, "anna"), 0
        for target in SIZES:
            await fill(desk, account.id, size, target)
            size = target
            first, deep = await time_pages(desk, account.id, size)
            medians[size] = statistics.median(first), statistics.median(deep)
            goal = 10.0 if size == 100_000 else None
            for name, times, peer in (("first", first, 176.0), ("deep", deep, 304.0)):
                rows.append(
                    Row(
                        name=f"library, {name} page of {PAGE} at {size:,} rows, p99",
                        value=percentile(times, 0.99),
                        unit="ms",
                        goal=goal,
                        peer=peer if size == 100_000 else None,
                        note=f"median {percentile(times, 0.5):.2f} ms",
                    )
                )
    for k, name in enumerate(("first", "deep")):
        growth = medians[SIZES[-1]][k] / medians[SIZES[0]][k]
        label = f"library, {name} page, median growth from 1k to 1M"
        rows.append(Row(name=label, value=growth, unit="x", goal=1.5))
    return rows


async def submissions() -> list[Row]:
    """Each on its own, while a process computes on every core as an engine does."""
    times = []
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", _WORK)
    try:
        async with open_desk(queue_limit=100_000) as desk:
            account = await add_account(desk, "anna")
            for i in range(600):
                asset, sealed = new_id("ast"), os.urandom(4_096)
                began = time.perf_counter()
                await desk.submit(
                    account=account, sealed=sealed, cost=COST, retention="owner",
                    protection="sealed", assets=(asset,), idempotency_key=f"key-{i:08d}",
                )  # fmt: skip
                times.append(time.perf_counter() - began)
                await asyncio.sleep(0.005)
    finally:
        worker.kill()
        await worker.wait()
    return [
        Row(
            name="submission on disk, while a darkroom works, p99",
            value=percentile(times, 0.99),
            unit="ms",
            goal=20.0,
            peer=100.0,
            note=f"median {percentile(times, 0.5):.2f} ms",
        )
    ]


async def ten_thousand(count: int = 10_000) -> list[Row]:
    """From 50 accounts at once; every tenth is sent twice. None may be lost or doubled."""
    async with open_desk(queue_limit=100_000) as desk:
        people = [await add_account(desk, f"person{i}") for i in range(50)]
        desk.attach(QuickFleet(4))
        began = time.perf_counter()
        seen: dict[int, set[str]] = {}

        async def send(numbers: range) -> None:
            for i in numbers:
                asset, sealed = new_id("ast"), os.urandom(1_024)
                for _ in range(2 if i % 10 == 0 else 1):
                    job, _ = await desk.submit(
                        account=people[i % 50], sealed=sealed, cost=COST, retention="owner",
                        protection="sealed", assets=(asset,), idempotency_key=f"key-{i:08d}",
                    )  # fmt: skip
                    seen.setdefault(i, set()).add(job.id)

        await asyncio.gather(*(send(range(start, count, 32)) for start in range(32)))
        for job_id in {job_id for jobs in seen.values() for job_id in jobs}:
            async for _ in desk.events(job_id):
                pass
        seconds = time.perf_counter() - began
        billed = 0
        for person in people:
            billed += sum(day[1] for day in await desk.records.jobs.bills(person.id))
        ids = {job for jobs in seen.values() for job in jobs}
    lost = count - len(seen)
    doubled = len(ids) - len(seen) + abs(billed - count)
    return [
        Row(name=f"{count:,} submissions, lost", value=lost, unit="jobs", goal=0),
        Row(name=f"{count:,} submissions, doubled", value=doubled, unit="jobs", goal=0),
        Row(name=f"{count:,} submissions, to the end", value=seconds, unit="s"),
    ]


async def postgresql(rows: Sequence[Row]) -> list[Row]:
    """The 100k pages on PostgreSQL over the same on SQLite; nothing without a server here."""
    from bench.postgres import server

    with server() as address:
        if address is None:
            return []
        async with open_desk(records_url=f"{address}/records", keys_url=f"{address}/keys") as desk:
            account = await add_account(desk, "anna")
            await fill(desk, account.id, 0, 100_000)
            times = await time_pages(desk, account.id, 100_000)
    found = []
    for k, name in enumerate(("first", "deep")):
        here = percentile(times[k], 0.5)
        row = next(r for r in rows if f"{name} page of" in r.name and "100,000" in r.name)
        sqlite = float(row.note.split()[1])
        found.append(
            replace(
                row,
                name=f"library, {name} page at 100,000 rows, PostgreSQL / SQLite, median",
                value=here / sqlite, unit="x", goal=None, peer=None,
                note=f"{here:.2f} ms / {sqlite:.2f} ms",
            )
        )  # fmt: skip
    return found


async def _all() -> list[Row]:
    rows = await pages()
    rows += await postgresql(rows)
    rows += await submissions()
    rows += await ten_thousand()
    return rows


def run() -> list[Row]:
    """Every row of this module; takes some minutes."""
    return asyncio.run(_all())


if __name__ == "__main__":
    for found in run():
        goal = "" if found.goal is None else f"goal {found.goal:g}"
        peer = "" if found.peer is None else f"peer {found.peer:g}"
        print(
            f"{found.name:62} {found.value:10.2f} {found.unit:5} {goal:10} {peer:10} {found.note}"
        )
