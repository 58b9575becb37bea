"""Times in tables: whole microseconds since 1970, which every database compares alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(at: datetime) -> int:
    """Microseconds since 1970 of a timezone-aware time."""
    return (at - _EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    """Undo :func:`to_us`."""
    return _EPOCH + us * _MICROSECOND


def maybe_us(at: datetime | None) -> int | None:
    """:func:`to_us`, or None for None."""
    return None if at is None else to_us(at)


def maybe_from_us(us: int | None) -> datetime | None:
    """:func:`from_us`, or None for None."""
    return None if us is None else from_us(us)
