"""What a run promises: seeds, progress, previews, cancelling, switching, and clear errors."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drawing import SIDE_PX, draw, recipe
from safelight.catalogue import Catalogue, Model
from safelight.engine import Engine, Progress, open_engine
from safelight.engine.output import encode
from safelight.errors import (
    CancelledError,
    PictureError,
    RecipeError,
    RequestError,
    TamperedModelError,
    UnknownModelError,
)
from safelight.ids import sha256_hex
from safelight.recipe import AdapterUse, ControlUse
from safelight.secret import Secret

GetModel = Callable[[str], Model]


class Notes:
    """A watch that keeps what it is told and cancels after some steps."""

    def __init__(self, *, previews: bool = False, cancel_after: int | None = None) -> None:
        self.previews = previews
        self.cancel_after = cancel_after
        self.told: list[Progress] = []

    def step(self, progress: Progress) -> None:
        self.told.append(progress)

    def cancelled(self) -> bool:
        return self.cancel_after is not None and len(self.told) >= self.cancel_after


def test_a_batch_is_its_singles(engine: Engine, model: GetModel) -> None:
    order = recipe(model("sd1"), count=3, seed=2**32 - 2)
    batch = draw(engine, order)
    assert [p.seed for p in batch] == [2**32 - 2, 2**32 - 1, 0]
    for index, picture in enumerate(batch):
        assert np.array_equal(draw(engine, order.single(index))[0].pixels, picture.pixels)


def test_every_step_is_told(engine: Engine, model: GetModel) -> None:
    notes = Notes()
    draw(engine, recipe(model("sd1"), count=2, steps=3), watch=notes)
    assert [(p.index, p.step, p.steps, p.count) for p in notes.told] == [
        (0, 1, 3, 2),
        (0, 2, 3, 2),
        (0, 3, 3, 2),
        (1, 1, 3, 2),
        (1, 2, 3, 2),
        (1, 3, 3, 2),
    ]
    assert all(p.preview is None for p in notes.told)


def test_previews_come_when_they_are_wanted(engine: Engine, model: GetModel) -> None:
    notes = Notes(previews=True)
    order = recipe(model("sd1"), steps=4)
    drawn = draw(engine, order, watch=notes)[0].pixels
    previews = [p.preview for p in notes.told if p.preview is not None]
    assert previews
    assert all(p.ndim == 3 and p.shape[2] == 3 and p.dtype == np.uint8 for p in previews)
    assert np.array_equal(draw(engine, order)[0].pixels, drawn)  # watching changes nothing


def test_a_run_stops_between_steps_and_the_engine_goes_on(engine: Engine, model: GetModel) -> None:
    order = recipe(model("sd1"), steps=4)
    whole = draw(engine, order)[0].pixels
    notes = Notes(cancel_after=2)
    with pytest.raises(CancelledError):
        draw(engine, order, watch=notes)
    assert len(notes.told) == 2
    assert np.array_equal(draw(engine, order)[0].pixels, whole)


def test_models_are_switched(engine: Engine, model: GetModel) -> None:
    first, second = recipe(model("sd1")), recipe(model("sdxl"))
    before = draw(engine, first)[0].pixels
    assert not np.array_equal(draw(engine, second)[0].pixels, before)
    assert np.array_equal(draw(engine, first)[0].pixels, before)


def test_strength_decides_how_much_of_the_picture_stays(engine: Engine, model: GetModel) -> None:
    flat = np.full((SIDE_PX, SIDE_PX, 3), (200, 30, 30), np.uint8)
    data = encode(flat, "image/png")
    key = sha256_hex(data)
    notes = Notes()
    order = recipe(
        model("sd1"), task="image-to-image", init_image=key, strength=0.5, steps=10, guidance=0.0
    )
    weak = draw(engine, order, {key: data}, notes)[0].pixels
    assert notes.told[-1].steps == 5
    assert len(notes.told) == 5
    strong = draw(engine, replace(order, strength=1.0), {key: data})[0].pixels
    assert not np.array_equal(weak, strong)
    with pytest.raises(RecipeError, match="strength"):
        engine.plan(replace(order, strength=0.05))


@pytest.mark.parametrize("name", ["sd1", "sd1-inpaint"])
def test_inpainting_keeps_what_the_mask_keeps(name: str, engine: Engine, model: GetModel) -> None:
    flat = np.full((SIDE_PX, SIDE_PX, 3), (200, 30, 30), np.uint8)
    mask = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    mask[:, SIDE_PX // 2 :] = 255
    files = {sha256_hex(d): d for d in (encode(flat, "image/png"), encode(mask, "image/png"))}
    init, hole = files
    order = recipe(
        model(name), task="inpaint", init_image=init, mask_image=hole, strength=1.0, steps=3
    )
    drawn = draw(engine, order, files)[0].pixels
    half = SIDE_PX // 2
    assert np.array_equal(drawn[:, :half], flat[:, :half])
    assert not np.array_equal(drawn[:, half:], flat[:, half:])


def test_a_model_that_only_repaints_says_so(engine: Engine, model: GetModel) -> None:
    with pytest.raises(RecipeError, match="repaints"):
        draw(engine, recipe(model("sd1-inpaint")))


def test_a_folder_saved_from_an_image_pipeline_draws_from_words(
    engine: Engine, model: GetModel, tmp_path: Path
) -> None:
    entry = model("sd1")
    folder = tmp_path / "model"
    shutil.copytree(entry.path, folder)
    index = folder / "model_index.json"
    text = index.read_text().replace("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline")
    index.write_text(text)
    catalogue = Catalogue(tmp_path / "home")
    other = catalogue.add(folder)
    drawn = draw(open_engine(catalogue, "cpu"), recipe(other))[0].pixels
    assert np.array_equal(drawn, draw(engine, recipe(entry))[0].pixels)


def test_input_pictures_are_needed_and_must_be_whole(engine: Engine, model: GetModel) -> None:
    data = encode(np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8), "image/png")
    key = sha256_hex(data)
    order = recipe(model("sd1"), task="image-to-image", init_image=key, strength=1.0)
    with pytest.raises(RecipeError, match="1 input"):
        draw(engine, order, {})
    with pytest.raises(PictureError):
        draw(engine, order, {key: data[:-20]})


def test_what_does_not_fit_is_refused_before_loading(engine: Engine, model: GetModel) -> None:
    entry, lora = model("sd1"), model("kohya")
    with pytest.raises(UnknownModelError):
        engine.plan(replace(recipe(entry), model="0" * 64))
    with pytest.raises(RequestError, match="adapter"):
        engine.plan(recipe(lora))
    with pytest.raises(RecipeError, match="width"):
        engine.plan(recipe(entry, width_px=16))
    edge = (ControlUse(kind="edge", image="0" * 64),)
    with pytest.raises(RecipeError, match="control"):
        engine.plan(recipe(entry, task="control", controls=edge))
    with pytest.raises(RecipeError, match="samplers"):
        engine.plan(recipe(model("flux"), sampler="ddim"))


def test_a_tampered_model_is_not_loaded(model: GetModel, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model("sd1").path, folder)
    catalogue = Catalogue(tmp_path / "home")
    entry = catalogue.add(folder)
    weights = folder / "vae/diffusion_pytorch_model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(TamperedModelError):
        draw(open_engine(catalogue, "cpu"), recipe(entry))


def test_a_device_that_is_not_there_is_refused(catalogue: Catalogue, model: GetModel) -> None:
    with pytest.raises(RequestError, match="device"):
        open_engine(catalogue, "cuda:99").plan(recipe(model("sd1")))


def test_the_engine_says_what_it_runs_on(engine: Engine) -> None:
    info = engine.describe()
    assert (info.device, info.dtype) == ("cpu", "float32")
    assert info.free_bytes > 0


def test_transparency_cuts_a_plain_background_and_refuses_another(
    engine: Engine, model: GetModel
) -> None:
    from safelight.engine.pictures import cut_out

    apple = np.full((40, 40, 3), 255, np.uint8)
    apple[10:30, 10:30] = (200, 20, 20)
    apple[18:22, 18:22] = 255  # a white spot inside stays
    cut = cut_out(apple)
    assert cut.shape == (40, 40, 4)
    assert cut[0, 0, 3] == 0
    assert cut[15, 15, 3] == 255
    assert cut[20, 20, 3] == 255
    with pytest.raises(RecipeError, match="background"):
        draw(engine, recipe(model("sd1"), transparent=True))


def test_nothing_of_the_words_is_printed(
    engine: Engine, model: GetModel, capfd: pytest.CaptureFixture[str]
) -> None:
    """A tokenizer that cuts a long prompt would print what it cut."""
    entry = model("sd1")
    draw(engine, recipe(entry))  # loading is done, and whatever it says
    capfd.readouterr()
    for text in ("canary " * 200, "canary" * 300):
        draw(engine, recipe(entry, prompt=Secret(text), negative_prompt=Secret(text)))
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err == ""


def test_an_adapter_can_be_used_with_a_picture(engine: Engine, model: GetModel) -> None:
    data = encode(np.full((SIDE_PX, SIDE_PX, 3), 90, np.uint8), "image/png")
    key = sha256_hex(data)
    order = recipe(model("sd1"), task="image-to-image", init_image=key, strength=1.0)
    plain = draw(engine, order, {key: data})[0].pixels
    use = (AdapterUse(digest=model("diffusers").digest, weight=0.5),)
    assert not np.array_equal(
        draw(engine, replace(order, adapters=use), {key: data})[0].pixels, plain
    )
    assert np.array_equal(draw(engine, order, {key: data})[0].pixels, plain)
