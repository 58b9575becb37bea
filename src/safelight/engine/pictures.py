"""Pixels before and after a pipeline: fitting inputs, masks, previews, cutting out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from safelight.engine.output import flatten
from safelight.errors import RecipeError

if TYPE_CHECKING:
    from PIL import Image

    from safelight.engine.protocol import Pixels
    from safelight.recipe import Recipe

PLAIN_BORDER_SHARE = 0.9
PLAIN_DISTANCE = 24
SEAM_PART = 64
"""A 64th of the shorter side is left out at the border: 4 px of 256."""


def fit(pixels: Pixels, size: tuple[int, int]) -> Image.Image:
    """A picture cropped in its middle and resized to (width, height) px, without transparency."""
    from PIL import Image, ImageOps

    return ImageOps.fit(Image.fromarray(flatten(pixels)), size, Image.Resampling.LANCZOS)


def mask_of(pixels: Pixels, size: tuple[int, int]) -> Image.Image:
    """A mask at (width, height) px; white is repainted."""
    from PIL import Image, ImageOps

    grey = Image.fromarray(flatten(pixels)).convert("L")
    return ImageOps.fit(grey, size, Image.Resampling.BILINEAR)


def keep_outside_mask(pixels: Pixels, original: Image.Image, mask: Image.Image) -> Pixels:
    """The original's own pixels where the mask is black; a blend where it is grey."""
    share = np.asarray(mask, np.float32)[..., None] / 255
    kept = np.asarray(original, np.float32)
    mixed = pixels.astype(np.float32) * share + kept * (1 - share)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def preview_of(pipe: Any, latents: Any, recipe: Recipe) -> Pixels | None:
    """A rough picture of unfinished latents, or None where this family has no cheap one.

    A tiny autoencoder decodes; four-channel latents go through the linear map that is customary for
    Stable Diffusion 1 (a least-squares fit of latents to pixels).
    """
    import torch

    vae: Any = getattr(pipe, "vae", None)
    with torch.no_grad():
        if type(vae).__name__ == "AutoencoderTiny":
            image = vae.decode(latents / vae.config.scaling_factor, return_dict=False)[0][0]
            rgb = (image.float().clamp(-1, 1) + 1) / 2
        elif latents.ndim == 4 and latents.shape[1] == 4:
            weights = torch.tensor(
                [
                    [0.298, 0.207, 0.208],
                    [0.187, 0.286, 0.173],
                    [-0.158, 0.189, 0.264],
                    [-0.184, -0.271, -0.473],
                ]
            )
            rgb = torch.einsum("chw,cd->dhw", latents[0].float().cpu(), weights)
            rgb = (rgb.clamp(-1, 1) + 1) / 2
        else:
            return None
    pixels: Pixels = (rgb.permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)
    del recipe
    return pixels


def cut_out(pixels: Pixels) -> Pixels:
    """(H, W, 4): the plain background, reached from the border, made transparent.

    Raises :class:`RecipeError` if the border is not of one colour. The edge is softened by how far
    each pixel's colour is from the background's. The outermost pixels are not asked: autoencoders
    draw a seam there.
    """
    from PIL import Image, ImageDraw

    rgb = flatten(pixels)
    seam = min(rgb.shape[:2]) // SEAM_PART
    ring = rgb[seam : rgb.shape[0] - seam, seam : rgb.shape[1] - seam]
    border = np.concatenate([ring[0], ring[-1], ring[:, 0], ring[:, -1]]).astype(np.int16)
    ground = np.median(border, axis=0)
    near = np.abs(border - ground).max(axis=1) <= PLAIN_DISTANCE
    if near.mean() < PLAIN_BORDER_SHARE:
        raise RecipeError(
            "the picture has no plain background to cut out",
            hint="ask for a white background in the words, or draw without transparency",
        )
    distance = np.abs(rgb.astype(np.int16) - ground).max(axis=2)
    inside = np.zeros(distance.shape, bool)
    inside[seam : distance.shape[0] - seam, seam : distance.shape[1] - seam] = True
    distance[~inside] = 0
    plain = Image.fromarray(((distance <= PLAIN_DISTANCE) * 255).astype(np.uint8))
    framed = Image.new("L", (plain.width + 2, plain.height + 2), 255)
    framed.paste(plain, (1, 1))
    ImageDraw.floodfill(framed, (0, 0), 128)
    outside = np.asarray(framed)[1:-1, 1:-1] == 128
    soft = np.clip(distance / (2 * PLAIN_DISTANCE), 0, 1) * 255
    alpha = np.where(outside, np.minimum(soft, 96) * (soft > 32), 255).astype(np.uint8)
    return np.dstack([rgb, alpha])
