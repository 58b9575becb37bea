"""What a folder or file is, read from its headers and never by running it. No torch here.

Families are told by the pipeline class of a diffusers folder, or by key names in the JSON header
of a ``.safetensors`` file (https://huggingface.co/docs/safetensors, "Format"). Pickles are refused:
reading one runs code from it.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safelight.catalogue.model import Form, Kind
from safelight.errors import ModelFormatError

PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl", ".pickle"})
MAX_HEADER_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Family:
    native_size_px: int
    default_steps: int
    default_guidance: float
    side_step_px: int


FAMILIES: dict[str, _Family] = {
    "sd1": _Family(512, 25, 7.0, 8),
    "sd2": _Family(768, 25, 7.0, 8),
    "sdxl": _Family(1024, 25, 6.0, 8),
    "sd3": _Family(1024, 28, 5.0, 16),
    "flux": _Family(1024, 28, 3.5, 16),
    "z-image": _Family(1024, 9, 0.0, 16),
    "qwen-image": _Family(1024, 50, 4.0, 16),
    "other": _Family(512, 25, 5.0, 16),
}

SINGLE_FILE_FAMILIES = frozenset({"sd1", "sdxl"})
"""Families whose single files hold every part, with one known configuration."""

_CLASS_PREFIXES = (
    ("StableDiffusionXL", "sdxl"),
    ("StableDiffusion3", "sd3"),
    ("StableDiffusion", "sd1"),
    ("Flux", "flux"),
    ("ZImage", "z-image"),
    ("QwenImage", "qwen-image"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What :func:`inspect` found: enough to make a catalogue entry."""

    kind: Kind
    form: Form
    family: str
    native_size_px: int
    default_steps: int
    default_guidance: float
    side_step_px: int
    files: tuple[Path, ...]
    """Every file that the digest covers, sorted by relative path."""


def inspect(path: Path) -> Found:
    """Find out what is at ``path``. Raises :class:`ModelFormatError` if it is nothing we load."""
    if path.is_dir():
        return _inspect_folder(path)
    if not path.is_file():
        raise ModelFormatError("there is no model at that path")
    if path.suffix.lower() in PICKLES:
        raise ModelFormatError(
            "this is a pickle file, and reading one runs code from it",
            hint="convert it to .safetensors on a machine you can lose, or get that form",
        )
    if path.suffix.lower() != ".safetensors":
        raise ModelFormatError("a model file must be .safetensors")
    keys = read_header(path)
    kind, family = _family_of_keys(keys)
    if kind == "model" and family not in SINGLE_FILE_FAMILIES:
        raise ModelFormatError(
            f"a single file of the family {family} does not hold all that is needed",
            hint="give the model's folder in diffusers format",
        )
    return _found(kind, "file", family, (path,))


def read_header(path: Path) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes of a ``.safetensors`` file.

    Raises :class:`ModelFormatError` for a broken or truncated file.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(size - 8, MAX_HEADER_BYTES):
                raise ModelFormatError("the model file is truncated or not .safetensors")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise ModelFormatError("the model file has a broken header") from None
    if 8 + length + end != size:
        raise ModelFormatError("the model file is truncated")
    return shapes


def _inspect_folder(path: Path) -> Found:
    index = path / "model_index.json"
    if not index.is_file():
        _refuse_pickle_folder(path)
        raise ModelFormatError(
            "the folder has no model_index.json", hint="give a folder in diffusers format"
        )
    value = _json(index)
    class_name = str(value.get("_class_name", ""))
    family = next((f for prefix, f in _CLASS_PREFIXES if class_name.startswith(prefix)), None)
    if family is None:
        raise ModelFormatError("the folder holds a kind of pipeline that is not known here")
    weights = sorted(path.rglob("*.safetensors"))
    if not weights:
        _refuse_pickle_folder(path)
        raise ModelFormatError("the folder has no .safetensors weights")
    for file in weights:
        read_header(file)
    if family == "sd1" and _json(path / "text_encoder/config.json").get("hidden_size") == 1024:
        family = "sd2"
    names = {".safetensors", ".json", ".txt", ".model"}
    files = sorted(f for f in path.rglob("*") if f.is_file() and f.suffix in names)
    return _found("model", "folder", family, tuple(files), **_folder_sizes(path))


def _folder_sizes(path: Path) -> dict[str, int]:
    """Native side and side step of a UNet folder, from its own configuration."""
    unet, vae = path / "unet/config.json", path / "vae/config.json"
    if not (unet.is_file() and vae.is_file()):
        return {}
    blocks = _json(vae).get("block_out_channels") or _json(vae).get("decoder_block_out_channels")
    side = _json(unet).get("sample_size")
    if not isinstance(blocks, list) or not isinstance(side, int):
        return {}
    scale = 2 ** (len(blocks) - 1)
    return {"native_size_px": side * scale, "side_step_px": max(8, scale)}


def _refuse_pickle_folder(path: Path) -> None:
    if any(f.suffix.lower() in PICKLES for f in path.rglob("*")):
        raise ModelFormatError(
            "the folder only holds pickle weights, and reading one runs code from it",
            hint="get the .safetensors form of this model",
        )


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        raise ModelFormatError("a configuration file of the model cannot be read") from None
    if not isinstance(value, dict):
        raise ModelFormatError("a configuration file of the model is not an object")
    return value


def _family_of_keys(keys: dict[str, tuple[int, ...]]) -> tuple[Kind, str]:
    names = set(keys)
    if any("lora" in n.lower() for n in names):
        return "adapter", _adapter_family(keys)
    prefix = "model.diffusion_model."
    if f"{prefix}joint_blocks.0.x_block.attn.qkv.weight" in names:
        return "model", "sd3"
    if any(n.removeprefix(prefix).startswith("double_blocks.") for n in names):
        return "model", "flux"
    if any(n.startswith("conditioner.embedders.1.") for n in names):
        return "model", "sdxl"
    if f"{prefix}input_blocks.0.0.weight" in names:
        width = {s[-1] for n, s in keys.items() if n.endswith("attn2.to_k.weight")}
        return "model", "sd2" if width == {1024} else "sd1"
    raise ModelFormatError("the file's tensors are of no family that is known here")


_DOWN = (".lora_down.weight", ".lora.down.weight", ".lora_A.weight", "_lora.down.weight")


def _adapter_family(keys: dict[str, tuple[int, ...]]) -> str:
    """The family that a LoRA is for, by the layers that it names and the text width it takes."""
    text = "\n".join(keys).replace("_", ".")
    if "double.blocks" in text or "single.transformer.blocks" in text or "single.blocks" in text:
        return "flux"
    if "img.mlp" in text or "img.mod" in text or "txt.mlp" in text:
        return "qwen-image"
    if "joint.blocks" in text or "attn.add.k.proj" in text:
        return "sd3"
    if "noise.refiner" in text or "attention.to.q" in text:
        return "z-image"
    if "lora.te2." in text or "text.encoder.2." in text:
        return "sdxl"
    inner = {
        shape[-1]
        for name, shape in keys.items()
        if "attn2" in name and "to_k" in name and name.endswith(_DOWN)
    }
    return {frozenset({2048}): "sdxl", frozenset({1024}): "sd2"}.get(frozenset(inner), "sd1")


def _found(kind: Kind, form: Form, family: str, files: tuple[Path, ...], **sizes: int) -> Found:
    base = FAMILIES[family]
    return Found(
        kind=kind,
        form=form,
        family=family,
        native_size_px=sizes.get("native_size_px", base.native_size_px),
        default_steps=base.default_steps,
        default_guidance=base.default_guidance,
        side_step_px=sizes.get("side_step_px", base.side_step_px),
        files=files,
    )
