"""Tiny models written as the single files that people pass around, and LoRA files in two forms.

The names are those of the original Stable Diffusion code (CompVis, Stability AI); this is the
inverse of what the engine reads, so that a picture from the file can be compared with one from the
folder.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

import tiny_models

Tensors = dict[str, torch.Tensor]

RESNET = (
    ("norm1.", "in_layers.0."),
    ("conv1.", "in_layers.2."),
    ("time_emb_proj.", "emb_layers.1."),
    ("norm2.", "out_layers.0."),
    ("conv2.", "out_layers.3."),
    ("conv_shortcut.", "skip_connection."),
)
UNET_ENDS = (
    ("time_embedding.linear_1.", "time_embed.0."),
    ("time_embedding.linear_2.", "time_embed.2."),
    ("add_embedding.linear_1.", "label_emb.0.0."),
    ("add_embedding.linear_2.", "label_emb.0.2."),
    ("conv_in.", "input_blocks.0.0."),
    ("conv_norm_out.", "out.0."),
    ("conv_out.", "out.2."),
    ("mid_block.resnets.0.", "middle_block.0."),
    ("mid_block.attentions.0.", "middle_block.1."),
    ("mid_block.resnets.1.", "middle_block.2."),
)
TRAINED = (
    *("to_q", "to_k", "to_v", "to_out.0"),
    *("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),
)
"""The layers that trainers adapt by default, in the UNet and in the text encoder."""
OPEN_CLIP = (
    ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.final_layer_norm.", "ln_final."),
    ("text_model.encoder.layers.", "transformer.resblocks."),
    ("layer_norm1.", "ln_1."),
    ("layer_norm2.", "ln_2."),
    ("mlp.fc1.", "mlp.c_fc."),
    ("mlp.fc2.", "mlp.c_proj."),
    ("self_attn.out_proj.", "attn.out_proj."),
)


def _replaced(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for new, old in pairs:
        name = name.replace(new, old)
    return name


def unet(model: Any) -> Tensors:
    """``model.diffusion_model.*``."""
    layers = model.config.layers_per_block + 1
    state = model.state_dict()
    found: Tensors = {}
    for name, tensor in state.items():
        place = re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.*)", name)
        if place is None:
            found[_resnet(_replaced(name, UNET_ENDS))] = tensor
            continue
        way, block, part, item, rest = place.groups()
        base, at = int(block) * layers, int(item)
        if part == "downsamplers":
            old = f"input_blocks.{base + layers}.0.op.{rest.removeprefix('conv.')}"
        elif part == "upsamplers":
            has = any(n.startswith(f"up_blocks.{block}.attentions") for n in state)
            old = f"output_blocks.{base + layers - 1}.{2 if has else 1}.{rest}"
        else:
            side, first = ("input_blocks", 1) if way == "down" else ("output_blocks", 0)
            slot = 0 if part == "resnets" else 1
            old = f"{side}.{base + at + first}.{slot}.{rest}"
        found[_resnet(old)] = tensor
    return {f"model.diffusion_model.{name}": tensor for name, tensor in found.items()}


def _resnet(name: str) -> str:
    if re.match(r"(input_blocks|output_blocks)\.\d+\.0\.|middle_block\.[02]\.", name):
        return _replaced(name, RESNET)
    return name


def vae(model: Any) -> Tensors:
    """``first_stage_model.*``; attention is kept as 1x1 convolutions."""
    last = len(model.config.block_out_channels) - 1
    found: Tensors = {}
    for name, tensor in model.state_dict().items():
        old, value = name, tensor
        old = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", old)
        old = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", old)
        old = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda m: f"up.{last - int(m[1])}.block.", old)
        old = re.sub(
            r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda m: f"up.{last - int(m[1])}.upsample.", old
        )
        old = re.sub(r"mid_block\.resnets\.(\d)\.", lambda m: f"mid.block_{int(m[1]) + 1}.", old)
        old = old.replace("conv_norm_out.", "norm_out.").replace("conv_shortcut.", "nin_shortcut.")
        if "mid_block.attentions.0." in old:
            old = old.replace("mid_block.attentions.0.", "mid.attn_1.")
            old = _replaced(
                old,
                (
                    ("group_norm.", "norm."),
                    ("to_q.", "q."),
                    ("to_k.", "k."),
                    ("to_v.", "v."),
                    ("to_out.0.", "proj_out."),
                ),
            )
            if tensor.ndim == 2:
                value = tensor[:, :, None, None]
        found[f"first_stage_model.{old}"] = value
    return found


def clip(model: Any, prefix: str) -> Tensors:
    """A text encoder under OpenAI's names, which begin with ``text_model.``."""
    return {
        f"{prefix}{name if name.startswith('text_model.') else 'text_model.' + name}": tensor
        for name, tensor in model.state_dict().items()
    }


def open_clip(model: Any, prefix: str) -> Tensors:
    """A text encoder under OpenCLIP's names: query, key and value in one tensor."""
    state = dict(model.state_dict())
    found = {"text_projection": state.pop("text_projection.weight").T.contiguous()}
    for name in [n for n in state if ".self_attn.q_proj." in n]:
        kind = name.rsplit(".", 1)[1]
        parts = [state.pop(name.replace(".q_proj.", f".{p}_proj.")) for p in "qkv"]
        old = _replaced(name, OPEN_CLIP).replace("self_attn.q_proj.", "attn.in_proj_")
        found[old.removesuffix(kind) + kind] = torch.cat(parts)
    found |= {_replaced(name, OPEN_CLIP): tensor for name, tensor in state.items()}
    return {f"{prefix}{name}": tensor for name, tensor in found.items()}


def save_single(family: str, pipe: Any, file: Path) -> Path:
    """Save a tiny ``sd1`` or ``sdxl`` pipeline as one file in the original layout."""
    tensors = unet(pipe.unet) | vae(pipe.vae)
    if family == "sd1":
        tensors |= clip(pipe.text_encoder, "cond_stage_model.transformer.")
    else:
        tensors |= clip(pipe.text_encoder, "conditioner.embedders.0.transformer.")
        tensors |= open_clip(pipe.text_encoder_2, "conditioner.embedders.1.model.")
    save_file({n: t.detach().clone().contiguous() for n, t in tensors.items()}, file)
    return file


def save_lora(form: str, file: Path) -> Path:
    """A LoRA for the tiny ``sd1`` model, as ``kohya`` or ``diffusers`` writes it."""
    pipe = tiny_models.sd1_pipeline()
    torch.manual_seed(1)
    tensors: Tensors = {}
    for part, model in (("unet", pipe.unet), ("text_encoder", pipe.text_encoder)):
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.Linear) and name.endswith(TRAINED):
                down = torch.randn(2, module.in_features)
                up = torch.randn(module.out_features, 2)
                place = name.removeprefix("text_model.")
                if part == "text_encoder":
                    place = f"text_model.{place}"
                if form == "kohya":
                    head = {"unet": "lora_unet_", "text_encoder": "lora_te_"}[part]
                    key = head + place.replace(".", "_")
                    tensors[f"{key}.lora_down.weight"] = down
                    tensors[f"{key}.lora_up.weight"] = up
                    tensors[f"{key}.alpha"] = torch.tensor(2.0)
                else:
                    tensors[f"{part}.{place}.lora_A.weight"] = down
                    tensors[f"{part}.{place}.lora_B.weight"] = up
    save_file(tensors, file)
    return file
