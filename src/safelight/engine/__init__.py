"""From a recipe to pixels. The only room that imports torch, diffusers, transformers and peft.

Importing this module is cheap; the heavy libraries are imported when something is run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safelight.engine.protocol import (
    Engine,
    EngineInfo,
    Picture,
    Plan,
    Progress,
    QuietWatch,
    Watch,
)

if TYPE_CHECKING:
    from safelight.catalogue import Catalogue

__all__ = [
    "Engine",
    "EngineInfo",
    "Picture",
    "Plan",
    "Progress",
    "QuietWatch",
    "Watch",
    "open_engine",
]


def open_engine(catalogue: Catalogue, device: str = "auto") -> Engine:
    """The engine of this machine. ``device`` is ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises :class:`safelight.errors.RequestError` for a device that this machine lacks.
    """
    from safelight.engine.diffusers_engine import DiffusersEngine

    return DiffusersEngine(catalogue, device)
