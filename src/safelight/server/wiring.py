"""Puts the rooms together for one running server, and takes them apart again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from safelight.errors import SafelightError
from safelight.ids import SystemClock
from safelight.server.context import Context
from safelight.server.logs import CODES, Event, Journal
from safelight.server.metrics import Metrics, resident_bytes
from safelight.settings import Settings

if TYPE_CHECKING:
    from safelight.fleet.local import LocalFleet


@asynccontextmanager
async def open_context(
    settings: Settings, journal: Journal, metrics: Metrics
) -> AsyncIterator[Context]:
    """Open the desk, start the fleet beside it, and close both at the end.

    The fleet starts in the background: the server answers before a darkroom is warm.
    """
    from safelight.catalogue import Catalogue
    from safelight.desk import open_desk
    from safelight.fleet.local import LocalFleet
    from safelight.server.passkeys import Passkeys
    from safelight.server.static import Pages
    from safelight.server.transit import TransitDoor

    clock = SystemClock()
    desk = await open_desk(settings, clock)
    fleet = LocalFleet(settings, clock=clock, on_event=fleet_events(journal))
    desk.attach(fleet)
    context = Context(
        settings=settings,
        clock=clock,
        desk=desk,
        fleet=fleet,
        catalogue=Catalogue(settings.home),
        door=TransitDoor(fleet, settings, clock),
        passkeys=Passkeys(settings, clock),
        pages=Pages(),
        journal=journal,
        metrics=metrics,
    )
    metrics.sources.append(lambda: {"resident_bytes": resident_bytes()})
    starting = asyncio.create_task(_start(fleet, journal))
    try:
        yield context
    finally:
        context.closing.set()
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        await desk.close()
        await fleet.stop()


async def _start(fleet: LocalFleet, journal: Journal) -> None:
    """Start the darkroom; a failure is logged and shown on Trust, and the server goes on."""
    try:
        await fleet.start()
    except SafelightError as error:
        journal.write(Event.FLEET, state="stopped", code=error.code)


_STATES = {
    "darkroom-announced": "warming",
    "darkroom-ready": "ready",
    "darkroom-not-ready": "warming",
    "darkroom-died": "restarting",
}


def fleet_events(journal: Journal) -> Callable[[str, dict[str, Any]], None]:
    """What the fleet tells, as log events: a state and the code of an error."""

    def tell(name: str, fields: dict[str, Any]) -> None:
        state, code = _STATES.get(name), fields.get("code")
        if state is not None:
            journal.write(Event.FLEET, state=state, code=code if code in CODES else "none")

    return tell
