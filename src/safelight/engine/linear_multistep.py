"""The linear multistep sampler (``lms``), on the noise schedule of diffusers' Euler scheduler.

diffusers has one, which needs scipy to integrate numerically. What is integrated is a polynomial,
so it is done exactly here. Source: Adams-Bashforth steps of the probability-flow equation in the
noise level sigma (Karras et al. 2022, arXiv:2206.00364), up to order 4.
"""

from __future__ import annotations

from typing import Any

from diffusers.schedulers.scheduling_euler_discrete import (
    EulerDiscreteScheduler,
    EulerDiscreteSchedulerOutput,
)
from numpy.polynomial import Polynomial

ORDER = 4


def step_weights(sigmas: list[float], end: float) -> list[float]:
    """The weight of each earlier slope for the step from ``sigmas[0]`` to ``end``.

    ``sigmas`` are the noise levels at which slopes are known, newest first. The slopes are joined
    by a polynomial, whose integral over the step is exact.
    """
    weights = []
    for i, at in enumerate(sigmas):
        basis = Polynomial([1.0])
        for j, other in enumerate(sigmas):
            if j != i:
                basis = basis * Polynomial([-other, 1.0]) / (at - other)
        integral = basis.integ()
        weights.append(float(integral(end) - integral(sigmas[0])))
    return weights


class LinearMultistepScheduler(EulerDiscreteScheduler):  # type: ignore[misc]
    """Keeps up to three earlier slopes, so that each step costs one call of the network."""

    def set_timesteps(self, *args: Any, **kwargs: Any) -> None:
        """As the parent; forgets earlier slopes."""
        super().set_timesteps(*args, **kwargs)
        self._slopes: list[Any] = []

    def step(
        self,
        model_output: Any,
        timestep: Any,
        sample: Any,
        generator: Any = None,
        return_dict: bool = True,  # noqa: FBT001, FBT002 - the parent's signature
    ) -> Any:
        """One step. Shapes as the parent's; sums in float32."""
        euler = super().step(model_output, timestep, sample, generator=generator)
        at = self.step_index - 1
        sample = sample.float()
        self._slopes.insert(0, (sample - euler.pred_original_sample) / self.sigmas[at])
        del self._slopes[ORDER:]
        known = [float(self.sigmas[at - i]) for i in range(len(self._slopes))]
        weights = step_weights(known, float(self.sigmas[at + 1]))
        for weight, slope in zip(weights, self._slopes, strict=True):
            sample = sample + weight * slope
        sample = sample.to(model_output.dtype)
        if not return_dict:
            return (sample, euler.pred_original_sample)
        return EulerDiscreteSchedulerOutput(
            prev_sample=sample, pred_original_sample=euler.pred_original_sample
        )
