"""Samplers: all of them solve the same equation, so with many steps they nearly agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest

from drawing import draw, recipe
from safelight.catalogue import Model
from safelight.engine import Engine
from safelight.engine.linear_multistep import step_weights
from safelight.engine.samplers import SAMPLERS, scheduler_for
from safelight.errors import RecipeError
from safelight.recipe import Sampler

GetModel = Callable[[str], Model]

TRAINED = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "clip_sample": False,
}


def test_every_sampler_of_a_recipe_is_here() -> None:
    assert {"default", *SAMPLERS} == set(get_args(Sampler))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_draws(name: str, engine: Engine, model: GetModel) -> None:
    order = recipe(model("sd1"), sampler=name, steps=3)
    first = draw(engine, order)[0].pixels
    assert np.array_equal(draw(engine, order)[0].pixels, first)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", ["ddim", "euler", "dpm++-2m", "lms", "unipc", "pndm"])
def test_a_sampler_keeps_the_models_settings_and_finds_the_picture(
    name: str, prediction: str
) -> None:
    """A network that knows the picture exactly: every solver must arrive at it."""
    import torch
    from diffusers import DDIMScheduler

    own = DDIMScheduler(**TRAINED, prediction_type=prediction)
    sampler = scheduler_for(name, own)
    assert sampler.config.prediction_type == prediction
    assert sampler.config.beta_end == 0.012
    sampler.set_timesteps(20)
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 4, 8, 8, generator=generator)
    noise = torch.randn(1, 4, 8, 8, generator=generator)
    sample = noise * sampler.init_noise_sigma
    for t in sampler.timesteps:
        seen = sampler.scale_model_input(sample, t)
        kept = own.alphas_cumprod[int(t)]
        error = (seen - kept.sqrt() * picture) / (1 - kept).sqrt()
        velocity = kept.sqrt() * error - (1 - kept).sqrt() * picture
        answer = error if prediction == "epsilon" else velocity
        sample = sampler.step(answer, t, sample).prev_sample
    near = 0.15 if name == "pndm" else 0.05  # it starts with steps of low order
    assert (sample - picture).abs().max() < near


def test_a_sampler_keeps_a_start_from_pure_noise() -> None:
    from diffusers import DDIMScheduler

    own = DDIMScheduler(
        **TRAINED,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )
    for name in set(SAMPLERS) - {"pndm"}:
        sampler = scheduler_for(name, own)
        assert sampler.config.rescale_betas_zero_snr
        assert sampler.config.timestep_spacing == "trailing"
    with pytest.raises(RecipeError, match="pure noise"):
        scheduler_for("pndm", own)


def test_weights_of_the_linear_multistep_integrate_polynomials_exactly() -> None:
    sigmas, end = [3.0, 4.0, 6.0, 9.0], 2.0
    for power in range(4):
        weights = step_weights(sigmas, end)
        total = sum(w * s**power for w, s in zip(weights, sigmas, strict=True))
        exact = (end ** (power + 1) - sigmas[0] ** (power + 1)) / (power + 1)
        assert total == pytest.approx(exact)
