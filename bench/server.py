"""The server: the first answer, idle memory, what a picture costs beside drawing it."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from bench.rows import Row
from tqdm import tqdm

from safelight.client import exchange
from safelight.client.exchange import Wish
from safelight.client.sdk import Studio
from safelight.ids import new_token
from safelight.secret import Secret

ROOT = Path(__file__).parents[1]
STARTS = 5
PICTURES = 20
SUBMISSIONS = 300
TINY = {"model": "tiny", "size": (64, 64), "steps": 2, "seed": 7}
POCKET = {"model": "pocket", "size": (256, 256), "steps": 12, "seed": 7}

# The same picture with nothing around the pipeline: what anybody would write, once per line read.
_RAW = """
import sys, time, torch, warnings
warnings.filterwarnings("ignore")
from diffusers import StableDiffusionPipeline
folder, side, steps, guidance = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
pipe = StableDiffusionPipeline.from_pretrained(
    folder, local_files_only=True, safety_checker=None, torch_dtype=torch.float32
)
pipe.set_progress_bar_config(disable=True)
for _ in sys.stdin:
    begun = time.perf_counter()
    pipe("a red kite", num_inference_steps=steps, guidance_scale=guidance, width=side, height=side,
         generator=torch.Generator().manual_seed(7)).images[0]
    print(time.perf_counter() - begun, flush=True)
"""
# Another caller, who keeps the darkroom drawing. A process of its own, as callers are.
_BUSY = """
import sys
from pathlib import Path
from safelight.client.sdk import Studio
with Studio(sys.argv[1], Path(sys.argv[2])) as studio:
    while True:
        studio.generate(studio.recipe("a red kite", model="pocket", size=(256, 256), steps=12))
"""
_TINY = (
    "import sys; from pathlib import Path; sys.path.insert(0, 'tests'); "
    "from tiny_models import tiny_sd1; from safelight.catalogue import Catalogue; "
    "home = Path(sys.argv[1]); Catalogue(home).add(tiny_sd1(home / 'tiny'), name='tiny')"
)


@contextmanager
def a_home() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="safelight-bench-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def a_server(home: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """``safelight serve`` and its address."""
    command = [sys.executable, "-m", "safelight.cli", "serve"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--home", str(home / "home"), "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=log,
        )
        assert process.stdout is not None
        url = process.stdout.readline().decode().split()[-1]
        try:
            yield process, url
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_ready(url: str) -> None:
    """Wait for the darkroom."""
    while httpx.get(f"{url}/readyz").status_code != 200:
        time.sleep(0.2)


def first_answer() -> list[Row]:
    """Seconds from the start of the process to the first 200, in a home that is there already."""
    first, whole, memory = [], [], []
    with a_home() as home:
        with a_server(home):
            pass  # makes the databases
        for _ in range(STARTS):
            port = free_port()
            found: list[float] = []
            begun = time.perf_counter()
            asking = threading.Thread(target=_ask, args=(port, begun, found))
            asking.start()
            with a_server(home, port) as (process, _url):
                whole.append(time.perf_counter() - begun)
                asking.join()
                first.append(found[0])
                time.sleep(2.0)
                memory.append(_resident_mb(process.pid))
    return [
        Row(
            name="first HTTP 200 after the start of the process",
            value=statistics.median(first), unit="s", goal=1.5, peer=10.9,
            note=f"everything answers after {statistics.median(whole):.2f} s; {STARTS} starts",
        ),
        Row(
            name="desk and server process, idle",
            value=statistics.median(memory), unit="MB", goal=150, peer=1_160,
            note="resident; the darkroom's two processes are not in it",
        ),
    ]  # fmt: skip


def _ask(port: int, begun: float, found: list[float]) -> None:
    while not found:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as line:
                line.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                if line.recv(64).startswith(b"HTTP/1.1 200"):
                    found.append(time.perf_counter() - begun)
        except OSError:
            time.sleep(0.005)


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def pictures() -> list[Row]:
    """A sealed picture through the server and the bare pipeline, in turns, with two models."""
    with a_home() as home:
        folder = home / "home"
        subprocess.run([sys.executable, "-c", _TINY, str(folder)], check=True, cwd=ROOT)
        pocket = ROOT / "src/safelight/engine/pocket"
        with a_server(home) as (_, url), Studio(url, home / "profile") as studio:
            wait_ready(url)
            drawn, raw_drawn = _in_turns(studio, POCKET, pocket, 4.0)
            tiny, raw_tiny = _in_turns(studio, TINY, folder / "tiny", 7.0)
            p99, middle = _submissions(studio, url)
    fixed = statistics.median(a - b for a, b in zip(tiny, raw_tiny, strict=True)) * 1_000
    ratio = statistics.median(a / b for a, b in zip(drawn, raw_drawn, strict=True))
    return [
        Row(
            name="fixed cost of a picture: sealed, drawn, checked, opened, less raw diffusers",
            value=fixed, unit="ms", goal=50, peer=880,
            note=f"tiny model, {PICTURES} pairs; raw {statistics.median(raw_tiny) * 1e3:.0f} ms",
        ),
        Row(
            name="a sealed Pocket picture through the server / raw diffusers",
            value=ratio, unit="x", goal=1.05,
            note=f"{statistics.median(drawn):.3f} s / {statistics.median(raw_drawn):.3f} s; "
            f"{PICTURES} pairs",
        ),
        Row(
            name="submitting a job over HTTP while a darkroom works, p99",
            value=p99, unit="ms", goal=20, peer=100,
            note=f"median {middle:.1f} ms; {SUBMISSIONS} sealed private jobs",
        ),
    ]  # fmt: skip


def _in_turns(
    studio: Studio, wanted: dict[str, Any], folder: Path, guidance: float
) -> tuple[list[float], list[float]]:
    """Seconds through the server and of the bare pipeline, who goes first taking turns."""
    words = [folder, wanted["size"][0], wanted["steps"], guidance]
    ours, theirs = [], []
    with subprocess.Popen(
        [sys.executable, "-c", _RAW, *map(str, words)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    ) as raw:  # fmt: skip
        assert raw.stdin is not None
        assert raw.stdout is not None

        def bare() -> None:
            print(file=raw.stdin, flush=True)
            theirs.append(float(raw.stdout.readline()))  # type: ignore[union-attr]

        recipe = studio.recipe("a red kite", **wanted)

        def sealed() -> None:
            begun = time.perf_counter()
            studio.generate(recipe)  # from submitting to the opened picture
            ours.append(time.perf_counter() - begun)

        for turn in tqdm(range(PICTURES + 2), desc=str(wanted["model"]), leave=False):
            for work in (bare, sealed) if turn % 2 else (sealed, bare):
                work()
        raw.stdin.close()
    return ours[2:], theirs[2:]


@contextmanager
def a_busy_darkroom(url: str) -> Iterator[None]:
    """Somebody else has one picture drawn after the other."""
    with a_home() as folder:
        other = subprocess.Popen([sys.executable, "-c", _BUSY, url, str(folder)])
        time.sleep(3.0)
        assert other.poll() is None
        try:
            yield
        finally:
            other.kill()
            other.wait()


def _submissions(studio: Studio, url: str) -> tuple[float, float]:
    """Milliseconds to submit while the darkroom draws: 99th percentile and median."""
    studio.create_account("anna", Secret(new_token(16)), keep_code=lambda code: code.reveal())
    wish = Wish(recipe=studio.recipe("a red kite", **TINY), retention="owner")  # type: ignore[arg-type]
    wire, times = studio.link.wire, []
    plain_call = wire.call

    def timed_call(method: str, path: str, **more: Any) -> httpx.Response:
        begun = time.perf_counter()
        answer = plain_call(method, path, **more)
        if (method, path) == ("POST", "/api/v1/jobs"):
            times.append((time.perf_counter() - begun) * 1_000)
        return answer

    wire.call = timed_call  # type: ignore[method-assign]
    with a_busy_darkroom(url):
        for i in range(SUBMISSIONS):
            begun = exchange.begin(studio.link, wish, f"submission-{i}")
            plain_call("DELETE", f"/api/v1/jobs/{exchange.submit(studio.link, wish, begun)}")
    wire.call = plain_call  # type: ignore[method-assign]
    return statistics.quantiles(times, n=100)[98], statistics.median(times)


def run() -> list[Row]:
    """Every row of this module; takes some minutes."""
    return [*first_answer(), *pictures()]


if __name__ == "__main__":
    for row in run():
        goal = "" if row.goal is None else f"goal {row.goal:g}"
        peer = "" if row.peer is None else f"peer {row.peer:g}"
        print(f"{row.name:76} {row.value:9.2f} {row.unit:3} {goal:9} {peer:9} {row.note}")
