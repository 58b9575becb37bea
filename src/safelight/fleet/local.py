"""Darkrooms as child processes on this machine: one keeper per device."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from safelight.desk.fleet import FleetStatus, Listener, Outcome
from safelight.errors import DarkroomKeyLostError, TransientError
from safelight.fleet.key import FleetKey, load_or_make
from safelight.fleet.link import KeeperLink
from safelight.ids import Clock, SystemClock
from safelight.records import CostHeader
from safelight.settings import Settings

START_SECONDS = 30.0

Note = Callable[[str, dict[str, Any]], None]


def _silent(_event: str, _fields: dict[str, Any]) -> None:
    return None


class LocalFleet:
    """Implements :class:`safelight.desk.fleet.Fleet` with child processes.

    ``devices`` names one device for each darkroom (default: the setting). ``on_event`` hears of
    ``darkroom-announced`` (once in a darkroom's life, with its first key), ``darkroom-ready``,
    ``darkroom-not-ready`` and ``darkroom-died``, with ids, codes and counts only.
    ``keeper_command`` replaces ``python -m safelight.darkroom``; tests use it to start darkrooms
    that misbehave.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        devices: Sequence[str] = (),
        clock: Clock | None = None,
        on_event: Note = _silent,
        keeper_command: Sequence[str] = (),
    ) -> None:
        self._key: FleetKey = load_or_make(settings.home)
        self._clock = clock or SystemClock()
        self._developing: set[str] = set()
        self._asked: set[str] = set()
        """Jobs under way that were cancelled."""
        self._links = [
            KeeperLink(settings, device, self._key, self._clock, on_event, keeper_command)
            for device in (devices or [settings.device])
        ]

    @property
    def slots(self) -> int:
        """One job per darkroom at a time."""
        return len(self._links)

    @property
    def public_key(self) -> str:
        """The fleet key's public half, 64 hexadecimal digits."""
        return self._key.public

    async def start(self) -> None:
        """Start every darkroom; return once each has announced a key.

        Raises :class:`TransientError` when one cannot start (confinement is required and lacking,
        say); the others are stopped again.
        """
        for link in self._links:
            link.start()
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.gather(*(link.announced() for link in self._links))
        except TimeoutError:
            await self.stop()
            raise TransientError("a darkroom did not start in time") from None
        except TransientError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop every darkroom; each key is gone with its process."""
        await asyncio.gather(*(link.stop() for link in self._links))

    def notes(self) -> list[str]:
        """The newest signed note of each darkroom that is announced now."""
        return [note for link in self._links if (note := link.note()) is not None]

    async def develop(
        self, job_id: str, sealed: bytes, cost: CostHeader, listener: Listener
    ) -> Outcome:
        """Hand the request to a darkroom, the least busy first; ask the next if it lacks the key.

        See :class:`safelight.desk.fleet.Fleet`.
        """
        outcome = Outcome(state="failed", code=DarkroomKeyLostError.code)
        self._developing.add(job_id)
        try:
            for link in sorted(self._links, key=lambda link: link.busy):
                outcome = await link.develop(job_id, sealed, cost, listener)
                if outcome.code != DarkroomKeyLostError.code:
                    return outcome
                if job_id in self._asked:  # cancelled while a darkroom without the key had it
                    return Outcome(state="cancelled")
            return outcome
        finally:
            self._developing.discard(job_id)
            self._asked.discard(job_id)

    async def cancel(self, job_id: str) -> None:
        """Cancel the job in whichever darkroom has it."""
        if job_id in self._developing:
            self._asked.add(job_id)
        await asyncio.gather(*(link.cancel(job_id) for link in self._links))

    async def wait_ready(self) -> None:
        """Return once every darkroom is warm."""
        await asyncio.gather(*(link.ready.wait() for link in self._links))

    def status(self) -> FleetStatus:
        """The state of the readiest darkroom; of confinement, the worst."""
        best = min(self._links, key=lambda link: _RANK.index(link.state))
        worst = max(self._links, key=lambda link: len(link.confinement.get("missing", ())))
        return FleetStatus(
            state=best.state,
            device=", ".join(dict.fromkeys(link.device for link in self._links if link.device))
            or None,
            confinement=worst.confinement,
            error=next((link.error for link in self._links if link.error), None),
        )


_RANK = ["ready", "warming", "starting", "restarting", "stopped"]
