"""What happens to each job, as numbered events in a bounded ring in memory.

Sealed replies wait here too, so that a caller who comes back gets the result. An off-the-record
reply is nowhere else: when its time here is over, it is gone.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from safelight.ids import b64

RING_EVENTS = 128
KEPT_AFTER_END = timedelta(minutes=10)
MAX_REPLY_BYTES = 256 * 1024 * 1024
"""All waiting replies together; the oldest go first."""
ENDS = frozenset({"done", "refused", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened to a job. ``seq`` counts from 1 in each job."""

    seq: int
    type: str
    data: dict[str, Any] = field(repr=False)


class Ring:
    """The events of one job."""

    def __init__(self) -> None:
        self.events: deque[Event] = deque(maxlen=RING_EVENTS)
        self.reply: bytes | None = None
        self.ended_at: datetime | None = None
        self._last = 0
        self._changed = asyncio.Event()

    def add(self, type_: str, data: dict[str, Any]) -> None:
        """Append an event and wake everybody who follows."""
        self._last += 1
        if type_ == "preview":  # only the newest is of use, and each is large
            kept = [event for event in self.events if event.type != "preview"]
            self.events = deque(kept, maxlen=RING_EVENTS)
        self.events.append(Event(seq=self._last, type=type_, data=data))
        self._changed.set()
        self._changed = asyncio.Event()

    async def follow(self, after: int) -> AsyncIterator[Event]:
        """Events after number ``after``, until the job has ended.

        A number that this ring has not reached is from before a restart: then everything again.
        The end is always told, also to those who have heard it.
        """
        if after > self._last or (self.ended_at is not None and after >= self._last):
            after = self._last - 1 if self.ended_at is not None else 0
        while True:
            changed = self._changed
            for event in [event for event in self.events if event.seq > after]:
                after = event.seq
                yield self._whole(event)
                if event.type in ENDS:
                    return
            if not any(event.seq > after for event in self.events):
                await changed.wait()

    def _whole(self, event: Event) -> Event:
        if event.type not in ("done", "refused"):
            return event
        reply = None if self.reply is None else b64(self.reply)
        return Event(seq=event.seq, type=event.type, data={"reply": reply, **event.data})


class Rings:
    """The rings of all jobs that have not ended, or ended a short while ago."""

    def __init__(self) -> None:
        self._rings: OrderedDict[str, Ring] = OrderedDict()
        self._reply_bytes = 0

    def get(self, job: str) -> Ring | None:
        """The ring of a job, if there is one."""
        return self._rings.get(job)

    def tell(self, job: str, type_: str, **data: Any) -> None:
        """Tell everybody who follows this job what happened."""
        ring = self._rings.setdefault(job, Ring())
        if ring.ended_at is None:
            ring.add(type_, data)

    def end(
        self, job: str, type_: str, now: datetime, *, reply: bytes | None = None, **data: Any
    ) -> None:
        """Tell the end of a job, with its sealed reply."""
        ring = self._rings.setdefault(job, Ring())
        if ring.ended_at is not None:
            return
        if reply is not None:
            ring.reply = reply
            self._reply_bytes += len(reply)
        ring.ended_at = now
        ring.add(type_, data)
        if self._reply_bytes > MAX_REPLY_BYTES:
            self._make_room(job)

    def reply(self, job: str) -> bytes | None:
        """The sealed reply of a job, while it waits here."""
        ring = self._rings.get(job)
        return None if ring is None else ring.reply

    def going_on(self) -> list[str]:
        """Jobs that are followed here and have not ended."""
        return [job for job, ring in self._rings.items() if ring.ended_at is None]

    def forget(self, job: str) -> None:
        """Drop a job's events and its reply."""
        ring = self._rings.pop(job, None)
        if ring is not None and ring.reply is not None:
            self._reply_bytes -= len(ring.reply)

    def sweep(self, now: datetime) -> list[str]:
        """Drop what ended long enough ago; return those jobs' ids."""
        over = [
            job
            for job, ring in self._rings.items()
            if ring.ended_at is not None and now - ring.ended_at > KEPT_AFTER_END
        ]
        for job in over:
            self.forget(job)
        return over

    def _make_room(self, newest: str) -> None:
        ended = [j for j, r in self._rings.items() if r.reply is not None and j != newest]
        for job in ended:
            if self._reply_bytes <= MAX_REPLY_BYTES:
                return
            self.forget(job)
