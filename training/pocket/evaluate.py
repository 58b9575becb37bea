"""Measures a Pocket pipeline and writes `sheet.png` and `evaluation.json`.

    python -m training.pocket.evaluate --cache CACHE --pipeline PIPELINE --out OUT

Four measures: a fixed sheet of 64 prompts, to be looked at; label retrieval over 200 labels;
autoencoder PSNR on pictures it was not trained on; and seconds a picture on two cores. Everything
is seeded, so another run gives the same pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from . import data, model
from .autoencoder import picture_set, psnr, unit
from .captions import STYLE_PATTERNS, with_article
from .features import feature, retrieve
from .labels import FAVOURED, OVERSAMPLED
from .parts import Pipeline
from .sheet import draw, grid

PROMPTS = Path(__file__).with_name("prompts.txt")
RETRIEVAL_LABELS = 200


def prompts() -> list[str]:
    """The 64 prompts of the fixed sheet, in order."""
    return PROMPTS.read_text().splitlines()


def gallery(glyphs: list[data.Glyph]) -> tuple[np.ndarray, list[str]]:
    """Features of every training glyph on white, shape (n, d), and their labels."""
    rows = [
        feature(Image.fromarray(data.place(glyph, 256, (255, 255, 255), (0.5, 0.5, 0.86))))
        for glyph in glyphs
    ]
    return np.stack(rows), [glyph.label for glyph in glyphs]


def retrieval_prompts(labels: list[str]) -> list[str]:
    """One prompt a label: its plainest name in each style by turns."""
    styles = list(STYLE_PATTERNS)
    made = []
    for i, label in enumerate(labels):
        name = FAVOURED[label][0]
        made.append(STYLE_PATTERNS[styles[i % len(styles)]][0].format(n=name, a=with_article(name)))
    return made


def retrieval_scores(
    pictures: list[Image.Image], labels: list[str], rows: np.ndarray, names: list[str]
) -> dict[str, float]:
    """Shares of pictures whose label is nearest (top1), among the five nearest (top5), and nearest
    after a shuffle.

    The shuffled share is the negative control: the same pictures against labels rotated by half the
    list.
    """
    found = [retrieve(feature(picture), rows, names, count=5) for picture in pictures]
    rotated = labels[len(labels) // 2 :] + labels[: len(labels) // 2]
    often = [i for i, label in enumerate(labels) if label in OVERSAMPLED]
    return {
        "top1": float(
            np.mean([near[0] == label for near, label in zip(found, labels, strict=True)])
        ),
        "top5": float(np.mean([label in near for near, label in zip(found, labels, strict=True)])),
        "top1_oversampled": float(np.mean([found[i][0] == labels[i] for i in often]))
        if often
        else 0.0,
        "top1_shuffled_control": float(
            np.mean([near[0] == label for near, label in zip(found, rotated, strict=True)])
        ),
    }


def seconds_per_picture(
    pipeline: Pipeline, *, steps: int, guidance: float, repeats: int = 5
) -> float:
    """Median wall-clock seconds for one picture, batch 1, after one to warm up."""
    torch.set_num_threads(2)
    times = []
    for i in range(repeats + 1):
        started = time.perf_counter()
        draw(pipeline, ["a red apple"], steps=steps, guidance=guidance, seed=i)
        times.append(time.perf_counter() - started)
    return float(np.median(times[1:]))


def main() -> None:
    """Draws the sheet, measures, and writes both files to `--out`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder for the npm packages")
    parser.add_argument("--pipeline", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--only", choices=("sheet", "measures"), help="do one half of the work")
    parser.add_argument("--threads", type=int, default=2, help="for drawing; timing takes two")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pipeline = model.load(options.pipeline)
    options.out.mkdir(parents=True, exist_ok=True)
    how = {"steps": options.steps, "guidance": options.guidance}
    if options.only != "measures":
        sheet = grid(draw(pipeline, prompts(), **how), columns=8, cell_px=128)
        colours = sheet.quantize(255, dither=Image.Dither.NONE)
        colours.save(options.out / "sheet.png", optimize=True)
    if options.only == "sheet":
        return
    glyphs = data.load_glyphs(data.fetch(options.cache))
    labels = sorted(random.Random(0).sample(list(FAVOURED), RETRIEVAL_LABELS))
    rows, names = gallery(glyphs)
    scores = retrieval_scores(draw(pipeline, retrieval_prompts(labels), **how), labels, rows, names)
    held_out = unit(picture_set(options.cache, 48, model.picture_size_px(pipeline), seed=99))
    result = {
        **how,
        "size_px": model.picture_size_px(pipeline),
        "load_average_while_timing": round(os.getloadavg()[0], 1),
        "retrieval_labels": RETRIEVAL_LABELS,
        "gallery_pictures": len(names),
        "retrieval": {name: round(value, 4) for name, value in scores.items()},
        "autoencoder_psnr_db": round(psnr(pipeline.vae, held_out), 2),
        "seconds_per_picture": round(seconds_per_picture(pipeline, **how), 2),
    }
    (options.out / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
