"""A small engine for tests: it keeps the engine's whole contract and paints instead of diffusing.

It needs no torch, so a darkroom with it is warm in a second; everything around it (keeper, checks,
picture check, seals, desk, server) is the real thing. The same recipe gives the same bytes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from safelight.engine.protocol import EngineInfo, Picture, Plan, Progress, Watch
from safelight.errors import CancelledError, RecipeError
from safelight.recipe import Recipe

STEP_SECONDS = 0.002
SLOW_STEPS = 100
SLOW_STEP_SECONDS = 0.05


def paint(recipe: Recipe, seed: int) -> np.ndarray:
    """Blocks of colour and a little noise, from the words, the seed and the step count."""
    words = recipe.to_dict()["prompt"].encode()
    digest = hashlib.sha256(words + b"%d %d" % (seed, recipe.steps)).digest()
    rng = np.random.default_rng(np.frombuffer(digest, np.uint32))
    height, width = recipe.height_px, recipe.width_px
    blocks = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3))
    pixels = blocks.repeat(8, 0).repeat(8, 1)[:height, :width]
    pixels = pixels + rng.integers(-5, 6, pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)


class Painter:
    """Implements :class:`safelight.engine.Engine`."""

    def __init__(self, catalogue: Any) -> None:
        self._catalogue = catalogue

    def describe(self) -> EngineInfo:
        return EngineInfo(device="cpu", dtype="float32", free_bytes=1 << 30, torch="none")

    def plan(self, recipe: Recipe) -> Plan:
        model = self._catalogue.find(recipe.model)
        if recipe.width_px % model.side_step_px:
            raise RecipeError("this model draws other sides: width")
        return Plan(
            recipe=recipe,
            model=model,
            adapters=(),
            device="cpu",
            dtype="float32",
            offload="none",
            slicing=False,
            tiling=False,
            need_bytes=0,
        )

    def run(self, plan: Plan, inputs: Mapping[str, bytes], watch: Watch) -> Iterator[Picture]:
        from safelight.engine.output import decode

        recipe = plan.recipe
        for digest in recipe.inputs():
            decode(inputs[digest])
        for index, seed in enumerate(recipe.seeds()):
            pixels = paint(recipe, seed)
            for step in range(1, recipe.steps + 1):
                if watch.cancelled():
                    raise CancelledError("the job was cancelled")
                time.sleep(SLOW_STEP_SECONDS if recipe.steps >= SLOW_STEPS else STEP_SECONDS)
                watch.step(
                    Progress(
                        index=index,
                        count=recipe.count,
                        step=step,
                        steps=recipe.steps,
                        preview=pixels if watch.previews else None,
                    )
                )
            yield Picture(pixels=pixels, seed=seed)

    def release(self) -> None:
        return None


def install() -> None:
    """Make ``open_engine`` in this process give a painter."""
    import safelight.engine

    safelight.engine.open_engine = lambda catalogue, _device="auto": Painter(catalogue)
