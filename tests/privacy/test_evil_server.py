"""The evil server: a real one behind a proxy that rewrites answers. No client may fall for it.

Protocol section 9, E1-14. Each attack ends in a named error of the integrity branch or a refused
downgrade, and nothing that a person wrote reaches the evil key: every byte that was sent is kept
and looked through. Attack 14 (a forked ledger) is a forked vault head here: there is no ledger yet.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from people import PASSWORD, Person, join
from running import Running
from safelight.client import index
from safelight.client.profile import Profile
from safelight.client.sdk import Studio
from safelight.errors import (
    AuthenticationError,
    ConflictError,
    DowngradeError,
    IntegrityError,
    KeyNoteError,
    ManifestError,
    NotFoundError,
    RequestError,
    RollbackError,
    SafelightError,
    SealError,
    TransientError,
)
from safelight.ids import FixedClock, b64, new_id, unb64
from safelight.vault import age, container, manifest
from safelight.vault.head import NO_NONCE
from safelight.vault.identity import Identity, public_hex
from safelight.vault.notes import DarkroomKey, make_note
from safelight.vault.opaque import stretched_password
from safelight.vault.reply import Meta
from safelight.vault.request import seal_envelope

CANARY = "canary7f3a lighthouse"
EVIL = Identity.from_seed(b"evil" * 8)
EVIL_SEED = b"evil sign" + bytes(23)

REFUSED: set[str] = set()
"""Attacks that ended as they must, in this run."""

Rewrite = Callable[[httpx.Request, httpx.Response], httpx.Response | None]


@dataclass
class Evil(httpx.BaseTransport):
    """Stands between the client and the real server."""

    rewrite: Rewrite | None = None
    before: Callable[[httpx.Request], httpx.Response | None] | None = None
    sent: list[httpx.Request] = field(default_factory=list)
    inner: httpx.HTTPTransport = field(default_factory=httpx.HTTPTransport)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.sent.append(request)
        if self.before is not None and (early := self.before(request)) is not None:
            return early
        answer = self.inner.handle_request(request)
        if "event-stream" in answer.headers.get("content-type", ""):
            return answer
        answer.read()
        changed = None if self.rewrite is None else self.rewrite(request, answer)
        return answer if changed is None else changed

    def close(self) -> None:
        self.inner.close()


def on(path: str, change: Callable[[dict[str, Any]], Any], method: str = "GET") -> Rewrite:
    """Rewrite the JSON of answers to one path."""

    def rewrite(request: httpx.Request, answer: httpx.Response) -> httpx.Response | None:
        if request.url.path != path or request.method != method or not answer.is_success:
            return None
        value = answer.json()
        change(value)
        return httpx.Response(answer.status_code, json=value)

    return rewrite


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("evil") / "home", sign_up="open") as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def anna(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return join(server.url, "anna", tmp_path_factory.mktemp("anna"))


@pytest.fixture(scope="module")
def bert(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return join(server.url, "bert", tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
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


def assert_nothing_said(evil: Evil) -> None:
    """No request that went out holds the words, the password, or anything the evil key opens."""
    secrets = [w.encode() for w in (*CANARY.split(), PASSWORD.reveal())]
    secrets.append(stretched_password("anna", PASSWORD).encode())
    for request in evil.sent:
        whole = str(request.url).encode() + str(request.headers).encode() + request.content
        assert not any(secret in whole for secret in secrets)
        if request.content.startswith(b"age-encryption.org/v1"):
            with pytest.raises(SealError):
                age.open_sealed(request.content, [EVIL], recipients_expected=None)


def submitted(evil: Evil) -> list[httpx.Request]:
    return [r for r in evil.sent if r.method == "POST" and r.url.path == "/api/v1/jobs"]


def make(studio: Studio) -> Any:
    recipe = studio.recipe(CANARY, size=(64, 64), steps=1, seed=1)
    return studio.generate(recipe, retention="owner")


def evil_note(now: datetime | None = None, recipient: str = EVIL.recipient) -> str:
    at = (now or datetime.now(UTC)).replace(microsecond=0)
    key = DarkroomKey(
        darkroom=new_id("drk"),
        recipient=recipient,
        signing_key=public_hex(EVIL_SEED),
        not_before=at,
        announced_until=at + timedelta(minutes=9),
        keeps_until=at + timedelta(hours=2),
    )
    return make_note(key, EVIL_SEED)


def test_e01_swapped_owner_key(anna: Person, evil: Evil, tmp_path: Path) -> None:
    def swap(value: dict[str, Any]) -> None:
        value["account"]["owner_recipient"] = EVIL.recipient

    evil.rewrite = on("/api/v1/sessions/finish", swap, "POST")
    with (
        Studio(anna.studio.link.origin, tmp_path, transport=evil) as studio,
        pytest.raises(IntegrityError),
    ):
        studio.unlock("anna", PASSWORD)
    assert_nothing_said(evil)
    REFUSED.add("E1")


def test_e02_swapped_darkroom_key(device: Studio, evil: Evil) -> None:
    evil.rewrite = on("/api/v1/darkrooms", lambda v: v.update(notes=[evil_note()]))
    with pytest.raises(KeyNoteError):
        make(device)
    assert submitted(evil) == []
    REFUSED.add("E2")


def test_e03_swapped_fleet_key(device: Studio, evil: Evil) -> None:
    fake = {"notes": [evil_note()], "fleet_key": public_hex(EVIL_SEED)}
    evil.rewrite = on("/api/v1/darkrooms", lambda v: v.update(fake))
    with pytest.raises(KeyNoteError):
        make(device)
    assert submitted(evil) == []
    REFUSED.add("E3")


def test_e04_expired_note(anna: Person, evil: Evil, tmp_path: Path) -> None:
    clock = FixedClock(datetime.now(UTC))
    origin = anna.studio.link.origin
    old = httpx.get(f"{origin}/api/v1/darkrooms").json()["notes"]
    shutil.copytree(anna.studio.link.profile.folder, tmp_path / "device")
    profile = Profile(tmp_path / "device", clock=clock)
    with Studio(origin, profile, transport=evil, clock=clock) as studio:
        evil.rewrite = on("/api/v1/darkrooms", lambda v: v.update(notes=old))
        clock.at += timedelta(minutes=11)
        with pytest.raises(KeyNoteError):
            make(studio)
    assert submitted(evil) == []
    REFUSED.add("E4")


def test_e05_swapped_blobs(device: Studio, evil: Evil, pictures: tuple[str, str]) -> None:
    other = device.link.wire.blob(f"/api/v1/assets/{pictures[1]}/full")

    def swap(request: httpx.Request, _: httpx.Response) -> httpx.Response | None:
        if request.url.path == f"/api/v1/assets/{pictures[0]}/full":
            return httpx.Response(200, content=other)
        return None

    evil.rewrite = swap
    with pytest.raises(SealError):
        device.open(pictures[0])
    REFUSED.add("E5")


def test_e05_swapped_blobs_and_envelopes(
    device: Studio, evil: Evil, pictures: tuple[str, str]
) -> None:
    wire = device.link.wire
    other = wire.get(f"/api/v1/assets/{pictures[1]}")
    full = wire.blob(f"/api/v1/assets/{pictures[1]}/full")

    def swap(request: httpx.Request, _: httpx.Response) -> httpx.Response | None:
        if request.url.path == f"/api/v1/assets/{pictures[0]}":
            return httpx.Response(200, json=other | {"id": pictures[0]})
        if request.url.path == f"/api/v1/assets/{pictures[0]}/full":
            return httpx.Response(200, content=full)
        return None

    evil.rewrite = swap
    with pytest.raises(ManifestError):
        device.open(pictures[0])
    REFUSED.add("E5")


def test_e06_thumb_for_full(device: Studio, evil: Evil, pictures: tuple[str, str]) -> None:
    thumb = device.link.wire.blob(f"/api/v1/assets/{pictures[0]}/thumb")

    def swap(request: httpx.Request, _: httpx.Response) -> httpx.Response | None:
        return httpx.Response(200, content=thumb) if request.url.path.endswith("/full") else None

    evil.rewrite = swap
    with pytest.raises(ManifestError):
        device.open(pictures[0])
    REFUSED.add("E6")


@pytest.mark.parametrize("note", ["none", "evil", "genuine"])
def test_e07_forged_asset(device: Studio, evil: Evil, note: str) -> None:
    """Everybody who knows O can seal to it; only a darkroom of the pinned fleet can sign for it."""
    asset, made = new_id("ast"), Identity.generate()
    owner = device.link.keys().recipient
    genuine = httpx.get(f"{device.link.origin}/api/v1/darkrooms").json()["notes"][0]
    told = {"none": None, "evil": evil_note(), "genuine": genuine}[note]
    meta = Meta(
        asset=asset,
        recipe=device.recipe("forged", size=(64, 64), steps=1, seed=1),
        words=("forged",),
        tags=(),
        made_on=datetime.now(UTC).strftime("%Y-%m-%d"),
        model_name="pocket",
        width_px=64,
        height_px=64,
        media_type="image/png",
        seconds=1.0,
        device="cpu",
        note=told,
    ).to_payload()
    parts = {kind: sealed_part(kind, meta, asset, owner, made) for kind in ("full", "meta")}
    listed = {
        "id": asset,
        "kind": "picture",
        "visibility": "private",
        "retention": "owner",
        "protection": "sealed",
        "size_bytes": 1,
        "made_on": "2026-11-28",
        "seq": 1,
        "envelope": b64(seal_envelope(made, owner)),
    }

    def forge(request: httpx.Request) -> httpx.Response | None:
        path = request.url.path
        if path == "/api/v1/assets":
            return httpx.Response(200, json={"assets": [listed], "next": None})
        if path == f"/api/v1/assets/{asset}":
            return httpx.Response(200, json=listed)
        kind = path.rsplit("/", 1)[-1]
        return httpx.Response(200, content=parts[kind]) if asset in path else None

    evil.before = forge
    with pytest.raises(ManifestError):
        device.open(asset)
    with pytest.raises(ManifestError):
        device.adopt()
    REFUSED.add("E7")


def sealed_part(
    kind: Any, payload: bytes, asset: str, owner: str, made: Identity, seed: bytes = EVIL_SEED
) -> bytes:
    unsigned = manifest.describe(
        payload,
        asset=asset,
        kind=kind,
        owner=owner,
        request_nonce=NO_NONCE if seed != EVIL_SEED else "1" * 32,
        made_on=datetime.now(UTC).strftime("%Y-%m-%d"),
        media_type="application/json",
    )
    return container.seal_object(unsigned, payload, signing_seed=seed, recipients=[made.recipient])


@pytest.mark.parametrize("change", ["cut", "cut at a chunk", "reorder", "repeat", "append"])
def test_e08_chunks(device: Studio, evil: Evil, change: str) -> None:
    keys = device.link.keys()
    asset, made = new_id("ast"), Identity.generate()
    recipe = device.recipe("large", size=(64, 64), steps=1, seed=1)
    meta = Meta(
        asset=asset, recipe=recipe, words=(), tags=(), made_on="2026-11-28", model_name="",
        width_px=64, height_px=64, media_type="image/png", seconds=0.0, device="", note=None,
    ).to_payload()  # fmt: skip
    large = bytes(range(256)) * 1024
    own = keys.signing_seed
    parts = {
        "full": sealed_part("full", large, asset, keys.recipient, made, own),
        "thumb": sealed_part("thumb", b"x", asset, keys.recipient, made, own),
        "meta": sealed_part("meta", meta, asset, keys.recipient, made, own),
    }
    fields: dict[str, Any] = {k: (k, v, "application/age") for k, v in parts.items()}
    fields |= {
        "asset": (None, asset),
        "kind": (None, "upload"),
        "envelope": (None, b64(seal_envelope(made, keys.recipient))),
    }
    device.link.wire.call("PUT", "/api/v1/assets", files=fields)
    assert device.open(asset).data == large

    chunk = 64 * 1024 + 16
    start = parts["full"].index(b"\n--- ") + 1
    start = parts["full"].index(b"\n", start) + 1 + 16
    head, body = parts["full"][:start], parts["full"][start:]
    one, two = body[:chunk], body[chunk : 2 * chunk]
    rest = body[2 * chunk :]
    changed = {
        "cut": head + body[:-100],
        "cut at a chunk": head + one + two,
        "reorder": head + two + one + rest,
        "repeat": head + one + one + two + rest,
        "append": head + body + bytes(100),
    }[change]

    def serve(request: httpx.Request) -> httpx.Response | None:
        full = request.url.path == f"/api/v1/assets/{asset}/full"
        return httpx.Response(200, content=changed) if full else None

    evil.before = serve
    with pytest.raises(SealError):
        device.open(asset)
    device.delete([asset])
    REFUSED.add("E8")


def test_e09_rolled_back_head(device: Studio, evil: Evil, pictures: tuple[str, str]) -> None:
    old = device.link.wire.get("/api/v1/vault/head")
    keys = device.link.keys()
    entry = index.load(device.link, keys).entries[0]
    index.add(device.link, keys, [entry_like(entry, "made up")])
    evil.rewrite = on("/api/v1/vault/head", lambda v: v.update(old))
    with pytest.raises(RollbackError):
        list(device.assets())
    evil.rewrite = on("/api/v1/vault/head", lambda v: v.update(seq=0, head=None))
    with pytest.raises(RollbackError):
        device.open(pictures[0])
    evil.rewrite = None
    index.remove(device.link, keys, ["made up"])
    REFUSED.add("E9")


def entry_like(entry: Any, asset: str) -> Any:
    from dataclasses import replace

    return replace(entry, asset=asset)


def test_e10_dropped_segment(device: Studio, evil: Evil, pictures: tuple[str, str]) -> None:
    assert pictures

    def drop(request: httpx.Request) -> httpx.Response | None:
        if "/segments/" in request.url.path:
            body = {"code": "not-found", "title": "no such segment", "hint": "x"}
            return httpx.Response(404, json=body)
        return None

    evil.before = drop
    with pytest.raises(RollbackError):
        device.search("lighthouse")

    def unname(value: dict[str, Any]) -> None:
        head = json.loads(unb64(value["head"]))
        head["segments"] = []
        text = json.dumps(head, separators=(",", ":"), sort_keys=True)
        value["head"] = b64(text.encode())

    evil.before, evil.rewrite = None, on("/api/v1/vault/head", unname)
    with pytest.raises(RollbackError):
        device.search("lighthouse")
    REFUSED.add("E10")


def test_e11_no_other_way_in(anna: Person, evil: Evil, tmp_path: Path) -> None:
    """A server that asks for less, or for the password itself, gets neither."""
    weak = {"argon2": {"memory": 8, "passes": 1}, "kdf": "pbkdf2", "iterations": 1}
    with Studio(anna.studio.link.origin, tmp_path, transport=evil) as studio:
        evil.rewrite = on("/api/v1/sessions/start", lambda v: v.update(weak), "POST")
        studio.unlock("anna", PASSWORD)  # the extra fields change nothing

        def steer(value: dict[str, Any]) -> None:
            value.clear()
            value.update(weak, method="srp", salt="00", use="/api/v1/login")

        evil.rewrite = on("/api/v1/sessions/start", steer, "POST")
        with pytest.raises(TransientError):
            studio.unlock("anna", PASSWORD)

        def redirect(request: httpx.Request) -> httpx.Response | None:
            if request.url.path == "/api/v1/sessions/start":
                return httpx.Response(307, headers={"Location": "/api/v1/login"})
            return None

        evil.before, evil.rewrite = redirect, None
        with pytest.raises(DowngradeError):
            studio.unlock("anna", PASSWORD)

        def another(value: dict[str, Any]) -> None:
            value["response"] = b64(unb64(value["response"])[::-1])

        evil.before, evil.rewrite = None, on("/api/v1/sessions/start", another, "POST")
        with pytest.raises((AuthenticationError, RequestError)):
            studio.unlock("anna", PASSWORD)
    assert_nothing_said(evil)
    REFUSED.add("E11")


def test_e12_substituted_person(
    device: Studio, bert: Person, evil: Evil, pictures: tuple[str, str]
) -> None:
    fake = {"recipient": EVIL.recipient, "signing_key": public_hex(EVIL_SEED)}
    evil.rewrite = on("/api/v1/people/bert", lambda v: v.update(fake))
    shown = device.share(pictures[0], person="bert")
    assert shown.verification_code != bert.studio.verification_code(), "seen when compared"
    evil.sent = [r for r in evil.sent if r.url.path != "/api/v1/shares"]
    evil.rewrite = None
    with pytest.raises(IntegrityError):
        device.share(pictures[0], person="bert")
    device.revoke_share(shown.id)
    REFUSED.add("E12")


def test_e12_substituted_person_later(
    device: Studio, bert: Person, evil: Evil, pictures: tuple[str, str]
) -> None:
    assert bert.name == "bert"
    device.revoke_share(device.share(pictures[0], person="bert").id)
    made_before = len([r for r in evil.sent if r.url.path == "/api/v1/shares"])
    fake = {"recipient": EVIL.recipient, "signing_key": public_hex(EVIL_SEED)}
    evil.rewrite = on("/api/v1/people/bert", lambda v: v.update(fake))
    with pytest.raises(IntegrityError):
        device.share(pictures[0], person="bert")
    assert len([r for r in evil.sent if r.url.path == "/api/v1/shares"]) == made_before
    REFUSED.add("E12")


def test_e13_hidden_recipient(device: Studio, evil: Evil, pictures: tuple[str, str]) -> None:
    """An extra note adds no reader to a request; an extra stanza in an answer is refused."""
    evil.rewrite = on(
        "/api/v1/darkrooms", lambda v: v.update(notes=[evil_note(), *v["notes"], evil_note()])
    )
    made = make(device)
    for request in submitted(evil):
        genuine = len(httpx.get(f"{device.link.origin}/api/v1/darkrooms").json()["notes"])
        assert age.stanza_types(request.content).count("X25519") <= genuine
    device.delete([p.asset for p in made.pictures])

    owner = device.link.keys()
    shared = age.seal(Identity.generate().text().encode(), [owner.recipient, EVIL.recipient])
    evil.rewrite = on(f"/api/v1/assets/{pictures[0]}", lambda v: v.update(envelope=b64(shared)))
    with pytest.raises(SealError):
        device.open(pictures[0])
    REFUSED.add("E13")


def test_e14_forked_head(device: Studio, evil: Evil, pictures: tuple[str, str]) -> None:
    """A head that the owner signed but that lost the race is kept by the server and shown later."""
    assert pictures
    keys = device.link.keys()
    entry = index.load(device.link, keys).entries[0]
    caught: list[dict[str, Any]] = []

    def keep(request: httpx.Request) -> httpx.Response | None:
        if request.method == "PUT" and request.url.path == "/api/v1/vault/head" and not caught:
            caught.append(json.loads(request.content))
            return httpx.Response(409, json={"code": "conflict", "title": "no", "hint": "x"})
        return None

    evil.before = keep
    try:
        index.add(device.link, keys, [entry_like(entry, "forked")])
    except ConflictError:
        pytest.fail("the second try should have passed")
    evil.before = None
    index.remove(device.link, keys, ["forked"])
    index.add(device.link, keys, [entry_like(entry, "forked again")])
    evil.rewrite = on("/api/v1/vault/head", lambda v: v.update(head=caught[0]["head"]))
    with pytest.raises(RollbackError):
        list(device.assets())
    evil.rewrite = None
    index.remove(device.link, keys, ["forked again"])
    REFUSED.add("E14")


def test_e15_no_fall_back_to_transit(device: Studio, evil: Evil) -> None:
    """Whatever a server answers to a sealed request, the words are never sent in plain form."""
    for status, code in ((415, "bad-media-type"), (422, "bad-seal"), (400, "use-transit")):

        def refuse(
            request: httpx.Request, status: int = status, code: str = code
        ) -> httpx.Response | None:
            if request.method == "POST" and request.url.path == "/api/v1/jobs":
                body = {"code": code, "title": "send JSON", "hint": "recipe as application/json"}
                return httpx.Response(status, json=body)
            return None

        evil.before = refuse
        with pytest.raises((RequestError, IntegrityError)):
            make(device)
    assert all(r.content.startswith(b"age-encryption.org/v1") for r in submitted(evil))
    REFUSED.add("E15")


def test_e16_a_reply_of_another_request(device: Studio, evil: Evil) -> None:
    """The reply of an earlier job is sealed to another identity and names another nonce."""
    earlier = make(device)
    old = httpx.get(
        f"{device.link.origin}/api/v1/jobs/{earlier.job}",
        headers={"Authorization": f"Bearer {device.link.wire.token}"},
    ).json()["reply"]

    def replay(request: httpx.Request) -> httpx.Response | None:
        if request.url.path.endswith("/events"):
            data = json.dumps({"reply": old, "assets": []})
            return httpx.Response(200, text=f"id: 1\nevent: done\ndata: {data}\n\n")
        return None

    evil.before = replay
    with pytest.raises((SealError, NotFoundError)):
        make(device)
    evil.before = None
    device.delete([a.id for a in device.assets() if a.entry is None] or [earlier.pictures[0].asset])
    REFUSED.add("E16")


def mutated(data: bytes, random: Random) -> bytes:
    """One change: a flipped bit, a byte put in or taken out, a cut, a swap, or other digits."""
    at = random.randrange(len(data) + 1) if data else 0
    match random.randrange(6):
        case 0 if data:
            at = random.randrange(len(data))
            return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:at] + random.randbytes(1) + data[at:]
        case 2 if data:
            return data[:at] + data[at + random.randrange(1, 40) :]
        case 3:
            return data[:at]
        case 4:
            other = random.randrange(len(data) + 1)
            low, high = sorted((at, other))
            return data[:low] + data[high:] + data[low:high]
        case _:
            found = [i for i, c in enumerate(data) if 48 <= c < 58]
            if not found:
                return data + b"0"
            at = random.choice(found)
            return data[:at] + str(random.randrange(10)).encode() + data[at + 1 :]


@pytest.mark.parametrize(
    "count", [300, pytest.param(10_000, marks=pytest.mark.proof)], ids=["quick", "all"]
)
def test_mutated_answers_never_open_to_something_else(
    device: Studio,
    evil: Evil,
    pictures: tuple[str, str],
    count: int,
    proof: Callable[[str, str, str], None],
) -> None:
    """Every answer on the way to a picture, changed at random: the picture itself, or an error."""
    recorded: dict[str, httpx.Response] = {}

    def record(request: httpx.Request, answer: httpx.Response) -> None:
        recorded[request.url.path] = answer

    evil.rewrite = record
    picture = device.open(pictures[0]).data
    assert len(recorded) == 4, "head, segment, asset and its full object"

    random, refused = Random(7), 0
    for _ in range(count):
        target = random.choice(sorted(recorded))

        def replay(request: httpx.Request, target: str = target) -> httpx.Response:
            answer = recorded[request.url.path]
            content = answer.content
            if request.url.path == target:
                content = mutated(content, random)
            return httpx.Response(answer.status_code, content=content)

        evil.before = replay
        shutil.rmtree(device.link.profile.folder / "segments", ignore_errors=True)
        try:
            assert device.open(pictures[0]).data == picture
        except SafelightError:
            refused += 1
    evil.before = None
    evil.sent.clear()
    assert refused > count / 2
    proof("E", "mutations of any answer on the way to a picture", f"0 of {count} opened wrongly")


def test_the_numbers(proof: Callable[[str, str, str], None]) -> None:
    """Runs last: every attack above must have ended as it must."""
    assert {f"E{n}" for n in range(1, 17)} == REFUSED
    proof(
        "E1-14",
        "the evil server: a proxy in front of a real server that rewrites its answers",
        "14 of 14 attacks refused by a named error, and 2 more; nothing sent to the evil key",
    )
