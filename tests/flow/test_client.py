"""The SDK against a real server with a real darkroom: make, keep, find, open, share, publish."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from people import PASSWORD, Person, join
from running import Running
from safelight.client import index
from safelight.client.making import Watcher
from safelight.client.profile import Profile
from safelight.client.sdk import Studio, open_share_link
from safelight.client.transport import SealingTransport
from safelight.client.wire import Event
from safelight.errors import (
    AuthenticationError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    RequestError,
    SealError,
)
from safelight.secret import Secret

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def anna(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return join(server.url, "anna", tmp_path_factory.mktemp("anna"))


@pytest.fixture(scope="module")
def bert(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return join(server.url, "bert", tmp_path_factory.mktemp("bert"))


def small(studio: Studio, prompt: str = "a red kite", **more: object) -> object:
    values: dict[str, object] = {"size": (64, 64), "steps": 2, "seed": 7} | more
    return studio.recipe(prompt, **values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def kept(anna: Person) -> tuple[str, bytes]:
    """A private picture of Anna's: its id and its bytes."""
    made = anna.studio.generate(small(anna.studio), retention="owner")  # type: ignore[arg-type]
    asset = made.pictures[0].asset
    assert asset is not None
    return asset, made.pictures[0].data


def test_a_private_picture_from_words_to_library(anna: Person, tmp_path: Path) -> None:
    events: list[Event] = []
    previews: list[bytes] = []
    recipe = small(anna.studio, "a yellow lighthouse", steps=6)
    made = anna.studio.generate(
        recipe,  # type: ignore[arg-type]
        retention="owner",
        watcher=Watcher(event=events.append, preview=previews.append),
    )
    (picture,) = made.pictures
    assert picture.data.startswith(PNG)
    assert (picture.seed, picture.width_px, made.protection, made.retention) == (
        7,
        64,
        "sealed",
        "owner",
    )
    kinds = [event.type for event in events]
    assert kinds[-1] == "done"
    assert "progress" in kinds
    assert all(data[:4] == b"RIFF" or data.startswith(b"\xff\xd8") for data in previews)
    listed = {asset.id: asset for asset in anna.studio.assets()}
    assert picture.asset in listed
    entry = listed[picture.asset].entry
    assert entry is not None
    assert {"yellow", "lighthouse"} <= set(entry.words)
    assert [e.asset for e in anna.studio.search("yellow light")] == [picture.asset]
    assert anna.studio.search("yellow submarine") == []
    opened = anna.studio.open(picture.asset, with_meta=True)
    assert (opened.data, opened.media_type) == (picture.data, "image/png")
    assert opened.meta is not None
    assert opened.meta.recipe == recipe

    with Studio(anna.studio.link.origin, tmp_path / "second device") as second:
        with pytest.raises(AuthenticationError):
            list(second.assets())
        second.unlock("anna", PASSWORD)
        assert second.open(picture.asset).data == picture.data
        assert [e.asset for e in second.search("lighthouse")] == [picture.asset]


def test_the_same_seed_is_the_same_picture_off_the_record(anna: Person) -> None:
    first, second = (
        anna.studio.generate(small(anna.studio, "a green door"))  # type: ignore[arg-type]
        for _ in range(2)
    )
    assert first.pictures[0].data == second.pictures[0].data
    assert first.pictures[0].asset is None
    assert "door" not in {
        w for e in index.load(anna.studio.link, anna.studio.link.keys()).entries for w in e.words
    }


def test_a_guest_keeps_nothing(server: Running, tmp_path: Path) -> None:
    with Studio(server.url, tmp_path) as guest:
        made = guest.generate(small(guest))  # type: ignore[arg-type]
        assert made.pictures[0].data.startswith(PNG)
        with pytest.raises(AuthenticationError):
            guest.generate(small(guest), retention="owner")  # type: ignore[arg-type]


def test_several_pictures_and_other_formats(anna: Person) -> None:
    recipe = small(anna.studio, count=2)
    made = anna.studio.generate(recipe, retention="owner", media_type="image/webp")  # type: ignore[arg-type]
    assert [p.seed for p in made.pictures] == [7, 8]
    assert all(p.data[:4] == b"RIFF" for p in made.pictures)
    ids = [p.asset for p in made.pictures if p.asset is not None]
    assert len(set(ids)) == 2
    assert anna.studio.delete(ids) == dict.fromkeys(ids, "deleted")
    assert not {a.id for a in anna.studio.assets()} & set(ids)
    assert not {e.asset for e in anna.studio.search("kite")} & set(ids)
    assert anna.studio.delete(ids) == dict.fromkeys(ids, "not-found")
    with pytest.raises(NotFoundError):
        anna.studio.open(ids[0])


def test_image_to_image_takes_its_input_sealed(anna: Person, kept: tuple[str, bytes]) -> None:
    from safelight.ids import sha256_hex

    digest = sha256_hex(kept[1])
    recipe = small(anna.studio, task="image-to-image", init_image=digest, strength=0.5)
    made = anna.studio.generate(recipe, inputs={digest: kept[1]})  # type: ignore[arg-type]
    assert made.pictures[0].data.startswith(PNG)


def test_a_refusal_names_a_category_to_the_caller(anna: Person) -> None:
    before = [asset.id for asset in anna.studio.assets()]
    with pytest.raises(RefusedError) as caught:
        anna.studio.generate(
            small(anna.studio, "a nude child"),  # type: ignore[arg-type]
            retention="owner",
        )
    assert caught.value.category == "minors"
    assert [asset.id for asset in anna.studio.assets()] == before


def test_one_idempotency_key_is_one_picture(anna: Person) -> None:
    recipe = small(anna.studio, "one lamp")
    key = "the same key for both"
    first = anna.studio.generate(recipe, retention="owner", idempotency_key=key)  # type: ignore[arg-type]
    with pytest.raises(RequestError):
        anna.studio.generate(
            replace(recipe, seed=9),  # type: ignore[type-var]
            retention="owner",
            idempotency_key=key,
        )
    assert first.pictures[0].asset in {a.id for a in anna.studio.assets()}


# --- shares --------------------------------------------------------------------------------------


def test_share_by_link(anna: Person, kept: tuple[str, bytes]) -> None:
    made = anna.studio.share(kept[0])
    assert made.url is not None
    opened = open_share_link(made.url.reveal())
    assert (opened.asset, opened.data) == kept
    anna.studio.revoke_share(made.id)
    with pytest.raises(NotFoundError):
        open_share_link(made.url.reveal())


def test_a_share_with_a_passphrase(anna: Person, kept: tuple[str, bytes]) -> None:
    made = anna.studio.share(kept[0], passphrase=Secret("open sesame"))
    assert made.url is not None
    url = made.url.reveal()
    assert open_share_link(url, Secret("open sesame")).data == kept[1]
    with pytest.raises(SealError):
        open_share_link(url, Secret("open says me"))
    with pytest.raises(RequestError):
        open_share_link(url)


def test_a_share_expires(anna: Person, kept: tuple[str, bytes]) -> None:
    made = anna.studio.share(kept[0], days=1 / 86_400)
    assert made.url is not None
    ends = datetime.fromisoformat(made.expires_at)
    assert ends < datetime.now(UTC) + timedelta(seconds=2)
    while datetime.now(UTC) <= ends:
        time.sleep(0.1)
    with pytest.raises(NotFoundError):
        open_share_link(made.url.reveal())


@pytest.mark.parametrize("change", ["#", "#AAAA", "?x=1#" + "A" * 43, "/more#" + "A" * 43])
def test_broken_links_are_refused_here(anna: Person, kept: tuple[str, bytes], change: str) -> None:
    made = anna.studio.share(kept[0])
    assert made.url is not None
    address = made.url.reveal().partition("#")[0]
    with pytest.raises(RequestError):
        open_share_link(address + change)


def test_another_secret_opens_nothing(anna: Person, kept: tuple[str, bytes]) -> None:
    made = anna.studio.share(kept[0])
    assert made.url is not None
    with pytest.raises(NotFoundError):
        open_share_link(made.url.reveal().partition("#")[0] + "#" + "A" * 43)


def test_share_to_a_person(anna: Person, bert: Person, kept: tuple[str, bytes]) -> None:
    made = anna.studio.share(kept[0], person="bert")
    assert made.verification_code == bert.studio.verification_code()
    assert bert.studio.open_received(made.id).data == kept[1]
    with pytest.raises(RequestError):
        anna.studio.open_received(made.id)
    anna.studio.revoke_share(made.id)
    with pytest.raises(RequestError):
        bert.studio.open_received(made.id)


# --- publications and keys -----------------------------------------------------------------------


def test_publish_and_unpublish(anna: Person, server: Running, kept: tuple[str, bytes]) -> None:
    made = anna.studio.publish(kept[0], words="a kite")
    address = f"{server.url}/api/v1/publications/{made['id']}"
    assert httpx.get(address).json()["words"] == "a kite"
    assert httpx.get(f"{address}/picture").status_code == 200
    anna.studio.unpublish(made["id"])
    assert httpx.get(f"{address}/picture").status_code == 404
    assert anna.studio.open(kept[0]).data == kept[1], "the private original is untouched"


def test_a_program_with_an_api_key(anna: Person, server: Running, tmp_path: Path) -> None:
    _, secret = anna.studio.create_key("program", scopes=("generate",))
    with Studio(server.url, tmp_path, api_key=secret) as program:
        made = program.generate(small(program))  # type: ignore[arg-type]
        assert (made.protection, made.retention) == ("sealed", "none")
        with pytest.raises(ForbiddenError):
            list(program.assets())


def test_api_keys(anna: Person, server: Running) -> None:
    made, secret = anna.studio.create_key("script", scopes=("library",), days=1)
    headers = {"Authorization": f"Bearer {secret.reveal()}"}
    assert httpx.get(f"{server.url}/api/v1/assets", headers=headers).status_code == 200
    assert httpx.get(f"{server.url}/api/v1/keys", headers=headers).status_code == 403
    assert made["id"] in {key["id"] for key in anna.studio.list_keys()}
    anna.studio.revoke_key(made["id"])
    assert httpx.get(f"{server.url}/api/v1/assets", headers=headers).status_code == 401


def test_a_key_needs_its_owners_signature(anna: Person, server: Running) -> None:
    body = {
        "name": "k",
        "scopes": ["generate"],
        "secret_sha256": "0" * 64,
        "key_recipient": anna.studio.link.keys().recipient,
        "record": "a note\nby nobody",
    }
    headers = {"Authorization": f"Bearer {anna.token}"}
    answer = httpx.post(f"{server.url}/api/v1/keys", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


# --- the index -----------------------------------------------------------------------------------


def test_two_devices_write_the_index_at_once(anna: Person, tmp_path: Path) -> None:
    """The second head loses its If-Match, is read again and follows: no entry is lost."""
    with Studio(anna.studio.link.origin, tmp_path) as second:
        second.unlock("anna", PASSWORD)
        keys = second.link.keys()
        template = index.load(second.link, keys).entries[0]
        for i, studio in enumerate([anna.studio, second, anna.studio, second]):
            index.add(studio.link, keys, [replace(template, asset=f"made up {i}")])
        entries = [e.asset for e in index.load(anna.studio.link, keys).entries]
        assert {f"made up {i}" for i in range(4)} <= set(entries)
        assert len(set(entries)) == len(entries)
        assert set(second.missing()) == {f"made up {i}" for i in range(4)}
        index.remove(anna.studio.link, keys, [f"made up {i}" for i in range(4)])
        assert list(second.missing()) == []


def test_what_never_reached_the_index_is_taken_up(anna: Person, kept: tuple[str, bytes]) -> None:
    keys = anna.studio.link.keys()
    index.remove(anna.studio.link, keys, [kept[0]])
    assert anna.studio.open(kept[0]).data == kept[1], "its note vouches for it"
    seen: list[int] = []
    assert anna.studio.adopt(seen.append) == 1
    assert seen[-1] == len(list(anna.studio.assets()))
    assert anna.studio.adopt() == 0
    assert kept[0] in {e.asset for e in index.load(anna.studio.link, keys).entries}


# --- a stock client ------------------------------------------------------------------------------


def test_a_stock_client_is_sealed(server: Running, tmp_path: Path) -> None:
    transport = SealingTransport(server.url, Profile(tmp_path))
    with httpx.Client(base_url=server.url, transport=transport, timeout=120) as client:
        body = {"prompt": "a red kite", "size": "64x64", "n": 1}
        answer = client.post("/v1/images/generations", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Safelight-Protection"] == "sealed"
        data = base64.b64decode(answer.json()["data"][0]["b64_json"])
        assert data.startswith(PNG)
        recipe = {"prompt": "a red kite", "width_px": 64, "height_px": 64, "steps": 2, "seed": 7}
        answer = client.post("/api/v1/jobs", json={"recipe": recipe, "wait": True})
        assert answer.json()["protection"] == "sealed"
        assert answer.json()["pictures"][0]["seed"] == 7


# --- a server that dies --------------------------------------------------------------------------


@pytest.mark.parametrize("retention", ["owner", "none"])
def test_a_killed_server_costs_a_wait_and_nothing_else(tmp_path: Path, retention: str) -> None:
    """Killed with -9 in the middle of the job and started again: same call, same picture, once."""
    import threading

    home = tmp_path / "home"
    running = Running(home, sign_up="open")
    running.wait_ready()
    port = int(running.url.rsplit(":", 1)[1])
    person = join(running.url, "carl", tmp_path)
    recipe = small(person.studio, "a lamp", steps=40)
    killed = threading.Event()
    later: list[Running] = []

    def kill_once(event: Event) -> None:
        if event.type == "progress" and not killed.is_set():
            killed.set()
            running.stop(kill=True)
            threading.Thread(target=lambda: later.append(Running(home, port=port))).start()

    try:
        made = person.studio.generate(
            recipe,  # type: ignore[arg-type]
            retention=retention,  # type: ignore[arg-type]
            watcher=Watcher(event=kill_once),
        )
        assert killed.is_set()
        assert made.pictures[0].data.startswith(PNG)
        assert len(list(person.studio.assets())) == (1 if retention == "owner" else 0)
        again = person.studio.generate(recipe)  # type: ignore[arg-type]
        assert again.pictures[0].data == made.pictures[0].data
    finally:
        running.stop(kill=True)
        for server in later:
            server.stop()
