"""The keeper: holds the keys, opens, checks, hands on, signs, seals, forgets.

Frames from the desk's side: ``develop``, ``cancel``, ``announce``, ``stop``. To it: ``announce``
(the public halves of a new key; the fleet signs the note), ``ready``, ``not-ready``, ``progress``,
``preview``, ``finished``, ``lost``. Nothing that leaves names a prompt, a category or a person.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import Any

from safelight.darkroom import results
from safelight.darkroom.admission import Admission, Admitted
from safelight.darkroom.confine import worse_of
from safelight.darkroom.engine_link import EngineFailed, EngineLink, EngineState
from safelight.darkroom.keyring import KeyRing
from safelight.darkroom.results import Drawn, Work
from safelight.errors import (
    CancelledError,
    DarkroomError,
    DarkroomKeyLostError,
    RefusedError,
    SafelightError,
    TooLargeError,
)
from safelight.frames import FrameStream
from safelight.ids import Clock, utc_day
from safelight.records import SealedAsset
from safelight.vault.request import time_text

TICK_SECONDS = 15.0
"""How often the keeper looks whether a key is due or over; also right after a suspended machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """What a ``finished`` frame says."""

    outcome: str
    code: str | None = None
    where: str | None = None
    assets: tuple[SealedAsset, ...] = ()
    public: tuple[bytes, ...] = ()
    reply: bytes | None = None


class Keeper:
    """One darkroom's keeper. One job is drawn at a time; later ones wait in order."""

    def __init__(
        self,
        darkroom: str,
        desk: FrameStream,
        keys: KeyRing,
        clock: Clock,
        job_timeout_seconds: float,
    ) -> None:
        self._darkroom = darkroom
        self._desk = desk
        self._keys = keys
        self._clock = clock
        self._job_timeout_seconds = job_timeout_seconds
        self._admission = Admission(keys, clock)
        self._sizes = results.ReplySizes()
        self._turn = asyncio.Lock()
        self._drawing: str | None = None
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._confinement: dict[str, Any] = {}

    async def run(self, engine: EngineLink, confinement: dict[str, Any]) -> None:
        """Serve until the desk's side says stop or is gone. Then every key is gone too."""
        self._engine = engine
        self._confinement = confinement
        await self._announce()
        tasks = [asyncio.create_task(engine.keep_running()), asyncio.create_task(self._tick())]
        for task in tasks:
            task.add_done_callback(self._background_ended)
        try:
            while True:
                header, parts = await self._desk.receive()
                if header["op"] == "stop":
                    return
                await self._take(header, parts)
        except (EOFError, ConnectionError):
            return
        finally:
            self._stopping = True
            engine.stop()
            for task in [*tasks, *self._jobs.values()]:
                task.cancel()

    def _background_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._desk.close()  # a bug: better no darkroom than one that forgets to wipe

    async def _take(self, header: dict[str, Any], parts: list[bytes]) -> None:
        match header["op"]:
            case "develop":
                job = header["job"]
                task = asyncio.create_task(self._develop(job, header["cost"], parts[0]))
                self._jobs[job] = task
                task.add_done_callback(lambda task: self._ended(job, task))
            case "cancel":
                await self._cancel(header["job"])
            case "announce":
                await self._announce()

    # --- keys ---

    async def _announce(self) -> None:
        key = self._keys.make()
        await self._desk.send(
            {
                "op": "announce",
                "darkroom": key.darkroom,
                "recipient": key.recipient,
                "signing_key": key.signing_key,
                "not_before": time_text(key.not_before),
                "announced_until": time_text(key.announced_until),
                "keeps_until": time_text(key.keeps_until),
            }
        )

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._keys.tick_seconds(TICK_SECONDS))
            if self._keys.is_due():
                await self._announce()
            self._keys.wipe()
            self._admission.forget_old()

    # --- the engine's state ---

    async def engine_changed(self, state: EngineState) -> None:
        """Tell the desk's side. What holds is what holds in both processes."""
        confinement = worse_of(self._confinement, state.confinement)
        header: dict[str, Any] = {
            "op": "ready" if state.warm else "not-ready",
            "darkroom": self._darkroom,
            "device": state.device,
            "confinement": confinement,
            "code": state.error,
            "where": state.where,
        }
        with contextlib.suppress(ConnectionError):
            await self._desk.send(header)

    # --- jobs ---

    async def _cancel(self, job: str) -> None:
        if self._drawing == job:
            await self._engine.cancel(job)
        elif (task := self._jobs.get(job)) is not None:
            task.cancel()

    async def _develop(self, job: str, cost: dict[str, Any], sealed: bytes) -> None:
        end = await self._end_of(job, cost, sealed)
        if end is not None:
            await self._finish(job, end)
            return
        with contextlib.suppress(ConnectionError):
            await self._desk.send({"op": "lost", "job": job, "code": DarkroomKeyLostError.code})

    def _ended(self, job: str, task: asyncio.Task[None]) -> None:
        """A job's task is over. One that was cancelled, even before its first step, says so."""
        if self._jobs.get(job) is task:
            del self._jobs[job]
        if task.cancelled() and not self._stopping:
            telling = asyncio.create_task(self._finish(job, _End(outcome="cancelled")))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    async def _end_of(self, job: str, cost: dict[str, Any], sealed: bytes) -> _End | None:
        """Work on one job; None means that no key here opens it. Never raises but a cancel."""
        try:
            admitted = self._admission.admit(job, cost, sealed)
            return await self._worked(admitted)
        except DarkroomKeyLostError:
            return None
        except CancelledError:
            return _End(outcome="cancelled")
        except EngineFailed as failed:
            return _End(outcome="failed", code=failed.code, where=failed.where)
        except SafelightError as error:
            return _End(outcome="failed", code=error.code)
        except Exception as error:  # noqa: BLE001 - a bug must end the job, not the keeper
            return _End(outcome="failed", code=SafelightError.code, where=type(error).__name__)

    async def _worked(self, admitted: Admitted) -> _End:
        work = Work(day=utc_day(self._clock.now()), device="", model_name="", seconds=0.0)
        try:
            self._admission.check_words(admitted)
            drawn, work = await self._draw(admitted, work)
        except RefusedError as error:
            reply = results.seal_refusal(admitted, error.category, work, self._sizes)
            return _End(outcome="refused", reply=reply)
        return _End(
            outcome="done",
            assets=tuple(results.seal_assets(admitted, drawn, work)),
            public=results.public_copies(admitted, drawn),
            reply=results.seal_reply(admitted, drawn, work, self._sizes),
        )

    async def _draw(self, admitted: Admitted, work: Work) -> tuple[list[Drawn], Work]:
        """Have the engine process draw. Raises RefusedError, CancelledError, EngineFailed."""
        async with self._turn:
            await self._engine.until_warm()
            self._drawing = admitted.job
            try:
                async with asyncio.timeout(self._job_timeout_seconds):
                    return await self._frames_of(admitted, work)
            except TimeoutError:
                # It hangs: a cancel would not be heard. The next try gets a fresh process.
                self._engine.kill()
                raise DarkroomError("the engine took too long") from None
            except asyncio.CancelledError:
                self._engine.kill()
                raise
            finally:
                self._drawing = None

    async def _frames_of(self, admitted: Admitted, work: Work) -> tuple[list[Drawn], Work]:
        request = admitted.request
        digests = list(admitted.inputs)
        header = {
            "op": "run",
            "job": admitted.job,
            "inputs": digests,
            "media_type": request.format,
            "kept": bool(request.assets),
            "previews": request.previews,
        }
        order = [request.recipe.canonical(), *(admitted.inputs[d] for d in digests)]
        drawn: list[Drawn] = []
        async with contextlib.aclosing(self._engine.work(header, order)) as frames:
            async for frame, parts in frames:
                match frame["op"]:
                    case "progress":
                        await self._desk.send(frame)
                    case "preview":
                        sealed = results.seal_preview(admitted, work.day, parts[0])
                        await self._desk.send({"op": "preview", "job": admitted.job}, [sealed])
                    case "picture":
                        drawn.append(_picture(frame, parts))
                    case "done":
                        names = ("device", "model_name", "seconds")
                        if len(drawn) != request.recipe.count:
                            break
                        return drawn, replace(work, **{n: frame[n] for n in names})
                    case "refused":
                        raise RefusedError(frame["category"])
                    case "cancelled":
                        raise CancelledError("the job was cancelled")
                    case "failed":
                        raise EngineFailed(frame["code"], frame["where"])
        raise DarkroomError("the engine stopped")

    async def _finish(self, job: str, end: _End) -> None:
        header: dict[str, Any] = {
            "op": "finished",
            "job": job,
            "outcome": end.outcome,
            "code": end.code,
            "where": end.where,
            "assets": [{"id": asset.id, "kind": asset.kind} for asset in end.assets],
            "public": len(end.public),
            "reply": end.reply is not None,
        }
        parts = [part for a in end.assets for part in (a.full, a.thumb, a.meta, a.envelope)]
        parts += end.public
        if end.reply is not None:
            parts.append(end.reply)
        with contextlib.suppress(ConnectionError):
            try:
                await self._desk.send(header, parts)
            except TooLargeError as error:
                # What is kept comes first; the caller can make it public later.
                smaller = replace(end, public=())
                failed = _End(outcome="failed", code=error.code)
                await self._finish(job, smaller if end.public else failed)


def _picture(header: dict[str, Any], parts: list[bytes]) -> Drawn:
    full, thumb, embedding = parts if len(parts) == 3 else (parts[0], b"", b"")
    return Drawn(
        index=header["index"],
        seed=header["seed"],
        media_type=header["media_type"],
        width_px=header["width_px"],
        height_px=header["height_px"],
        full=full,
        thumb=thumb,
        embedding=embedding,
    )
