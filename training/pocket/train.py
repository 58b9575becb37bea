"""Trains Pocket's UNet and text encoder on latents kept in memory.

    python -m training.pocket.train --cache CACHE --start PIPELINE --out OUT --budget-minutes 80

Runs on CUDA where there is one, else on the CPU, and goes on from the checkpoint in `--out` if
there is one.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch

from . import data, model
from .parts import Autoencoder
from .sheet import SAMPLE_PROMPTS, draw, grid
from .trainer import LatentSet, Settings, Trainer


@torch.no_grad()
def encode_pictures(
    examples: list[data.Example], vae: Autoencoder, device: torch.device, kept: Path
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
            latents.append(vae.encode(batch).latents.float().cpu())
    torch.save(torch.cat(latents) * vae.config.scaling_factor, kept)
    return _latent_set(torch.cat(latents) * vae.config.scaling_factor, examples)


def _latent_set(latents: torch.Tensor, examples: list[data.Example]) -> LatentSet:
    return LatentSet(
        latents=latents,
        captioners=[example.caption for example in examples],
        weights=torch.tensor([example.weight for example in examples]),
    )


def run(trainer: Trainer, pictures: LatentSet, vae: Autoencoder, out: Path, every_s: float) -> None:
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


def _write_pipeline(trainer: Trainer, vae: Autoencoder, out: Path) -> None:
    unet, text = trainer.averaged()
    pipeline = model.assemble(vae, text, trainer.tokenizer, unet)
    pipeline.set_progress_bar_config(disable=True)
    pictures = draw(pipeline, SAMPLE_PROMPTS, steps=15, guidance=4.0)
    grid(pictures, columns=8, cell_px=128).save(out / f"sheet-{trainer.step:06d}.png")
    model.save(pipeline, out / "pipeline")


def main() -> None:
    """Reads the command line, prepares the latents, and trains or goes on training."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder for the npm packages")
    parser.add_argument("--start", type=Path, help="pipeline folder to start from")
    parser.add_argument("--vae", type=Path, help="without --start: autoencoder of a fresh pipeline")
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
    if options.start is not None:
        pipeline = model.load(options.start)
    elif options.vae is not None:
        pipeline = model.build(preset, options.vae, options.out / "tokenizer")
    else:
        parser.error("give --start or --vae")
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
