"""Every family draws from words and from a picture, the same way each time, with sockets closed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tiny_models
from drawing import SIDE_PX, draw, recipe
from safelight.catalogue import Model
from safelight.engine import Engine
from safelight.engine.output import encode
from safelight.ids import sha256_hex

GetModel = Callable[[str], Model]


@pytest.mark.parametrize("family", tiny_models.PIPELINES)
def test_a_family_draws_from_words_and_from_a_picture(
    family: str, engine: Engine, model: GetModel
) -> None:
    entry = model(family)
    assert (entry.family, entry.form, entry.kind) == (family, "folder", "model")

    side = recipe(entry).width_px
    first = draw(engine, recipe(entry))[0].pixels
    assert first.shape == (side, side, 3)
    assert first.dtype == np.uint8
    assert first.std() > 1

    engine.release()  # so that the second time it is loaded afresh
    again, other = draw(engine, recipe(entry, count=2))
    assert np.array_equal(again.pixels, first)
    assert not np.array_equal(other.pixels, first)

    data = encode(first, "image/png")
    key = sha256_hex(data)
    order = recipe(entry, task="image-to-image", init_image=key, strength=0.5)
    changed = draw(engine, order, {key: data})[0].pixels
    assert changed.shape == (side, side, 3)
    assert not np.array_equal(changed, first)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_single_file_draws_what_the_folder_draws(
    family: str, engine: Engine, model: GetModel
) -> None:
    file, folder = model(f"{family}-file"), model(f"{family}-same")
    assert (file.family, file.form) == (family, "file")
    drawn = [draw(engine, recipe(m))[0].pixels.astype(int) for m in (file, folder)]
    assert np.abs(drawn[0] - drawn[1]).max() <= 1


def test_words_and_guidance_decide_the_picture(engine: Engine, model: GetModel) -> None:
    from safelight.secret import Secret

    entry = model("sd1")
    plain = recipe(entry)
    drawn = {
        draw(engine, order)[0].pixels.tobytes()
        for order in (
            plain,
            recipe(entry, prompt=Secret("a dog")),
            recipe(entry, negative_prompt=Secret("a dog")),
            recipe(entry, guidance=9.0),
            recipe(entry, seed=8),
            recipe(entry, steps=3),
            recipe(entry, width_px=SIDE_PX * 2),
        )
    }
    assert len(drawn) == 7
