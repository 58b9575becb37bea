"""The bundled Pocket through the engine: the same pixels as diffusers by hand, previews, tasks."""

from __future__ import annotations

import numpy as np
import pytest

from drawing import draw, recipe
from safelight.catalogue import Catalogue, Model
from safelight.engine import Engine, Progress
from safelight.engine.memory import choose_dtype, give_back
from safelight.engine.output import encode
from safelight.errors import RecipeError
from safelight.ids import sha256_hex
from safelight.recipe import Recipe
from safelight.secret import Secret


@pytest.fixture(scope="module")
def pocket(catalogue: Catalogue) -> Model:
    return catalogue.find("pocket")


def small(pocket: Model, **changes: object) -> Recipe:
    side = pocket.native_size_px
    return recipe(
        pocket, prompt=Secret("a red apple"), width_px=side, height_px=side, steps=3, **changes
    )


class Previews:
    previews = True

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def step(self, progress: Progress) -> None:
        if progress.preview is not None:
            self.seen.append(progress.preview)

    def cancelled(self) -> bool:
        return False


def test_pocket_draws_what_diffusers_draws_and_shows_it_coming(
    engine: Engine, pocket: Model
) -> None:
    import torch
    from diffusers import StableDiffusionPipeline

    order = small(pocket)
    watch = Previews()
    ours = draw(engine, order, watch=watch)[0].pixels
    assert [p.shape for p in watch.seen] == [ours.shape, ours.shape]

    pipe = StableDiffusionPipeline.from_pretrained(str(pocket.path), dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)

    def by_hand() -> np.ndarray:
        image = pipe(
            "a red apple",
            num_inference_steps=order.steps,
            guidance_scale=order.guidance,
            width=order.width_px,
            height=order.height_px,
            generator=torch.Generator("cpu").manual_seed(order.seed),
        ).images[0]
        return np.asarray(image)

    apart = np.abs(by_hand().astype(int) - ours)  # the layout of weights in memory: only rounding
    assert apart.max() <= 3
    assert apart.mean() < 0.05
    for network in (pipe.unet, pipe.vae):
        network.to(memory_format=torch.channels_last)
    assert np.array_equal(by_hand(), ours)


def test_pocket_draws_from_a_picture(engine: Engine, pocket: Model) -> None:
    red = np.full((100, 140, 3), (220, 30, 30), np.uint8)  # another shape: cropped to fit
    data = encode(red, "image/jpeg")
    key = sha256_hex(data)
    order = small(pocket, task="image-to-image", init_image=key, strength=0.4)
    drawn = draw(engine, order, {key: data})[0].pixels
    assert drawn.shape == (order.height_px, order.width_px, 3)
    assert drawn[..., 0].mean() > drawn[..., 1].mean() + 30  # it is still mostly red


def test_pocket_refuses_sizes_that_it_cannot_draw(engine: Engine, pocket: Model) -> None:
    step = pocket.side_step_px
    with pytest.raises(RecipeError, match=f"from {4 * step} px"):
        engine.plan(recipe(pocket, width_px=2 * step, height_px=8 * step))
    if step > 8:
        with pytest.raises(RecipeError, match=f"multiple of {step} px"):
            engine.plan(recipe(pocket, width_px=8 * step + 8, height_px=8 * step))


def test_a_processor_draws_in_full_numbers() -> None:
    assert choose_dtype("cpu") == "float32"
    assert choose_dtype("mps") == "float16"


def test_giving_memory_back_is_harmless() -> None:
    give_back()
