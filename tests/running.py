"""A real server in its own process, for tests: started, waited for, driven, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx

READY_SECONDS = 280.0
COMMAND = (sys.executable, "-m", "safelight.cli", "serve")


class Running:
    """``safelight serve`` on a free port, with this home. Use as a context manager."""

    def __init__(self, home: Path, *, port: int = 0, **settings: object) -> None:
        self.home, self.settings = home, settings
        home.mkdir(parents=True, exist_ok=True)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SAFELIGHT_")}
        environment |= {f"SAFELIGHT_{k.upper()}": str(v) for k, v in settings.items()}
        self.log = home.with_name(f"{home.name}.log")
        self._log = self.log.open("ab")
        self.process = subprocess.Popen(
            [*COMMAND, "--home", str(home), "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        if not line.startswith("safelight: ready "):
            raise AssertionError(f"no ready line; log: {self.log.read_text()[-2000:]}")
        self.url = line.split()[-1]

    def wait_ready(self) -> None:
        """Wait until the darkroom takes work."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if httpx.get(f"{self.url}/readyz").status_code == 200:
                return
            time.sleep(0.2)
        raise AssertionError(f"no darkroom; log: {self.log.read_text()[-2000:]}")

    def records(self) -> list[dict[str, Any]]:
        """The log so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def stop(self, *, kill: bool = False) -> int:
        """Stop it; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        status = self.process.wait(60)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
