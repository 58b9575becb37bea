"""The command line for tests: one person on one device, in their own profile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SAFELIGHT = Path(sys.executable).with_name("safelight")
PASSWORD = "four unrelated words here"


class Shell:
    """Runs ``safelight`` with one profile; keeps everything that was said."""

    def __init__(self, folder: Path, server: str, **environment: str) -> None:
        self.folder = folder
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SAFELIGHT_")}
        self.environment |= environment
        self.server = server
        self.said = ""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "password").write_text(PASSWORD + "\n")

    def run(self, *words: str | Path, status: int = 0) -> str:
        return self.bare(*words, "--profile", self.folder / "profile", status=status)

    def bare(self, *words: str | Path, status: int = 0) -> str:
        """A command that knows no profile."""
        command = [SAFELIGHT, *words]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=240, check=False, env=self.environment
        )
        self.said += done.stdout + done.stderr
        assert done.returncode == status, f"{words[:2]}: {done.stderr}"
        if status:
            first, second = done.stderr.strip().splitlines()[-2:]
            assert first.startswith("safelight: error: ")
            assert second.startswith("safelight: hint: ")
        return done.stdout

    def json(self, *words: str | Path) -> Any:
        return json.loads(self.run(*words, "--json"))

    def join(self, name: str) -> None:
        self.run(
            "account", "create", "--server", self.server, "--name", name,
            "--password-file", self.folder / "password", "--recovery-out", self.folder / "code",
        )  # fmt: skip
