"""The keeper's side of its engine process: start, watch, stop, and start again.

The engine process may crash, hang or be killed for memory at any time. The keeper notices by the
end of the pipe, starts another one, and loses no key by it: the desk tries the job again.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safelight.errors import DarkroomError
from safelight.frames import Child, Frame, backoff_seconds

NOWHERE = "/nonexistent"
START_SECONDS = 300.0
"""A start that takes longer than this is given up and tried again."""
ENVIRONMENT = {
    "HOME": NOWHERE,
    "XDG_CACHE_HOME": NOWHERE,
    "TMPDIR": NOWHERE,
    "HF_HOME": NOWHERE,
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "CUDA_CACHE_DISABLE": "1",
    # torch makes this folder when it is imported; one that is there already needs no write.
    "TORCHINDUCTOR_CACHE_DIR": "/",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""The engine process's own part of its environment: no place to write to, no network."""


class EngineFailed(Exception):  # noqa: N818 - says what the engine process said
    """The engine process ended a job, or its own start, with the code of one of our errors."""

    def __init__(self, code: str, where: str | None) -> None:
        super().__init__(code)
        self.code = code
        self.where = where


@dataclass(slots=True)
class EngineState:
    """What is known of the engine process; the keeper tells the desk."""

    warm: bool = False
    device: str | None = None
    confinement: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    """Code of the last failed start."""
    where: str | None = None


class EngineLink:
    """Keeps one engine process running. ``changed`` is awaited after each change of state."""

    def __init__(
        self,
        home: Path,
        device: str,
        confine: str,
        changed: Callable[[EngineState], Awaitable[None]],
        command: Sequence[str] | None = None,
    ) -> None:
        module = [sys.executable, "-m", "safelight.darkroom.engine_process"]
        options = ["--home", str(home), "--device", device, "--confine", confine]
        self._command = [*(command or module), *options]
        self._changed = changed
        self.state = EngineState()
        self._child: Child | None = None
        self._job: asyncio.Queue[Frame | None] | None = None
        self._settled = asyncio.Event()
        self._stopping = False
        self._failures = 0

    async def keep_running(self) -> None:
        """Start the engine process, and again whenever it ends, until :meth:`stop`."""
        while not self._stopping:
            await asyncio.sleep(backoff_seconds(self._failures))
            was_warm = await self._live_once()
            self._failures = 0 if was_warm else self._failures + 1

    async def _live_once(self) -> bool:
        """One life of the engine process; return whether it became warm."""
        child = self._child = await Child.start(self._command, ENVIRONMENT)
        self._settled.clear()
        self.state = EngineState(error=self.state.error, where=self.state.where)
        deadline = asyncio.get_running_loop().call_later(START_SECONDS, child.kill)
        warm = False
        try:
            while True:
                header, parts = await child.stream.receive()
                op = header["op"]
                if op == "hello":
                    self.state.confinement = header["confinement"]
                elif op == "warm":
                    deadline.cancel()
                    warm = True
                    self.state.error = self.state.where = None
                    self.state.device = header["device"]
                    await self._settle(warm=True)
                elif op == "cannot-start":
                    self.state.error, self.state.where = header["code"], header["where"]
                    await self._settle(warm=False)
                elif op == "ending":  # it ends by itself after this job: no more work for it
                    self.state.warm = False
                    self._settled.clear()
                elif self._job is not None:
                    self._job.put_nowait((header, parts))
        except (EOFError, DarkroomError):
            return warm
        finally:
            deadline.cancel()
            await self._buried(child, warm)

    async def _buried(self, child: Child, warm: bool) -> None:  # noqa: FBT001 - private
        child.bury()
        self._child = None
        if self._job is not None:
            self._job.put_nowait(None)
        if not warm and self.state.error is None:
            self.state.error = DarkroomError.code
        await self._settle(warm=False)
        if warm:
            self._settled.clear()  # jobs wait for the next life

    async def _settle(self, *, warm: bool) -> None:
        self.state.warm = warm
        self._settled.set()
        if not self._stopping:
            await self._changed(self.state)

    async def until_warm(self) -> None:
        """Wait for the engine. Raises :class:`EngineFailed` if its last start failed."""
        while not self.state.warm:
            await self._settled.wait()
            if not self.state.warm and self.state.error is not None:
                raise EngineFailed(self.state.error, self.state.where)
            await asyncio.sleep(0)

    async def work(
        self, header: dict[str, Any], parts: Sequence[bytes]
    ) -> AsyncGenerator[Frame, None]:
        """Give one order and yield its frames; the last one is for the caller to recognise.

        One order at a time. Raises :class:`DarkroomError` if the engine process ends meanwhile.
        """
        child = self._child
        if child is None:
            raise DarkroomError("the engine stopped")
        frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._job = frames
        try:
            try:
                await child.stream.send(header, parts)
            except ConnectionError:
                raise DarkroomError("the engine stopped") from None
            while (frame := await frames.get()) is not None:
                if frame[0].get("job") == header["job"]:
                    yield frame
            raise DarkroomError("the engine stopped")
        finally:
            self._job = None

    async def cancel(self, job: str) -> None:
        """Ask the engine process to end a job at its next step."""
        if self._child is not None:
            with contextlib.suppress(ConnectionError):
                await self._child.stream.send({"op": "cancel", "job": job})

    def kill(self) -> None:
        """Kill the engine process now; :meth:`keep_running` starts another one."""
        if self._child is not None:
            self._child.kill()

    def stop(self) -> None:
        """Kill the engine process for good."""
        self._stopping = True
        self.kill()
