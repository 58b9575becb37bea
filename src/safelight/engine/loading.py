"""From catalogue entries to diffusers pipelines. Local files only, safetensors only, no output."""

from __future__ import annotations

import inspect
import json
import os
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safelight.engine.samplers import scheduler_for
from safelight.errors import ModelFormatError, RecipeError

if TYPE_CHECKING:
    from pathlib import Path

    from safelight.catalogue import Model
    from safelight.engine.protocol import Offload, Plan


@dataclass(slots=True, kw_only=True)
class Loaded:
    """The warm pipeline, its siblings for other tasks, and which adapters are in it."""

    model: Model
    offload: Offload
    pipe: Any
    scheduler: Any
    """The model's own scheduler, from which others take their settings."""
    siblings: dict[str, Any] = field(default_factory=dict)
    adapters: set[str] = field(default_factory=set)


def be_quiet_and_offline() -> None:
    """Forbid the hub and silence libraries: a tokenizer that truncates a prompt prints it."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import logging

    import diffusers.utils.logging as diffusers_logging
    import transformers.utils.logging as transformers_logging

    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity(logging.CRITICAL + 1)
        library.disable_progress_bar()


def load(plan: Plan) -> Loaded:
    """Load the plan's model. Raises :class:`ModelFormatError` if its files do not fit together."""
    model = plan.model
    try:
        pipe = _from_folder(plan) if model.form == "folder" else _from_file(plan)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        if "memory" in str(error):
            raise
        raise ModelFormatError("the model's files do not fit together") from error
    pipe.set_progress_bar_config(disable=True)
    _place(pipe, plan)
    return Loaded(model=model, offload=plan.offload, pipe=pipe, scheduler=pipe.scheduler)


def prepare(loaded: Loaded, plan: Plan) -> Any:
    """The pipeline for this recipe: its task, its sampler, its adapters."""
    recipe = plan.recipe
    pipe = loaded.pipe
    _set_adapters(loaded, plan)
    kind = "inpaint" if recipe.task == "outpaint" else recipe.task
    if kind != "inpaint" and _only_repaints(pipe):
        raise RecipeError("this model only repaints inside a mask", hint="give it a mask")
    if kind != "text-to-image" or _is_for_pictures(pipe):
        if kind not in loaded.siblings:
            loaded.siblings[kind] = _sibling(pipe, kind)
        pipe = loaded.siblings[kind]
    pipe.scheduler = scheduler_for(recipe.sampler, loaded.scheduler)
    vae = getattr(pipe, "vae", None)
    for method, is_on in (("slicing", plan.slicing), ("tiling", plan.tiling)):
        switch = getattr(vae, f"{'enable' if is_on else 'disable'}_{method}", None)
        if switch is not None:
            switch()
    # On CPU and CUDA, PyTorch's own attention never makes the whole matrix; on MPS it does.
    if plan.device == "mps" and plan.slicing:
        pipe.enable_attention_slicing()
    return pipe


def arguments_of(pipe: Any) -> frozenset[str]:
    """Names that the pipeline's call takes."""
    return frozenset(inspect.signature(type(pipe).__call__).parameters)


def _from_folder(plan: Plan) -> Any:
    import diffusers
    import torch

    path = plan.model.path
    index = json.loads((path / "model_index.json").read_bytes())
    cls = getattr(diffusers, index["_class_name"])
    extra: dict[str, Any] = {}
    if "safety_checker" in index:  # every picture passes our own check instead
        extra = {"safety_checker": None, "requires_safety_checker": False}
    if index.get("feature_extractor"):
        extra["feature_extractor"] = None
    if _only_half(path):
        extra["variant"] = "fp16"
    return cls.from_pretrained(
        str(path),
        dtype=getattr(torch, plan.dtype),
        local_files_only=True,
        use_safetensors=True,
        **extra,
    )


def _only_half(path: Path) -> bool:
    """Whether the folder holds its weights only as the ``fp16`` variant."""
    parts = [p for name in ("unet", "transformer") for p in (path / name).glob("*.safetensors")]
    return bool(parts) and all(".fp16" in p.name for p in parts)


def _from_file(plan: Plan) -> Any:
    from safelight.engine.single_file import pipeline_from_file

    return pipeline_from_file(plan.model, plan.dtype)


def _place(pipe: Any, plan: Plan) -> None:
    if plan.offload == "model":
        pipe.enable_model_cpu_offload(device=plan.device)
    elif plan.offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=plan.device)
    elif plan.device == "cpu":
        _channels_last(pipe)
    else:
        pipe.to(plan.device)


def _channels_last(pipe: Any) -> None:
    """Lay convolution weights out as a CPU wants them: a sixth less time for the same picture.

    Pixels differ by rounding from those of the plain layout. Source: PyTorch, "Channels last
    memory format". Networks without convolutions, or with ones in three dimensions, stay as is.
    """
    import torch

    for name in ("unet", "vae"):
        network = getattr(pipe, name, None)
        if network is not None and max(weight.dim() for weight in network.parameters()) == 4:
            network.to(memory_format=torch.channels_last)


def _only_repaints(pipe: Any) -> bool:
    """Whether the network takes a mask and a picture beside the latents."""
    unet, vae = getattr(pipe, "unet", None), getattr(pipe, "vae", None)
    if unet is None or vae is None:
        return False
    return bool(unet.config.in_channels != vae.config.latent_channels)


def _is_for_pictures(pipe: Any) -> bool:
    """Whether the folder was saved from a pipeline that starts from a picture."""
    return any(word in type(pipe).__name__ for word in ("Img2Img", "Inpaint"))


def _sibling(pipe: Any, kind: str) -> Any:
    import diffusers

    auto = {
        "text-to-image": diffusers.AutoPipelineForText2Image,
        "image-to-image": diffusers.AutoPipelineForImage2Image,
        "inpaint": diffusers.AutoPipelineForInpainting,
    }[kind]
    sibling = auto.from_pipe(pipe)
    sibling.set_progress_bar_config(disable=True)
    return sibling


def _set_adapters(loaded: Loaded, plan: Plan) -> None:
    wanted = {a.digest for a in plan.adapters}
    pipe = loaded.pipe
    if loaded.adapters - wanted:
        pipe.unload_lora_weights()
        loaded.adapters.clear()
    for adapter in plan.adapters:
        if adapter.digest not in loaded.adapters:
            loaded.adapters.add(adapter.digest)  # first: half of it may be in if loading fails
            _add_adapter(pipe, adapter)
    if plan.adapters:
        uses = plan.recipe.adapters
        pipe.set_adapters([_adapter_name(u.digest) for u in uses], [u.weight for u in uses])


def _add_adapter(pipe: Any, adapter: Model) -> None:
    """Load a LoRA in the kohya or the diffusers form, told apart by diffusers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft warns of a second adapter, which is meant
            pipe.load_lora_weights(
                str(adapter.path.parent),
                weight_name=adapter.path.name,
                adapter_name=_adapter_name(adapter.digest),
                local_files_only=True,
                use_safetensors=True,
            )
    except (ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        if "memory" in str(error):
            raise
        raise ModelFormatError("the adapter does not fit this model") from error


def _adapter_name(digest: str) -> str:
    return f"adapter_{digest[:16]}"
