"""The memory plan: decided from sizes alone, told to the caller, refused when hopeless."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from safelight.catalogue import Model
from safelight.engine.memory import plan_memory, weight_bytes
from safelight.errors import NoMemoryError
from safelight.recipe import Recipe
from safelight.secret import Secret

MIB = 2**20


@pytest.fixture
def large(tmp_path: Path) -> Model:
    """Headers of 3 GiB of weights in 16 bits (2, 0.75 and 0.25 GiB), and holes for the weights."""
    for part, mib in (("unet", 2048), ("text_encoder", 768), ("vae", 256)):
        header = {"w": {"dtype": "F16", "shape": [mib, MIB // 2], "data_offsets": [0, mib * MIB]}}
        text = json.dumps(header).encode()
        folder = tmp_path / part
        folder.mkdir()
        with (folder / "model.safetensors").open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            file.truncate(8 + len(text) + mib * MIB)  # a hole in the file, no blocks
    return Model(
        name="large",
        digest="0" * 64,
        family="sdxl",
        kind="model",
        form="folder",
        path=tmp_path,
        native_size_px=1024,
        default_steps=25,
        default_guidance=6.0,
        side_step_px=8,
        size_bytes=3 * 2**30,
    )


def order(side_px: int) -> Recipe:
    return Recipe(
        prompt=Secret("a cat"),
        model="0" * 64,
        width_px=side_px,
        height_px=side_px,
        steps=20,
        guidance=5.0,
        seed=0,
    )


def test_weights_are_counted_from_headers(large: Model) -> None:
    assert weight_bytes(large, "bfloat16") == (3072 * MIB, 2048 * MIB)
    assert weight_bytes(large, "float32") == (6144 * MIB, 4096 * MIB)


@pytest.mark.parametrize(
    ("free_mib", "offload", "tiling"),
    [
        (24_000, "none", False),
        (5_000, "none", True),
        (4_000, "model", True),
        (2_500, "sequential", True),
    ],
)
def test_less_memory_means_a_slower_plan(
    large: Model, free_mib: int, offload: str, tiling: bool
) -> None:
    found, _, tiles, need, notes = plan_memory(
        order(1024), large, "cuda", "bfloat16", free_mib * MIB
    )
    assert (found, tiles) == (offload, tiling)
    assert need <= free_mib * MIB
    assert bool(notes) == (tiling or offload != "none")


def test_a_hopeless_plan_is_refused_with_numbers(large: Model) -> None:
    with pytest.raises(NoMemoryError, match="MiB"):
        plan_memory(order(1024), large, "cuda", "bfloat16", 1_000 * MIB)
    with pytest.raises(NoMemoryError, match="MiB"):  # a CPU has nowhere to put the rest
        plan_memory(order(1024), large, "cpu", "float32", 6_000 * MIB)


def test_a_large_picture_is_decoded_in_tiles_even_with_room(large: Model) -> None:
    _, slicing, tiling, _, notes = plan_memory(order(2048), large, "cuda", "bfloat16", 80_000 * MIB)
    assert slicing
    assert tiling
    assert "tiles" in notes[0]
