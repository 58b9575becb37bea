"""Pocket's autoencoder: made afresh, or an f8 one widened to f16 so that the same latents give
pictures twice as large.

    python -m training.pocket.autoencoder --cache CACHE --start PIPELINE --out OUT --minutes 12
    python -m training.pocket.autoencoder --cache CACHE --fresh gpu --out OUT --minutes 20

Widening adds one stage at each end of a diffusers `AutoencoderTiny`. The UNet does not notice: its
latents stay as they were. Diffusers computes the scale from the number of stages, so the pipeline
then draws 256 px by itself.
"""

# torch and diffusers leave these calls untyped.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import argparse
import copy
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as f
from diffusers import AutoencoderTiny
from torch import nn

from . import data, model
from .parts import Autoencoder


def widen(vae: Autoencoder) -> Autoencoder:
    """Returns a copy with one stage more at each end, close to the old one at twice the size from
    the start.

    Decoder: a last upsample with an identity convolution, a residual block whose last convolution
    is zero, and the old output convolution. Encoder: a first stage without blocks; see
    `_fold_halving`.
    """
    config = dict(vae.config)
    width = config["decoder_block_out_channels"][-1]
    wide: Autoencoder = AutoencoderTiny(
        encoder_block_out_channels=(width, *config["encoder_block_out_channels"]),
        decoder_block_out_channels=(*config["decoder_block_out_channels"], width),
        latent_channels=config["latent_channels"],
        scaling_factor=config["scaling_factor"],
        num_encoder_blocks=(0, *config["num_encoder_blocks"]),
        num_decoder_blocks=(*config["num_decoder_blocks"], 1),
    )
    with torch.no_grad():
        old, new = list(vae.decoder.layers), list(wide.decoder.layers)
        for mine, theirs in zip(new, old[:-1], strict=False):
            mine.load_state_dict(theirs.state_dict())
        identity, block, last = new[-3], new[-2], new[-1]
        nn.init.dirac_(identity.weight)
        block.conv[-1].weight.zero_()
        block.conv[-1].bias.zero_()
        last.load_state_dict(old[-1].state_dict())
        old, new = list(vae.encoder.layers), list(wide.encoder.layers)
        _fold_halving(old[0], new[0], new[1])
        for mine, theirs in zip(new[2:], old[1:], strict=True):
            mine.load_state_dict(theirs.state_dict())
    return wide


def _fold_halving(old: nn.Conv2d, first: nn.Conv2d, second: nn.Conv2d) -> None:
    """Makes `second(first(x))` about `old(mean of 2x2(x))`: two linear layers in a row are one 5x5
    kernel of stride 2.

    `old` over halved pixels reads 6x6 pixels, one row and column more than the pair reaches; the
    pixel at the rim stands in for its missing neighbour. `first` only passes shifted pixels and a
    constant 1 (for the bias) on.
    """
    spread = torch.tensor([[0.5, 0.5, 0, 0, 0], [0, 0, 0.5, 0.5, 0], [0, 0, 0, 0, 1.0]])
    kernel = torch.einsum("ocuv,ua,vb->ocab", old.weight, spread, spread)
    shifts = (
        (0, 0),
        (0, 1),
        (1, 1),
        (2, 1),
        (2, 2),
    )  # offset -2..2 -> (tap of `second`, tap of `first`)
    assert first.bias is not None
    first.bias.zero_()
    second.weight.zero_()
    nn.init.normal_(first.weight, std=0.02)
    first.weight[:28].zero_()
    for colour in range(3):
        for y in range(3):
            for x in range(3):
                first.weight[colour * 9 + y * 3 + x, colour, y, x] = 1
        for a, (ty, sy) in enumerate(shifts):
            for b, (tx, sx) in enumerate(shifts):
                second.weight[:, colour * 9 + sy * 3 + sx, ty, tx] = kernel[:, colour, a, b]
    first.bias[27] = 1
    assert old.bias is not None
    second.weight[:, 27, 1, 1] = old.bias


def normalise_latents(vae: Autoencoder, pictures: torch.Tensor) -> None:
    """Changes the encoder's last and the decoder's first layer so that latents have mean 0 and
    deviation 1.

    The SD pipeline knows one scale and no shift, so both are folded into the weights. The decoder
    squashes latents with 3 * tanh(x / 3) first, so it needs a short training afterwards.
    `pictures`: float32 in [-1, 1], (n, 3, h, w).
    """
    with torch.no_grad():
        latents = vae.encode(pictures).latents
        mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
        last, first = vae.encoder.layers[-1], vae.decoder.layers[0]
        last.weight.div_(deviation.view(-1, 1, 1, 1))
        last.bias.sub_(mean).div_(deviation)
        first.bias.add_((first.weight.sum(dim=(2, 3)) * mean).sum(dim=1))
        first.weight.mul_(deviation.view(1, -1, 1, 1))


def psnr(vae: Autoencoder, pictures: torch.Tensor) -> float:
    """Mean over pictures of the peak signal-to-noise ratio in dB of decode(encode(x)); float32 in
    [-1, 1].
    """
    values = []
    with torch.no_grad():
        for picture in pictures.split(1):
            error = (vae.decode(vae.encode(picture).latents).sample.clamp(-1, 1) - picture) / 2
            values.append(float(-10 * torch.log10(error.pow(2).mean())))
    return float(np.mean(values))


def train_for(
    minutes: float,
    parts: nn.Module,
    loss_of: Callable[[int], torch.Tensor],
    *,
    learning_rate: float,
    most: int = 10**9,
) -> int:
    """Minimises `loss_of(step)` over the trainable parameters of `parts` with AdamW; the rate falls
    to 0 at the end.

    Returns the number of steps taken. Compute is bfloat16 by autocast where the device has it.
    """
    weights = [p for p in parts.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=0.0)
    started, step = time.monotonic(), 0
    while step < most and (share := (time.monotonic() - started) / (60 * minutes)) < 1:
        optimiser.param_groups[0]["lr"] = learning_rate * min(1, (step + 1) / 30, 2 * (1 - share))
        with torch.autocast(weights[0].device.type, torch.bfloat16):
            loss = loss_of(step)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        if step % 50 == 0:
            spent = (time.monotonic() - started) / 60
            print(f"step {step} loss {float(loss.detach()):.5f} minutes {spent:.1f}", flush=True)
        step += 1
    return step


def edge_loss(guess: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of pixels plus half that of their horizontal and vertical
    differences.
    """
    error = guess.float() - truth
    down, across = error[..., 1:, :] - error[..., :-1, :], error[..., 1:] - error[..., :-1]
    return (
        error.abs().mean() + error.pow(2).mean() + 0.5 * (down.abs().mean() + across.abs().mean())
    )


def fit_decoder(
    wide: Autoencoder,
    old: Autoencoder,
    pictures: torch.Tensor,
    minutes: float,
    seed: int = 0,
) -> None:
    """Trains a widened decoder; the encoder is nearly exact from the start and stays as it is.

    `pictures`: uint8, shape (n, 3, 256, 256). The decoder sees the old encoder's latents of the
    halved picture (what the UNet was trained on) in crops of 5x5 cells, lightly noised since the
    UNet's own are not exact. The outermost cell of a crop is left out of the loss where it lacks
    its neighbours, but not at the picture's own rim, where pipelines lack them too.
    """
    generator = torch.Generator().manual_seed(seed)
    targets = old_latents(old, pictures)
    cells, crop, cell = targets.shape[-1], 5, 16

    def span(start: int) -> slice:
        first = 0 if start == 0 else cell
        return slice(first, crop * cell - (0 if start + crop == cells else cell))

    def loss_of(_: int) -> torch.Tensor:
        index = torch.randint(len(pictures), (12,), generator=generator)
        # Drawn from -6..17 and clipped to 0..11, so that the rims are seen often.
        y, x = (int(v) for v in torch.randint(-6, cells - crop + 7, (2,), generator=generator))
        y, x = min(max(y, 0), cells - crop), min(max(x, 0), cells - crop)
        latent = targets[index, :, y : y + crop, x : x + crop]
        latent = latent + 0.03 * torch.randn(latent.shape, generator=generator)
        rows, columns = slice(cell * y, cell * (y + crop)), slice(cell * x, cell * (x + crop))
        truth = unit(pictures[index][..., rows, columns])[..., span(y), span(x)]
        guess = wide.decode(latent.contiguous(memory_format=torch.channels_last)).sample
        return edge_loss(guess[..., span(y), span(x)], truth)

    wide.to(memory_format=torch.channels_last)
    wide.encoder.requires_grad_(requires_grad=False)
    print(f"{train_for(minutes, wide.decoder, loss_of, learning_rate=4e-4)} steps of 12")
    wide.to(memory_format=torch.contiguous_format)


def old_latents(old: Autoencoder, pictures: torch.Tensor) -> torch.Tensor:
    """The old encoder's latents of pictures halved by 2x2 means: float32, shape (n, channels, 16,
    16).
    """
    parts = []
    with torch.no_grad():
        for batch in pictures.split(16):
            halved = f.avg_pool2d(unit(batch), 2).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                parts.append(old.encode(halved).latents.float())
    return torch.cat(parts)


def unit(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 [0, 255] -> float32 [-1, 1]."""
    return pictures.float() / 127.5 - 1


def fit_fresh(vae: Autoencoder, pictures: torch.Tensor, minutes: float, seed: int = 0) -> None:
    """Trains a fresh autoencoder on random 128 px crops, normalises its latents, then tunes the
    decoder to them.
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(vae.parameters()).device

    def loss_of(_: int) -> torch.Tensor:
        index = torch.randint(len(pictures), (16,), generator=generator)
        y, x = (
            int(v) for v in torch.randint(0, pictures.shape[-1] - 127, (2,), generator=generator)
        )
        truth = unit(pictures[index, :, y : y + 128, x : x + 128]).to(device)
        return edge_loss(vae.decode(vae.encode(truth).latents).sample, truth)

    train_for(0.7 * minutes, vae, loss_of, learning_rate=1e-3)
    normalise_latents(vae, unit(pictures[:: max(1, len(pictures) // 128)]).to(device))
    vae.encoder.requires_grad_(requires_grad=False)
    train_for(0.3 * minutes, vae.decoder, loss_of, learning_rate=5e-4)
    vae.encoder.requires_grad_(requires_grad=True)


def picture_set(cache: Path, count: int, size_px: int, seed: int) -> torch.Tensor:
    """`count` random one-object pictures, uint8, shape (count, 3, size, size); other seeds give
    other pictures.
    """
    rng = random.Random(seed)
    glyphs = data.load_glyphs(data.fetch(cache))
    chosen = [rng.choice(glyphs) for _ in range(count)]
    examples = [
        rng.choice(data.single_examples([glyph], size_px, rng, coloured=1)) for glyph in chosen
    ]
    return (
        torch.from_numpy(np.stack([example.pixels for example in examples]))
        .permute(0, 3, 1, 2)
        .contiguous()
    )


def main() -> None:
    """Widens the autoencoder of a pipeline, or makes a fresh one for a preset, and writes it to
    `--out`.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder for the npm packages")
    parser.add_argument(
        "--start", type=Path, help="pipeline folder whose f8 autoencoder is widened"
    )
    parser.add_argument(
        "--fresh", choices=sorted(model.PRESETS), help="make one afresh instead, for this preset"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--pictures", type=int, default=1500)
    options = parser.parse_args()
    if options.fresh:
        preset = model.PRESETS[options.fresh]
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        vae = model.build_autoencoder(
            preset.autoencoder_width, preset.latent_channels, preset.blocks
        ).to(device)
        size = 16 * 2 ** (preset.blocks - 1)
        fit_fresh(vae, picture_set(options.cache, options.pictures, size, seed=1), options.minutes)
        vae.cpu().save_pretrained(str(options.out))
        return
    if options.start is None:
        parser.error("give --start or --fresh")
    old = model.load(options.start).vae.eval()
    vae = widen(old)
    if (options.out / "config.json").exists():
        vae.decoder.load_state_dict(
            AutoencoderTiny.from_pretrained(options.out).decoder.state_dict()
        )
    held_out = unit(picture_set(options.cache, 48, 256, seed=99))
    print(f"PSNR at 256 px before: {psnr(vae, held_out):.2f} dB")
    fit_decoder(
        vae,
        copy.deepcopy(old),
        picture_set(options.cache, options.pictures, 256, seed=1),
        options.minutes,
    )
    print(f"PSNR at 256 px after: {psnr(vae, held_out):.2f} dB")
    vae.save_pretrained(str(options.out))


if __name__ == "__main__":
    main()
