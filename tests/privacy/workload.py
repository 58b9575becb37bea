"""What the leak rig does with a stack: every mode, every ending, everything around a picture."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from rig import Recorder, Rig

from safelight.client.exchange import Wish, begin, submit
from safelight.client.making import Watcher
from safelight.client.sdk import Studio, open_share_link
from safelight.errors import RefusedError, SafelightError
from safelight.ids import new_token, sha256_hex
from safelight.secret import Secret

STAGES = ("plan", "step", "gate", "encode", "thumb", "picture", "done")


@dataclass
class People:
    """The callers of one rig."""

    anna: Studio
    password: Secret[str]
    guest: Studio
    key: Secret[str]

    @property
    def session(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.anna.link.wire.token}"}

    @property
    def api_key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key.reveal()}"}


def people(rig: Rig, name: str = "anna") -> People:
    """An account with an API key, and a guest."""
    anna, password, _ = rig.join(name)
    key = anna.create_key("a program", scopes=("generate",))[1]
    rig.scanner.add_text("API key", key.reveal())
    return People(anna=anna, password=password, guest=rig.studio("guest"), key=key)


# --- pictures, sealed ---


def sealed(rig: Rig, studio: Studio, **more: Any) -> Any:
    """One sealed job with previews; its pictures become canaries."""
    options = {k: more.pop(k) for k in ("retention", "inputs", "media_type") if k in more}
    made = studio.generate(
        rig.recipe(studio, **more), watcher=Watcher(preview=lambda _: None), **options
    )
    rig.jobs += 1
    if options.get("retention") != "public":
        for picture in made.pictures:
            rig.look_for(picture.data)
    return made


def kept(rig: Rig, who: People) -> None:
    sealed(rig, who.anna, retention="owner")


def kept_webp(rig: Rig, who: People) -> None:
    sealed(rig, who.anna, retention="owner", media_type="image/webp", count=2)


def off_the_record(rig: Rig, who: People) -> None:
    sealed(rig, who.anna)


def by_a_guest(rig: Rig, who: People) -> None:
    sealed(rig, who.guest)


def from_a_picture(rig: Rig, who: People) -> None:
    upload = rig.upload()
    digest = sha256_hex(upload)
    more: dict[str, Any] = {"task": "image-to-image", "init_image": digest, "strength": 0.5}
    sealed(rig, who.anna, retention="owner", inputs={digest: upload}, **more)


def refused(rig: Rig, who: People) -> None:
    for studio, retention in ((who.anna, "owner"), (who.guest, "none")):
        words = f"a nude child {rig.canary('refused')}"
        try:
            studio.generate(rig.recipe(studio, prompt=words), retention=retention)
        except RefusedError:
            rig.jobs += 1
        else:
            raise AssertionError("this must be refused")


def cancelled(rig: Rig, who: People) -> None:
    for studio in (who.anna, who.guest):
        link = studio.link
        exchange = begin(link, Wish(recipe=rig.recipe(studio, steps=100)), new_token(18))
        job = submit(link, Wish(recipe=rig.recipe(studio, steps=100)), exchange)
        link.wire.call("DELETE", f"/api/v1/jobs/{job}", headers=exchange.ticket_header())
        rig.jobs += 1


def retried(rig: Rig, who: People) -> None:
    recipe, key = rig.recipe(who.anna), rig.canary("idempotency").removeprefix(rig.prefix)
    for _ in range(2):
        try:
            who.anna.generate(recipe, retention="owner", idempotency_key=key)
        except SafelightError:
            continue  # another seal under the same key is a conflict; nothing may leak by it
        finally:
            rig.jobs += 1


def crashed_at(stage: str) -> Callable[[Rig, People], None]:
    def run(rig: Rig, who: People) -> None:
        rig.trouble(f"kill:{stage}")
        sealed(rig, who.anna, retention="owner")

    run.__name__ = f"crashed_at_{stage}"
    return run


def hung(rig: Rig, who: People) -> None:
    rig.trouble("hang:step")
    sealed(rig, who.guest)


def broken(rig: Rig, who: People) -> None:
    rig.trouble("surprise:step")
    try:
        who.anna.generate(rig.recipe(who.anna), retention="owner")
    except SafelightError:
        rig.jobs += 1


# --- pictures, plain ---


def plain(rig: Rig, who: People) -> None:
    for headers, retention in (
        (who.session, "none"),
        (who.session, "owner"),
        (who.api_key, "none"),
        (who.api_key, "owner"),
        ({}, "none"),
    ):
        answer = rig.plain(headers, retention)
        assert answer.status_code == 200, answer.text
        rig.jobs += 1


def plain_from_a_picture(rig: Rig, who: People) -> None:
    upload = rig.upload()
    more = {"task": "image-to-image", "init_image": sha256_hex(upload), "strength": 0.5}
    answer = rig.plain(who.session, "owner", inputs=[upload], **more)
    assert answer.status_code == 200, answer.text
    rig.jobs += 1


def plain_refused(rig: Rig, who: People) -> None:
    answer = rig.plain(who.session, prompt=f"a nude child {rig.canary('refused')}")
    assert answer.status_code == 422
    rig.jobs += 1


def plain_crashed(rig: Rig, who: People) -> None:
    rig.trouble("kill:encode")
    assert rig.plain(who.api_key, "owner").status_code == 200
    rig.jobs += 1


def wrong(rig: Rig, who: People) -> None:
    """Bodies, headers and paths that are wrong and hold canaries: 400, 404, 413, 415, 422."""
    rig.plain(who.session, steps=rig.canary("wrong"))
    rig.plain(who.session, sampler=rig.canary("sampler"))
    rig.plain(who.session, **{rig.canary("field"): 1})
    rig.plain(who.session, width_px=99, prompt=rig.canary("size"))
    rig.plain(who.session, inputs=[rig.canary("nopicture").encode()])
    rig.plain(who.session, prompt=rig.canary("large") + "x" * 9_000_000)
    words = rig.canary("badjson")
    sent: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/api/v1/jobs", {"content": b'{"recipe": {"prompt": "' + words.encode()}),
        ("POST", "/api/v1/jobs", {"content": words.encode() * 300_000}),
        ("POST", f"/api/v1/jobs?prompt={rig.canary('query')}", {"json": {"prompt": words}}),
        ("GET", f"/api/v1/jobs/{rig.canary('path')}", {}),
        ("GET", f"/{rig.canary('page')}", {}),
        ("POST", "/api/v1/sessions/start", {"json": {"name": words, "request": words}}),
        ("PUT", "/api/v1/vault/files/password", {"json": {"file": words}}),
        ("POST", "/api/v1/shares", {"json": {"asset": words, "bundle": words}}),
    ]
    with httpx.Client(base_url=rig.url, timeout=60) as http:
        for method, path, more in sent:
            headers = who.session | {"Content-Type": "application/json"}
            rig.take(http.request(method, path, headers=headers, **more))
        for name in ("Safelight-Cost", "Safelight-Assets", "Safelight-Retention", "User-Agent"):
            headers = who.session | {"Content-Type": "application/age", name: rig.canary("header")}
            rig.take(http.post("/api/v1/jobs", headers=headers, content=b"x"))


# --- pictures of one's own, keys that keep, new keys ---


def uploaded(rig: Rig, who: People) -> None:
    """A file from outside, with a canary in its EXIF and its words; then a start from it."""
    asset = who.anna.upload(rig.upload(), words=f"{rig.canary('uploadwords')} in summer")
    digest, data = who.anna.input(asset)
    rig.look_for(data)
    more: dict[str, Any] = {"task": "image-to-image", "init_image": digest, "strength": 0.5}
    sealed(rig, who.anna, retention="owner", inputs={digest: data}, **more)


def kept_by_a_key(rig: Rig, who: People) -> None:
    profile = rig.root / "clients" / f"program-{rig.jobs}"
    with Studio(rig.url, profile, api_key=who.key, transport=Recorder(rig.answers)) as program:
        sealed(rig, program, retention="owner")
    assert who.anna.adopt() >= 1


def rotated(rig: Rig, who: People) -> None:
    """New owner keys, a new recovery code, a new API key."""

    def keep(code: Secret[str]) -> str:
        rig.scanner.add_text("recovery code", code.reveal())
        return code.reveal()

    former = who.anna.link.keys()
    assert who.anna.rotate(who.password, keep_code=keep).new_keys
    for keys in (former, who.anna.link.keys()):
        rig.scanner.add_text("owner identity", keys.identity.text())
    who.key = who.anna.create_key("a program", scopes=("generate",))[1]
    rig.scanner.add_text("API key", who.key.reveal())


# --- around a picture ---


def shared(rig: Rig, who: People) -> None:
    made = sealed(rig, who.anna, retention="owner")
    asset = made.pictures[0].asset
    for passphrase in (None, Secret(rig.canary("passphrase"))):
        share = who.anna.share(asset, passphrase=passphrase)
        url = share.url.reveal()
        rig.scanner.add_text("share secret", url.partition("#")[2])
        open_share_link(url, passphrase)
        who.anna.revoke_share(share.id)


def published_and_taken_back(rig: Rig, who: People) -> None:
    made = sealed(rig, who.anna, retention="public")
    words = rig.canary("caption")
    publication = who.anna.publish(made.pictures[0].asset, words=words)
    with httpx.Client(base_url=rig.url) as http:
        assert http.get(f"/api/v1/publications/{publication['id']}/picture").status_code == 200
    own = {p["id"] for p in who.anna.publications()}
    assert publication["id"] in own
    assert len(own) == 2, "one was public from the making"
    rig.answers[:] = [a for a in rig.answers if "publication" not in a[0] and "explore" not in a[0]]
    for shown in own:
        who.anna.unpublish(shown)
    rig.unpublished = time.monotonic()
    rig.look_for(made.pictures[0].data)


def deleted(rig: Rig, who: People) -> None:
    made = sealed(rig, who.anna, retention="owner")
    who.anna.delete([made.pictures[0].asset])


def library(rig: Rig, who: People) -> None:
    made = sealed(rig, who.anna, retention="owner")
    list(who.anna.assets())
    who.anna.search("garden")
    who.anna.open(made.pictures[0].asset, with_meta=True)
    who.anna.export(rig.root / "clients" / "export.zip")
    data = (rig.root / "clients" / "export.zip").read_bytes()
    rig.answers.append(("answer export", data))


def password_changed(rig: Rig, who: People) -> None:
    new = Secret("another " + rig.canary("newpassword"))
    who.anna.change_password(who.password, new)
    who.password = new


def left(rig: Rig, _who: People) -> None:
    """An account that comes, makes and leaves."""
    name = f"bert{rig.jobs}"
    studio, password, _ = rig.join(name)
    sealed(rig, studio, retention="owner")
    studio.leave(password)


QUICK: list[Callable[[Rig, People], None]] = [
    kept,
    off_the_record,
    by_a_guest,
    from_a_picture,
    refused,
    plain,
    plain_refused,
    wrong,
    shared,
    published_and_taken_back,
    crashed_at("gate"),
]
OFTEN: list[Callable[[Rig, People], None]] = [
    act for act in QUICK if not act.__name__.startswith("crashed")
] + [kept_webp, cancelled, retried, plain_from_a_picture, uploaded, kept_by_a_key, deleted, library]
ALL: list[Callable[[Rig, People], None]] = [
    *QUICK,
    kept_webp,
    cancelled,
    retried,
    *(crashed_at(stage) for stage in STAGES if stage != "gate"),
    hung,
    broken,
    plain_from_a_picture,
    plain_crashed,
    uploaded,
    kept_by_a_key,
    rotated,
    deleted,
    library,
    password_changed,
    left,
]
