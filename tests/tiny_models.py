"""Tiny models with random weights, built from the real classes: every family the engine loads.

They draw noise, through the same code as large models. Each is under a few megabytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

LETTERS = [chr(c) for c in range(33, 127)]
TINY_WORDS = len(LETTERS) * 2 + 2
CLIP_WORDS = 49_408
SPECIAL = ["<|startoftext|>", "<|endoftext|>"]
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
)


def _seeded() -> None:
    torch.manual_seed(0)


def clip_tokenizer() -> Any:
    """CLIP's tokenizer with letters only."""
    from transformers import CLIPTokenizer

    words = [*LETTERS, *(letter + "</w>" for letter in LETTERS), *SPECIAL]
    return CLIPTokenizer(vocab={w: i for i, w in enumerate(words)}, merges=[], model_max_length=77)


def _tokenizer(words: int, padding: str = "<|endoftext|>") -> Any:
    if words == TINY_WORDS:
        return clip_tokenizer()
    from safelight.engine import single_file

    return single_file.clip_tokenizer(padding)


def clip_text(
    cls_name: str = "CLIPTextModel", words: int = TINY_WORDS, act: str = "quick_gelu"
) -> Any:
    """A CLIP text encoder of ``words`` words; as many as :func:`clip_tokenizer` has, or CLIP."""
    import transformers

    config = transformers.CLIPTextConfig(
        vocab_size=words,
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=1,
        max_position_embeddings=77,
        projection_dim=32,
        bos_token_id=words - 2,
        eos_token_id=words - 1,
        hidden_act=act,
    )
    return getattr(transformers, cls_name)(config).eval()


def t5() -> tuple[Any, Any]:
    """A T5 encoder and its tokenizer."""
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    words = ["<pad>", "</s>", "<unk>", "\u2581", *LETTERS]
    tokenizer = T5Tokenizer(vocab=[(w, -float(i)) for i, w in enumerate(words)], extra_ids=0)
    config = T5Config(
        vocab_size=128, d_model=32, d_kv=16, d_ff=37, num_layers=2, num_heads=2, pad_token_id=0
    )
    return T5EncoderModel(config).eval(), tokenizer


def qwen_tokenizer() -> Any:
    """Qwen's tokenizer with bytes only."""
    from transformers import Qwen2Tokenizer

    from safelight.engine.single_file import _byte_letters

    words = [*_byte_letters(), "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Qwen2Tokenizer(vocab={w: i for i, w in enumerate(words)}, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHAT
    return tokenizer


def kl_vae(latent_channels: int = 4, **extra: Any) -> Any:
    """An AutoencoderKL that halves each side once."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(32, 32),
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=32,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        sample_size=32,
        **extra,
    ).eval()


def _beta_scheduler() -> Any:
    from diffusers import EulerDiscreteScheduler

    return EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )


def _flow_scheduler() -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler()


def sd1_pipeline(words: int = TINY_WORDS) -> Any:
    """Stable Diffusion 1 in miniature: native 64 px."""
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel

    _seeded()
    unet = UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(32, 64),
        layers_per_block=1,
        cross_attention_dim=32,
        norm_num_groups=32,
        attention_head_dim=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    return StableDiffusionPipeline(
        vae=kl_vae(scaling_factor=0.18215),
        text_encoder=clip_text(words=words),
        tokenizer=_tokenizer(words),
        unet=unet.eval(),
        scheduler=_beta_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl_pipeline(words: int = TINY_WORDS) -> Any:
    """Stable Diffusion XL in miniature."""
    from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel

    _seeded()
    unet = UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(32, 64),
        layers_per_block=1,
        cross_attention_dim=64,
        norm_num_groups=32,
        attention_head_dim=(1, 1),
        use_linear_projection=True,
        transformer_layers_per_block=(1, 1),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=32 + 6 * 8,
    )
    return StableDiffusionXLPipeline(
        vae=kl_vae(scaling_factor=0.13025, force_upcast=True),
        text_encoder=clip_text(words=words),
        text_encoder_2=clip_text("CLIPTextModelWithProjection", words, "gelu"),
        tokenizer=_tokenizer(words),
        tokenizer_2=_tokenizer(words, "!"),
        unet=unet.eval(),
        scheduler=_beta_scheduler(),
        add_watermarker=False,
    )


def sd3_pipeline() -> Any:
    """Stable Diffusion 3 in miniature."""
    from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline

    _seeded()
    encoder, tokenizer = t5()
    transformer = SD3Transformer2DModel(
        sample_size=32,
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=32,
        caption_projection_dim=32,
        pooled_projection_dim=64,
    )
    return StableDiffusion3Pipeline(
        transformer=transformer.eval(),
        scheduler=_flow_scheduler(),
        vae=kl_vae(shift_factor=0.06, scaling_factor=1.5),
        text_encoder=clip_text("CLIPTextModelWithProjection"),
        tokenizer=clip_tokenizer(),
        text_encoder_2=clip_text("CLIPTextModelWithProjection"),
        tokenizer_2=clip_tokenizer(),
        text_encoder_3=encoder,
        tokenizer_3=tokenizer,
    )


def flux_pipeline() -> Any:
    """FLUX in miniature."""
    from diffusers import FluxPipeline, FluxTransformer2DModel

    _seeded()
    encoder, tokenizer = t5()
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8),
    )
    return FluxPipeline(
        scheduler=_flow_scheduler(),
        vae=kl_vae(shift_factor=0.06, scaling_factor=1.5),
        text_encoder=clip_text(),
        tokenizer=clip_tokenizer(),
        text_encoder_2=encoder,
        tokenizer_2=tokenizer,
        transformer=transformer.eval(),
    )


def z_image_pipeline() -> Any:
    """Z-Image in miniature."""
    from diffusers import ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    _seeded()
    encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=300,
            hidden_size=32,
            intermediate_size=37,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=16,
        )
    )
    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=32,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 64, 64],
    )
    # The class leaves these to the checkpoint: empty memory may hold anything, NaN too.
    for name, parameter in transformer.named_parameters():
        if "pad_token" in name:
            torch.nn.init.normal_(parameter)
    return ZImagePipeline(
        scheduler=_flow_scheduler(),
        vae=kl_vae(shift_factor=0.06, scaling_factor=1.5),
        text_encoder=encoder.eval(),
        tokenizer=qwen_tokenizer(),
        transformer=transformer.eval(),
    )


def qwen_image_pipeline() -> Any:
    """Qwen-Image in miniature."""
    from diffusers import AutoencoderKLQwenImage, QwenImagePipeline, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    _seeded()
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "rope_scaling": {
                "mrope_section": [1, 1, 2],
                "rope_type": "default",
                "type": "default",
            },
            "rope_theta": 1000000.0,
            "vocab_size": 300,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
        },
        hidden_size=16,
        vocab_size=300,
        vision_end_token_id=2,
        vision_start_token_id=1,
        vision_token_id=3,
    )
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
    )
    vae = AutoencoderKLQwenImage(
        base_dim=24,
        z_dim=4,
        dim_mult=[1, 2, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    return QwenImagePipeline(
        scheduler=_flow_scheduler(),
        vae=vae.eval(),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config).eval(),
        tokenizer=qwen_tokenizer(),
        transformer=transformer.eval(),
    )


PIPELINES = {
    "sd1": sd1_pipeline,
    "sdxl": sdxl_pipeline,
    "sd3": sd3_pipeline,
    "flux": flux_pipeline,
    "z-image": z_image_pipeline,
    "qwen-image": qwen_image_pipeline,
}


def sd1_inpaint_pipeline() -> Any:
    """Stable Diffusion 1 trained for inpainting: nine channels go in."""
    from diffusers import StableDiffusionInpaintPipeline, UNet2DConditionModel

    pipe = sd1_pipeline()
    _seeded()
    config = {k: v for k, v in pipe.unet.config.items() if not k.startswith("_")}
    unet = UNet2DConditionModel(**(config | {"in_channels": 9})).eval()
    parts = pipe.components | {"unet": unet}
    return StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False)


def save(family: str, folder: Path) -> Path:
    """Save a family's tiny model in diffusers format and return the folder."""
    PIPELINES[family]().save_pretrained(folder, safe_serialization=True)
    return folder


def tiny_sd1(folder: Path) -> Path:
    """The tiny Stable Diffusion 1 model as a diffusers folder."""
    return save("sd1", folder)
