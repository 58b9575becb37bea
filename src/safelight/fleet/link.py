"""The fleet's side of one keeper process: start it, carry frames, start it again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from safelight.desk.fleet import FleetState, Listener, Outcome
from safelight.errors import DarkroomError, DarkroomKeyLostError, SafelightError, TransientError
from safelight.fleet.key import FleetKey
from safelight.frames import Child, backoff_seconds
from safelight.ids import Clock
from safelight.records import CostHeader, SealedAsset
from safelight.settings import Settings
from safelight.vault.notes import ANNOUNCED_SECONDS, DarkroomKey, make_note
from safelight.vault.request import MAX_NOT_AFTER_HOURS, parse_time

STOP_SECONDS = 3.0
ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}


@dataclass(slots=True)
class _Waiting:
    listener: Listener
    end: asyncio.Future[Outcome]


class KeeperLink:
    """One keeper process, its announced key, and the jobs it has."""

    def __init__(
        self,
        settings: Settings,
        device: str,
        fleet_key: FleetKey,
        clock: Clock,
        on_event: Callable[[str, dict[str, Any]], None],
        keeper_command: Sequence[str] = (),
    ) -> None:
        self._settings = settings
        self._asked_device = device
        self._fleet_key = fleet_key
        self._clock = clock
        self._on_event = on_event
        self._module = [*(keeper_command or (sys.executable, "-m", "safelight.darkroom"))]
        self._jobs: dict[str, _Waiting] = {}
        self._key: DarkroomKey | None = None
        self._note_text = ""
        self._child: Child | None = None
        self._life: asyncio.Task[None] | None = None
        self._first_note: asyncio.Future[None] | None = None
        self.ready = asyncio.Event()
        self.state: FleetState = "stopped"
        self.device: str | None = None
        self.confinement: dict[str, Any] = {}
        self.error: str | None = None

    @property
    def busy(self) -> int:
        """How many jobs it has."""
        return len(self._jobs)

    def start(self) -> None:
        """Start the keeper process, and again whenever it dies, until :meth:`stop`."""
        self.state = "starting"
        self._first_note = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._keep_alive())

    async def announced(self) -> None:
        """Wait for the first key. Raises :class:`TransientError` if the keeper cannot start."""
        assert self._first_note is not None
        await asyncio.shield(self._first_note)

    async def stop(self) -> None:
        """Ask the keeper to stop, and kill it if it does not. Its jobs end as failed."""
        life, self._life = self._life, None
        self.state = "stopped"
        await self._send({"op": "stop"})
        child = self._child
        if child is not None and not await child.ended_within(STOP_SECONDS):
            child.kill()
        if life is not None:
            life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await life

    def note(self) -> str | None:
        """The signed note of the newest key, if it may be sealed to now."""
        if self._key is None or self._clock.now() > self._key.announced_until:
            return None
        return self._note_text

    async def develop(
        self, job_id: str, sealed: bytes, cost: CostHeader, listener: Listener
    ) -> Outcome:
        """Hand over one job and wait for its end; see :class:`safelight.desk.fleet.Fleet`."""
        if self._key is None:
            return Outcome(state="failed", code=DarkroomKeyLostError.code)
        waiting = _Waiting(listener, asyncio.get_running_loop().create_future())
        self._jobs[job_id] = waiting
        try:
            await self._send({"op": "develop", "job": job_id, "cost": cost.to_dict()}, [sealed])
            return await waiting.end
        except asyncio.CancelledError:
            await self._send({"op": "cancel", "job": job_id})
            raise
        finally:
            if self._jobs.get(job_id) is waiting:
                del self._jobs[job_id]

    async def cancel(self, job_id: str) -> None:
        """Pass a cancel on if this keeper has the job."""
        if job_id in self._jobs:
            await self._send({"op": "cancel", "job": job_id})

    # --- the process ---

    async def _keep_alive(self) -> None:
        failures = 0
        while True:
            await asyncio.sleep(backoff_seconds(failures))
            announced = await self._live_once()
            if self.state == "stopped":
                return
            failures = 0 if announced else failures + 1
            self.state = "restarting"

    async def _live_once(self) -> bool:
        """One life of the keeper process; return whether it ever announced a key."""
        child = self._child = await Child.start(self._command(), ENVIRONMENT)
        try:
            while True:
                header, parts = await child.stream.receive()
                self._heard(header, parts)
        except (EOFError, DarkroomError):
            return self._key is not None
        finally:
            child.bury()
            self._child = None
            self._died()

    def _command(self) -> list[str]:
        settings = self._settings
        options = {
            "--home": settings.home.absolute(),
            "--device": self._asked_device,
            "--confine": settings.confine,
            "--key-seconds": min(settings.key_minutes * 60, ANNOUNCED_SECONDS),
            "--kept-seconds": min(settings.not_after_minutes * 60, MAX_NOT_AFTER_HOURS * 3600),
            "--job-timeout-seconds": settings.job_timeout_seconds,
        }
        return [*self._module, *(str(word) for pair in options.items() for word in pair)]

    def _died(self) -> None:
        """Every key of this keeper is gone, and with them every job it had."""
        self._key = None
        self.ready.clear()
        jobs, self._jobs = self._jobs, {}
        for waiting in jobs.values():
            _settle(waiting.end, Outcome(state="failed", code=DarkroomKeyLostError.code))
        if self.state != "stopped":
            self._on_event("darkroom-died", {"jobs": len(jobs), "code": self.error})

    async def _send(self, header: dict[str, Any], parts: Sequence[bytes] = ()) -> None:
        if self._child is not None:
            with contextlib.suppress(ConnectionError):
                await self._child.stream.send(header, parts)

    # --- what the keeper says ---

    def _heard(self, header: dict[str, Any], parts: list[bytes]) -> None:
        match header["op"]:
            case "announce":
                self._announced(header)
            case "ready" | "not-ready":
                self._changed(header)
            case "cannot-start":
                self._cannot_start(header)
            case "progress" | "preview" | "finished" | "lost":
                if (waiting := self._jobs.get(header["job"])) is not None:
                    _tell(waiting, header, parts)

    def _announced(self, header: dict[str, Any]) -> None:
        times = {
            name: parse_time(header[name])
            for name in ("not_before", "announced_until", "keeps_until")
        }
        key = DarkroomKey(
            darkroom=header["darkroom"],
            recipient=header["recipient"],
            signing_key=header["signing_key"],
            **times,
        )
        self._note_text = make_note(key, self._fleet_key.seed)
        self._key = key
        first = self.state in ("starting", "restarting")
        if first:
            self.state = "warming"
        if self._first_note is not None and not self._first_note.done():
            self._first_note.set_result(None)
        if first:  # a later key changes nothing that anybody waits for
            self._on_event("darkroom-announced", {"darkroom": key.darkroom})

    def _changed(self, header: dict[str, Any]) -> None:
        warm = header["op"] == "ready"
        self.state = "ready" if warm else "warming"
        self.confinement, self.error = header["confinement"], header["code"]
        if warm:
            self.device = header["device"]
            self.ready.set()
        else:
            self.ready.clear()
        fields = {"darkroom": header["darkroom"], "code": self.error, "where": header["where"]}
        self._on_event("darkroom-ready" if warm else "darkroom-not-ready", fields)

    def _cannot_start(self, header: dict[str, Any]) -> None:
        self.error = header["code"]
        if self._first_note is not None and not self._first_note.done():
            # Our own sentence about this machine; it names guards of the confinement, no more.
            self._first_note.set_exception(TransientError(header["message"]))


def _tell(waiting: _Waiting, header: dict[str, Any], parts: list[bytes]) -> None:
    match header["op"]:
        case "progress":
            waiting.listener.progress(
                header["index"], header["step"], header["steps"], header["seconds_left"]
            )
        case "preview":
            waiting.listener.preview(parts[0])
        case "lost":
            _settle(waiting.end, Outcome(state="failed", code=header["code"]))
        case "finished":
            _settle(waiting.end, _outcome(header, parts))


def _outcome(header: dict[str, Any], parts: list[bytes]) -> Outcome:
    """Read a ``finished`` frame: full, thumb, meta, envelope of each asset; what is to be public,
    in the plain; the reply.
    """
    sealed = 4 * len(header["assets"])
    wanted = sealed + header["public"] + bool(header["reply"])
    if len(parts) != wanted:
        return Outcome(state="failed", code=SafelightError.code)
    assets = tuple(
        SealedAsset(
            id=asset["id"],
            kind=asset["kind"],
            full=parts[4 * i],
            thumb=parts[4 * i + 1],
            meta=parts[4 * i + 2],
            envelope=parts[4 * i + 3],
        )
        for i, asset in enumerate(header["assets"])
    )
    return Outcome(
        state=header["outcome"],
        code=header["code"],
        assets=assets,
        public=tuple(parts[sealed : sealed + header["public"]]),
        reply=parts[-1] if header["reply"] else None,
    )


def _settle(end: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not end.done():
        end.set_result(outcome)
