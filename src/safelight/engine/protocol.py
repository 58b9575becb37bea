"""What an engine promises, in three methods, and the data it takes and gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from safelight.catalogue import Model
from safelight.recipe import Recipe

Pixels = NDArray[np.uint8]
"""(height, width, 3 or 4) uint8, sRGB, rows from the top."""

Offload = Literal["none", "model", "sequential"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What the engine runs on. ``free_bytes`` is memory of the device that is free now."""

    device: str
    dtype: str
    free_bytes: int
    torch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be done, decided before anything is loaded. ``notes`` are lines for people."""

    recipe: Recipe
    model: Model
    adapters: tuple[Model, ...]
    device: str
    dtype: str
    offload: Offload
    slicing: bool
    tiling: bool
    need_bytes: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One step done: picture ``index`` of ``count``, step ``step`` of ``steps`` (from 1)."""

    index: int
    count: int
    step: int
    steps: int
    preview: Pixels | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One finished picture and the seed that drew it."""

    pixels: Pixels
    seed: int


class Watch(Protocol):
    """Who watches a run. Called from the thread that runs it."""

    @property
    def previews(self) -> bool:
        """Whether previews are worth their time."""
        ...

    def step(self, progress: Progress) -> None:
        """A step is done."""
        ...

    def cancelled(self) -> bool:
        """Asked between steps; True ends the run with CancelledError."""
        ...


class QuietWatch:
    """Watches nothing and never cancels."""

    previews = False

    def step(self, progress: Progress) -> None:
        """Ignore it."""

    def cancelled(self) -> bool:
        """Never."""
        return False


class Engine(Protocol):
    """Recipe to pixels. The same recipe gives the same bytes on the same machine."""

    def describe(self) -> EngineInfo:
        """Device, number format and free memory. Imports torch."""
        ...

    def plan(self, recipe: Recipe) -> Plan:
        """Check the recipe against the model and the machine, before anything is loaded.

        Raises RequestError (unknown model, a size it cannot draw) or NoMemoryError.
        """
        ...

    def run(self, plan: Plan, inputs: Mapping[str, bytes], watch: Watch) -> Iterator[Picture]:
        """Draw each picture in order. ``inputs`` maps digests to encoded files.

        Raises TamperedModelError, PictureError, CancelledError, NoMemoryError.
        """
        ...

    def release(self) -> None:
        """Give back the memory of loaded models."""
        ...
