"""Real servers for tests, on loopback: PostgreSQL from Debian, and S3."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import httpx

from safelight.store.blobs import Blobs

BIN = Path("/usr/lib/postgresql/15/bin")
_numbers = count()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_postgres(*command: str) -> None:
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        quoted = " ".join(f"'{word}'" for word in command)
        command = ("su", "postgres", "-s", "/bin/sh", "-c", quoted)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of an empty PostgreSQL server, without a database name."""
    folder = Path(tempfile.mkdtemp(prefix="safelight-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    data, port = folder / "data", _free_port()
    _as_postgres(f"{BIN}/initdb", "-D", f"{data}", "-A", "trust", "-U", "safelight", "-N")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    options += " -c fsync=off -c dynamic_shared_memory_type=mmap"
    log = f"{folder}/log"
    start = ("-D", f"{data}", "-o", options, "-l", log, "-t", "180", "-w", "start")
    _as_postgres(f"{BIN}/pg_ctl", *start)
    try:
        yield f"postgresql+asyncpg://safelight@127.0.0.1:{port}"
    finally:
        _as_postgres(f"{BIN}/pg_ctl", "-D", f"{data}", "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


async def new_database(server: str) -> str:
    """The URL of an empty database on this server."""
    import asyncpg

    name = f"test_{next(_numbers)}"
    plain = server.replace("postgresql+asyncpg", "postgresql")
    connection = await asyncpg.connect(f"{plain}/postgres")
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return f"{server}/{name}"


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of an S3 server (moto)."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def s3_blobs(address: str) -> Blobs:
    """Blobs in a new bucket of this S3 server."""
    bucket = f"safelight-{next(_numbers)}"
    httpx.put(f"{address}/{bucket}", timeout=60).raise_for_status()
    return Blobs(
        f"s3://{bucket}/kept",
        endpoint=address,
        region="us-east-1",
        access_key_id="test",
        secret_access_key="test",
        client_options={"allow_http": True},
    )
