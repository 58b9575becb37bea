"""The desk: remembers everything, and can open nothing of it."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import suppress

from safelight.desk.accounts import Accounts
from safelight.desk.dispatch import Dispatch
from safelight.desk.sweep import Sweep
from safelight.errors import TransientError
from safelight.ids import Clock
from safelight.settings import Settings
from safelight.store.blobs import Blobs
from safelight.store.keys import Keys
from safelight.store.records import Records
from safelight.store.sqlite import sqlite_url

SWEEP_SECONDS = 3_600.0
TIDY_SECONDS = 60.0


class Desk(Accounts, Sweep, Dispatch):
    """Accounts, jobs, library, shares and publications over the three stores.

    Made by :func:`open_desk`. Every method may be called at any time between :meth:`open` and
    :meth:`close`, side by side. They raise errors of :mod:`safelight.errors` only.
    """

    def __init__(
        self, records: Records, keys: Keys, blobs: Blobs, settings: Settings, clock: Clock
    ) -> None:
        super().__init__(records, keys, blobs, settings, clock)
        self._lock_file: int | None = None

    async def open(self) -> None:
        """Open the stores, take up the queue where it was left, and begin to tidy up.

        Raises :class:`TransientError` if another desk has this home's SQLite records.
        """
        self.settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        alone = self.records.database.is_sqlite
        if alone:
            self._take_lock()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.records.open())
                group.create_task(self.keys_store.open())
        except* Exception as errors:  # noqa: BLE001 - one of ours, by the stores' promise
            await self.close()
            raise errors.exceptions[0] from None
        await self._recover(all_running=alone)
        await self._load_queue()
        self._beside(self._whole(self._first_round()))
        self._beside(self._every(TIDY_SECONDS, self.tidy_memory))
        self._beside(self._every(SWEEP_SECONDS, self.sweep))

    async def close(self) -> None:
        """Stop working and close the stores. Kept jobs that run go back into the queue."""
        self._closing = True
        while tasks := self._tasks | self._under_way:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        while self._to_the_end:
            await asyncio.wait(set(self._to_the_end))
        await self.keys_store.close()
        await self.records.close()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    async def _first_round(self) -> None:
        with suppress(TransientError):  # a store is away; the hourly round comes
            await self.blobs.remove_stumps()
            await self.go_on()
        self.records.database.scrub_soon()

    def _take_lock(self) -> None:
        """One desk for each SQLite file: a running job of another life is then surely lost."""
        path = self.settings.home / "desk.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise TransientError(
                "another server has this home folder", hint="stop it, or name another with --home"
            ) from None
        self._lock_file = descriptor


def make_desk(settings: Settings, clock: Clock) -> Desk:
    """A desk over the stores that the settings name; nothing is read yet."""
    home = settings.home.absolute()
    return Desk(
        Records(settings.records_url or sqlite_url(home / "records.db")),
        Keys(settings.keys_url or sqlite_url(home / "keys.db")),
        Blobs(settings.blobs_url or (home / "blobs").as_uri()),
        settings,
        clock,
    )


async def open_desk(settings: Settings, clock: Clock) -> Desk:
    """Make a desk and open it."""
    desk = make_desk(settings, clock)
    await desk.open()
    return desk
