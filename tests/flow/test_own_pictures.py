"""Pictures that are one's own: as inputs, from files, and through a key, against a real server."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from people import Person, join
from running import Running
from safelight.client import index
from safelight.client.keys import own_record
from safelight.client.sdk import Studio, open_share_link
from safelight.errors import AuthenticationError, KeyNoteError, NotFoundError
from safelight.ids import new_id, sha256_hex
from safelight.secret import Secret
from safelight.vault.identity import OwnerKeys
from safelight.vault.notes import make_key_record
from shell import PASSWORD, Shell

PNG = b"\x89PNG\r\n\x1a\n"
SMALL = ["--size", "64x64", "--steps", "2", "--seed", "7"]


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


# --- uploads -------------------------------------------------------------------------------------

NAME = "canary-file-name-of-a-birthday"
PLACE = "canary place in the picture"


def photo(width: int = 40, height: int = 20) -> bytes:
    """A JPEG that lies on its side, with EXIF, a place and a comment."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = PLACE
    exif.get_ifd(0x8825)[1] = "N"
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "JPEG", exif=exif, comment=PLACE.encode())
    return out.getvalue()


@pytest.fixture(scope="module")
def added(shell: Shell) -> str:
    """A file that Dora took into her library."""
    file = shell.folder / f"{NAME}.jpg"
    file.write_bytes(photo())
    (asset,) = shell.json("library", "add", file, "--words", "my Cat")["added"]
    return str(asset)


def test_a_file_becomes_an_asset_without_its_metadata(
    server: Running, shell: Shell, added: str, tmp_path: Path
) -> None:
    listed = {asset["id"]: asset for asset in shell.json("library", "list")}
    assert (listed[added]["kind"], listed[added]["protection"]) == ("upload", "sealed")
    assert [entry["id"] for entry in shell.json("library", "search", "cat")] == [added]
    shell.run("open", added, "-o", tmp_path / "opened.jpg")
    opened = (tmp_path / "opened.jpg").read_bytes()
    assert PLACE.encode() in photo()
    assert PLACE.encode() not in opened
    with Image.open(io.BytesIO(opened)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (20, 40))  # upright
        assert not picture.getexif()
    kept = [path.read_bytes() for path in server.home.rglob("*") if path.is_file()]
    assert not any(NAME.encode() in data or PLACE.encode() in data for data in kept)
    assert NAME not in shell.said


def test_another_device_verifies_it_and_starts_from_it(
    server: Running, shell: Shell, added: str, tmp_path: Path
) -> None:
    with Studio(server.url, tmp_path / "second") as second:
        second.unlock("dora", Secret(PASSWORD))
        opened = second.open(added, with_meta=True)
        assert opened.meta is not None
        assert (opened.meta.recipe, opened.meta.words) == (None, ("my", "cat"))
        keys = second.link.keys()
        index.remove(second.link, keys, [added])
        assert second.open(added).data == opened.data, "its owner's signature vouches for it"
        assert second.adopt() == 1
        (entry,) = second.search("cat")
        assert (entry.kind, entry.darkroom_key) == ("upload", keys.signing_public_hex)
        made = second.share(added)
        assert made.url is not None
        assert open_share_link(made.url.reveal()).data == opened.data
    words = ["generate", "a cat", "--server", server.url, *SMALL, "--init", added]
    shell.run(*words, "-o", tmp_path / "from.png")
    assert (tmp_path / "from.png").read_bytes().startswith(PNG)


def test_it_is_in_the_export_that_stock_tools_open(
    shell: Shell, added: str, tmp_path: Path
) -> None:
    shell.run("library", "export", "-o", tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        archive.extractall(tmp_path)
    shell.run("open", added, "-o", tmp_path / "opened.jpg")
    commands = (
        f"age -d -i {shell.folder / 'code'} vault/recovery.age > owner.txt",
        f"age -d -i owner.txt assets/{added}/key.age > a.txt",
        f"age -d -i a.txt assets/{added}/full.age | tar x",
    )
    for command in commands:
        subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, check=True)
    assert (tmp_path / "payload.jpg").read_bytes() == (tmp_path / "opened.jpg").read_bytes()


def test_a_bad_file_ends_the_command_and_nothing_else(shell: Shell, tmp_path: Path) -> None:
    good, text = tmp_path / "good.jpg", tmp_path / f"{NAME}.png"
    good.write_bytes(photo())
    text.write_bytes(b"no picture")
    before = shell.json("library", "list")
    for bad in (text, tmp_path / NAME, tmp_path):
        shell.run("library", "add", bad, status=2)
    assert shell.json("library", "list") == before
    kept = json.loads(shell.run("library", "add", good, text, good, "--json", status=2))["added"]
    assert {a["id"] for a in shell.json("library", "list")} - {a["id"] for a in before} == {*kept}
    assert len(kept) == 1
    assert "file 2 of 3" in shell.said
    assert NAME not in shell.said
    shell.run("library", "delete", *kept)


def test_an_upload_whose_answer_was_lost_is_kept_once(anna: Person) -> None:
    lost: list[str] = []

    class Breaks(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if request.method == "PUT" and request.url.path == "/api/v1/assets" and not lost:
                lost.append("answer")
                raise httpx.ReadError("the line broke")
            return answer

    link = anna.studio.link
    with Studio(link.origin, link.profile, transport=Breaks()) as studio:
        before = {asset.id for asset in studio.assets()}
        asset = studio.upload(photo(), words="once")
        assert lost == ["answer"]
        assert {a.id for a in studio.assets()} - before == {asset}
        assert [entry.asset for entry in studio.search("once")] == [asset]


# --- keeping through a key -----------------------------------------------------------------------


def program(shell: Shell, folder: Path, *scopes: str, **more: str) -> Shell:
    """A program with a new key of Dora's and a profile of its own."""
    words = [word for scope in scopes for word in ("--scope", scope)]
    made = shell.json("keys", "create", "--name", "program", *words)
    return Shell(folder, shell.server, SAFELIGHT_API_KEY=made["key"], **more)


def test_a_key_fills_the_library_and_reads_nothing(shell: Shell, tmp_path: Path) -> None:
    code = shell.json("account", "status")["verification_code"]
    robot = program(shell, tmp_path / "robot", "generate", SAFELIGHT_OWNER=code)
    file = tmp_path / "made.png"
    words = ["generate", "an orange balloon", "--server", shell.server, *SMALL, "--count", "2"]
    made = robot.json(*words, "--private", "-o", file)
    assert (made["protection"], made["retention"]) == ("sealed", "owner")
    assert f"kept for the owner {code}" in robot.said
    robot.run("open", made["assets"][0], "--server", shell.server, "-o", tmp_path / "x", status=2)
    robot.run("library", "list", "--server", shell.server, status=2)
    robot.run("library", "search", "balloon", "--server", shell.server, status=2)
    assert not (tmp_path / "x").exists()

    assert shell.json("library", "sync")["added"] == 2
    found = [entry["id"] for entry in shell.json("library", "search", "balloon")]
    assert sorted(found) == sorted(made["assets"])
    for asset, path in zip(made["assets"], made["files"], strict=True):
        out = tmp_path / f"{asset}.png"
        shell.run("open", asset, "-o", out)
        assert out.read_bytes() == Path(path).read_bytes()


def test_a_key_of_another_scope_or_owner_keeps_nothing(shell: Shell, tmp_path: Path) -> None:
    before = shell.json("library", "list")
    words = ["generate", "a balloon", "--server", shell.server, *SMALL]
    out = tmp_path / "x.png"
    reader = program(shell, tmp_path / "reader", "library")
    reader.run(*words, "--private", "-o", out, status=2)
    reader.run(*words, "-o", out, status=2)
    assert "scope generate" in reader.said
    listed = reader.json("library", "list", "--server", shell.server)
    assert listed == before
    other = program(shell, tmp_path / "other", "generate", SAFELIGHT_OWNER="A" * 24)
    other.run(*words, "--private", "-o", out, status=4)
    broken = Shell(tmp_path / "broken", shell.server, SAFELIGHT_API_KEY="sl_short")
    broken.run(*words, "-o", out, status=2)
    assert not out.exists()
    assert shell.json("library", "list") == before


def test_a_key_may_publish_what_it_makes(shell: Shell, tmp_path: Path) -> None:
    robot = program(shell, tmp_path / "robot", "generate", "publish")
    made = robot.json("generate", "a balloon", "--server", shell.server, "--public", *SMALL)
    (shown,) = made["publications"]
    assert httpx.get(f"{shell.server}/api/v1/publications/{shown['id']}").status_code == 200
    shell.run("unpublish", shown["id"])


class Swaps(httpx.HTTPTransport):
    """A server that shows another record for a key than its owner signed."""

    record = ""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if request.url.path != "/api/v1/keys/current" or not self.record:
            return answer
        answer.read()
        return httpx.Response(200, json=answer.json() | {"record": self.record})


def test_a_key_is_not_made_to_keep_for_somebody_else(
    anna: Person, server: Running, tmp_path: Path
) -> None:
    evil, swaps = OwnerKeys.generate(), Swaps()
    made, secret = anna.studio.create_key("program")
    _, second = anna.studio.create_key("second")
    with Studio(server.url, tmp_path, api_key=secret, transport=swaps) as robot:
        recipe = robot.recipe("a balloon", size=(64, 64), steps=2, seed=7)
        picture = robot.generate(recipe, retention="owner").pictures[0]
        assert picture.data.startswith(PNG)
        true, read = own_record(robot.link)
        assert read.owner_recipient == anna.studio.link.keys().recipient
        forged = replace(
            read, owner_recipient=evil.recipient, owner_signing_key=evil.signing_public_hex
        )
        with Studio(server.url, tmp_path / "second", api_key=second) as other:
            another, _ = own_record(other.link)
        for record in (make_key_record(forged, evil.signing_seed), another, true[:-20], "x"):
            swaps.record = record
            with pytest.raises(KeyNoteError):
                robot.generate(recipe, retention="owner")
        swaps.record = ""
        anna.studio.revoke_key(made["id"])
        with pytest.raises(AuthenticationError):
            robot.generate(recipe, retention="owner")
    anna.studio.adopt()
    assert anna.studio.open(str(picture.asset)).data == picture.data
