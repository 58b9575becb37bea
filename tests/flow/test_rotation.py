"""New owner keys on a real server: everything still opens, and what must end has ended."""

from __future__ import annotations

import io
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from people import PASSWORD, Person, join
from running import Running
from safelight.client.sdk import Studio, open_share_link
from safelight.errors import (
    AuthenticationError,
    IntegrityError,
    KeyNoteError,
    RequestError,
    SafelightError,
    SealError,
)
from safelight.secret import Secret
from safelight.vault import age
from safelight.vault.identity import new_recovery_code, recovery_text
from safelight.vault.notes import make_owner_note
from shell import Shell

SMALL = ["--size", "64x64", "--steps", "2", "--seed", "7"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("server") / "home", sign_up="open") as running:
        running.wait_ready()
        yield running


def a_picture(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(out, "PNG")
    return out.getvalue()


def envelopes(studio: Studio) -> list[bytes]:
    return [asset.envelope for asset in studio.assets() if asset.envelope is not None]


def test_what_was_given_to_others_goes_on(server: Running, tmp_path: Path) -> None:
    anna, bert = (join(server.url, name, tmp_path) for name in ("anna", "bert"))
    asset = anna.studio.upload(a_picture(1), words="red")
    data = anna.studio.open(asset).data
    link, received = anna.studio.share(asset), anna.studio.share(asset, person="bert")
    shown = anna.studio.publish(asset)
    bert.studio.open_received(received.id)
    to_anna = bert.studio.share(bert.studio.upload(a_picture(2)), person="anna")
    _, secret = anna.studio.create_key("program", scopes=("library",))
    before, code = anna.studio.link.keys(), anna.studio.verification_code()

    seen: list[int] = []
    done = anna.studio.rotate(PASSWORD, code=anna.code, progress=seen.append)
    assert seen[-1] == len(list(anna.studio.assets()))
    assert (done.new_keys, done.rewrapped) == (True, 2)  # one segment and one asset
    after = anna.studio.link.keys()
    assert after.recipient != before.recipient
    assert after.signing_public_hex == before.signing_public_hex
    assert anna.studio.verification_code() != code
    assert all(age.opens(e, after.identity) for e in envelopes(anna.studio))
    assert not any(age.opens(e, before.identity) for e in envelopes(anna.studio))

    assert link.url is not None
    assert open_share_link(link.url.reveal()).data == data
    assert bert.studio.open_received(received.id).data == data
    assert anna.studio.open_received(to_anna.id).data == bert.studio.open(to_anna_of(bert)).data
    again = anna.studio.share(asset, person="bert")
    assert bert.studio.open_received(again.id).data == data, "an older picture under a new O"
    second = anna.studio.share(asset)
    assert second.url is not None
    assert open_share_link(second.url.reveal()).data == data
    back = bert.studio.share(to_anna_of(bert), person="anna")
    assert back.verification_code == anna.studio.verification_code()
    assert anna.studio.open_received(back.id).asset == to_anna_of(bert)
    picture = f"{server.url}/api/v1/publications/{shown['id']}/picture"
    assert httpx.get(picture).status_code == 200
    with (
        Studio(server.url, tmp_path / "program", api_key=secret) as program,
        pytest.raises(AuthenticationError),
    ):
        list(program.assets())
    _, secret = anna.studio.create_key("program", scopes=("library",))
    with Studio(server.url, tmp_path / "program", api_key=secret) as program:
        assert len(list(program.assets())) == 1
    assert anna.studio.rotate(PASSWORD, code=anna.code).new_keys, "and once more"
    assert anna.studio.open(asset).data == data
    assert anna.studio.search("red")[0].asset == asset
    for person in (anna, bert):
        person.studio.close()


def to_anna_of(bert: Person) -> str:
    """The one asset that Bert has."""
    (asset,) = bert.studio.assets()
    return asset.id


def test_pictures_before_and_after_open_on_every_device_and_with_stock_tools(
    server: Running, tmp_path: Path
) -> None:
    first, second = Shell(tmp_path / "first", server.url), Shell(tmp_path / "second", server.url)
    first.join("dora")
    unlock = ["account", "unlock", "--server", server.url, "--name", "dora"]
    second.run(*unlock, "--password-file", second.folder / "password")
    words = ["generate", "a red kite", "--server", server.url, "--private", *SMALL]
    old = first.json(*words, "-o", tmp_path / "old.png")["asset"]
    done = first.json(
        "account", "rotate", "--password-file", first.folder / "password",
        "--recovery-out", tmp_path / "new-code",
    )  # fmt: skip
    assert done["new_keys"] is True
    new = first.json(*words, "-o", tmp_path / "new.png")["asset"]
    assert {a["id"] for a in first.json("library", "list")} == {old, new}

    second.run("library", "list", status=2)
    assert "safelight account unlock" in second.said
    second.run("account", "unlock", "--password-file", second.folder / "password")
    for asset, name in ((old, "old.png"), (new, "new.png")):
        second.run("open", asset, "-o", tmp_path / "opened.png")
        assert (tmp_path / "opened.png").read_bytes() == (tmp_path / name).read_bytes()
        (tmp_path / "opened.png").unlink()
    assert len(second.json("library", "search", "kite")) == 2

    first.run("library", "export", "-o", tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        archive.extractall(tmp_path)
    kit = tmp_path / "new-code"
    subprocess.run(
        ["bash", "-c", f"age -d -i {kit} vault/recovery.age > owner.txt"], cwd=tmp_path, check=True
    )
    for asset, name in ((old, "old.png"), (new, "new.png")):
        command = (
            f"age -d -i owner.txt assets/{asset}/key.age > a.txt &&"
            f" age -d -i a.txt assets/{asset}/full.age | tar x"
        )
        subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, check=True)
        assert (tmp_path / "payload.png").read_bytes() == (tmp_path / name).read_bytes()

    third = Shell(tmp_path / "third", server.url)
    recover = ["account", "recover", "--server", server.url, "--name", "dora"]
    recover += ["--password-file", str(third.folder / "password")]
    third.run(*recover, "--code-file", first.folder / "code", status=2)
    third.run(*recover, "--code-file", kit)
    assert len(third.json("library", "list")) == 2


def test_what_is_wrong_changes_nothing(server: Running, tmp_path: Path) -> None:
    person = join(server.url, "emil", tmp_path)
    studio = person.studio
    asset = studio.upload(a_picture(3))
    before, head = studio.link.keys().text(), studio.link.wire.get("/api/v1/vault/head")
    wrong_code = Secret(recovery_text(new_recovery_code()))
    attempts: list[tuple[type[SafelightError], dict[str, Any]]] = [
        (AuthenticationError, {"password": Secret("another password"), "code": person.code}),
        (SealError, {"password": PASSWORD, "code": wrong_code}),
        (RequestError, {"password": PASSWORD}),
        (RequestError, {"password": PASSWORD, "keep_code": lambda _: wrong_code.reveal()}),
    ]
    for error, given in attempts:
        with pytest.raises(error):
            studio.rotate(given.pop("password"), **given)
    assert studio.link.keys().text() == before
    assert studio.link.wire.get("/api/v1/vault/head") == head
    studio.unlock("emil", PASSWORD)
    assert studio.link.keys().text() == before
    assert studio.open(asset).asset == asset
    studio.close()


def test_a_server_cannot_change_somebody_elses_keys(server: Running, tmp_path: Path) -> None:
    """Without the person's own signature another recipient is refused, as is the former one."""
    carl, evil = join(server.url, "carl", tmp_path), join(server.url, "evil", tmp_path)
    folder, answers = tmp_path / "watcher", list[dict[str, Any]]()

    class Says(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if answers and request.url.path == "/api/v1/people/carl":
                answer.read()
                return httpx.Response(200, json=answer.json() | answers[-1])
            return answer

    watcher = join(server.url, "watcher", tmp_path)
    with Studio(server.url, folder, transport=Says()) as studio:
        asset = watcher.studio.upload(a_picture(4))
        studio.unlock("watcher", PASSWORD)
        first = studio.share(asset, person="carl").verification_code
        honest = httpx.get(f"{server.url}/api/v1/people/carl", headers=carl.headers).json()
        forged = evil.studio.link.keys().rotated()
        for lie, error in (
            ({"recipient": forged.recipient}, IntegrityError),
            ({"recipient": forged.recipient, "owner_note": make_owner_note(forged)}, KeyNoteError),
            (
                {
                    "recipient": forged.recipient,
                    "signing_key": forged.signing_public_hex,
                    "owner_note": make_owner_note(forged),
                },
                IntegrityError,
            ),
        ):
            answers.append(lie)
            with pytest.raises(error):
                studio.share(asset, person="carl")
        answers.clear()
        carl.studio.rotate(PASSWORD, code=carl.code)
        assert studio.share(asset, person="carl").verification_code != first
        answers.append(honest)
        with pytest.raises(IntegrityError):
            studio.share(asset, person="carl")
    account = {"owner_recipient": forged.recipient, "note": make_owner_note(forged)}
    answer = httpx.put(f"{server.url}/api/v1/vault/owner", headers=carl.headers, json=account)
    assert answer.status_code == 400
    for person in (carl, evil, watcher):
        person.studio.close()
