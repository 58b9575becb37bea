"""What every topic of the desk works with."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from safelight.desk.door import Door
from safelight.desk.fleet import Fleet
from safelight.desk.offrecord import OffRecord
from safelight.desk.rings import Rings
from safelight.desk.turns import Turns
from safelight.ids import Clock
from safelight.settings import Settings
from safelight.store.blobs import Blobs
from safelight.store.keys import Keys
from safelight.store.records import Records

T = TypeVar("T")


class Parts:
    """The three stores, the settings, the clock; and what lives in memory only."""

    def __init__(
        self, records: Records, keys: Keys, blobs: Blobs, settings: Settings, clock: Clock
    ) -> None:
        self.records = records
        self.keys_store = keys
        self.blobs = blobs
        self.settings = settings
        self.clock = clock
        self._door = Door(settings.home, clock)
        self._rings = Rings()
        self._turns = Turns()
        self._off_record = OffRecord()
        self._fleet: Fleet | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: set[asyncio.Task[None]] = set()
        self._to_the_end: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._working: set[str] = set()
        self._draining = False

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for work on a store that goes on to its end even if the waiter is cancelled.

        :meth:`Desk.close` waits for it. A statement that is cut off would leave its connection in
        an unknown state.
        """
        task = asyncio.create_task(work)
        self._to_the_end.add(task)
        task.add_done_callback(self._to_the_end.discard)
        return await asyncio.shield(task)

    def _beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside the rest until it ends or the desk closes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
