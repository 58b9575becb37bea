"""One line of a benchmark's answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was measured, beside what was aimed at and what the best peer costs here."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    """The most it may be; None where there is no goal."""
    peer: float | None = None
    """The same on such a machine with InvokeAI 6.14.2; None where it was not measured."""
    note: str = ""
