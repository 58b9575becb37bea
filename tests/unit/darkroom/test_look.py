"""The embedding puts look-alikes near each other."""

from __future__ import annotations

import numpy as np

from safelight.darkroom.look import LENGTH, embedding


def distance(a: bytes, b: bytes) -> float:
    left, right = (np.frombuffer(x, np.int8).astype(int) for x in (a, b))
    return float(np.linalg.norm(left - right))


def test_length_and_order_of_cells() -> None:
    pixels = np.zeros((64, 48, 3), np.uint8)
    pixels[:16, :12] = (255, 128, 0)  # the first cell
    numbers = np.frombuffer(embedding(pixels), np.int8)
    assert len(numbers) == LENGTH == 80
    assert numbers[:3].tolist() == [127, 0, -128]
    assert numbers[5:8].tolist() == [-128, -128, -128]


def test_alike_is_nearer_than_different() -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (8, 8, 3)).repeat(32, 0).repeat(32, 1).astype(np.uint8)
    noisy = np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
    other = rng.integers(0, 256, (8, 8, 3)).repeat(32, 0).repeat(32, 1).astype(np.uint8)
    assert distance(embedding(picture), embedding(noisy)) * 3 < distance(
        embedding(picture), embedding(other)
    )


def test_odd_shapes() -> None:
    for shape in [(1, 1, 3), (2, 256, 4), (256, 3, 3)]:
        assert len(embedding(np.full(shape, 200, np.uint8))) == LENGTH
