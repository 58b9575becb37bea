"""A PostgreSQL server for the length of a benchmark, if Debian's is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BIN = Path("/usr/lib/postgresql/15/bin")


def _run(*command: str) -> None:
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        quoted = " ".join(f"'{word}'" for word in command)
        command = ("su", "postgres", "-s", "/bin/sh", "-c", quoted)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def server() -> Iterator[str | None]:
    """The URL of a server with the databases ``records`` and ``keys``; None if there is none."""
    if not (BIN / "initdb").exists():
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="safelight-bench-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = str(folder / "data")
    _run(f"{BIN}/initdb", "-D", data, "-A", "trust", "-U", "safelight")
    options = (
        f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c dynamic_shared_memory_type=mmap"
    )
    _run(f"{BIN}/pg_ctl", "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start")
    try:
        for name in ("records", "keys"):
            _run(f"{BIN}/createdb", "-h", "127.0.0.1", "-p", f"{port}", "-U", "safelight", name)
        yield f"postgresql+asyncpg://safelight@127.0.0.1:{port}"
    finally:
        _run(f"{BIN}/pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)
