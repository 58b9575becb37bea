"""Tiny models, each built once a session, and an engine over them with sockets closed."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import original_layout
import tiny_models
from safelight.catalogue import Catalogue, Model
from safelight.engine import Engine, open_engine

torch.set_num_threads(1)  # tiny models are quicker so, and leave the machine to others


@pytest.fixture(autouse=True)
def _no_sockets(socket_disabled: None) -> None:
    """Nothing in these tests may open a socket."""


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return Catalogue(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def model(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    """``model("sd1")``, ``"sd1-file"``, ``"kohya"`` ...: its entry, built on first use."""
    folder = tmp_path_factory.mktemp("models")
    made: dict[str, Model] = {}

    def build(name: str) -> Path:
        if name in ("kohya", "diffusers"):
            return original_layout.save_lora(name, folder / f"{name}.safetensors")
        if name.endswith("-file"):
            family = name.removesuffix("-file")
            pipe = tiny_models.PIPELINES[family](tiny_models.CLIP_WORDS)
            pipe.save_pretrained(folder / f"{family}-same", safe_serialization=True)
            return original_layout.save_single(family, pipe, folder / f"{name}.safetensors")
        if name.endswith("-same"):
            get(name.replace("-same", "-file"))
            return folder / name
        if name == "sd1-inpaint":
            tiny_models.sd1_inpaint_pipeline().save_pretrained(folder / name)
            return folder / name
        return tiny_models.save(name, folder / name)

    def get(name: str) -> Model:
        if name not in made:
            made[name] = catalogue.add(build(name), name)
            # A switch of models collects garbage; so it need not look at the libraries each time.
            gc.freeze()
        return made[name]

    return get


@pytest.fixture(scope="session")
def engine(catalogue: Catalogue) -> Engine:
    return open_engine(catalogue, "cpu")
