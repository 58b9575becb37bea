"""Names for the parts of a pipeline in signatures.

The libraries' own classes carry types that contradict how they are used, so these say what is meant
and leave the checking to the tests.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Autoencoder: TypeAlias = Any
"""A `diffusers.AutoencoderTiny`."""

Pipeline: TypeAlias = Any
"""A `diffusers.StableDiffusionPipeline`."""

Scheduler: TypeAlias = Any
"""A `diffusers.DDIMScheduler`."""

TextEncoder: TypeAlias = Any
"""A `transformers.CLIPTextModel`."""

TextTokenizer: TypeAlias = Any
"""A `transformers.CLIPTokenizer`."""

UNet: TypeAlias = Any
"""A `diffusers.UNet2DConditionModel`."""
