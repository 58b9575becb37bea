"""What the desk needs of a fleet: a way to hand sealed bytes to a darkroom and hear what became.

The desk defines it and :mod:`safelight.fleet` implements it, so that the desk knows no process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from safelight.records import CostHeader, SealedAsset

FleetState = Literal["starting", "warming", "ready", "restarting", "stopped"]


class Listener(Protocol):
    """Hears about one job while it is developed. Called on the event loop; must not block."""

    def progress(self, index: int, step: int, steps: int, seconds_left: float | None) -> None:
        """Picture ``index`` (from 0) has made ``step`` of ``steps``."""
        ...

    def preview(self, sealed: bytes) -> None:
        """A small preview, sealed to the caller's reply recipient."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended in the darkroom.

    ``refused`` comes without a category: only the sealed ``reply`` has it. ``failed`` has the
    ``code`` of an error in :mod:`safelight.errors`; with ``darkroom-stopped`` the job may be tried
    again (same seed, same picture), with ``darkroom-key-lost`` the caller must seal again.
    """

    state: Literal["done", "refused", "failed", "cancelled"]
    code: str | None = None
    assets: tuple[SealedAsset, ...] = ()
    """One for each kept picture; empty off the record."""
    public: tuple[bytes, ...] = ()
    """Plain pictures in the order of ``assets``, if the sealed request wants them public."""
    reply: bytes | None = None
    """Sealed to the caller's reply recipient; None when the job failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStatus:
    """What Trust and ``/readyz`` show of the darkrooms."""

    state: FleetState
    device: str | None = None
    confinement: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    """Code of the last failed start."""


class Fleet(Protocol):
    """One or more darkrooms. Jobs may be handed over from the moment :meth:`notes` has a note."""

    @property
    def slots(self) -> int:
        """How many jobs the fleet works on at once; more are waited for in order."""
        ...

    @property
    def public_key(self) -> str:
        """The fleet key's public half, 64 hexadecimal digits: what clients pin."""
        ...

    async def start(self) -> None:
        """Start the darkrooms and return once each has announced a key, before models are warm."""
        ...

    async def stop(self) -> None:
        """Stop the darkrooms, and with them every key; jobs under way end as failed."""
        ...

    def notes(self) -> list[str]:
        """Signed key notes in force, newest first: what clients may seal to."""
        ...

    async def develop(
        self, job_id: str, sealed: bytes, cost: CostHeader, listener: Listener
    ) -> Outcome:
        """Hand over one sealed request and wait for its end.

        Never raises for what happens in a darkroom: that is an :class:`Outcome`. Cancelling the
        awaiting task cancels the job.
        """
        ...

    async def cancel(self, job_id: str) -> None:
        """Ask for the job to end at the next step; :meth:`develop` then returns ``cancelled``."""
        ...

    def status(self) -> FleetStatus:
        """Where the darkrooms stand now."""
        ...
