"""Names every durable write, so that a test can stop the process just before or after each.

Style source: FiloSottile/sunlight, where each write is tested as lost and as persisted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Moment = Literal["before", "after"]
Hook = Callable[[str, Moment], None]

_hook: Hook | None = None


def set_hook(hook: Hook | None) -> None:
    """Call ``hook(name, moment)`` around every durable write of this process; None to stop."""
    global _hook  # noqa: PLW0603 - one process, one disk
    _hook = hook


@contextmanager
def durable(name: str) -> Iterator[None]:
    """Around one durable write. On a normal exit, the write has reached the disk."""
    if _hook is not None:
        _hook(name, "before")
    yield
    if _hook is not None:
        _hook(name, "after")
