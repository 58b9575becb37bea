"""Sampler names to diffusers schedulers. Each keeps the model's own training settings."""

from __future__ import annotations

from typing import Any

from safelight.errors import RecipeError

SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),  # Song et al. 2020, arXiv:2010.02502
    "euler": ("EulerDiscreteScheduler", {}),  # Karras et al. 2022, arXiv:2206.00364
    "euler-ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "dpm++-2m": ("DPMSolverMultistepScheduler", {}),  # Lu et al. 2022, arXiv:2211.01095
    "lms": ("LMSDiscreteScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),  # Liu et al. 2022, arXiv:2202.09778
    "unipc": ("UniPCMultistepScheduler", {}),  # Zhao et al. 2023, arXiv:2302.04867
    "lcm": ("LCMScheduler", {}),  # Luo et al. 2023, arXiv:2310.04378
}


def scheduler_for(name: str, original: Any) -> Any:
    """A scheduler of this name with the configuration of the model's own.

    Raises :class:`RecipeError` where a flow-matching model is asked for a sampler made for noise
    prediction.
    """
    if name == "default":
        return original
    if "FlowMatch" in type(original).__name__:
        if name == "euler":
            return original
        raise RecipeError("this family of models takes the samplers default and euler")
    import diffusers

    class_name, changes = SAMPLERS[name]
    if type(original).__name__ == class_name:
        return original
    cls = getattr(diffusers, class_name)
    return cls.from_config(dict(original.config), **changes)
