"""Fetches the emoji sets from npm, renders them, and gives (picture, caption) pairs.

Sources: `@lobehub/fluent-emoji-3d` (webp, MIT), `@iconify-json/fluent-emoji`, `-flat`,
`-high-contrast` (svg, MIT), `@iconify-json/noto` (svg, Apache-2.0), and the labels of
`emojibase-data` (MIT). Nothing is downloaded by this file itself: it asks the ordinary npm client,
which verifies what it installs.

    python -m training.pocket.data --cache CACHE_DIR
"""

from __future__ import annotations

import argparse
import io
import json
import random
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

from .captions import caption, pair_caption
from .labels import BACKGROUNDS, FAVOURED, OVERSAMPLED, STYLES

LABEL_PACKAGE = "emojibase-data"
SOURCE_SIZE_PX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyph:
    """One emoji in one style: straight-alpha RGBA, uint8, shape (256, 256, 4)."""

    label: str
    style: str
    rgba: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One training picture (uint8 RGB, shape (size, size, 3)), how to caption it, and how often it
    is drawn.
    """

    pixels: np.ndarray
    label: str
    style: str
    background: str | None
    weight: float
    fixed_caption: str | None = None

    def caption(self, rng: random.Random) -> str:
        """Returns a caption for this picture; equal generators give equal captions."""
        if self.fixed_caption is not None:
            return self.fixed_caption
        return caption(FAVOURED[self.label], self.style, self.background, rng)


def fetch(cache: Path) -> Path:
    """Installs the npm packages into `cache` with the npm client and returns their `node_modules`
    folder.

    Packages already there are kept. Raises `RuntimeError` where npm is missing and
    `CalledProcessError` where it fails.
    """
    modules = cache / "node_modules"
    wanted = [name for name in (*STYLES.values(), LABEL_PACKAGE) if not (modules / name).is_dir()]
    if not wanted:
        return modules
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is needed to fetch the pictures")
    cache.mkdir(parents=True, exist_ok=True)
    manifest = cache / "package.json"
    if not manifest.exists():
        manifest.write_text(json.dumps({"name": "pocket-data", "private": True}))
    subprocess.run(
        [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", *wanted],
        cwd=cache,
        check=True,
    )
    return modules


def slug(label: str) -> str:
    """Turns an emojibase label into an iconify icon name ("T-Rex" -> "t-rex")."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower().replace("\u2019", "")).strip("-")


def _svg_glyphs(modules: Path, style: str, labels: list[str]) -> list[Glyph]:
    icons = json.loads((modules / STYLES[style] / "icons.json").read_text())
    side = (icons.get("width", 16), icons.get("height", 16))
    glyphs = []
    for label in labels:
        name = slug(label)
        name = icons.get("aliases", {}).get(name, {}).get("parent", name)
        icon = icons["icons"].get(name)
        if icon is None:
            continue
        width, height = icon.get("width", side[0]), icon.get("height", side[1])
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'color="#000" viewBox="0 0 {width} {height}">{icon["body"]}</svg>'
        )
        png = bytes(
            resvg_py.svg_to_bytes(svg_string=svg, width=SOURCE_SIZE_PX, height=SOURCE_SIZE_PX)
        )
        glyphs.append(Glyph(label=label, style=style, rgba=_rgba(Image.open(io.BytesIO(png)))))
    return glyphs


def _webp_glyphs(modules: Path, labels: list[str], hexcodes: dict[str, str]) -> list[Glyph]:
    assets = modules / STYLES["3d"] / "assets"
    glyphs = []
    for label in labels:
        code = hexcodes[label].lower()
        for candidate in (code, f"{code}-fe0f", code.replace("-fe0f", "")):
            path = assets / f"{candidate}.webp"
            if path.exists():
                glyphs.append(Glyph(label=label, style="3d", rgba=_rgba(Image.open(path))))
                break
    return glyphs


def _rgba(image: Image.Image) -> np.ndarray:
    size = (SOURCE_SIZE_PX, SOURCE_SIZE_PX)
    return np.asarray(image.convert("RGBA").resize(size, Image.Resampling.LANCZOS))


def load_glyphs(modules: Path, labels: list[str] | None = None) -> list[Glyph]:
    """Renders every label (default: the favoured ones) in every style that has it, in a fixed
    order.
    """
    chosen = list(FAVOURED) if labels is None else labels
    entries = json.loads((modules / LABEL_PACKAGE / "en" / "data.json").read_text())
    hexcodes = {entry["label"]: entry["hexcode"] for entry in entries}
    glyphs = _webp_glyphs(modules, chosen, hexcodes)
    for style in STYLES:
        if style != "3d":
            glyphs += _svg_glyphs(modules, style, chosen)
    return glyphs


def place(
    glyph: Glyph,
    size_px: int,
    colour: tuple[int, int, int],
    box: tuple[float, float, float],
    *,
    mirrored: bool = False,
) -> np.ndarray:
    """Draws a glyph on a plain background: uint8 RGB, shape (size_px, size_px, 3).

    `box` is (centre x, centre y, side), each a share of the picture's side. Blending is plain alpha
    in sRGB.
    """
    canvas = Image.new("RGB", (size_px, size_px), colour)
    _paste(canvas, glyph, box, mirrored=mirrored)
    return np.asarray(canvas)


def _paste(
    canvas: Image.Image, glyph: Glyph, box: tuple[float, float, float], *, mirrored: bool = False
) -> None:
    x, y, share = box
    side = max(8, round(share * canvas.width))
    picture = Image.fromarray(glyph.rgba).resize((side, side), Image.Resampling.LANCZOS)
    if mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    corner = (round(x * canvas.width - side / 2), round(y * canvas.width - side / 2))
    canvas.paste(picture, corner, picture)


def single_examples(
    glyphs: list[Glyph], size_px: int, rng: random.Random, *, coloured: int = 3
) -> list[Example]:
    """One-object pictures of each glyph: two on white (one nudged and perhaps mirrored) and
    `coloured` on named colours.

    The weights of one label add up to 1 (times its oversampling), whatever the number of its styles
    and variants, and white and coloured backgrounds are drawn about three to two.
    """
    styles = {
        label: sum(1 for glyph in glyphs if glyph.label == label)
        for label in {g.label for g in glyphs}
    }
    examples = []
    for glyph in glyphs:
        share = OVERSAMPLED.get(glyph.label, 1) / styles[glyph.label]
        plain = place(glyph, size_px, (255, 255, 255), (0.5, 0.5, 0.86))
        nudged = place(glyph, size_px, (255, 255, 255), _jitter(rng), mirrored=rng.random() < 0.3)
        for pixels, part in ((plain, 0.4), (nudged, 0.2)):
            weight = share * part
            examples.append(
                Example(
                    pixels=pixels,
                    label=glyph.label,
                    style=glyph.style,
                    background=None,
                    weight=weight,
                )
            )
        words = [
            word for word in BACKGROUNDS if not (glyph.style == "line icon" and word == "black")
        ]
        for word in rng.sample(words, coloured):
            pixels = place(glyph, size_px, BACKGROUNDS[word], _jitter(rng))
            weight = share * 0.4 / coloured
            examples.append(
                Example(
                    pixels=pixels,
                    label=glyph.label,
                    style=glyph.style,
                    background=word,
                    weight=weight,
                )
            )
    return examples


def _jitter(rng: random.Random) -> tuple[float, float, float]:
    return (rng.uniform(0.47, 0.53), rng.uniform(0.47, 0.53), rng.uniform(0.72, 0.9))


def pair_examples(
    glyphs: list[Glyph], size_px: int, rng: random.Random, *, count: int, share: float
) -> list[Example]:
    """Two-object scenes on white with exact captions; together they carry `share` of one label's
    weight times `count`.
    """
    common = [
        glyph for glyph in glyphs if glyph.label in OVERSAMPLED and glyph.style != "line icon"
    ]
    examples = []
    for _ in range(count):
        first = rng.choice(common)
        others = [
            glyph for glyph in common if glyph.style == first.style and glyph.label != first.label
        ]
        second = rng.choice(others)
        canvas = Image.new("RGB", (size_px, size_px), (255, 255, 255))
        relation = rng.choice(("next to", "next to", "above"))
        boxes = (
            ((0.27, 0.5, 0.46), (0.73, 0.5, 0.46))
            if relation == "next to"
            else ((0.5, 0.27, 0.46), (0.5, 0.73, 0.46))
        )
        _paste(canvas, first, boxes[0])
        _paste(canvas, second, boxes[1])
        names = (rng.choice(FAVOURED[first.label][:2]), rng.choice(FAVOURED[second.label][:2]))
        examples.append(
            Example(
                pixels=np.asarray(canvas),
                label=first.label,
                style=first.style,
                background=None,
                weight=share,
                fixed_caption=pair_caption(names[0], names[1], relation, first.style),
            )
        )
    return examples


def main() -> None:
    """Fetches the packages, renders the favoured labels and prints how many pictures there are."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the npm packages")
    glyphs = load_glyphs(fetch(parser.parse_args().cache))
    for style in STYLES:
        print(f"{style}: {sum(1 for glyph in glyphs if glyph.style == style)} pictures")


if __name__ == "__main__":
    main()
