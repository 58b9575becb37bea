"""Swapped, forged and broken objects and replies: E5 to E8, E13, E16, and mutations of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx
import pytest

from evil.proxy import EVIL, REFUSED, Evil, evil_note, make, on, sealed_part, submitted
from safelight.client.sdk import Studio
from safelight.errors import ManifestError, NotFoundError, SafelightError, SealError
from safelight.ids import b64, new_id
from safelight.vault import age
from safelight.vault.identity import Identity
from safelight.vault.reply import Meta
from safelight.vault.request import seal_envelope


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
