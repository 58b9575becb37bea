"""Small recipes for tiny models, and a way to draw them."""

from __future__ import annotations

from safelight.catalogue import Model
from safelight.engine import Engine, Picture, QuietWatch, Watch
from safelight.recipe import Recipe
from safelight.secret import Secret

SIDE_PX = 32
"""Half the tiny models' own side, where they draw it: attention over a quarter of the points."""


def recipe(model: Model, **changes: object) -> Recipe:
    """A recipe that every tiny model draws in a moment."""
    side = max(SIDE_PX, 4 * model.side_step_px)
    fields: dict[str, object] = {
        "prompt": Secret("a cat"),
        "model": model.digest,
        "width_px": side,
        "height_px": side,
        "steps": 2,
        "guidance": 3.0,
        "seed": 7,
    }
    return Recipe(**(fields | changes))  # type: ignore[arg-type]


def draw(
    engine: Engine,
    order: Recipe,
    inputs: dict[str, bytes] | None = None,
    watch: Watch | None = None,
) -> list[Picture]:
    """Plan and run."""
    return list(engine.run(engine.plan(order), inputs or {}, watch or QuietWatch()))
