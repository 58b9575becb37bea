"""The engine on diffusers: one pipeline kept warm, switched when another model is asked for."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from safelight.engine import loading, memory
from safelight.engine.output import decode
from safelight.engine.pictures import cut_out, fit, keep_outside_mask, mask_of, preview_of
from safelight.engine.protocol import EngineInfo, Picture, Plan, Progress
from safelight.engine.samplers import check_sampler
from safelight.errors import CancelledError, NoMemoryError, RecipeError, RequestError

if TYPE_CHECKING:
    from safelight.catalogue import Catalogue, Model
    from safelight.engine.protocol import Watch
    from safelight.recipe import Recipe

PREVIEWS_PER_PICTURE = 6
MIN_LATENT_SIDE = 4
NO_WORDS = {"qwen-image": " "}
"""What stands for an empty negative prompt where leaving it out would turn guidance off."""


class DiffusersEngine:
    """Implements :class:`safelight.engine.Engine`. Not for several threads at once."""

    def __init__(self, catalogue: Catalogue, device: str) -> None:
        self._catalogue = catalogue
        self._wish = device
        self._device: str | None = None
        self._dtype = "float32"
        self._loaded: loading.Loaded | None = None

    def describe(self) -> EngineInfo:
        """See :meth:`safelight.engine.Engine.describe`."""
        import torch

        device = self._on()
        return EngineInfo(
            device=device,
            dtype=self._dtype,
            free_bytes=memory.free_bytes(device),
            torch=torch.__version__,
        )

    def plan(self, recipe: Recipe) -> Plan:
        """See :meth:`safelight.engine.Engine.plan`."""
        model = self._catalogue.find(recipe.model)
        adapters = tuple(self._catalogue.find(use.digest) for use in recipe.adapters)
        _check_fit(recipe, model, adapters)
        device = self._on()
        free = memory.free_bytes(device)
        if self._loaded is not None and self._loaded.model.digest == model.digest:
            free += memory.weight_bytes(model, self._dtype)[0]  # it is in memory already
        offload, slicing, tiling, need, notes = memory.plan_memory(
            recipe, model, device, self._dtype, free
        )
        return Plan(
            recipe=recipe,
            model=model,
            adapters=adapters,
            device=device,
            dtype=self._dtype,
            offload=offload,
            slicing=slicing,
            tiling=tiling,
            need_bytes=need,
            notes=notes,
        )

    def run(self, plan: Plan, inputs: Mapping[str, bytes], watch: Watch) -> Iterator[Picture]:
        """See :meth:`safelight.engine.Engine.run`."""
        recipe = plan.recipe
        fields = _picture_inputs(recipe, inputs)
        with _memory_errors():
            pipe = self._pipeline(plan)
        for index, seed in enumerate(recipe.seeds()):
            with _memory_errors():
                pixels = _draw(pipe, plan, fields, seed, index, watch)
            if "mask_image" in fields:
                pixels = keep_outside_mask(pixels, fields["image"], fields["mask_image"])
            if recipe.transparent:
                pixels = cut_out(pixels)
            yield Picture(pixels=pixels, seed=seed)

    def release(self) -> None:
        """See :meth:`safelight.engine.Engine.release`."""
        self._loaded = None
        gc.collect()
        memory.give_back()
        if self._device is not None and self._device.startswith("cuda"):
            import torch

            torch.cuda.empty_cache()

    # --- inside ---

    def _on(self) -> str:
        if self._device is None:
            loading.be_quiet_and_offline()
            self._device = memory.choose_device(self._wish)
            self._dtype = memory.choose_dtype(self._device)
        return self._device

    def _pipeline(self, plan: Plan) -> Any:
        kept = self._loaded
        if kept is None or (kept.model.digest, kept.offload) != (plan.model.digest, plan.offload):
            self.release()
            self._catalogue.verify(plan.model)
            self._loaded = kept = loading.load(plan)
        for adapter in plan.adapters:
            if adapter.digest not in kept.adapters:
                self._catalogue.verify(adapter)
        return loading.prepare(kept, plan)


def _check_fit(recipe: Recipe, model: Model, adapters: tuple[Model, ...]) -> None:
    if model.kind != "model":
        raise RequestError("that is an adapter, not a model", hint="name it as an adapter")
    step = model.side_step_px
    for name, side in (("width", recipe.width_px), ("height", recipe.height_px)):
        if side % step:
            raise RecipeError(f"this model draws sides that are a multiple of {step} px: {name}")
        if side < MIN_LATENT_SIDE * step:
            raise RecipeError(f"this model draws sides from {MIN_LATENT_SIDE * step} px: {name}")
    for adapter in adapters:
        if adapter.kind != "adapter":
            raise RequestError("that is a model, not an adapter", hint="name it as the model")
        if adapter.family != model.family:
            raise RequestError(
                f"the adapter is for the family {adapter.family} and the model is {model.family}"
            )
    check_sampler(recipe.sampler, model.family)
    if recipe.strength is not None and int(recipe.steps * recipe.strength) < 1:
        raise RecipeError("steps times strength must be at least 1")
    if recipe.task == "control":
        raise RecipeError("no control model is here", hint="add one for this family first")


def _picture_inputs(recipe: Recipe, inputs: Mapping[str, bytes]) -> dict[str, Any]:
    """Input pictures at the recipe's size, as Pillow images by the pipelines' argument names."""
    missing = [digest for digest in recipe.inputs() if digest not in inputs]
    if missing:
        raise RecipeError(f"{len(missing)} input pictures of the recipe are missing")
    fields: dict[str, Any] = {}
    size = (recipe.width_px, recipe.height_px)
    if recipe.init_image is not None:
        fields["image"] = fit(decode(inputs[recipe.init_image]), size)
    if recipe.mask_image is not None:
        fields["mask_image"] = mask_of(decode(inputs[recipe.mask_image]), size)
    return fields


def _draw(
    pipe: Any, plan: Plan, fields: dict[str, Any], seed: int, index: int, watch: Watch
) -> Any:
    import torch

    recipe = plan.recipe
    wanted = {
        "prompt": recipe.prompt.reveal(),
        "negative_prompt": recipe.negative_prompt.reveal() or NO_WORDS.get(plan.model.family),
        "height": recipe.height_px,
        "width": recipe.width_px,
        "num_inference_steps": recipe.steps,
        "guidance_scale": recipe.guidance,
        "true_cfg_scale": recipe.guidance,
        "strength": recipe.strength,
        # Noise comes from the CPU's generator, so that a seed means the same on every device.
        "generator": torch.Generator("cpu").manual_seed(seed),
        "output_type": "np",
        "callback_on_step_end": _stepper(plan, index, watch),
        **fields,
    }
    takes = loading.arguments_of(pipe)
    if "strength" not in takes or recipe.strength is None:
        wanted.pop("strength")
    if plan.model.family != "qwen-image":
        wanted.pop("true_cfg_scale")
    # Offloading moves weights while it draws, which inference mode forbids; a CPU has none.
    with torch.inference_mode(plan.device == "cpu"):
        result = pipe(**{name: value for name, value in wanted.items() if name in takes})
    picture = np.asarray(result.images[0])
    return np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)


def _stepper(plan: Plan, index: int, watch: Watch) -> Callable[..., dict[str, Any]]:
    recipe = plan.recipe
    steps = recipe.steps
    if recipe.strength is not None:
        steps = int(recipe.steps * recipe.strength)
    every = max(1, steps // PREVIEWS_PER_PICTURE)

    def on_step(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        del timestep
        if watch.cancelled():
            raise CancelledError("the picture was cancelled")
        preview = None
        if watch.previews and step % every == every - 1 and step + 1 < steps:
            preview = preview_of(pipe, values["latents"], recipe)
        watch.step(
            Progress(
                index=index,
                count=recipe.count,
                step=min(step + 1, steps),
                steps=steps,
                preview=preview,
            )
        )
        return values

    return on_step


@contextmanager
def _memory_errors() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise NoMemoryError("the model or the picture does not fit in memory") from None
    except RuntimeError as error:
        if "out of memory" in str(error) or "not enough memory" in str(error):
            raise NoMemoryError("the model or the picture does not fit in memory") from None
        raise
