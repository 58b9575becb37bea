"""Trains Pocket's UNet and text encoder on latents kept in memory.

    python -m training.pocket.train --cache CACHE --start PIPELINE --out OUT --budget-minutes 80

Runs on CUDA where there is one, else on the CPU. Compute is bfloat16 with float32 master weights
(on a CPU with AMX that is two to three times as fast as float32; channels-last is not: its group
norm is slow there). Every random choice depends only on (seed, step), so a run that was stopped
goes on exactly as if it had not been.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from transformers import CLIPTextModel, CLIPTokenizer

from . import data, model
from .sheet import SAMPLE_PROMPTS, draw, grid

CAPTION_DROP = 0.1
MIN_SNR = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one run goes. It ends at `max_steps` or after `budget_s` seconds of training, whichever
    comes first.
    """

    batch: int
    learning_rate: float
    ema_decay: float
    warmup_steps: int
    max_steps: int
    budget_s: float
    seed: int = 0
    falling_share: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentSet:
    """Latents (float32, shape (n, channels, 16, 16)), one captioner each, and sampling weights
    (shape (n,)).
    """

    latents: torch.Tensor
    captioners: Sequence[Callable[[random.Random], str]]
    weights: torch.Tensor


def snr_weight(alphas_cumprod: torch.Tensor) -> torch.Tensor:
    """Loss weight of each timestep for a v-prediction, after Hang et al. 2023 (min-SNR).

    A plain v loss weighs the error in the clean picture by SNR + 1; here that weight is capped at 5
    + 1. Written with the "+ 1" so that it stays 1, not 0, at the zero-SNR end, where the shape is
    decided.
    """
    snr_plus_one = 1 / (1 - alphas_cumprod).clamp_min(1e-8)
    return snr_plus_one.clamp_max(MIN_SNR + 1) / snr_plus_one


class Trainer:
    """One training run: bfloat16 working copies, float32 master weights, AdamW and a moving average
    of the weights.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        settings: Settings,
        device: torch.device,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        self.settings = settings
        self.device = device
        self.dtype = dtype
        self.tokenizer = tokenizer
        masters = [
            p.detach().to(device, torch.float32).clone()
            for m in (unet, text)
            for p in m.parameters()
        ]
        self.masters = [torch.nn.Parameter(p) for p in masters]
        self.average = [p.clone() for p in masters]
        self.unet = unet.to(device, dtype).train()
        # On CPUs the fused attention's backward pass in bfloat16 is slower than the plain one's.
        self.unet.set_attn_processor(
            AttnProcessor() if device.type == "cpu" else AttnProcessor2_0()
        )
        self.text = text.to(device, dtype).train()
        self.working = [p for m in (self.unet, self.text) for p in m.parameters()]
        self.optimiser = torch.optim.AdamW(
            self.masters, lr=0.0, betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )
        self.alphas = scheduler_alphas(model.build_scheduler()).to(device)
        self.step = 0
        self.elapsed_s = 0.0

    def learning_rate(self) -> float:
        """Warm-up, then level, then straight down to 0 over the last `falling_share` of the run."""
        s = self.settings
        progress = max(self.step / s.max_steps, self.elapsed_s / s.budget_s)
        return s.learning_rate * min(
            1.0, (self.step + 1) / s.warmup_steps, max(0.0, 1 - progress) / s.falling_share
        )

    def train_step(self, pictures: LatentSet) -> float:
        """Takes one step on one batch and returns its loss."""
        started = time.monotonic()
        rng = random.Random(f"{self.settings.seed}/{self.step}")
        generator = torch.Generator().manual_seed(rng.getrandbits(62))
        index = torch.multinomial(
            pictures.weights, self.settings.batch, replacement=True, generator=generator
        )
        captions = [
            "" if rng.random() < CAPTION_DROP else pictures.captioners[i](rng)
            for i in index.tolist()
        ]
        clean = pictures.latents[index]
        noise = torch.randn(clean.shape, generator=generator)
        # Stratified timesteps: one in each of `batch` equal bins, so each batch sees every level.
        bins = (torch.arange(len(index)) + torch.rand(len(index), generator=generator)) / len(index)
        steps = (bins * len(self.alphas)).long().clamp_max(len(self.alphas) - 1).to(self.device)
        loss = self._loss(clean.to(self.device), noise.to(self.device), steps, captions)
        loss.backward()
        self._update()
        self.step += 1
        self.elapsed_s += time.monotonic() - started
        return float(loss.detach())

    def _loss(
        self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor, captions: list[str]
    ) -> torch.Tensor:
        alpha = self.alphas[steps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        target = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        guess = self.unet(noisy.to(self.dtype), steps, self.encode(captions), return_dict=False)[0]
        error = (guess.float() - target).pow(2).mean(dim=(1, 2, 3))
        return (error * snr_weight(self.alphas)[steps]).mean()

    def encode(self, captions: list[str]) -> torch.Tensor:
        """Caption embeddings, shape (captions, 24, text width), as StableDiffusionPipeline computes
        them.
        """
        tokens = self.tokenizer(
            captions,
            padding="max_length",
            max_length=model.TOKENS,
            truncation=True,
            return_tensors="pt",
        )
        hidden: torch.Tensor = self.text(tokens.input_ids.to(self.device))[0]
        return hidden

    def _update(self) -> None:
        for master, working in zip(self.masters, self.working, strict=True):
            master.grad = None if working.grad is None else working.grad.float().contiguous()
            working.grad = None
        torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        self.optimiser.param_groups[0]["lr"] = self.learning_rate()
        self.optimiser.step()
        decay = min(self.settings.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [p.detach() for p in self.masters], 1 - decay)
            for working, master in zip(self.working, self.masters, strict=True):
                working.copy_(master)

    def save(self, path: Path) -> None:
        """Writes the checkpoint whole or not at all: a crash leaves the one before."""
        state = {
            "masters": [p.detach() for p in self.masters],
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def resume(self, path: Path) -> None:
        """Goes on from a checkpoint; raises `FileNotFoundError` where there is none."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        with torch.no_grad():
            for mine, theirs in zip(self.masters, state["masters"], strict=True):
                mine.copy_(theirs)
            for mine, theirs in zip(self.average, state["average"], strict=True):
                mine.copy_(theirs)
            for working, master in zip(self.working, self.masters, strict=True):
                working.copy_(master)
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]

    def averaged(self) -> tuple[UNet2DConditionModel, CLIPTextModel]:
        """Float32 CPU copies of both networks with the averaged weights."""
        unet = UNet2DConditionModel.from_config(self.unet.config)
        text = CLIPTextModel(self.text.config)
        copies = [p for m in (unet, text) for p in m.parameters()]
        with torch.no_grad():
            for copy, value in zip(copies, self.average, strict=True):
                copy.copy_(value)
        return unet.eval(), text.eval()


def scheduler_alphas(scheduler: DDIMScheduler) -> torch.Tensor:
    """Cumulative alphas, float32, shape (timesteps,)."""
    alphas: torch.Tensor = scheduler.alphas_cumprod.float()
    return alphas


@torch.no_grad()
def encode_pictures(
    examples: list[data.Example], vae: torch.nn.Module, device: torch.device, kept: Path
) -> LatentSet:
    """Encodes every picture once with the frozen autoencoder, or reads what an earlier run left in
    `kept`.

    A crash while writing leaves a file that cannot be read; delete it then.
    """
    latents = [torch.load(kept, weights_only=True)] if kept.exists() else []
    if latents and len(latents[0]) == len(examples):
        return _latent_set(latents[0], examples)
    latents = []
    vae.requires_grad_(requires_grad=False)
    for start in range(0, len(examples), 32):
        pixels = np.stack([example.pixels for example in examples[start : start + 32]])
        batch = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.autocast(device.type, torch.bfloat16):
            latents.append(vae.encode(batch).latents.float().cpu())  # type: ignore[operator]
    torch.save(torch.cat(latents) * vae.config.scaling_factor, kept)
    return _latent_set(torch.cat(latents) * vae.config.scaling_factor, examples)


def _latent_set(latents: torch.Tensor, examples: list[data.Example]) -> LatentSet:
    return LatentSet(
        latents=latents,
        captioners=[example.caption for example in examples],
        weights=torch.tensor([example.weight for example in examples]),
    )


def run(
    trainer: Trainer, pictures: LatentSet, vae: torch.nn.Module, out: Path, every_s: float
) -> None:
    """Trains to the end of the budget, writing `log.jsonl`, `checkpoint.pt`, sample sheets and
    `pipeline/` to `out`.
    """
    settings = trainer.settings
    losses: list[float] = []
    noted = time.monotonic()
    while trainer.step < settings.max_steps and trainer.elapsed_s < settings.budget_s:
        losses.append(trainer.train_step(pictures))
        if trainer.step % 25 == 0:
            entry = {
                "step": trainer.step,
                "minutes": round(trainer.elapsed_s / 60, 2),
                "loss": round(float(np.mean(losses)), 5),
                "learning_rate": trainer.learning_rate(),
                "pictures": trainer.step * settings.batch,
                "pictures_per_s": round(trainer.step * settings.batch / trainer.elapsed_s, 1),
            }
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(entry) + "\n")
            losses = []
        if time.monotonic() - noted > every_s:
            trainer.save(out / "checkpoint.pt")
            _write_pipeline(trainer, vae, out)
            noted = time.monotonic()
    trainer.save(out / "checkpoint.pt")
    _write_pipeline(trainer, vae, out)


def _write_pipeline(trainer: Trainer, vae: torch.nn.Module, out: Path) -> None:
    unet, text = trainer.averaged()
    pipeline = model.assemble(vae, text, trainer.tokenizer, unet)
    pipeline.set_progress_bar_config(disable=True)
    pictures = draw(pipeline, SAMPLE_PROMPTS, steps=15, guidance=4.0)
    grid(pictures, columns=8, cell_px=128).save(out / f"sheet-{trainer.step:06d}.png")
    model.save(pipeline, out / "pipeline")
    vae.float()


def main() -> None:
    """Reads the command line, prepares the latents, and trains or goes on training."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder for the npm packages")
    parser.add_argument("--start", type=Path, required=True, help="pipeline folder to start from")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for checkpoint, log and sheets"
    )
    parser.add_argument("--preset", choices=sorted(model.PRESETS), default="cpu")
    parser.add_argument(
        "--budget-minutes", type=float, required=True, help="minutes of training in all"
    )
    parser.add_argument("--max-steps", type=int, default=10**9)
    parser.add_argument("--pairs", type=int, default=0, help="how many two-object scenes to add")
    parser.add_argument(
        "--every-minutes", type=float, default=5.0, help="minutes between checkpoints"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    preset = model.PRESETS[options.preset]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pipeline = model.load(options.start)
    size = model.picture_size_px(pipeline)
    rng = random.Random(options.seed)
    glyphs = data.load_glyphs(data.fetch(options.cache))
    examples = data.single_examples(glyphs, size, rng)
    examples += data.pair_examples(glyphs, size, rng, count=options.pairs, share=0.03)
    vae = pipeline.vae.to(device)
    options.out.mkdir(parents=True, exist_ok=True)
    pictures = encode_pictures(examples, vae, device, options.out / "latents.pt")
    mean, deviation = float(pictures.latents.mean()), float(pictures.latents.std())
    print(f"{len(examples)} pictures, latent mean {mean:.3f}, deviation {deviation:.3f}")
    settings = Settings(
        batch=preset.batch,
        learning_rate=preset.learning_rate,
        ema_decay=preset.ema_decay,
        warmup_steps=preset.warmup_steps,
        max_steps=options.max_steps,
        budget_s=options.budget_minutes * 60,
        seed=options.seed,
    )
    trainer = Trainer(pipeline.unet, pipeline.text_encoder, pipeline.tokenizer, settings, device)
    if (options.out / "checkpoint.pt").exists():
        trainer.resume(options.out / "checkpoint.pt")
    run(trainer, pictures, vae.cpu(), options.out, options.every_minutes * 60)


if __name__ == "__main__":
    main()
