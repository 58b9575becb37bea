"""A server that is ready, and somebody at its command line; one of each for a file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from running import Running
from shell import Shell


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("server") / "home", sign_up="open") as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def shell(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    made = Shell(tmp_path_factory.mktemp("shell"), server.url)
    made.join("dora")
    return made
