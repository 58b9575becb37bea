"""The door: OPAQUE exchanges in progress, and the secret that the server needs for them.

The setup file (0600) holds the OPRF seed. It is outside the databases and their backups, so a
stolen database cannot be guessed against; losing it costs password unlock only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from safelight.errors import AuthenticationError
from safelight.ids import Clock, new_token
from safelight.store.durable import durable
from safelight.vault.opaque import LoginState, OpaqueServerSide

EXCHANGE_MINUTES = 5
MAX_OPEN = 10_000
SETUP_FILE = "opaque.setup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A login or recovery in progress. ``account`` None: no such account, and nobody is told."""

    account: str | None
    state: LoginState | None
    """None for a recovery, which has proved itself by its token."""
    until: datetime


class Door:
    """The server's half of OPAQUE, and the exchanges that have begun; each ends once."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._path = home / SETUP_FILE
        self._clock = clock
        self._side: OpaqueServerSide | None = None
        self._loading = asyncio.Lock()
        self._open: OrderedDict[str, Exchange] = OrderedDict()

    async def side(self) -> OpaqueServerSide:
        """The server's half; made at first use."""
        async with self._loading:
            if self._side is None:
                self._side = await asyncio.to_thread(_load, self._path)
        return self._side

    def begin(self, account: str | None, state: LoginState | None) -> str:
        """Remember an exchange; return the name it is finished under."""
        now = self._clock.now()
        while self._open and (
            len(self._open) >= MAX_OPEN or next(iter(self._open.values())).until <= now
        ):
            self._open.popitem(last=False)
        name = new_token(16)
        until = now + timedelta(minutes=EXCHANGE_MINUTES)
        self._open[name] = Exchange(account=account, state=state, until=until)
        return name

    def take(self, name: str) -> Exchange:
        """The exchange, once. Raises :class:`AuthenticationError` if it is over."""
        exchange = self._open.pop(name, None)
        if exchange is None or exchange.until <= self._clock.now():
            raise AuthenticationError("this sign-in has ended", hint="start it again")
        return exchange


def _load(path: Path) -> OpaqueServerSide:
    if path.is_file():
        return OpaqueServerSide(path.read_bytes())
    side = OpaqueServerSide()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.{new_token(6)}")
    # A crash leaves the file whole or not at all, and perhaps a stray one that holds no secret in
    # use. Nothing is registered before the file is there.
    with durable("opaque-setup"):
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(side.setup)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)  # never over a file that another process made meanwhile
        fresh.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    return OpaqueServerSide(path.read_bytes())
