"""The parts of Pocket: their sizes by preset, how a pipeline folder is put together, read and
written.
"""

# torch and diffusers leave these calls untyped.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .captions import caption
from .labels import BACKGROUNDS, FAVOURED, STYLES
from .parts import Autoencoder, Pipeline, Scheduler, TextEncoder, TextTokenizer, UNet

TOKENS = 24
"""Longest caption, in tokens, with the start and end marks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Sizes of one preset. `blocks` counts autoencoder stages, so pictures are 16 * 2**(blocks - 1)
    px wide.
    """

    channels: tuple[int, ...]
    layers: int
    head_channels: int
    text_width: int
    text_layers: int
    blocks: int
    autoencoder_width: int
    latent_channels: int
    batch: int
    learning_rate: float
    ema_decay: float
    warmup_steps: int


PRESETS: dict[str, Preset] = {
    "cpu": Preset(
        channels=(96, 288),
        layers=1,
        head_channels=6,
        text_width=256,
        text_layers=3,
        blocks=4,
        autoencoder_width=48,
        latent_channels=8,
        batch=48,
        learning_rate=5e-4,
        ema_decay=0.998,
        warmup_steps=80,
    ),
    "gpu": Preset(
        channels=(128, 384),
        layers=2,
        head_channels=8,
        text_width=384,
        text_layers=4,
        blocks=5,
        autoencoder_width=64,
        latent_channels=16,
        batch=256,
        learning_rate=5e-4,
        ema_decay=0.9995,
        warmup_steps=500,
    ),
}
"""cpu: two cores and a few hours (18 M UNet, f8, 128 px). gpu: one accelerator and minutes (about
35 M, f16, 256 px).
"""


def build_scheduler() -> Scheduler:
    """v-prediction, zero terminal SNR and trailing steps (Lin et al. 2023, "Common diffusion noise
    schedules...").
    """
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
    )


def build_unet(preset: Preset) -> UNet:
    """A UNet on 16x16 latents whose first level has no attention (it costs most there and helps
    least).
    """
    deep = len(preset.channels) - 1
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=preset.latent_channels,
        out_channels=preset.latent_channels,
        block_out_channels=preset.channels,
        layers_per_block=preset.layers,
        cross_attention_dim=preset.text_width,
        attention_head_dim=preset.head_channels,
        norm_num_groups=32,
        down_block_types=("DownBlock2D", *["CrossAttnDownBlock2D"] * deep),
        up_block_types=(*["CrossAttnUpBlock2D"] * deep, "UpBlock2D"),
    )


def build_tokenizer(folder: Path, *, vocabulary: int = 4096) -> TextTokenizer:
    """Learns a byte-pair vocabulary from the captions in CLIP's form and writes it to `folder`.

    Keep the folder with the weights: ties make another run choose a slightly different vocabulary.
    """
    rng = random.Random(0)
    texts = [
        caption(names, style, background, rng)
        for names in FAVOURED.values()
        for style in STYLES
        for background in (None, *BACKGROUNDS)
    ]
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Whitespace(),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.BPEDecoder(suffix="</w>")
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=["<|startoftext|>", "<|endoftext|>"],
            end_of_word_suffix="</w>",
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    folder.mkdir(parents=True, exist_ok=True)
    bpe.model.save(str(folder))
    tokenizer = CLIPTokenizer(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), model_max_length=TOKENS
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def build_text_encoder(preset: Preset, tokenizer: TextTokenizer) -> TextEncoder:
    """A small CLIP text encoder, trained together with the UNet."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=preset.text_width,
        intermediate_size=3 * preset.text_width,
        projection_dim=preset.text_width,
        num_hidden_layers=preset.text_layers,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def build_autoencoder(width: int, latent_channels: int, blocks: int) -> Autoencoder:
    """A fresh AutoencoderTiny with `blocks` stages: one latent cell covers 2**(blocks - 1) pixels a
    side.
    """
    return AutoencoderTiny(
        encoder_block_out_channels=(width,) * blocks,
        decoder_block_out_channels=(width,) * blocks,
        latent_channels=latent_channels,
        num_encoder_blocks=(1, *[2] * (blocks - 1)),
        num_decoder_blocks=(*[2] * (blocks - 1), 1),
    )


def assemble(
    vae: Autoencoder,
    text_encoder: TextEncoder,
    tokenizer: TextTokenizer,
    unet: UNet,
) -> Pipeline:
    """Puts the parts into one pipeline without a safety checker (the engine has its own policy)."""
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def build(preset: Preset, vae: Path, tokenizer_folder: Path) -> Pipeline:
    """A fresh, untrained pipeline around an autoencoder read from the folder `vae`."""
    tokenizer = build_tokenizer(tokenizer_folder)
    text_encoder = build_text_encoder(preset, tokenizer)
    autoencoder = AutoencoderTiny.from_pretrained(str(vae))
    return assemble(autoencoder, text_encoder, tokenizer, build_unet(preset))


def load(folder: Path, dtype: torch.dtype = torch.float32) -> Pipeline:
    """Reads a pipeline folder from disk only; raises `OSError` where a file is missing."""
    pipeline = StableDiffusionPipeline.from_pretrained(
        str(folder), local_files_only=True, dtype=dtype, safety_checker=None
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def save(pipeline: Pipeline, folder: Path) -> None:
    """Writes the pipeline as fp16 safetensors. Not atomic: a crash leaves a folder that must be
    written again.
    """
    dtype = pipeline.unet.dtype
    parts = (pipeline.unet, pipeline.text_encoder, pipeline.vae)
    for part in parts:
        nn.Module.to(part, torch.float16)
    pipeline.save_pretrained(str(folder), safe_serialization=True)
    for part in parts:
        nn.Module.to(part, dtype)


def picture_size_px(pipeline: Pipeline) -> int:
    """Side of the pictures the pipeline draws when no size is given."""
    return int(pipeline.unet.config.sample_size) * int(pipeline.vae_scale_factor)
