"""L1 to L3 and L7: the leak rig, its mutants, the server's memory, and off the record."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from mutants import PLACES, shared_memory
from rig import Rig, unmatched
from workload import (
    ALL,
    OFTEN,
    QUICK,
    by_a_guest,
    from_a_picture,
    kept,
    off_the_record,
    people,
    plain,
    plain_from_a_picture,
    wrong,
)

Proof = Callable[[str, str, str], None]
SETTINGS: dict[str, object] = {"job_timeout_seconds": 20, "max_upload_mb": 8}


def found(rig: Rig, *, running: bool = False) -> tuple[list[str], int]:
    hits, places = rig.scan(running=running)
    return [str(hit) for hit in hits], places


def test_nothing_leaks_in_a_short_run(tmp_path: Path) -> None:
    with Rig(tmp_path, settings=SETTINGS) as rig:
        who = people(rig)
        for act in QUICK:
            act(rig, who)
        hits, _ = found(rig, running=True)
        assert hits == []
        rig.stop(kill=True)
        hits, places = found(rig)
        assert hits == []
        assert places > 100, "the harvest saw the folders"


@pytest.mark.proof
def test_l1_nothing_leaks_in_200_jobs(tmp_path: Path, proof: Proof) -> None:
    looked = 0
    with Rig(tmp_path, settings=SETTINGS) as rig:
        who = people(rig)
        for act in ALL:
            act(rig, who)
        for kill in (True, False):
            hits, places = found(rig, running=True)
            assert hits == []
            looked += places
            rig.restart(kill=kill)
            hits, places = found(rig)
            assert hits == []
            looked += places
            who.anna, who.guest = rig.again(who.anna, "anna", who.password), rig.studio("guest")
            while rig.jobs < (120 if kill else 200):
                for act in OFTEN:
                    act(rig, who)
        rig.stop(kill=False)
        hits, places = found(rig)
        assert hits == []
        looked += places
        proof("L1", f"leak rig, {len(ALL)} ways of use, running, after SIGKILL, after a clean stop",
              f"0 hits over {rig.jobs} jobs in {looked} places")  # fmt: skip


@pytest.mark.proof
def test_l1_with_the_real_engine(tmp_path: Path, proof: Proof) -> None:
    with Rig(
        tmp_path, fault="diffusers:any", settings=SETTINGS | {"job_timeout_seconds": 300}
    ) as rig:
        who = people(rig)
        for act in (kept, off_the_record, by_a_guest, from_a_picture, plain):
            act(rig, who)
        hits, _ = found(rig, running=True)
        assert hits == []
        rig.stop(kill=True)
        hits, places = found(rig)
        assert hits == []
        proof(
            "L1",
            "the same with Pocket drawn by diffusers",
            f"0 hits over {rig.jobs} jobs in {places} places",
        )


def test_l2_every_mutant_is_caught(tmp_path: Path, proof: Proof) -> None:
    # Confined, the darkroom's mutants could not even write.
    settings = SETTINGS | {"confine": "off"}
    foreign = Path("/dev/shm") / f"another-program-{os.getpid()}"
    with Rig(tmp_path, fault="leaks", settings=settings) as rig:
        foreign.touch()
        who = people(rig)
        kept(rig, who)
        plain_from_a_picture(rig, who)
        wrong(rig, who)
        hits, _ = rig.scan(running=True)
        missed = unmatched(hits, PLACES)
        assert missed == [], (missed, sorted({hit.where for hit in hits}))
        proof("L2", "deliberate leaks in the server, the engine process and the keeper",
              f"{len(PLACES)} of {len(PLACES)} caught, each by name and place")  # fmt: skip
    assert not shared_memory(tmp_path / "home").exists()
    foreign.unlink()  # the rig left it alone


def memory_after(rig: Rig, jobs: int) -> list[str]:
    who = people(rig)
    acts = [kept, off_the_record, by_a_guest, from_a_picture]
    for i in range(jobs):
        acts[i % len(acts)](rig, who)
    return [str(hit) for hit in rig.memory(rig.process.pid)]


def test_the_servers_memory_holds_no_sealed_word(tmp_path: Path) -> None:
    with Rig(tmp_path, settings=SETTINGS) as rig:
        assert memory_after(rig, 4) == []
        # The control: a plain request does pass through this memory, and the dump shows that.
        assert rig.plain({}).status_code == 200
        assert rig.memory(rig.process.pid) != []


@pytest.mark.proof
def test_l3_the_servers_memory_after_50_jobs(tmp_path: Path, proof: Proof) -> None:
    with Rig(tmp_path, settings=SETTINGS) as rig:
        assert memory_after(rig, 50) == []
        proof("L3", "gcore of the server's process after sealed jobs", "0 hits in 50 jobs")


def off_the_record_leaves(rig: Rig, jobs: int) -> tuple[list[str], dict[str, int]]:
    """New files, and changed rows by table, after more off-the-record jobs."""
    who = people(rig)
    off_the_record(rig, who)
    files, rows = rig.state()
    for _ in range(jobs):
        off_the_record(rig, who)
    files_after, rows_after = rig.state()
    changed = {
        table: len(set(now) - set(rows.get(table, ())))
        for table, now in rows_after.items()
        if now != rows.get(table)
    }
    return sorted(set(files_after) - set(files)), changed


def test_off_the_record_changes_one_row(tmp_path: Path) -> None:
    with Rig(tmp_path, settings=SETTINGS) as rig:
        files, changed = off_the_record_leaves(rig, 5)
        assert files == []
        assert list(changed.values()) == [1], changed


@pytest.mark.proof
def test_l7_off_the_record_100_jobs(tmp_path: Path, proof: Proof) -> None:
    with Rig(tmp_path, settings=SETTINGS) as rig:
        files, changed = off_the_record_leaves(rig, 100)
        assert files == []
        assert list(changed.values()) == [1], changed
        table = next(iter(changed))
        assert "bill" in table
        proof("L7", "rows and files before and after 100 off-the-record jobs",
              "1 changed day-cost row, 0 new files")  # fmt: skip
