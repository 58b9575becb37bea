"""LoRA files in the kohya and the diffusers form: they change the picture, by weight, and leave."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from drawing import draw, recipe
from safelight.catalogue import Catalogue, Model
from safelight.engine import Engine
from safelight.errors import ModelFormatError, RequestError
from safelight.recipe import AdapterUse

GetModel = Callable[[str], Model]


def test_both_forms_change_the_picture_alike_and_leave(engine: Engine, model: GetModel) -> None:
    entry = model("sd1")
    plain = draw(engine, recipe(entry))[0].pixels
    drawn = {}
    for form in ("kohya", "diffusers"):
        lora = model(form)
        assert (lora.kind, lora.family) == ("adapter", "sd1")
        use = (AdapterUse(digest=lora.digest, weight=0.7),)
        drawn[form] = draw(engine, recipe(entry, adapters=use))[0].pixels
        assert not np.array_equal(drawn[form], plain)
        half = (AdapterUse(digest=lora.digest, weight=0.3),)
        assert not np.array_equal(draw(engine, recipe(entry, adapters=half))[0].pixels, drawn[form])
        assert np.array_equal(draw(engine, recipe(entry))[0].pixels, plain)
    # The same numbers in two forms: the same picture but for rounding.
    assert np.abs(drawn["kohya"].astype(int) - drawn["diffusers"]).max() <= 1


def test_adapters_stack(engine: Engine, model: GetModel) -> None:
    entry = model("sd1")
    first, second = (AdapterUse(digest=model(f).digest, weight=0.5) for f in ("kohya", "diffusers"))
    one = draw(engine, recipe(entry, adapters=(first,)))[0].pixels
    both = draw(engine, recipe(entry, adapters=(first, second)))[0].pixels
    assert not np.array_equal(one, both)
    assert np.array_equal(draw(engine, recipe(entry, adapters=(first,)))[0].pixels, one)


def test_an_adapter_for_another_family_is_refused(engine: Engine, model: GetModel) -> None:
    use = (AdapterUse(digest=model("kohya").digest),)
    with pytest.raises(RequestError, match="family"):
        engine.plan(recipe(model("sdxl"), adapters=use))
    with pytest.raises(RequestError, match="not an adapter"):
        engine.plan(recipe(model("sd1"), adapters=(AdapterUse(digest=model("sd1").digest),)))


def test_an_adapter_that_does_not_fit_is_refused_and_leaves_nothing(
    engine: Engine, model: GetModel, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import torch
    from safetensors.torch import save_file

    file = tmp_path_factory.mktemp("lora") / "wrong.safetensors"
    name = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    save_file(
        {f"{name}.lora_A.weight": torch.ones(2, 999), f"{name}.lora_B.weight": torch.ones(999, 2)},
        file,
    )
    entry = model("sd1")
    plain = draw(engine, recipe(entry))[0].pixels
    use = (AdapterUse(digest=catalogue.add(file, "wrong").digest),)
    with pytest.raises(ModelFormatError, match="adapter"):
        draw(engine, recipe(entry, adapters=use))
    assert np.array_equal(draw(engine, recipe(entry))[0].pixels, plain)
