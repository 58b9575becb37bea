"""One training run of the UNet and the text encoder: the step, its loss, the moving average,
checkpoints.

Compute is bfloat16 with float32 master weights: on a CPU with AMX two to three times as fast as
float32 (channels-last is not: its group norm is slow there). Every random choice depends only on
(seed, step), so a run that was stopped goes on exactly as if it had not been.
"""

# torch and diffusers leave these calls untyped.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from transformers import CLIPTextModel

from . import model
from .parts import Scheduler, TextEncoder, TextTokenizer, UNet

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
        unet: UNet,
        text: TextEncoder,
        tokenizer: TextTokenizer,
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
        self.unet = torch.nn.Module.to(unet, device, dtype).train()
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
        loss: torch.Tensor = (error * snr_weight(self.alphas)[steps]).mean()
        return loss

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

    def averaged(self) -> tuple[UNet, TextEncoder]:
        """Float32 CPU copies of both networks with the averaged weights."""
        unet = UNet2DConditionModel.from_config(self.unet.config)
        text = CLIPTextModel(self.text.config)
        copies = [p for m in (unet, text) for p in m.parameters()]
        with torch.no_grad():
            for copy, value in zip(copies, self.average, strict=True):
                copy.copy_(value)
        return unet.eval(), text.eval()


def scheduler_alphas(scheduler: Scheduler) -> torch.Tensor:
    """Cumulative alphas, float32, shape (timesteps,)."""
    alphas: torch.Tensor = scheduler.alphas_cumprod.float()
    return alphas
