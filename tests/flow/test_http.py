"""The flow over plain HTTP, as programs without our client see it."""

from __future__ import annotations

import base64
import hashlib
import io
import socket
import threading
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from people import PASSWORD, Person, join, publish, share
from running import Running
from safelight.ids import b64

CANARY = "violet-canary-8812"
SMALL: dict[str, Any] = {
    "prompt": f"a red kite {CANARY}",
    "width_px": 64,
    "height_px": 64,
    "steps": 2,
    "seed": 7,
}
PATIENCE = httpx.Timeout(240)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("http") / "home"
    with Running(home, metrics_port=free_port(), max_upload_mb=2) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def http(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="module")
def anna(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    person = join(server.url, "anna", tmp_path_factory.mktemp("anna"))
    yield person
    person.studio.close()


@pytest.fixture(scope="module")
def key(anna: Person) -> dict[str, str]:
    _, secret = anna.studio.create_key("program", scopes=["generate"])
    return {"Authorization": f"Bearer {secret.reveal()}"}


def open_picture(result: dict[str, Any]) -> bytes:
    """The one picture of a transit result."""
    (picture,) = result["pictures"]
    data = base64.b64decode(picture["b64"])
    assert hashlib.sha256(data).hexdigest() == picture["sha256"]
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.size == (picture["width_px"], picture["height_px"]) == (64, 64)
    return data


def poll(http: httpx.Client, job: str, headers: dict[str, str]) -> dict[str, Any]:
    """A job once it has ended."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        answer: dict[str, Any] = http.get(f"/api/v1/jobs/{job}", headers=headers).json()
        if answer["job"]["state"] not in ("queued", "running"):
            return answer
        time.sleep(0.1)
    raise AssertionError("the job did not end")


def test_a_guest_waits_and_gets_the_picture(http: httpx.Client):
    body = {"recipe": SMALL, "wait": True}
    answer = http.post("/api/v1/jobs", json=body)
    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert (result["protection"], result["retention"]) == ("transit", "none")
    assert result["verdict"] == "allowed"
    first = open_picture(result)
    assert open_picture(http.post("/api/v1/jobs", json=body).json()) == first


def test_what_a_session_keeps_in_transit_opens_for_its_owner(http: httpx.Client, anna: Person):
    body = {"recipe": SMALL, "wait": True, "retention": "owner", "format": "image/webp"}
    result = http.post("/api/v1/jobs", json=body, headers=anna.headers).json()
    data, asset = open_picture(result), result["pictures"][0]["asset"]
    listed = http.get(f"/api/v1/assets/{asset}", headers=anna.headers).json()
    assert (listed["protection"], listed["retention"]) == ("transit", "owner")
    full = http.get(f"/api/v1/assets/{asset}/full", headers=anna.headers)
    assert full.headers["safelight-protection"] == "transit"
    assert full.content.startswith(b"age-encryption.org/v1\n")
    assert anna.studio.open(asset).data == data


def test_a_key_posts_and_polls(http: httpx.Client, anna: Person, key: dict[str, str]):
    body = {"recipe": SMALL, "retention": "owner"}
    sent = key | {"Idempotency-Key": "one-and-the-same"}
    first = http.post("/api/v1/jobs", json=body, headers=sent)
    again = http.post("/api/v1/jobs", json=body, headers=sent)
    assert first.status_code == again.status_code == 202
    job = first.json()["job"]["id"]
    assert again.json()["job"]["id"] == job
    other = http.post("/api/v1/jobs", json=body | {"format": "image/jpeg"}, headers=sent)
    assert other.status_code == 409
    answer = poll(http, job, key)
    assert open_picture(answer["result"])
    _, secret = anna.studio.create_key("another", scopes=["generate"])
    stranger = {"Authorization": f"Bearer {secret.reveal()}"}
    seen = http.get(f"/api/v1/jobs/{job}", headers=stranger).json()
    assert seen["result"] is None  # a key reads back what it made itself, and nothing else
    assert seen["reply"] is not None  # sealed


def read_events(
    http: httpx.Client, job: str, headers: dict[str, str]
) -> list[tuple[int, str, str]]:
    found, seq, kind = [], 0, ""
    with http.stream("GET", f"/api/v1/jobs/{job}/events", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        for line in stream.iter_lines():
            name, _, rest = line.partition(": ")
            if name == "id":
                seq = int(rest)
            elif name == "event":
                kind = rest
            elif name == "data":
                found.append((seq, kind, rest))
    return found


def test_events_are_numbered_and_resume(http: httpx.Client, anna: Person):
    recipe = SMALL | {"steps": 6}
    taken = http.post("/api/v1/jobs", json={"recipe": recipe}, headers=anna.headers).json()
    job = taken["job"]["id"]
    events = read_events(http, job, anna.headers)
    kinds = [kind for _, kind, _ in events]
    assert kinds[0] == "queued"
    assert "running" in kinds
    assert "progress" in kinds
    assert kinds[-1] == "done"
    numbers = [seq for seq, _, _ in events]
    assert numbers == sorted(set(numbers))
    resumed = read_events(http, job, anna.headers | {"Last-Event-ID": str(numbers[1])})
    assert resumed == events[2:]
    assert (
        read_events(http, job, anna.headers | {"Last-Event-ID": str(numbers[-1])})[-1] == events[-1]
    )
    assert CANARY not in str(events)


def test_a_refusal_says_which_rule_and_not_what_was_asked(http: httpx.Client):
    recipe = SMALL | {"prompt": f"naked child {CANARY}"}
    answer = http.post("/api/v1/jobs", json={"recipe": recipe, "wait": True})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "refused"
    assert problem["category"] == "minors"
    assert CANARY not in answer.text


def test_cancelling(http: httpx.Client, anna: Person):
    recipe = SMALL | {"steps": 150, "width_px": 256, "height_px": 256}
    taken = http.post("/api/v1/jobs", json={"recipe": recipe}, headers=anna.headers).json()
    job = taken["job"]["id"]
    assert http.delete(f"/api/v1/jobs/{job}", headers=anna.headers).json()["job"]["state"] == (
        "cancelled"
    )
    assert read_events(http, job, anna.headers)[-1][1] == "cancelled"


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "code"),
    [
        ("POST", "/api/v1/sessions/start", {"content": b"{", "headers": "json"}, 400, "bad-json"),
        ("POST", "/api/v1/sessions/start", {"json": {"name": CANARY}}, 422, "bad-request"),
        ("POST", "/api/v1/sessions/start", {"json": {CANARY: CANARY}}, 422, "bad-request"),
        ("POST", "/api/v1/jobs", {"json": {"recipe": {CANARY: 1}}}, 422, "bad-request"),
        ("POST", "/api/v1/jobs", {"json": {"recipe": SMALL | {"model": CANARY}}}, 404,
         "unknown-model"),
        ("POST", "/api/v1/jobs", {"json": {"recipe": SMALL | {"steps": -1}}}, 422, "bad-recipe"),
        ("POST", "/api/v1/jobs", {"content": CANARY}, 400, "bad-request"),
        ("PUT", "/api/v1/jobs", {"content": CANARY}, 405, "bad-method"),
        ("GET", f"/api/v1/{CANARY}", {}, 404, "not-found"),
        ("GET", f"/api/v1/jobs/{CANARY}", {}, 404, "not-found"),
        ("GET", f"/api/v1/explore?limit={CANARY}", {}, 422, "bad-request"),
        ("GET", f"/{CANARY}.png", {}, 404, "not-found"),
        ("POST", "/api/v1/jobs", {"content": b"x" * 3_000_000}, 413, "too-large"),
    ],
)  # fmt: skip
def test_errors_are_problems_that_repeat_nothing(
    http: httpx.Client, method: str, path: str, more: dict[str, Any], status: int, code: str
):
    if more.get("headers") == "json":
        more = more | {"headers": {"Content-Type": "application/json"}}
    answer = http.request(method, path, **more)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert {"type", "title", "status", "code", "hint"} <= set(problem)
    assert CANARY not in answer.text


def test_the_cookie_is_for_pages_of_this_server_only(http: httpx.Client, server: Running):
    from safelight.ids import b64, unb64
    from safelight.vault.opaque import OpaqueClientSide

    with httpx.Client(base_url=server.url) as browser:
        side = OpaqueClientSide()
        start, state = side.login_start("anna", PASSWORD)
        begun = browser.post("/api/v1/sessions/start", json={"name": "Anna", "request": b64(start)})
        finish, _, _ = side.login_finish(state, unb64(begun.json()["response"]))
        body = {"login": begun.json()["login"], "finish": b64(finish), "device": "browser"}
        signed = browser.post("/api/v1/sessions/finish", json=body)
        assert signed.status_code == 201
        assert signed.json()["token"] is None
        cookie = signed.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert browser.get("/api/v1/account").json()["name"] == "anna"
        elsewhere = {"Origin": "https://evil.example"}
        assert (
            browser.post("/api/v1/assets/delete", json={"ids": []}, headers=elsewhere).status_code
            == 403
        )
        again = browser.post("/api/v1/sessions/finish", json=body)
        assert again.status_code == 401  # a finished exchange is over
        out = browser.delete("/api/v1/sessions/current", headers={"Origin": server.url})
        assert out.status_code == 200
        assert "clear-site-data" in out.headers
        assert browser.get("/api/v1/account").status_code == 401


def test_the_export_is_one_zip_of_sealed_files(http: httpx.Client, anna: Person):
    answer = http.get("/api/v1/export", headers=anna.headers)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert {"README.txt", "vault/password.age", "vault/recovery.age"} <= set(names)
        sealed = [n for n in names if n.endswith(".age")]
        assert len([n for n in sealed if n.endswith("/full.age")]) >= 2
        for name in sealed:
            assert archive.read(name).startswith(b"age-encryption.org/v1\n"), name


def test_metrics_are_counts_on_their_own_port(http: httpx.Client, server: Running):
    port = int(server.settings["metrics_port"])
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert "safelight_http_requests_total" in text
    assert "anna" not in text
    assert "/api" not in text
    assert http.get("/metrics", headers={"accept": "text/plain"}).headers["content-type"] != (
        "text/plain; version=0.0.4"
    )


def test_the_description_and_its_page(http: httpx.Client):
    assert http.get("/api/openapi.json").json()["info"]["title"] == "Safelight"
    page = http.get("/api/docs")
    assert "createJob" in page.text
    assert "script" not in page.headers["content-security-policy"].split("script-src")[0]
    assert "http://" not in page.text.replace(str(http.base_url), "")
    assert "https://" not in page.text


CARRIERS = {
    "assets": {"getThumbs", "getAssetPart", "export"},
    "shares": {"openShare", "openReceivedShare"},
    "publications": {"getPublicPicture"},
    "jobs": {"createJob", "getJob", "followJob"},
}
"""The operations whose answers carry pictures, plain or sealed."""


def described(http: httpx.Client) -> dict[str, tuple[str, str, list[dict[str, Any]]]]:
    """Method, path and the answers that may have a body, of every operation, by its id."""
    return {
        operation["operationId"]: (
            method.upper(),
            path,
            [answer for status, answer in operation["responses"].items() if status < "300"],
        )
        for path, operations in http.get("/api/openapi.json").json()["paths"].items()
        for method, operation in operations.items()
    }


def test_what_is_not_our_json_describes_the_two_headers(http: httpx.Client):
    """Vault segments are the only bytes without: they hold no picture."""
    without = set()
    for name, (_, _, answers) in described(http).items():
        for answer in answers:
            forms = set(answer.get("content", ())) - {"application/json"}
            if forms and set(answer.get("headers", ())) != {
                "Safelight-Protection", "Safelight-Retention"
            }:  # fmt: skip
                without.add(name)
    assert without == {"getSegment"}


def states(answer: httpx.Response) -> bool:
    """Whether an answer says who may have seen its pictures, and who keeps them."""
    known = {"sealed", "transit", "public"}, {"none", "owner", "public"}
    if answer.headers["content-type"] != "application/json":
        names = ("safelight-protection", "safelight-retention")
        return all(answer.headers.get(n) in words for n, words in zip(names, known, strict=True))
    body = answer.json()
    parts = body["stated"].values() if "stated" in body else [body]
    if "thumbs" in body and set(body["stated"]) != set(body["thumbs"]):
        return False
    return all(p["protection"] in known[0] and p["retention"] in known[1] for p in parts)


def test_every_answer_with_a_picture_states_protection_and_retention(
    http: httpx.Client, server: Running, anna: Person, tmp_path: Path
):
    """Every operation is called; what carries a picture is found by the picture's bytes."""
    bert = join(server.url, "bert", tmp_path)
    body = {"recipe": SMALL, "retention": "owner"}
    taken = http.post("/api/v1/jobs", json=body, headers=anna.headers).json()
    job = poll(http, taken["job"]["id"], anna.headers)
    asset, token = job["job"]["assets"][0], b"\x09" * 32
    to_bert = {"asset": asset, "bundle": b64(b"a bundle"), "person": "bert"}
    given = http.post("/api/v1/shares", json=to_bert, headers=anna.headers)
    ids = {
        "job": job["job"]["id"],
        "asset": asset,
        "publication": publish(http, anna),
        "part": "thumb",
    }
    shares = {"openShare": share(http, anna, asset, token), "openReceivedShare": given.json()["id"]}
    bodies = {
        "getThumbs": {"ids": [asset]},
        "openShare": {"access_token": b64(token)},
        "createJob": body | {"retention": "none", "wait": True},
    }
    pictures = {
        base64.b64decode(job["result"]["pictures"][0]["b64"]),
        base64.b64decode(job["reply"]),
        http.get(f"/api/v1/publications/{ids['publication']}/picture").content,
        *(
            http.get(f"/api/v1/assets/{asset}/{part}", headers=anna.headers).content
            for part in ("full", "thumb")
        ),
    }
    needles = [form for data in pictures for form in (data, b64(data).encode())]

    found, called = set(), 0
    for name, (method, path, _) in described(http).items():
        if method != "GET" and name not in bodies:
            continue  # what changes something answers with a few fields
        named = ids | {"share": shares.get(name, "shr_none")}
        where = path.format_map(defaultdict(lambda: "none", named))
        who = bert if name == "openReceivedShare" else anna
        answer = http.request(method, where, headers=who.headers, json=bodies.get(name))
        called += 1
        if answer.is_success and any(needle in answer.content for needle in needles):
            assert states(answer), name
            if name in CARRIERS["shares"]:
                assert answer.json()["protection"] == "transit", "as the asset was made"
            found.add(name)
    assert found == set().union(*CARRIERS.values())
    assert called > 30
    bert.studio.close()


def test_no_word_reached_the_log(server: Running):
    text = server.log.read_text()
    assert CANARY not in text
    assert "anna" not in text
    assert len(server.records()) > 30


def test_stopping_finishes_running_work(tmp_path: Path):
    """SIGTERM while a job runs: its caller still gets the picture, and the status is 0."""
    with Running(tmp_path / "home") as running:
        running.wait_ready()
        person = join(running.url, "cara", tmp_path)
        made, secret = person.studio.create_key("program", scopes=["generate"])
        headers = {"Authorization": f"Bearer {secret.reveal()}"}
        answers: list[httpx.Response] = []
        recipe = SMALL | {"steps": 20}

        def ask() -> None:
            body = {"recipe": recipe, "retention": "owner", "wait": True}
            url = f"{running.url}/api/v1/jobs"
            answers.append(httpx.post(url, json=body, headers=headers, timeout=PATIENCE))

        asking = threading.Thread(target=ask)
        asking.start()
        with httpx.Client(base_url=running.url, timeout=PATIENCE) as http:
            while not (jobs := http.get("/api/v1/jobs", headers=headers).json()["jobs"]):
                time.sleep(0.05)
            while (
                http.get(f"/api/v1/jobs/{jobs[0]['id']}", headers=headers).json()["job"]["state"]
                == "queued"
            ):
                time.sleep(0.02)
        assert running.stop() == 0
        asking.join(240)
        assert answers[0].status_code == 200, answers[0].text
        open_picture(answers[0].json())
    # Another process knows nothing of the exchange, but the key that made it opens the reply.
    with Running(tmp_path / "home", port=int(running.url.rsplit(":", 1)[1])) as second:
        with httpx.Client(base_url=second.url, timeout=PATIENCE) as http:
            job = jobs[0]["id"]
            answer = http.get(f"/api/v1/jobs/{job}", headers=headers).json()
            assert open_picture(answer["result"]) == open_picture(answers[0].json())
            seen = http.get(f"/api/v1/jobs/{job}", headers=person.headers).json()
            assert seen["result"] is None
            person.studio.revoke_key(made["id"])
            assert http.get(f"/api/v1/jobs/{job}", headers=headers).status_code == 401
        person.studio.close()
