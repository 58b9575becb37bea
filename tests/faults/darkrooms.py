"""Starts a real fleet with one darkroom that misbehaves as asked, and plays the desk."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from caller import Caller, Hearing, Opened, make_recipe
from safelight.catalogue import Catalogue
from safelight.desk.fleet import Outcome
from safelight.errors import DarkroomError
from safelight.fleet.local import LocalFleet
from safelight.ids import new_id
from safelight.policy.plans import cost_header
from safelight.settings import Settings

KEEPER = Path(__file__).with_name("bad_keeper.py")


@dataclass
class Darkroom:
    """A running fleet, a caller, and the desk's rule of trying a stopped job again."""

    home: Path
    fleet: LocalFleet
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.caller = Caller(self.fleet.public_key)
        self.model = Catalogue(self.home).models()[0].digest

    def calm(self) -> None:
        """From now on the engine process is sound."""
        (self.home / "calm").touch()

    async def once(self, sealed: bytes, job: str, recipe: Any, hearing: Any = None) -> Outcome:
        return await self.fleet.develop(job, sealed, cost_header(recipe), hearing or Hearing())

    async def make(self, *, tries: int = 1, **changes: Any) -> tuple[list[Outcome], Opened | None]:
        """Seal one request and develop it, again while the darkroom stops; open the result."""
        keep = changes.pop("keep", True)
        recipe = make_recipe(self.model, **changes)
        notes = self.fleet.notes()
        request = self.caller.request(recipe, keep=keep)
        sealed, job = self.caller.seal(request, notes), new_id("job")
        outcomes = []
        for _ in range(tries):
            outcomes.append(await self.once(sealed, job, recipe))
            if outcomes[-1].code != DarkroomError.code:
                break
            self.calm()
        opened = self.caller.open(request, notes, outcomes[-1]) if outcomes[-1].reply else None
        return outcomes, opened

    def process(self, part: str) -> psutil.Process:
        """The keeper or the engine process."""
        for child in psutil.Process().children(recursive=True):
            command = " ".join(child.cmdline())
            if f"{part}.py" in command and f"--home {self.home}" in command:
                return child
        raise AssertionError(f"no {part} process")

    async def until(self, event: str, *, count: int = 1) -> None:
        """Wait until an event has been told ``count`` times."""
        while sum(name == event for name, _ in self.events) < count:
            self.told.clear()
            await self.told.wait()


@asynccontextmanager
async def darkroom(
    home: Path, fault: str = "none", *, ready: bool = True, **settings: Any
) -> AsyncIterator[Darkroom]:
    """A fleet of one darkroom with ``fault`` (see ``bad_engine.py``)."""
    events: list[tuple[str, dict[str, Any]]] = []
    told = asyncio.Event()

    def hear(name: str, fields: dict[str, Any]) -> None:
        events.append((name, fields))
        told.set()

    fleet = LocalFleet(
        Settings(home=home, **settings),
        on_event=hear,
        keeper_command=[sys.executable, str(KEEPER), fault],
    )
    try:
        await fleet.start()
        if ready:
            await fleet.wait_ready()
        yield Darkroom(home, fleet, events, told)
    finally:
        await fleet.stop()
