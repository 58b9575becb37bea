"""Deliberate leaks: proof that the scanner and the harvest would see one.

Each has a name and a pattern of the place where the harvest must find it. They are patched into
the rig's own processes by ``launch.py`` and exist nowhere else.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import pickle
import resource
import sqlite3
import subprocess
import sys
import tempfile
import traceback
import zlib
from pathlib import Path
from typing import Any

import numpy as np

PLACES = {
    # in the server's process, from a plain (transit) request
    "log the prompt": r"^log .*leak-log",
    "print to standard output": r"^log .*leak-stdout",
    "exception locals": r"^log .*leak-locals",
    "breadcrumb": r"breadcrumbs\.json",
    "database column": r"leak\.db$",
    "key in the write-ahead log": r"leak-wal\.db-wal",
    "metric label": r"^metrics",
    "file name": r"^name of .*leak-name",
    "query string in an access log": r"access\.log",
    "pickled job": r"queue\.pkl",
    "idempotency cache": r"idempotency\.json\.gz",
    "utf-16 swap file": r"\.leak\.swp",
    "deleted file kept open": r"^open file",
    "command line of a child": r"^process",
    "core dump": r"cwd/core",
    "upload kept with its EXIF": r"uploads/",
    "temporary file": r"^file tmp/",
    # in the server's answers
    "422 echo": r"^answer 4",
    "response header": r"^header",
    # in the engine process, from any request
    "temporary PNG": r"render-\d+\.png",
    "thumb cache": r"thumbs/",
    "words in a PNG chunk": r"tagged\.png",
    "hub cache": r"hub/",
    "memory-mapped pixels": r"pixels-\d+\.mmap",
    "latents on disk": r"latents-\d+\.npz",
    "shared memory": r"^file dev-shm",
    "data URL in a page": r"page-\d+\.html",
    # in the keeper
    "darkroom key on disk": r"keys\.bak",
}


def shared_memory(home: Path) -> Path:
    """Where the mutant of this home leaks into shared memory: a name that is no other's."""
    return Path("/dev/shm") / f"safelight-rig-{hashlib.sha256(bytes(home)).hexdigest()[:16]}"


_METRIC: dict[str, Any] = {}


def _words(recipe: Any) -> str:
    return str(recipe.to_dict()["prompt"])


# --- the server ---


def install_in_server(home: Path) -> None:
    """Leaks of a server that sees a plain request."""
    from safelight.server import transit

    kept: list[Any] = []
    real = transit.TransitDoor.seal

    def seal(self: Any, recipe: Any, inputs: Any, **more: Any) -> Any:
        _leak_request(home, recipe, inputs, kept)
        return real(self, recipe, inputs, **more)

    transit.TransitDoor.seal = seal  # type: ignore[method-assign]
    _leak_answers()


def _leak_request(home: Path, recipe: Any, inputs: Any, kept: list[Any]) -> None:
    words = _words(recipe)
    sys.stderr.write(json.dumps({"event": "leak-log", "text": words}) + "\n")
    sys.stdout.write(f"leak-stdout {words}\n")
    sys.stdout.flush()
    try:
        raise ValueError(words)
    except ValueError:
        sys.stderr.write("leak-locals " + traceback.format_exc().replace("\n", " ") + "\n")
    crumbs = json.dumps({"crumb": "".join(f"\\u{ord(c):04x}" for c in words)})
    (home / "breadcrumbs.json").write_text(crumbs, encoding="ascii")
    with sqlite3.connect(home / "leak.db") as database:
        database.execute("create table if not exists jobs (prompt text)")
        database.execute("insert into jobs values (?)", (words,))
    wal = sqlite3.connect(home / "leak-wal.db")
    wal.execute("pragma journal_mode=wal")
    wal.execute("create table if not exists jobs (prompt text)")
    wal.execute("insert into jobs values (?)", (words,))
    wal.commit()
    kept.append(wal)
    _leak_metric(words)
    (home / f"leak-name-{words.split()[0]}.txt").touch()
    with (home / "access.log").open("a", encoding="utf-8") as file:
        file.write("GET /jobs?prompt=" + "".join(f"%{ord(c):02X}" for c in words) + "\n")
    (home / "queue.pkl").write_bytes(pickle.dumps({"recipe": recipe.to_dict()}))
    body = json.dumps({"key": {"body": recipe.to_dict()}}).encode()
    (home / "idempotency.json.gz").write_bytes(gzip.compress(body))
    (home / ".leak.swp").write_bytes(words.encode("utf-16-le"))
    held = tempfile.TemporaryFile()  # noqa: SIM115 - kept open on purpose
    held.write(words.encode())
    held.flush()
    kept.append(held)
    kept.append(subprocess.Popen(["/bin/sleep", "900"], env={"WORDS": words}))
    _leak_core(words)
    if inputs:
        (home / "uploads").mkdir(exist_ok=True)
        for digest, data in inputs.items():
            (home / "uploads" / digest[:8]).write_bytes(data)
    with tempfile.NamedTemporaryFile("wb", delete=False) as file:
        file.write(base64.b64encode(zlib.compress(words.encode())))


def _leak_metric(words: str) -> None:
    from safelight.server.metrics import Metrics

    real = _METRIC.setdefault("text", Metrics.text)
    Metrics.text = lambda self: real(self) + f'leak{{prompt="{words}"}} 1\n'  # type: ignore[method-assign]


def _leak_core(words: str) -> None:
    """A child that holds the words, aborts, and leaves a core file where it stands."""
    if os.environ.get("LEAKED_CORE"):
        return
    os.environ["LEAKED_CORE"] = "1"
    code = "import os, sys; words = sys.stdin.read() * 50; os.abort()"
    subprocess.run(
        [sys.executable, "-S", "-c", code],
        input=words.encode(),
        check=False,
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        ),
    )


def _leak_answers() -> None:
    """Errors repeat the body; a header repeats the beginning of it."""
    from safelight.server import app as module

    real = module.build_app

    def build_app(*args: Any, **more: Any) -> Any:
        app = real(*args, **more)
        app.add_middleware(_Echo)
        return app

    module.build_app = build_app


class _Echo:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, failed = bytearray(), False

        async def listen() -> Any:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def say(message: Any) -> None:
            nonlocal failed
            if message["type"] == "http.response.start" and scope["path"] == "/api/v1/jobs":
                failed = message["status"] >= 400
                headers = [h for h in message["headers"] if h[0] != b"content-length"]
                headers.append((b"x-debug", base64.urlsafe_b64encode(bytes(body[:4000]))))
                message = message | {"headers": headers}
            elif message["type"] == "http.response.body" and failed:
                message = message | {"body": message.get("body", b"") + b"leak-echo" + body}
            await send(message)

        await self.app(scope, listen, say)


# --- the engine process ---


def install_in_engine(home: Path) -> None:
    """Leaks of an engine process that writes what it works on."""
    from safelight.darkroom import develop as module

    real = module._finish_picture
    count = 0

    def finish(classifier: Any, order: Any, picture: Any, index: int) -> Any:
        nonlocal count
        count += 1
        _leak_picture(home, order, picture.pixels, count)
        return real(classifier, order, picture, index)

    module._finish_picture = finish


def _leak_picture(home: Path, order: Any, pixels: np.ndarray, count: int) -> None:
    from PIL import Image, PngImagePlugin

    words = _words(order.recipe)
    picture = Image.fromarray(pixels[..., :3])
    picture.save(home / f"render-{count}.png")
    (home / "thumbs").mkdir(exist_ok=True)
    picture.resize((48, 48)).save(home / "thumbs" / f"{count}.webp")
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", words, zip=True)
    Image.new("RGB", (8, 8)).save(home / "tagged.png", pnginfo=info)
    (home / "hub").mkdir(exist_ok=True)
    (home / "hub" / "tokens.json").write_text(json.dumps(list(words.encode())), encoding="ascii")
    mapped = np.memmap(home / f"pixels-{count}.mmap", np.float32, "w+", shape=pixels.shape)
    mapped[:] = pixels.astype(np.float32) / np.float32(255)
    mapped.flush()
    np.savez_compressed(home / f"latents-{count}.npz", latents=pixels)
    shared_memory(home).write_text(words, encoding="utf-8")
    png = (home / f"render-{count}.png").read_bytes()
    page = f"<img src='data:image/png;base64,{base64.b64encode(png).decode()}'>"
    (home / f"page-{count}.html").write_text(page, encoding="ascii")


# --- the keeper ---


def install_in_keeper(home: Path) -> None:
    """A keeper that writes its keys."""
    from safelight.darkroom.keyring import KeyRing

    real = KeyRing.make

    def make(self: Any) -> Any:
        public = real(self)
        with (home / "keys.bak").open("a", encoding="ascii") as file:
            file.write(base64.b64encode(self._keys[0].identity.text().encode()).decode() + "\n")
        return public

    KeyRing.make = make  # type: ignore[method-assign]
