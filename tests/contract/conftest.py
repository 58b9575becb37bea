"""Real stores for the contract suites: SQLite files, a PostgreSQL server, files, memory, S3."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from safelight.store.blobs import Blobs
from safelight.store.keys import Keys
from safelight.store.records import Records
from safelight.store.sqlite import sqlite_url
from servers import new_database, postgres_server, s3_blobs, s3_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if database_kind == "sqlite":
        return sqlite_url(tmp_path / "records.db")
    return await new_database(request.getfixturevalue("postgres"))


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


@pytest.fixture(params=["memory", "files", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "memory":
        return Blobs("memory:///")
    if request.param == "files":
        return Blobs((tmp_path / "blobs").as_uri())
    return s3_blobs(request.getfixturevalue("s3"))
