"""Whose job is next: accounts take turns, however many jobs each has waiting."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque


class Turns:
    """A queue of job ids for each account; the accounts go round.

    ``most_running`` says how many jobs of one account may run at once.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[str]] = OrderedDict()
        self._account_of: dict[str, str] = {}
        self._running: Counter[str] = Counter()
        self._most: dict[str, int] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._account_of)

    def __contains__(self, job: str) -> bool:
        return job in self._account_of

    def push(self, account: str, job: str, *, most_running: int, first: bool = False) -> int:
        """Add a job behind its account's others, or before them; return its place from 1."""
        if job in self._account_of:
            return self.place(job)
        self._most[account] = max(1, most_running)
        queue = self._waiting.setdefault(account, deque())
        if first:
            queue.appendleft(job)
        else:
            queue.append(job)
        self._account_of[job] = account
        self._changed.set()
        return self._place(account, 1 if first else len(queue))

    def place(self, job: str) -> int:
        """How many jobs will have been begun when this one is, if all goes on as now; 0 if none."""
        account = self._account_of.get(job)
        if account is None:
            return 0
        return self._place(account, self._waiting[account].index(job) + 1)

    def remove(self, job: str) -> bool:
        """Take a job out; say whether it was waiting."""
        account = self._account_of.pop(job, None)
        if account is None:
            return False
        self._waiting[account].remove(job)
        if not self._waiting[account]:
            del self._waiting[account]
        return True

    def take(self) -> tuple[str, str] | None:
        """The next job and its account, now counted as running; None if nobody may go."""
        for account in self._waiting:
            if self._running[account] < self._most[account]:
                break
        else:
            return None
        queue = self._waiting[account]
        job = queue.popleft()
        del self._account_of[job]
        if queue:
            self._waiting.move_to_end(account)
        else:
            del self._waiting[account]
        self._running[account] += 1
        return account, job

    async def next(self) -> tuple[str, str]:
        """As :meth:`take`, but wait until somebody may go."""
        while (taken := self.take()) is None:
            self._changed.clear()
            await self._changed.wait()
        return taken

    def ended(self, account: str) -> None:
        """A job of this account runs no more."""
        self._running[account] -= 1
        if self._running[account] <= 0:
            del self._running[account]
            if account not in self._waiting:
                self._most.pop(account, None)
        self._changed.set()

    def _place(self, account: str, own: int) -> int:
        others = (len(q) for a, q in self._waiting.items() if a != account)
        return own + sum(min(length, own) for length in others)
