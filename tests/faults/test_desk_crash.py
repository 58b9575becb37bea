"""kill -9 at every durable write of the desk: nothing kept is lost, nothing is charged twice.

Each write is hit just before it ("lost") and just after it ("persisted"). The life that is killed,
and every promise that is checked afterwards, are in ``desk_victim.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
RANDOM_KILLS = 1_000


class Victim:
    """Speaks with the program that lives and dies."""

    def __init__(self, base: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(FOLDER / "desk_victim.py"), str(base)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(FOLDER.parent), "PATH": "/usr/bin:/bin"},
        )
        self.slowest = 0.0
        self.orphans = 0

    def ask(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "wrong" not in answer, f"{order}: {answer['wrong']}"
        self.slowest = max(self.slowest, answer.get("recovery", 0.0))
        self.orphans += answer.get("orphans", 0)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait(60)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    found = Victim(tmp_path)
    yield found
    found.close()


Proof = Callable[[str, str, str], None]


def told(kills: int, victim: Victim) -> str:
    return (
        f"{kills} kills, 0 kept assets lost, 0 double charges, slowest recovery"
        f" {victim.slowest:.1f} s, {victim.orphans} orphans swept"
    )


WRITES = {
    "submit", "finish", "envelopes", "blob", "publish", "unpublish", "bundle", "share", "revoke",
    "erase-mark", "erase-keys", "blob-delete", "erase-rows", "asset", "asset-replace", "cancelled",
    "claim", "bill", "rewrap-files", "rotate", "rewrap",
}  # fmt: skip


def test_a_kill_at_every_kind_of_write_loses_nothing(victim: Victim, proof: Proof) -> None:
    names = victim.ask(kind="list")["names"]
    assert {name.partition(":")[0] for name in names} >= WRITES
    first = [names.index(name) for name in dict.fromkeys(names)]
    for point in first:
        assert victim.ask(kind="point", point=point)["killed"], names[point]
    proof("R1", "kill -9 at every kind of durable write of the desk", told(len(first), victim))


@pytest.mark.proof
def test_a_kill_at_every_write_loses_nothing(victim: Victim, proof: Proof) -> None:
    names = victim.ask(kind="list")["names"]
    killed = sum(victim.ask(kind="point", point=point)["killed"] for point in range(len(names)))
    # What is noted at leisure comes more or less often, so the last moments may not be reached.
    assert killed >= len(names) - 4
    proof("R1", "kill -9 at every durable write of the desk", told(killed, victim))


@pytest.mark.proof
def test_a_thousand_kills_at_any_moment_lose_nothing(victim: Victim, proof: Proof) -> None:
    seconds = victim.ask(kind="list")["seconds"]
    killed = seed = 0
    while killed < RANDOM_KILLS:
        killed += victim.ask(kind="timer", seed=seed, seconds=seconds)["killed"]
        seed += 1
    proof("R1", "kill -9 of the desk at any moment", told(killed, victim))
