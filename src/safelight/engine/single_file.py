"""Single-file checkpoints of Stable Diffusion 1 and XL, read without a hub.

diffusers' own ``from_single_file`` asks a hub for the configuration. Here it is read from the
shapes in the file, and the tokenizer is built from CLIP's published merges (``clip/``, MIT). Key
conversion is diffusers'.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.errors import ModelFormatError

if TYPE_CHECKING:
    from safelight.catalogue import Model

    Tensors = dict[str, Any]

CLIP_MERGES = Path(__file__).parent / "clip" / "merges.txt.gz"
CLIP_HEAD_SIZE = 64
CLIP_START, CLIP_END = "<|startoftext|>", "<|endoftext|>"
SD1_HEADS = 8
_UNET = "model.diffusion_model."


def pipeline_from_file(model: Model, dtype: str) -> Any:
    """A ready pipeline. Raises :class:`ModelFormatError` for a family with no reader here."""
    readers = {"sd1": _sd1, "sdxl": _sdxl}
    reader = readers.get(model.family)
    if reader is None:
        raise ModelFormatError(
            f"single files of the family {model.family} are not read here",
            hint="use the model's folder in diffusers format",
        )
    import torch
    from safetensors.torch import load_file

    try:
        pipe = reader(load_file(model.path))  # mapped from the file, not read into memory
    except (KeyError, StopIteration, ValueError):
        raise ModelFormatError("the checkpoint lacks tensors of its family") from None
    pipe.to(dtype=getattr(torch, dtype))
    return pipe


def clip_tokenizer(padding: str = CLIP_END) -> Any:
    """CLIP's tokenizer: 256 bytes, the same ending a word, the merges, two marks.

    Source: Radford et al. 2021, arXiv:2103.00020.
    """
    from transformers import CLIPTokenizer

    lines = gzip.decompress(CLIP_MERGES.read_bytes()).decode("utf-8").splitlines()
    merges = [tuple(line.split()) for line in lines if line]
    letters = _byte_letters()
    words = letters + [letter + "</w>" for letter in letters] + ["".join(m) for m in merges]
    words += [CLIP_START, CLIP_END]
    vocab = {word: i for i, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77, pad_token=padding)


def _byte_letters() -> list[str]:
    """The printable letter that stands for each byte, in CLIP's order (GPT-2's byte table)."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in kept]
    return [chr(b) for b in kept] + [chr(256 + i) for i in range(len(rest))]


# --- the two families ---


def _sd1(tensors: Tensors) -> Any:
    import diffusers

    prefix = "cond_stage_model.transformer."
    encoder = _clip(tensors, prefix)
    return diffusers.StableDiffusionPipeline(
        vae=_vae(tensors, scaling_factor=0.18215),
        text_encoder=encoder,
        tokenizer=clip_tokenizer(),
        unet=_unet(tensors, _unet_config(tensors) | {"attention_head_dim": SD1_HEADS}),
        scheduler=_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl(tensors: Tensors) -> Any:
    import diffusers

    config = _unet_config(tensors)
    label = tensors[f"{_UNET}label_emb.0.0.weight"]
    heads = [max(1, width // CLIP_HEAD_SIZE) for width in config["block_out_channels"]]
    second = _open_clip(tensors, "conditioner.embedders.1.model.")
    time_dim = (label.shape[1] - second.config.projection_dim) // 6
    config |= {
        "attention_head_dim": heads,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": time_dim,
        "projection_class_embeddings_input_dim": label.shape[1],
    }
    return diffusers.StableDiffusionXLPipeline(
        vae=_vae(tensors, scaling_factor=0.13025, force_upcast=True),
        text_encoder=_clip(tensors, "conditioner.embedders.0.transformer."),
        text_encoder_2=second,
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(padding="!"),  # how this encoder was trained
        unet=_unet(tensors, config),
        scheduler=_scheduler(),
        add_watermarker=False,
    )


def _scheduler() -> Any:
    """The noise schedule that both families were trained with (Rombach et al. 2022)."""
    import diffusers

    return diffusers.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )


# --- parts, with their configuration read from shapes ---


def _unet_config(tensors: Tensors) -> dict[str, Any]:
    """Widths, layers and attention of a UNet, from the names and shapes of its tensors."""
    first = tensors[f"{_UNET}input_blocks.0.0.weight"]
    blocks = 1 + max(
        int(name.removeprefix(f"{_UNET}input_blocks.").split(".")[0])
        for name in tensors
        if name.startswith(f"{_UNET}input_blocks.")
    )
    downs = [i for i in range(blocks) if f"{_UNET}input_blocks.{i}.0.op.weight" in tensors]
    layers = (downs[0] if downs else blocks) - 1
    starts = [1, *(i + 1 for i in downs)]
    widths = [
        int(tensors[f"{_UNET}input_blocks.{i}.0.out_layers.3.weight"].shape[0]) for i in starts
    ]
    depths = [_depth(tensors, f"{_UNET}input_blocks.{i}.1.") for i in starts]
    cross = next(
        int(t.shape[1]) for name, t in tensors.items() if name.endswith("attn2.to_k.weight")
    )
    return {
        "sample_size": 64,
        "in_channels": int(first.shape[1]),
        "out_channels": int(tensors[f"{_UNET}out.2.weight"].shape[0]),
        "block_out_channels": tuple(widths),
        "layers_per_block": layers,
        "cross_attention_dim": cross,
        "transformer_layers_per_block": [max(1, d) for d in depths],
        "norm_num_groups": min(32, widths[0]),
        "down_block_types": tuple("CrossAttnDownBlock2D" if d else "DownBlock2D" for d in depths),
        "up_block_types": tuple(
            "CrossAttnUpBlock2D" if d else "UpBlock2D" for d in reversed(depths)
        ),
    }


def _depth(tensors: Tensors, prefix: str) -> int:
    depth = 0
    while f"{prefix}transformer_blocks.{depth}.attn1.to_q.weight" in tensors:
        depth += 1
    return depth


def _unet(tensors: Tensors, config: dict[str, Any]) -> Any:
    import diffusers
    import torch
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    with torch.device("meta"):  # no memory and no random numbers for weights that come next
        unet = diffusers.UNet2DConditionModel(**config)
    state = convert_ldm_unet_checkpoint(dict(tensors), dict(unet.config))
    unet.load_state_dict(state, assign=True)
    return unet.eval()


def _vae(tensors: Tensors, *, scaling_factor: float, force_upcast: bool = False) -> Any:
    import diffusers
    import torch
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    prefix = "first_stage_model."
    widths: list[int] = []
    while (name := f"{prefix}encoder.down.{len(widths)}.block.0.conv1.weight") in tensors:
        widths.append(int(tensors[name].shape[0]))
    layers = sum(f"{prefix}encoder.down.0.block.{i}.conv1.weight" in tensors for i in range(8))
    with torch.device("meta"):
        vae = diffusers.AutoencoderKL(
            block_out_channels=tuple(widths),
            layers_per_block=layers,
            latent_channels=int(tensors[f"{prefix}post_quant_conv.weight"].shape[0]),
            norm_num_groups=min(32, widths[0]),
            down_block_types=("DownEncoderBlock2D",) * len(widths),
            up_block_types=("UpDecoderBlock2D",) * len(widths),
            scaling_factor=scaling_factor,
            force_upcast=force_upcast,
            sample_size=512,
        )
    state = convert_ldm_vae_checkpoint(dict(tensors), dict(vae.config))
    vae.load_state_dict(state, assign=True)
    return vae.eval()


def _clip(tensors: Tensors, prefix: str) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    inner = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    words = inner["text_model.embeddings.token_embedding.weight"]
    layers = "text_model.encoder.layers."
    config = CLIPTextConfig(
        vocab_size=int(words.shape[0]),
        hidden_size=int(words.shape[1]),
        intermediate_size=int(inner[f"{layers}0.mlp.fc1.weight"].shape[0]),
        num_hidden_layers=_layers(inner, layers),
        num_attention_heads=max(1, int(words.shape[1]) // CLIP_HEAD_SIZE),
        max_position_embeddings=int(
            inner["text_model.embeddings.position_embedding.weight"].shape[0]
        ),
        projection_dim=int(words.shape[1]),
    )
    return _filled(CLIPTextModel(config), inner)


def _open_clip(tensors: Tensors, prefix: str) -> Any:
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    words = tensors[f"{prefix}token_embedding.weight"]
    blocks = f"{prefix}transformer.resblocks."
    config = CLIPTextConfig(
        vocab_size=int(words.shape[0]),
        hidden_size=int(words.shape[1]),
        intermediate_size=int(tensors[f"{blocks}0.mlp.c_fc.weight"].shape[0]),
        num_hidden_layers=_layers(tensors, blocks),
        num_attention_heads=max(1, int(words.shape[1]) // CLIP_HEAD_SIZE),
        max_position_embeddings=int(tensors[f"{prefix}positional_embedding"].shape[0]),
        projection_dim=int(tensors[f"{prefix}text_projection"].shape[1]),
        hidden_act="gelu",
    )
    encoder = CLIPTextModelWithProjection(config)
    return _filled(encoder, convert_open_clip_checkpoint(encoder, dict(tensors), prefix=prefix))


def _filled(encoder: Any, state: Tensors) -> Any:
    """Load a text encoder's weights; newer libraries leave out the ``text_model.`` of old names."""
    names = set(encoder.state_dict())
    if not any(name.startswith("text_model.") for name in names):
        state = {name.removeprefix("text_model."): t for name, t in state.items()}
    state = {name: t for name, t in state.items() if not name.endswith("position_ids")}
    missing = names - set(state)
    if any(not name.endswith("position_ids") for name in missing):
        raise ModelFormatError(f"the text encoder lacks {len(missing)} of its tensors")
    encoder.load_state_dict({n: t for n, t in state.items() if n in names}, strict=False)
    return encoder.eval()


def _layers(tensors: Tensors, prefix: str) -> int:
    return 1 + max(
        int(name.removeprefix(prefix).split(".")[0]) for name in tensors if name.startswith(prefix)
    )
