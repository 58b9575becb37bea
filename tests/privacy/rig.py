"""The leak rig: a real stack in a fresh folder, canaries in everything secret, and a harvest.

Folders of one rig: ``home`` (the server's), ``cwd``, ``tmp``, ``user`` (the server's HOME and XDG
folders), ``log`` (its two streams); ``clients`` (profiles) is the callers' own and not harvested.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np
import psutil
from mutants import shared_memory
from PIL import Image
from scanner import Hit, Scanner, new_prefix

from safelight.client.sdk import Studio
from safelight.ids import b64, sha256_hex
from safelight.secret import Secret

LAUNCH = Path(__file__).with_name("launch.py")
READY_SECONDS = 180.0
HARVESTED = ("home", "cwd", "tmp", "user", "log")
PIXEL_CANARIES = 4
ERASED_SECONDS = 10.0
"""The server promises a minute; it takes half of this."""


class Recorder(httpx.BaseTransport):
    """Passes calls on, and keeps what the server answered: status, headers, body."""

    def __init__(self, answers: list[tuple[str, bytes]]) -> None:
        self._inner = httpx.HTTPTransport()
        self._answers = answers

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        if "text/event-stream" in response.headers.get("content-type", ""):
            return response
        body = response.read()
        name = f"{response.status_code} {request.method} {request.url.path}"
        headers = "\n".join(f"{k}: {v}" for k, v in response.headers.items())
        self._answers.append((f"header {name}", headers.encode()))
        self._answers.append((f"answer {name}", body))
        return response


@dataclass
class Rig:
    """One stack. Use as a context manager; ``stop`` ends it either way."""

    root: Path
    fault: str = "any"
    settings: dict[str, object] = field(default_factory=dict)
    scanner: Scanner = field(default_factory=Scanner)
    prefix: str = field(default_factory=new_prefix)
    answers: list[tuple[str, bytes]] = field(default_factory=list)
    jobs: int = 0
    unpublished: float = 0.0
    """When something public was last taken back: its words may be in a log for some seconds."""
    _count: int = 0

    def __enter__(self) -> Self:
        for name in (*HARVESTED, "clients"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.scanner.add_text("canary", self.prefix)
        self.scanner.add_text("an age identity", "AGE-SECRET-KEY-1")
        self.shm_before = set(Path("/dev/shm").iterdir())
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(kill=True)
        shared_memory(self.root / "home").unlink(missing_ok=True)

    def new_shared_memory(self) -> list[Path]:
        """This user's files in /dev/shm that were not there before; others' are left alone.

        They are read and never changed: which program made one cannot be known.
        """
        found = []
        for path in set(Path("/dev/shm").iterdir()) - self.shm_before:
            with contextlib.suppress(FileNotFoundError):  # other programs' come and go
                if path.is_file() and path.stat().st_uid == os.geteuid():
                    found.append(path)
        return found

    # --- the stack ---

    def start(self) -> None:
        """Start the server on a free port and wait for its darkroom."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.metrics_port = probe.getsockname()[1]
        passed = {k: os.environ[k] for k in ("PATH", "LANG") if k in os.environ}
        user = str(self.root / "user")
        wanted: dict[str, object] = {
            "sign_up": "open",
            "log_level": "debug",
            "metrics_port": self.metrics_port,
            "lease_seconds": 5,
        }
        wanted |= self.settings
        environment = passed | {
            "HOME": user,
            "XDG_CACHE_HOME": user,
            "HF_HOME": user,
            "TMPDIR": str(self.root / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HF_HUB_OFFLINE": "1",
            **{f"SAFELIGHT_{name.upper()}": str(value) for name, value in wanted.items()},
        }
        self._out = (self.root / "log" / "stdout").open("ab")
        self._err = (self.root / "log" / "stderr").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, str(LAUNCH), str(self.root / "home"), self.fault],
            stdout=subprocess.PIPE,
            stderr=self._err,
            env=environment,
            cwd=self.root / "cwd",
        )
        stdout = self.process.stdout
        assert stdout is not None
        line = stdout.readline()
        assert line.startswith(b"safelight: ready "), (self.root / "log" / "stderr").read_text()
        self.url = line.split()[-1].decode()
        self._pump = threading.Thread(target=self._copy, args=(stdout,), daemon=True)
        self._pump.start()
        deadline = time.monotonic() + READY_SECONDS
        while httpx.get(f"{self.url}/readyz").status_code != 200:
            assert time.monotonic() < deadline, "the darkroom does not become ready"
            time.sleep(0.1)

    def _copy(self, stream: io.BufferedReader) -> None:
        for line in stream:
            self._out.write(line)
            self._out.flush()

    def stop(self, *, kill: bool) -> None:
        """Stop with SIGKILL, or cleanly; its darkroom ends with it."""
        if self.process.poll() is None:
            children = psutil.Process(self.process.pid).children(recursive=True)
            self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            self.process.wait(60)
            for child in psutil.wait_procs(children, timeout=20)[1]:
                child.kill()
        self._pump.join(10)
        self._out.close()
        self._err.close()

    def restart(self, *, kill: bool) -> None:
        """Stop and start again on the same folders."""
        self.stop(kill=kill)
        self.start()

    # --- canaries and callers ---

    def canary(self, kind: str) -> str:
        """A fresh secret text; its kind is part of it, so that a hit can be read."""
        self._count += 1
        return f"{self.prefix}{kind}{self._count:04d}"

    def studio(self, name: str, *, record: bool = True) -> Studio:
        """A caller with a fresh profile. ``record`` keeps every answer it gets for the scan."""
        profile = self.root / "clients" / f"{name}-{self._count}"
        return Studio(self.url, profile, transport=Recorder(self.answers) if record else None)

    def join(self, name: str) -> tuple[Studio, Secret[str], Secret[str]]:
        """Make an account whose password and recovery code are canaries."""
        studio, codes = self.studio(name), list[Secret[str]]()
        password = Secret("the " + self.canary("password") + " of an account")

        def keep(code: Secret[str]) -> str:
            codes.append(code)
            return code.reveal()

        studio.create_account(name, password, keep_code=keep)
        code = codes[0].reveal()
        for form in (code, code.replace("-", ""), code.lower(), code.replace("-", "").lower()):
            self.scanner.add_text("recovery code", form)
        return studio, password, codes[0]

    def again(self, studio: Studio, name: str, password: Secret[str]) -> Studio:
        """The same person on the server's new address: another device, signed in."""
        studio.close()
        other = self.studio(name)
        other.unlock(name, password)
        return other

    def recipe(self, studio: Studio, **more: Any) -> Any:
        """A small recipe whose words are canaries."""
        values: dict[str, Any] = {"size": (64, 64), "steps": 2} | more
        prompt = f"{self.canary('prompt')} in a quiet {self.canary('word')} garden"
        negative = Secret(f"no {self.canary('negative')} here")
        return studio.recipe(values.pop("prompt", prompt), negative_prompt=negative, **values)

    def upload(self) -> bytes:
        """A PNG with noise and a canary in its EXIF, as a caller might send as input."""
        pixels = np.random.default_rng(self._count).integers(0, 256, (64, 64, 3), np.uint8)
        exif = Image.Exif()
        exif[0x010E] = self.canary("exif")
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG", exif=exif)
        self.look_for(out.getvalue())
        return out.getvalue()

    def look_for(self, data: bytes) -> None:
        """Look for this picture: its look always, its bytes and pixels for the first few."""
        if sum(name.startswith("picture") for name in self.scanner.needles.values()) < 1 or (
            len(self.scanner.looks) < PIXEL_CANARIES
        ):
            self.scanner.add_file(f"picture {len(self.scanner.looks)}", data)
        else:
            self.scanner.add_look(f"picture {len(self.scanner.looks)}", data)

    def plain(
        self, headers: dict[str, str], retention: str = "none", **recipe: Any
    ) -> httpx.Response:
        """A plain request that waits; only its error answers may be scanned for canaries."""
        inputs = recipe.pop("inputs", {})
        values = {
            "prompt": f"{self.canary('plain')} on a hill",
            "negative_prompt": self.canary("plainnegative"),
            "width_px": 64,
            "height_px": 64,
            "steps": 2,
        }
        body = {
            "recipe": values | recipe,
            "retention": retention,
            "inputs": {sha256_hex(data): b64(data) for data in inputs},
            "wait": True,
        }
        with httpx.Client(base_url=self.url, timeout=120) as http:
            answer = http.post("/api/v1/jobs", json=body, headers=headers)
        self.take(answer, scan_body=answer.status_code >= 400)
        return answer

    def take(self, answer: httpx.Response, *, scan_body: bool = True) -> None:
        """Keep an answer for the scan."""
        name = f"{answer.status_code} {answer.request.method} {answer.request.url.path}"
        headers = "\n".join(f"{k}: {v}" for k, v in answer.headers.items())
        self.answers.append((f"header {name}", headers.encode()))
        if scan_body:
            self.answers.append((f"answer {name}", answer.content))

    def trouble(self, fault: str) -> None:
        """Ask the running engine process for one fault; the next process is sound."""
        (self.root / "home" / "trouble").write_text(fault, encoding="ascii")

    # --- the harvest ---

    def harvest(self, *, running: bool) -> Iterator[tuple[str, bytes]]:
        """Everything an operator could read: (place, bytes)."""
        for folder in HARVESTED:
            for path in sorted((self.root / folder).rglob("*")):
                place = path.relative_to(self.root).as_posix()
                yield f"name of {place}", place.encode()
                if path.is_file() and folder == "log":
                    for line in path.read_bytes().splitlines():
                        yield f"log {line[:24].decode(errors='replace')}", line
                elif path.is_file():
                    yield f"file {place}", path.read_bytes()
        for path in self.new_shared_memory():
            with contextlib.suppress(FileNotFoundError):  # other programs' come and go
                yield f"file dev-shm/{path.name}", path.read_bytes()
        yield from self.answers
        if running:
            yield "metrics", httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics").content
            for name in ("/healthz", "/readyz", "/api/v1/server", "/api/v1/trust"):
                yield f"answer {name}", httpx.get(self.url + name).content
            yield from self._processes()

    def _processes(self) -> Iterator[tuple[str, bytes]]:
        server = psutil.Process(self.process.pid)
        for process in [server, *server.children(recursive=True)]:
            folder = Path("/proc") / str(process.pid)
            with contextlib.suppress(OSError):  # it may end meanwhile
                for name in ("cmdline", "environ", "comm"):
                    yield f"process {name}", (folder / name).read_bytes()
                for link in (folder / "fd").iterdir():
                    with contextlib.suppress(OSError):
                        if "(deleted)" in str(link.readlink()):
                            yield "open file", link.read_bytes()

    def scan(self, *, running: bool = False) -> tuple[list[Hit], int]:
        """Hits, and how many places were looked at. Equal bytes are scanned once."""
        if running:
            time.sleep(max(0.0, self.unpublished + ERASED_SECONDS - time.monotonic()))
        hits, places, seen = list[Hit](), 0, dict[bytes, list[Hit]]()
        for where, data in self.harvest(running=running):
            places += 1
            if data not in seen:
                seen[data] = self.scanner.scan(data, where)
            hits += [replace(hit, where=where) for hit in seen[data]]
        return hits, places

    def memory(self, pid: int) -> list[Hit]:
        """Hits in the memory of a process, by gcore."""
        target = self.root / "clients" / "memory"
        subprocess.run(
            ["gcore", "-o", str(target), str(pid)], check=True, capture_output=True, timeout=120
        )
        dump = Path(f"{target}.{pid}")
        try:
            return self.scanner.scan_plain(_without_empty_pages(dump), "memory")
        finally:
            dump.unlink()

    def state(self) -> tuple[dict[str, int], dict[str, list[Any]]]:
        """Every file of the home folder with its size, and every row of its databases."""
        import sqlite3

        home = self.root / "home"
        files = {p.relative_to(home).as_posix(): 0 for p in home.rglob("*") if p.is_file()}
        rows: dict[str, list[Any]] = {}
        for path in home.glob("*.db"):
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
                names = database.execute("select name from sqlite_master where type='table'")
                for (name,) in names.fetchall():
                    found = database.execute(f'select * from "{name}"').fetchall()
                    rows[f"{path.name}:{name}"] = sorted(map(repr, found))
        return files, rows


def _without_empty_pages(dump: Path) -> bytes:
    """A core file without its pages of zeros: most of it is memory that was never touched."""
    pages = np.memmap(dump, np.uint64, "r")
    pages = pages[: len(pages) // 512 * 512].reshape(-1, 512)
    return b"".join(
        part[part.any(axis=1)].tobytes() for part in np.array_split(pages, 1 + len(pages) // 4096)
    )


def events_of(rig: Rig, path: str, headers: dict[str, str]) -> None:
    """Record the event stream of a job, as a proxy would see it."""
    with (
        httpx.Client(base_url=rig.url, timeout=60) as http,
        http.stream("GET", path, headers=headers) as stream,
    ):
        rig.answers.append((f"answer events {path[-12:]}", stream.read()))


def unmatched(hits: list[Hit], places: dict[str, str]) -> list[str]:
    """Names of the leaks for which no hit lies in the right place."""
    return [n for n, place in places.items() if not any(re.search(place, h.where) for h in hits)]
