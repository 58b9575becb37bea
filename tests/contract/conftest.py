"""Real stores for the contract suites: SQLite files, a PostgreSQL server, files, memory, S3."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from safelight.store.blobs import Blobs
from safelight.store.database import sqlite_url
from safelight.store.keys import Keys
from safelight.store.records import Records

BIN = Path("/usr/lib/postgresql/15/bin")
_numbers = count()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_postgres(*command: str) -> None:
    if os.geteuid() == 0:
        quoted = " ".join(f"'{word}'" for word in command)
        command = ("su", "postgres", "-s", "/bin/sh", "-c", quoted)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of an empty PostgreSQL server on loopback, without a database name."""
    folder = Path(tempfile.mkdtemp(prefix="safelight-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    data, port = folder / "data", _free_port()
    _as_postgres(f"{BIN}/initdb", "-D", f"{data}", "-A", "trust", "-U", "safelight", "-N")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    log = f"{folder}/log"
    _as_postgres(f"{BIN}/pg_ctl", "-D", f"{data}", "-o", options, "-l", log, "-w", "start")
    try:
        yield f"postgresql+asyncpg://safelight@127.0.0.1:{port}"
    finally:
        _as_postgres(f"{BIN}/pg_ctl", "-D", f"{data}", "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


async def _new_database(server: str) -> str:
    import asyncpg

    name = f"test_{next(_numbers)}"
    plain = server.replace("postgresql+asyncpg", "postgresql")
    connection = await asyncpg.connect(f"{plain}/postgres")
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return f"{server}/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if database_kind == "sqlite":
        return sqlite_url(tmp_path / "records.db")
    return await _new_database(request.getfixturevalue("postgres"))


@pytest.fixture
async def records(database_url: str) -> AsyncIterator[Records]:
    found = Records(database_url)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
async def keys(database_url: str) -> AsyncIterator[Keys]:
    found = Keys(database_url)
    await found.open()
    yield found
    await found.close()


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of an S3 server on loopback, with the bucket ``safelight``."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture(params=["memory", "files", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "memory":
        return Blobs("memory:///")
    if request.param == "files":
        return Blobs((tmp_path / "blobs").as_uri())
    address, bucket = request.getfixturevalue("s3"), f"safelight-{next(_numbers)}"
    await asyncio.to_thread(_make_bucket, address, bucket)
    return Blobs(
        f"s3://{bucket}/kept",
        endpoint=address,
        region="us-east-1",
        access_key_id="test",
        secret_access_key="test",
        client_options={"allow_http": True},
    )


def _make_bucket(address: str, bucket: str) -> None:
    import httpx

    httpx.put(f"{address}/{bucket}").raise_for_status()
