"""One profile, one change at a time, over all processes of this machine.

Two commands on one profile would otherwise check a library version against one that the other has
just replaced, and see a rollback where there is none.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from safelight.errors import BusyError

WAIT_SECONDS = 10.0
_LOOK_SECONDS = 0.02
_BUSY = "another command works on this profile"


class Alone:
    """A lock that is one file; it may be taken again by who holds it.

    The kernel frees it when its process ends, however that ends. Threads wait for each other too.
    """

    def __init__(self, path: Path, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._path = path
        self._sleep = sleep
        self._thread = threading.RLock()
        self._file: int | None = None
        self._depth = 0

    def __enter__(self) -> None:
        """Raises :class:`BusyError` if somebody else keeps it for ten seconds."""
        if not self._thread.acquire(timeout=WAIT_SECONDS):
            raise BusyError(_BUSY)
        try:
            if self._depth == 0:
                self._file = self._take()
        except BaseException:
            self._thread.release()
            raise
        self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if self._depth == 0 and self._file is not None:
            os.close(self._file)
            self._file = None
        self._thread.release()

    def _take(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        waited = 0.0
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if waited >= WAIT_SECONDS:
                    os.close(file)
                    raise BusyError(_BUSY) from None
                self._sleep(_LOOK_SECONDS)
                waited += _LOOK_SECONDS
            else:
                return file
