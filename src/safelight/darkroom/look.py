"""A small colour and edge embedding, for "more like this" in the owner's own browser."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CELLS = 4
LENGTH = CELLS * CELLS * 5


def embedding(pixels: NDArray[np.uint8]) -> bytes:
    """80 signed bytes (int8) that are near each other for pictures that look alike.

    ``pixels`` is (H, W, 3 or 4) uint8, best a thumbnail. The picture is cut into 4 x 4 cells; each
    gives mean red, green and blue, and mean horizontal and vertical gradient of its brightness,
    minus 128, cell by cell in reading order.
    """
    rgb = pixels[..., :3].astype(np.float32)
    grey = rgb.mean(axis=2)
    across = np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    down = np.abs(np.diff(grey, axis=0, append=grey[-1:, :]))
    # Gradients are small on average; four times as large uses the range without clipping much.
    layers = np.dstack([rgb, across * 4, down * 4])
    means = [
        cell.reshape(-1, 5).mean(axis=0) if cell.size else np.zeros(5, np.float32)
        for band in np.array_split(layers, CELLS, axis=0)
        for cell in np.array_split(band, CELLS, axis=1)
    ]
    numbers = np.clip(np.rint(np.concatenate(means)) - 128, -128, 127)
    return bytes(numbers.astype(np.int8).tobytes())
