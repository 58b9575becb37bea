"""Sampler names to diffusers schedulers. Each keeps the model's own training settings."""

from __future__ import annotations

import inspect
from typing import Any

from safelight.errors import RecipeError

SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),  # Song et al. 2020, arXiv:2010.02502
    "euler": ("EulerDiscreteScheduler", {}),  # Karras et al. 2022, arXiv:2206.00364
    "euler-ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "dpm++-2m": ("DPMSolverMultistepScheduler", {}),  # Lu et al. 2022, arXiv:2211.01095
    "lms": ("LinearMultistepScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),  # Liu et al. 2022, arXiv:2202.09778
    "unipc": ("UniPCMultistepScheduler", {}),  # Zhao et al. 2023, arXiv:2302.04867
    "lcm": ("LCMScheduler", {}),  # Luo et al. 2023, arXiv:2310.04378
}


FLOW_FAMILIES = frozenset({"sd3", "flux", "z-image", "qwen-image"})
"""Families trained by flow matching (Lipman et al. 2022, arXiv:2210.02747)."""


def check_sampler(name: str, family: str) -> None:
    """Raise :class:`RecipeError` for a sampler that this family of models cannot use."""
    if family in FLOW_FAMILIES and name not in ("default", "euler"):
        raise RecipeError(f"models of the family {family} take the samplers default and euler")


def scheduler_for(name: str, original: Any) -> Any:
    """A scheduler of this name with the configuration of the model's own.

    Raises :class:`RecipeError` for one that cannot follow the model's noise schedule.
    """
    if name == "default" or (name == "euler" and "FlowMatch" in type(original).__name__):
        return original
    class_name, changes = SAMPLERS[name]
    if type(original).__name__ == class_name:
        return original
    cls = _class(class_name)
    takes = inspect.signature(cls.__init__).parameters
    if original.config.get("rescale_betas_zero_snr") and "rescale_betas_zero_snr" not in takes:
        raise RecipeError(
            f"the sampler {name} cannot start from pure noise, and this model needs that",
            hint="leave the sampler at default",
        )
    return cls.from_config(dict(original.config), **changes)


def _class(name: str) -> Any:
    if name == "LinearMultistepScheduler":
        from safelight.engine.linear_multistep import LinearMultistepScheduler

        return LinearMultistepScheduler
    import diffusers

    return getattr(diffusers, name)
