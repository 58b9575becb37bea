"""The engine beside the same diffusers pipeline: warm, cold, memory, and Pocket's pace.

Each ratio is the median of the ratios of pairs that ran one after the other, in turns, so that
what else the machine does falls on both. Both sides of a pair draw the same picture; how far the
pixels are apart (rounding) is said beside the number.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bench.rows import Row
from tqdm import tqdm

from safelight.catalogue import Catalogue, Model
from safelight.engine import QuietWatch, open_engine
from safelight.engine.output import decode
from safelight.recipe import Recipe
from safelight.secret import Secret

WARM_PAIRS = 7
COLD_PAIRS = 5
PROMPT = "a 3d red fox"
SEED = 7
PACE_ROUNDS = 5
LARGE_PX = 256
SCRIPT = Path(__file__).with_name("ten_lines.py")


def recipe(model: Model, side_px: int) -> Recipe:
    """The picture that everything here draws."""
    return Recipe(
        prompt=Secret(PROMPT),
        model=model.digest,
        width_px=side_px,
        height_px=side_px,
        steps=model.default_steps,
        guidance=model.default_guidance,
        seed=SEED,
    )


def in_turns(ours: Callable[[], float], theirs: Callable[[], float], pairs: int) -> list[float]:
    """Ratios of ours to theirs, who goes first taking turns; one pair goes unmeasured."""
    ratios = []
    for turn in tqdm(range(pairs + 1), desc="pairs", leave=False):
        if turn % 2:
            mine, other = ours(), theirs()
        else:
            other, mine = theirs(), ours()
        if turn:
            ratios.append(mine / other)
    return ratios


def difference(ours: np.ndarray, theirs: np.ndarray) -> str:
    """How far two pictures, (H, W, 3) uint8, are apart, in words."""
    apart = np.abs(ours.astype(int) - theirs.astype(int))
    return f"pixels differ by at most {apart.max()} of 255, {apart.mean():.3f} on average"


def warm(model: Model, catalogue: Catalogue) -> list[Row]:
    """One loaded pipeline each: the engine, and diffusers called by hand."""
    import torch
    from diffusers import StableDiffusionPipeline

    engine = open_engine(catalogue, "cpu")
    order = recipe(model, model.native_size_px)
    pipe = StableDiffusionPipeline.from_pretrained(str(model.path), dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    drawn: dict[str, np.ndarray] = {}

    def ours() -> float:
        began = time.perf_counter()
        drawn["ours"] = next(iter(engine.run(engine.plan(order), {}, QuietWatch()))).pixels
        return time.perf_counter() - began

    def theirs() -> float:
        began = time.perf_counter()
        image = pipe(
            PROMPT,
            num_inference_steps=order.steps,
            guidance_scale=order.guidance,
            width=order.width_px,
            height=order.height_px,
            generator=torch.Generator("cpu").manual_seed(SEED),
        ).images[0]
        drawn["theirs"] = np.asarray(image)
        return time.perf_counter() - began

    ratios = in_turns(ours, theirs, WARM_PAIRS)
    apart = difference(drawn["ours"], drawn["theirs"])
    pace = []
    large = recipe(model, LARGE_PX)
    for _ in range(PACE_ROUNDS):
        began = time.perf_counter()
        list(engine.run(engine.plan(large), {}, QuietWatch()))
        pace.append(time.perf_counter() - began)
    return [
        Row(
            name="warm: an engine run / the same pipeline called directly",
            value=statistics.median(ratios),
            unit="x",
            goal=1.03,
            note=f"{WARM_PAIRS} pairs; {apart}",
        ),
        Row(
            name=f"Pocket, one picture of {LARGE_PX} px",
            value=min(pace),
            unit="s",
            note=f"{large.steps} steps; best of {PACE_ROUNDS}",
        ),
    ]


def cold(model: Model) -> list[Row]:
    """Whole processes: ``safelight generate`` with its picture check, and a ten-line script."""
    side = model.native_size_px
    peaks: dict[str, list[float]] = {"ours": [], "theirs": []}
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}.png" for name in peaks}
        ours = [
            *(sys.executable, "-m", "safelight.cli", "generate", PROMPT),
            *("-o", str(files["ours"]), "--seed", str(SEED), "--size", f"{side}x{side}"),
            *("--home", str(Path(folder) / "home"), "--device", "cpu", "--quiet"),
        ]
        theirs = [
            *(sys.executable, str(SCRIPT), str(model.path), PROMPT, str(side)),
            *(str(model.default_steps), str(model.default_guidance), str(SEED)),
            str(files["theirs"]),
        ]

        def timed(name: str, command: list[str]) -> float:
            seconds, peak = _process(command)
            peaks[name].append(peak)
            times[name].append(seconds)
            return seconds

        ratios = in_turns(lambda: timed("ours", ours), lambda: timed("theirs", theirs), COLD_PAIRS)
        drawn = [decode(file.read_bytes()) for file in files.values()]
        apart = difference(drawn[0], drawn[1])
    memory = [a / b for a, b in zip(peaks["ours"][1:], peaks["theirs"][1:], strict=True)]
    own, other = (statistics.median(times[name][1:]) for name in ("ours", "theirs"))
    megabytes = [statistics.median(peaks[name][1:]) / 1e6 for name in ("ours", "theirs")]
    return [
        Row(
            name="cold: `safelight generate` / a ten-line diffusers script, time",
            value=statistics.median(ratios),
            unit="x",
            goal=1.15,
            note=f"{own:.1f} s / {other:.1f} s; {COLD_PAIRS} pairs; ours checks the picture; "
            f"{apart}",
        ),
        Row(
            name="cold: the same pair, peak memory",
            value=statistics.median(memory),
            unit="x",
            goal=1.10,
            note=f"{megabytes[0]:.0f} MB / {megabytes[1]:.0f} MB",
        ),
    ]


def _process(command: list[str]) -> tuple[float, float]:
    """Wall seconds and peak resident bytes of a process; it must end well."""
    began = time.perf_counter()
    quiet = os.open(os.devnull, os.O_WRONLY)
    streams = [(os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)]
    child = os.posix_spawn(command[0], command, os.environ, file_actions=streams)
    _, status, usage = os.wait4(child, 0)
    os.close(quiet)
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"{command[1]} ended with {os.waitstatus_to_exitcode(status)}")
    scale = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - began, usage.ru_maxrss * scale


def run() -> list[Row]:
    """Cold first, so that nothing here holds memory while it is measured."""
    with tempfile.TemporaryDirectory() as folder:
        catalogue = Catalogue(Path(folder))
        model = catalogue.find("pocket")
        return [*cold(model), *warm(model, catalogue)]
