"""Draws prompts with a pipeline and lays the pictures out as one sheet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from .parts import Pipeline

SAMPLE_PROMPTS = (
    "a red apple",
    "a cat face",
    "a rocket",
    "a house",
    "a green tree",
    "a 3d red fox",
    "a cartoon dog face",
    "a heart",
    "flat icon of a star",
    "a red car",
    "a fish",
    "a glossy mushroom",
    "line icon of a rocket",
    "a pizza",
    "a rabbit face on a blue background",
    "a robot",
    "a 3d house on a yellow background",
    "the sun",
    "a crescent moon",
    "a ghost on a purple background",
    "a bear",
    "a pink flower",
    "a flat evergreen tree",
    "a 3d red apple",
    "a panda",
    "a strawberry",
    "a penguin",
    "a blue butterfly",
    "a castle",
    "a bus",
    "a guitar",
    "a smiling face",
)
"""Thirty-two prompts looked at during training."""


@torch.no_grad()
def draw(
    pipeline: Pipeline,
    prompts: Sequence[str],
    *,
    steps: int,
    guidance: float,
    seed: int = 7,
    batch: int = 16,
) -> list[Image.Image]:
    """Draws one picture a prompt at the native size; picture i starts from noise seeded with `seed
    + i`.
    """
    pictures: list[Image.Image] = []
    for start in range(0, len(prompts), batch):
        part = list(prompts[start : start + batch])
        generators = [torch.Generator().manual_seed(seed + start + i) for i in range(len(part))]
        pictures += pipeline(
            part, num_inference_steps=steps, guidance_scale=guidance, generator=generators
        ).images
    return pictures


def grid(pictures: Sequence[Image.Image], *, columns: int, cell_px: int) -> Image.Image:
    """Lays pictures out row by row, each scaled to `cell_px` a side."""
    rows = -(-len(pictures) // columns)
    canvas = Image.new("RGB", (columns * cell_px, rows * cell_px), "white")
    for i, picture in enumerate(pictures):
        cell = picture.convert("RGB").resize((cell_px, cell_px), Image.Resampling.LANCZOS)
        canvas.paste(cell, (i % columns * cell_px, i // columns * cell_px))
    return canvas
