"""The progress bar of every command that can take longer than a moment."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


class Bar:
    """A bar on standard error, if anybody looks there or asked for it; nothing of it is left.

    ``unit`` is what is counted; bytes (``B``) are shown in multiples.
    """

    def __init__(self, args: argparse.Namespace, unit: str = "step") -> None:
        quiet = getattr(args, "quiet", False) or args.json or not sys.stderr.isatty()
        self._shown = getattr(args, "progress", False) or not quiet
        self._unit = unit
        self._bar: Any = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Take it off the screen: something else is said now. :meth:`show` brings it back."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def show(self, done: int, total: int | None = None) -> None:
        """So many are done; of ``total``, where that is known."""
        if not self._shown:
            return
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(
                total=total,
                initial=done,
                unit=self._unit,
                unit_scale=self._unit == "B",
                leave=False,
                file=sys.stderr,
            )
        self._bar.total = total
        self._bar.n = done
        self._bar.refresh()
