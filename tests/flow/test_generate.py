"""``safelight generate`` as people run it: the real command, the bundled model, a fresh machine.

Off the record is checked by comparing every file of the home, temporary and cache folders before
and after, and the comparison is shown to see a planted leak.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

HERE = Path(__file__).parent
PATIENCE_SECONDS = 600
pytestmark = pytest.mark.timeout(PATIENCE_SECONDS)
CANARY = "zebracanary"
PROMPT = f"a 3d red {CANARY}"
PIXEL_CHUNKS = {"IHDR", "PLTE", "tRNS", "IDAT", "IEND"}
NO_NETWORK = """
import socket
def refuse(*args, **kwargs):
    raise AssertionError("a socket was used")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
socket.socket.sendto = socket.create_connection = refuse
"""
PLANT = """
import os, pathlib, sys, tempfile
for folder in (os.environ["HOME"], tempfile.gettempdir(), os.environ["XDG_CACHE_HOME"]):
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    pathlib.Path(folder, "planted").write_text(" ".join(sys.argv))
"""


@dataclass
class Machine:
    """A home, temporary and cache folder that belong to one run, and a folder for pictures."""

    root: Path
    sitecustomize: str = NO_NETWORK
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("home", "tmp", "cache", "config", "data", "state", "run", "out", "site"):
            (self.root / name).mkdir(parents=True)
        (self.root / "site" / "sitecustomize.py").write_text(self.sitecustomize)
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL")}
        self.environment = kept | {
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "XDG_DATA_HOME": str(self.root / "data"),
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_RUNTIME_DIR": str(self.root / "run"),
            "PYTHONPATH": str(self.root / "site"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",  # quicker where the tests share a machine
        }

    @property
    def out(self) -> Path:
        return self.root / "out"

    def files(self) -> dict[str, bytes | None]:
        """Every file with its content, and every folder."""
        return {
            str(path.relative_to(self.root)): path.read_bytes() if path.is_file() else None
            for path in self.root.rglob("*")
        }

    def run(
        self, *command: str, cut_off: bool = False, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder for pictures; ``cut_off`` without any network device."""
        alone = ("unshare", "--net") if cut_off and _may_unshare() else ()
        return subprocess.run(
            [*alone, *command], env=self.environment, cwd=self.out, text=True, input=stdin or "",
            capture_output=True, timeout=PATIENCE_SECONDS - 20, check=False,
        )  # fmt: skip

    def safelight(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "safelight.cli", *arguments, **more)


def _may_unshare() -> bool:
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return tried.returncode == 0


def png_chunks(data: bytes) -> list[str]:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        found.append(data[at + 4 : at + 8].decode("ascii"))
        at += 12 + length
    return found


@dataclass
class Ran:
    machine: Machine
    before: dict[str, bytes | None]
    after: dict[str, bytes | None]
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The plain command, once, without any network."""
    machine = Machine(tmp_path_factory.mktemp("machine"))
    before = machine.files()
    done = machine.safelight(
        "generate", PROMPT, "-o", "fox.png", "--seed", "7", "--steps", "2", "--negative",
        f"blurry {CANARY}", "--json", "--progress", cut_off=True,
    )  # fmt: skip
    return Ran(machine, before, machine.files(), done)


def test_a_picture_of_the_models_own_size_without_metadata(ran: Ran) -> None:
    assert ran.done.returncode == 0, ran.done.stderr
    data = (ran.machine.out / "fox.png").read_bytes()
    assert set(png_chunks(data)) <= PIXEL_CHUNKS
    with Image.open(io.BytesIO(data)) as image:
        assert image.width == image.height >= 128
        assert image.mode == "RGB"
        assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 50


def test_one_json_object_says_what_was_made(ran: Ran) -> None:
    told = json.loads(ran.done.stdout)
    assert set(told) == {
        "files", "recipe_digest", "model", "seed", "seconds", "device", "verdict", "asset",
        "protection", "retention",
    }  # fmt: skip
    assert (told["files"], told["model"], told["seed"]) == (["fox.png"], "pocket", 7)
    assert (told["verdict"], told["asset"], told["retention"]) == ("allowed", None, "none")
    assert len(told["recipe_digest"]) == 64
    assert told["seconds"] > 0


def test_off_the_record_nothing_is_left_but_the_named_file(ran: Ran) -> None:
    new = {name for name in ran.after if name not in ran.before}
    changed = {name for name, data in ran.before.items() if ran.after[name] != data}
    assert new == {"out/fox.png"}
    assert changed == set()
    assert CANARY.encode() not in (ran.after["out/fox.png"] or b"")


def test_the_comparison_sees_a_planted_leak(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", sitecustomize=PLANT)
    before = machine.files()
    assert machine.safelight("models", "list").returncode == 0
    new = set(machine.files()) - set(before)
    assert new == {"home/planted", "tmp/planted", "cache/planted"}


def test_the_prompt_is_in_no_output_and_progress_is_shown_when_asked(ran: Ran) -> None:
    assert CANARY not in ran.done.stdout + ran.done.stderr
    assert "2/2" in ran.done.stderr
    assert "Warning" not in ran.done.stderr


DRIVER = HERE / "generate_driver.py"


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> tuple[Machine, dict[str, dict[str, Any]]]:
    """Many commands in one process, to import torch only once; see the driver."""
    machine = Machine(tmp_path_factory.mktemp("driven"))
    photo = Image.fromarray(
        np.arange(64 * 48 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 64, 3)
    )
    exif = Image.Exif()
    exif[0x010E] = CANARY
    exif[0x0112] = 6
    photo.save(machine.out / "photo.jpg", exif=exif, comment=CANARY)
    square = np.full((128, 128, 3), 255, np.uint8)
    square[40:88, 40:88] = (200, 0, 0)
    Image.fromarray(square).save(machine.out / "square.png")
    _copy_of_pocket(machine.root / "copy")
    done = machine.run(sys.executable, str(DRIVER), str(machine.root))
    assert done.returncode == 0, done.stderr[-3000:]
    return machine, json.loads(done.stdout)


def _copy_of_pocket(target: Path) -> None:
    from safelight.catalogue.catalogue import POCKET_FOLDER

    shutil.copytree(POCKET_FOLDER, target)


def test_the_same_seed_gives_the_same_bytes_and_count_numbers_the_files(
    ran: Ran, driven: tuple[Machine, dict[str, dict[str, Any]]]
) -> None:
    machine, results = driven
    assert results["count"]["code"] == 0
    assert results["count"]["stdout"].split() == ["two-1.png", "two-2.png"]
    first, second = ((machine.out / f"two-{i}.png").read_bytes() for i in (1, 2))
    assert first == ran.after["out/fox.png"]
    assert second != first
    assert not (machine.out / "two.png").exists()


def test_a_picture_from_a_picture_loses_what_the_camera_wrote(
    driven: tuple[Machine, dict[str, dict[str, Any]]],
) -> None:
    machine, results = driven
    assert results["init"]["code"] == 0, results["init"]
    data = (machine.out / "from.jpg").read_bytes()
    assert CANARY.encode() not in data
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG"
        assert not image.getexif()
        assert image.size == (256, 256)
    assert json.loads(results["init"]["stdout"])["seed"] in range(2**32)


def test_transparent_gives_an_alpha_channel(
    driven: tuple[Machine, dict[str, dict[str, Any]]],
) -> None:
    machine, results = driven
    assert results["transparent"]["code"] == 0, results["transparent"]
    with Image.open(machine.out / "cut.webp") as image:
        assert (image.format, image.mode) == ("WEBP", "RGBA")
        alpha = np.asarray(image)[..., 3]
        assert alpha[0, 0] == 0
        assert alpha[128, 128] == 255
        assert not image.getexif()
        assert "xmp" not in image.info


FAILS = {
    "refused picture": 2,  # the second of two: none is written
    "no picture check": 3,
    "no space": 3,
    "tampered model": 4,
}


@pytest.mark.parametrize("name", FAILS)
def test_what_goes_wrong_while_drawing_leaves_no_file(
    driven: tuple[Machine, dict[str, dict[str, Any]]], name: str
) -> None:
    machine, results = driven
    assert results[name]["code"] == FAILS[name], results[name]
    _two_lines(results[name]["stderr"])
    assert results[name]["stdout"] == ""
    left = {path.name for path in machine.out.iterdir()}
    assert left == {"photo.jpg", "square.png", "two-1.png", "two-2.png", "from.jpg", "cut.webp"}


def _two_lines(stderr: str) -> None:
    lines = stderr.splitlines()
    assert len(lines) == 2, stderr
    assert lines[0].startswith("safelight: error: ")
    assert lines[1].startswith("safelight: hint: ")
    assert CANARY not in stderr
    assert not any(line.endswith(".") for line in lines)


def _png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (width, height)).save(out, "PNG")
    return out.getvalue()


BAD: dict[str, tuple[list[str], int]] = {
    "unknown model": (["--model", CANARY], 2),
    "absurd size": (["--size", "999999x999999"], 2),
    "size of nothing": (["--size", "0x0"], 2),
    "size that is no size": (["--size", CANARY], 2),
    "size between steps": (["--size", "130x130"], 2),
    "no steps": (["--steps", "0"], 2),
    "steps that are no number": (["--steps", CANARY], 2),
    "guidance that is no number": (["--guidance", "nan"], 2),
    "seed over the end": (["--seed", str(2**32)], 2),
    "too many": (["--count", "1000"], 2),
    "unknown format": (["--format", "gif"], 2),
    "strength without a picture": (["--strength", "0.5"], 2),
    "absurd strength": (["--init", "good.png", "--strength", "7"], 2),
    "no such picture": (["--init", CANARY], 2),
    "truncated picture": (["--init", "truncated.png"], 2),
    "huge picture": (["--init", "huge.png"], 2),
    "text for a picture": (["--init", "text.png"], 2),
    "output into no folder": (["-o", f"{CANARY}/fox.png"], 2),
    "output onto a folder": (["-o", "."], 2),
    "unknown option": ([f"--{CANARY}"], 2),
    "refused words": (["--negative", "clothes, adult"], 2),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_two_lines_and_leaves_no_file(tmp_path: Path, name: str) -> None:
    machine = Machine(tmp_path / "machine")
    (machine.out / "good.png").write_bytes(_png(64, 64))
    (machine.out / "truncated.png").write_bytes(_png(64, 64)[:60])
    (machine.out / "huge.png").write_bytes(_png(12_000, 12_000))
    (machine.out / "text.png").write_text("not a picture")
    before = machine.files()
    prompt = f"a nude child {CANARY}" if name == "refused words" else PROMPT
    arguments, code = BAD[name]
    output = [] if "-o" in arguments else ["-o", "fox.png"]
    done = machine.safelight("generate", prompt, *output, *arguments)
    assert done.returncode == code, done.stderr
    _two_lines(done.stderr)
    assert done.stdout == ""
    assert machine.files() == before


def test_a_prompt_may_come_from_standard_input_and_is_checked_alike(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine")
    done = machine.safelight("generate", "-", "-o", "fox.png", stdin=f"nude child {CANARY}\n")
    assert done.returncode == 2
    _two_lines(done.stderr)
    assert "(minors)" in done.stderr


CUT = b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.safetensors", b""),
        ("short.safetensors", struct.pack("<Q", 5000) + b"{}"),
        ("noise.safetensors", struct.pack("<Q", 4) + b"\xff\xfe\x00\x01"),
        ("cut.safetensors", struct.pack("<Q", 66) + CUT.ljust(66)),
        ("pickle.ckpt", b"\x80\x02}q\x00."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_broken_checkpoint_is_refused_before_it_is_listed(
    tmp_path: Path, name: str, content: bytes
) -> None:
    machine = Machine(tmp_path / "machine")
    (machine.out / name).write_bytes(content)
    before = machine.files()
    done = machine.safelight("models", "add", name)
    assert done.returncode == 2
    _two_lines(done.stderr)
    assert machine.files() == before
