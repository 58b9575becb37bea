"""Averages the weights of runs that went on from one checkpoint with different seeds.

    python -m training.pocket.average RUN1 RUN2 --start PIPELINE --out PIPELINE

On a busy machine two runs of one thread each get more done than one run of two threads, whose
threads wait for each other. Their mean is about as good as one run with batches twice as large
(Wortsman et al. 2022, "Model soups").
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from . import model


def averaged(checkpoints: list[Path]) -> list[torch.Tensor]:
    """The mean of the checkpoints' moving averages, one tensor a parameter."""
    runs = [torch.load(path, map_location="cpu", weights_only=True) for path in checkpoints]
    columns = zip(*(run["average"] for run in runs), strict=True)
    return [torch.stack(values).mean(dim=0) for values in columns]


def main() -> None:
    """Writes the averaged pipeline; its autoencoder is that of `--start`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="folders that hold checkpoint.pt")
    parser.add_argument("--start", type=Path, required=True, help="pipeline the runs started from")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    pipeline = model.load(options.start)
    weights = averaged([run / "checkpoint.pt" for run in options.runs])
    parts = [p for m in (pipeline.unet, pipeline.text_encoder) for p in m.parameters()]
    with torch.no_grad():
        for part, value in zip(parts, weights, strict=True):
            part.copy_(value)
    model.save(pipeline, options.out)


if __name__ == "__main__":
    main()
