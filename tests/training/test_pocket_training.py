"""Pocket's training code at a tiny size: captions, resuming, the widened autoencoder and the
retrieval measure.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

torch.set_num_threads(1)

from diffusers import UNet2DConditionModel  # noqa: E402
from training.pocket import captions, data, evaluate, model  # noqa: E402
from training.pocket.autoencoder import psnr, widen  # noqa: E402
from training.pocket.features import feature, retrieve  # noqa: E402
from training.pocket.labels import BACKGROUNDS, FAVOURED, OVERSAMPLED  # noqa: E402
from training.pocket.parts import TextTokenizer  # noqa: E402
from training.pocket.trainer import LatentSet, Settings, Trainer, scheduler_alphas, snr_weight  # noqa: E402

TINY = model.Preset(
    channels=(32,),
    layers=1,
    head_channels=2,
    text_width=32,
    text_layers=1,
    blocks=3,
    autoencoder_width=8,
    latent_channels=4,
    batch=4,
    learning_rate=1e-3,
    ema_decay=0.9,
    warmup_steps=2,
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    return model.build_tokenizer(tmp_path_factory.mktemp("tokenizer"), vocabulary=600)


def trainer(tokenizer: TextTokenizer) -> Trainer:
    torch.manual_seed(0)
    unet: UNet2DConditionModel = model.build_unet(TINY)
    text = model.build_text_encoder(TINY, tokenizer)
    settings = Settings(
        batch=TINY.batch,
        learning_rate=TINY.learning_rate,
        ema_decay=TINY.ema_decay,
        warmup_steps=TINY.warmup_steps,
        max_steps=100,
        budget_s=1e9,
    )
    return Trainer(unet, text, tokenizer, settings, torch.device("cpu"), torch.float32)


def synthetic() -> LatentSet:
    generator = torch.Generator().manual_seed(1)
    return LatentSet(
        latents=torch.randn(6, TINY.latent_channels, 8, 8, generator=generator),
        captioners=[lambda rng: captions.caption(("red apple", "apple"), "3d", "blue", rng)] * 6,
        weights=torch.ones(6),
    )


def shape(colour: str, kind: str, background: str = "white") -> Image.Image:
    picture = Image.new("RGB", (96, 96), background)
    draw = ImageDraw.Draw(picture)
    if kind == "disc":
        draw.ellipse((20, 20, 76, 76), fill=colour)
    elif kind == "triangle":
        draw.polygon(((48, 15), (85, 80), (12, 80)), fill=colour)
    else:
        draw.rectangle((20, 34, 76, 62), fill=colour)
    return picture


def test_a_resumed_run_goes_on_exactly(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    pictures = synthetic()
    whole = trainer(tokenizer)
    losses = [whole.train_step(pictures) for _ in range(5)]

    first = trainer(tokenizer)
    for _ in range(3):
        first.train_step(pictures)
    first.save(tmp_path / "checkpoint.pt")
    second = trainer(tokenizer)
    second.resume(tmp_path / "checkpoint.pt")

    assert [second.train_step(pictures) for _ in range(2)] == losses[3:]
    assert all(torch.equal(a, b) for a, b in zip(whole.masters, second.masters, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(whole.average, second.average, strict=True))


def test_training_lowers_the_loss_and_moves_both_networks(tokenizer: TextTokenizer) -> None:
    run = trainer(tokenizer)
    before = [p.detach().clone() for p in run.masters]
    pictures = synthetic()
    losses = [run.train_step(pictures) for _ in range(16)]
    moved = [not torch.equal(a, b) for a, b in zip(before, run.masters, strict=True)]
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    assert moved[0]
    assert moved[-1]


def test_the_learning_rate_rises_stays_and_falls_to_nothing(tokenizer: TextTokenizer) -> None:
    run = trainer(tokenizer)
    rates = []
    for step in (0, 1, 50, 85, 100):
        run.step = step
        rates.append(run.learning_rate() / TINY.learning_rate)
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.5, 0.0])


def test_loss_weights_stay_whole_at_the_zero_snr_end() -> None:
    weights = snr_weight(scheduler_alphas(model.build_scheduler()))
    assert weights[-1] == 1
    assert weights[0] < 0.05
    assert torch.all(weights[1:] >= weights[:-1] - 1e-6)


def test_captions_depend_on_the_generator_only() -> None:
    def some(seed: int) -> list[str]:
        rng = random.Random(seed)
        return [captions.caption(names, "flat", "blue", rng) for names in FAVOURED.values()]

    assert some(1) == some(1)
    assert some(1) != some(2)
    assert all("blue" in text for text in some(1))


def test_plain_requests_occur_among_the_captions() -> None:
    rng = random.Random(0)
    made = {
        captions.caption(FAVOURED[label], "3d", None, rng)
        for label in OVERSAMPLED
        for _ in range(200)
    }
    assert {
        "a red apple",
        "a cat face",
        "a rocket",
        "a house",
        "a green tree",
        "a 3d red fox",
    } <= made


def test_labels_and_backgrounds_are_consistent() -> None:
    assert set(OVERSAMPLED) <= set(FAVOURED)
    assert len(FAVOURED) >= evaluate.RETRIEVAL_LABELS
    assert all(0 <= part <= 255 for colour in BACKGROUNDS.values() for part in colour)
    assert data.slug("T-Rex") == "t-rex"


def test_placing_keeps_the_background_and_the_size() -> None:
    rgba = np.zeros((256, 256, 4), dtype=np.uint8)
    rgba[64:192, 64:192] = (255, 0, 0, 255)
    picture = data.place(
        data.Glyph(label="x", style="flat", rgba=rgba), 64, (0, 0, 255), (0.5, 0.5, 1.0)
    )
    assert picture.shape == (64, 64, 3)
    assert tuple(picture[0, 0]) == (0, 0, 255)
    assert tuple(picture[32, 32]) == (255, 0, 0)


def test_the_prompt_file_has_exactly_64_lines() -> None:
    lines = evaluate.prompts()
    assert len(lines) == 64
    assert len(set(lines)) == 64
    assert {
        "a red apple",
        "a cat face",
        "a rocket",
        "a house",
        "a green tree",
        "a 3d red fox",
    } <= set(lines)


def test_retrieval_finds_shapes_and_not_by_accident() -> None:
    kinds = ("disc", "triangle", "bar")
    rows = np.stack([feature(shape("red", kind)) for kind in kinds])
    moved = [shape("orangered", kind, "lightblue") for kind in kinds]
    assert [retrieve(feature(picture), rows, list(kinds), count=1)[0] for picture in moved] == list(
        kinds
    )

    scores = evaluate.retrieval_scores(moved, list(kinds), rows, list(kinds))
    assert scores["top1"] == 1.0
    assert scores["top1_shuffled_control"] == 0.0


def test_a_blank_picture_has_a_feature_too() -> None:
    assert np.isfinite(feature(Image.new("RGB", (50, 50), "white"))).all()


def test_widening_doubles_the_picture_and_keeps_the_latents() -> None:
    torch.manual_seed(0)
    old = model.build_autoencoder(28 + 4, 4, 3)
    wide = widen(old)
    # On a slowly varying picture both encoders see nearly the same.
    ramp = torch.linspace(-0.5, 0.5, 32)
    picture = (ramp[None, :] * 0.5 + ramp[:, None] * 0.3).expand(1, 3, 32, 32).contiguous()
    halved = torch.nn.functional.avg_pool2d(picture, 2)
    with torch.no_grad():
        expected, latents = old.encode(halved).latents, wide.encode(picture).latents
        decoded = wide.decode(expected).sample
    assert latents.shape == expected.shape
    assert torch.allclose(latents, expected, atol=0.05)
    assert decoded.shape == picture.shape
    assert np.isfinite(psnr(wide, picture))
