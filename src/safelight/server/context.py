"""What every route needs, made once when the server opens."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Request

from safelight.ids import Clock
from safelight.server.limits import Limiter
from safelight.server.logs import Journal
from safelight.server.metrics import Metrics
from safelight.server.static import Pages
from safelight.settings import Settings

if TYPE_CHECKING:
    from safelight.catalogue import Catalogue
    from safelight.desk import Desk
    from safelight.desk.fleet import Fleet
    from safelight.server.passkeys import Passkeys
    from safelight.server.transit import TransitDoor


@dataclass(slots=True, kw_only=True)
class Context:
    """The parts of one running server. Routes get it from :func:`context`."""

    settings: Settings
    clock: Clock
    desk: Desk
    fleet: Fleet
    catalogue: Catalogue
    door: TransitDoor
    passkeys: Passkeys
    pages: Pages
    journal: Journal
    metrics: Metrics
    limiter: Limiter = field(default_factory=Limiter)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server begins to stop: running jobs end, new ones are refused."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when running jobs have ended: event streams end."""


def context(request: Request) -> Context:
    """The running server's parts."""
    found: Context = request.app.state.context
    return found
