"""One real server for all attacks, two people, and a device of Anna's behind the proxy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from evil.proxy import CANARY, Evil, assert_nothing_said
from people import Person, join
from running import Running
from safelight.client.sdk import Studio


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("evil") / "home", sign_up="open") as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="package")
def anna(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return join(server.url, "anna", tmp_path_factory.mktemp("anna"))


@pytest.fixture(scope="package")
def bert(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return join(server.url, "bert", tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="package")
def pictures(anna: Person) -> tuple[str, str]:
    """Two kept pictures of Anna's."""
    recipe = anna.studio.recipe(CANARY, size=(64, 64), steps=1, seed=1, count=2)
    made = anna.studio.generate(recipe, retention="owner")
    first, second = (picture.asset for picture in made.pictures)
    assert first is not None
    assert second is not None
    return first, second


@pytest.fixture
def evil() -> Evil:
    return Evil()


@pytest.fixture
def device(anna: Person, evil: Evil, tmp_path: Path) -> Iterator[Studio]:
    """Anna's device as it was while the server was still honest, now behind the evil one."""
    copy = tmp_path / "device"
    shutil.copytree(anna.studio.link.profile.folder, copy)
    shutil.rmtree(copy / "segments", ignore_errors=True)
    with Studio(anna.studio.link.origin, copy, transport=evil) as studio:
        yield studio
        assert_nothing_said(evil)
