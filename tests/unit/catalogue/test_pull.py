"""``pull`` against a small hub on loopback: safetensors only, all of it inside the home folder."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from test_catalogue import SD1_KEYS, write

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Two answers of a hub: what a repository holds, and one file of it."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.fetched: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, *, body: bool) -> None:
                path = self.path.split("?")[0]
                name = path.split(f"/resolve/{COMMIT}/")[-1]
                kind = "application/json"
                if path.startswith("/api/models/someone/some-model/tree/"):
                    data = json.dumps(
                        [
                            {"type": "file", "path": n, "size": len(d), "oid": "0" * 40}
                            for n, d in hub.files.items()
                        ]
                    ).encode()
                elif path.startswith("/api/models/someone/some-model"):
                    data = json.dumps(
                        {
                            "id": "someone/some-model",
                            "sha": COMMIT,
                            "siblings": [{"rfilename": n} for n in hub.files],
                        }
                    ).encode()
                elif name in hub.files:
                    data, kind = hub.files[name], "application/octet-stream"
                    if body:
                        hub.fetched.append(name)
                else:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.end_headers()
                if body:
                    self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    checkpoint = write(tmp_path / "made.safetensors", SD1_KEYS)
    hub = Hub(
        {
            "model.safetensors": checkpoint.read_bytes(),
            "model.ckpt": b"\x80\x04pickle",
            "pytorch_model.bin": b"\x80\x04pickle",
            "config.json": b"{}",
            "LICENSE.md": b"a licence",
            "run_me.py": b"print('no')",
        }
    )
    checkpoint.unlink()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


def pull(hub: Hub, tmp_path: Path, repo: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from pathlib import Path; from safelight.catalogue import Catalogue\n"
        "from safelight.errors import SafelightError\n"
        "try:\n"
        "    model = Catalogue(Path(sys.argv[1])).pull(sys.argv[2])\n"
        "    print(model.name, model.family, model.source)\n"
        "except SafelightError as error: print(error.code)\n"
    )
    dropped = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    env = {k: v for k, v in os.environ.items() if k.upper() not in dropped}
    env |= {"HF_ENDPOINT": hub.url, "HOME": str(tmp_path / "user"), "NO_PROXY": "127.0.0.1"}
    (tmp_path / "user").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "home"), repo],
        env=env, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_only_what_is_loaded_is_fetched_and_only_the_home_is_written(
    hub: Hub, tmp_path: Path
) -> None:
    answer = pull(hub, tmp_path, "someone/some-model")
    assert answer.stdout.strip() == "some-model sd1 someone/some-model", answer.stderr
    assert sorted(hub.fetched) == ["LICENSE.md", "config.json", "model.safetensors"]
    assert not list((tmp_path / "user").rglob("*"))
    kept = {f.name for f in (tmp_path / "home").rglob("*") if f.is_file()}
    assert {"catalogue.json", "model.safetensors"} <= kept
    assert not kept & {"model.ckpt", "pytorch_model.bin", "run_me.py"}


def test_a_hub_that_does_not_answer_is_an_error(hub: Hub, tmp_path: Path) -> None:
    hub.server.shutdown()
    hub.server.server_close()
    answer = pull(hub, tmp_path, "someone/some-model")
    assert answer.stdout.strip() == "no-connection", answer.stderr


def test_a_repository_that_is_not_there_is_an_error(hub: Hub, tmp_path: Path) -> None:
    assert pull(hub, tmp_path, "someone/else").stdout.strip() == "no-connection"
    assert pull(hub, tmp_path, "not a name!").stdout.strip() == "bad-request"
    assert hub.fetched == []
