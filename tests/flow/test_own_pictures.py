"""Pictures that are one's own: as inputs, from files, and through a key, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from people import Person, join
from running import Running
from safelight.errors import NotFoundError
from safelight.ids import new_id, sha256_hex
from shell import Shell

PNG = b"\x89PNG\r\n\x1a\n"
SMALL = ["--size", "64x64", "--steps", "2", "--seed", "7"]


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


@pytest.fixture(scope="module")
def anna(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    person = join(server.url, "anna", tmp_path_factory.mktemp("anna"))
    yield person
    person.studio.close()


# --- inputs --------------------------------------------------------------------------------------


def test_a_picture_of_the_library_is_a_start(shell: Shell, anna: Person, tmp_path: Path) -> None:
    """By id it is the same request as by file: same digest, same picture. Anna's is not there."""
    file = tmp_path / "kite.png"
    start = ["generate", "a red kite", "--server", shell.server, *SMALL]
    kept = shell.json(*start, "--private", "-o", file)
    again = ["generate", "a blue kite", "--server", shell.server, *SMALL, "--strength", "0.5"]
    by_id = shell.json(*again, "--init", kept["asset"], "-o", tmp_path / "id.png")
    by_file = shell.json(*again, "--init", file, "-o", tmp_path / "file.png")
    assert by_id["recipe_digest"] == by_file["recipe_digest"]
    assert (tmp_path / "id.png").read_bytes() == (tmp_path / "file.png").read_bytes()
    assert anna.studio.search("kite") == []

    out = tmp_path / "none.png"
    with pytest.raises(NotFoundError) as foreign:
        anna.studio.input(kept["asset"])
    with pytest.raises(NotFoundError) as unknown:
        anna.studio.input(new_id("ast"))
    assert str(foreign.value) == str(unknown.value)
    shell.run("library", "delete", kept["asset"])
    shell.run(*again, "--init", kept["asset"], "-o", out, status=2)
    shell.run("generate", "a kite", "--init", kept["asset"], "-o", out, status=2)  # no server
    assert not out.exists()


def test_the_sdk_starts_from_the_library(anna: Person) -> None:
    studio = anna.studio
    first = studio.generate(
        studio.recipe("a green door", size=(64, 64), steps=2, seed=7), retention="owner"
    ).pictures[0]
    assert first.asset is not None
    digest, data = studio.input(first.asset)
    assert (digest, data) == (sha256_hex(first.data), first.data)
    recipe = studio.recipe(
        "an open door", size=(64, 64), steps=2, seed=7,
        task="image-to-image", init_image=digest, strength=0.5,
    )  # fmt: skip
    made = studio.generate(recipe, inputs={digest: data}, retention="owner")
    assert made.pictures[0].data.startswith(PNG)
    opened = studio.open(str(made.pictures[0].asset), with_meta=True)
    assert opened.meta is not None
    assert opened.meta.recipe.init_image == digest
