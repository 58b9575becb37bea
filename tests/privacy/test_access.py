"""A1: every route against everybody who should not pass, made from the OpenAPI description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from people import (
    PASSWORD,
    Person,
    job_headers,
    join,
    picture_bytes,
    publish,
    put_asset,
    share,
)
from running import Running
from safelight.ids import b64, new_id
from safelight.server.headers import ALWAYS

TOKEN = b"\x07" * 32
ROOT = Path(__file__).parents[2]
DESCRIPTION = json.loads((ROOT / "docs/reference/openapi.json").read_text())
KINDS = {"job": "job", "asset": "ast", "share": "shr", "publication": "pub", "key": "key",
         "session": "ses", "passkey": "psk", "account": "acc"}  # fmt: skip

PUBLIC = frozenset(
    {
        *("healthz", "readyz", "getServer", "getTrust", "listDarkrooms", "listModels"),
        *("registerStart", "registerFinish", "signInStart", "signInFinish"),
        *("recoveryStart", "recoveryFinish", "passkeySignInStart", "passkeySignInFinish"),
        *("explore", "getPublication", "getPublicPicture", "openShare"),
        *("createJob", "getJob", "cancelJob", "followJob"),  # guests; others' jobs stay hidden
    }
)
"""Operations that nobody need be signed in for. What each then shows is tested by itself."""
OPERATOR = frozenset({"listPeople", "changePerson", "getHealth"})
SCOPE = {
    "generate": {"createJob", "listJobs", "getJob", "cancelJob", "followJob", "getCurrentKey"},
    "library": {"getAccount", "listAssets", "getThumbs", "deleteAssets", "getAsset",
                "getAssetPart", "deleteAsset"},
    "share": {"createShare", "listShares", "listReceivedShares", "openReceivedShare",
              "revokeShare"},
    "publish": {"publish", "listPublications", "unpublish"},
}  # fmt: skip
"""What an API key may do, by scope. Everything else needs a session."""


@dataclass
class World:
    """A server, its people, and what bob owns."""

    server: Running
    http: httpx.Client
    alice: Person
    bob: Person
    carol: Person
    revoked: str
    owned: dict[str, str]
    keys: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("access")
    with Running(folder / "home") as server, httpx.Client(base_url=server.url) as http:
        alice, bob, carol = (join(server.url, n, folder) for n in ("alice", "bob", "carol"))
        asset = put_asset(http, bob)
        job = http.post(
            "/api/v1/jobs", content=b"sealed", headers=bob.headers | job_headers(new_id("ast"))
        )
        assert job.status_code == 202, job.text
        owned = {
            "asset": asset,
            "job": job.json()["job"]["id"],
            "share": share(http, bob, asset, TOKEN),
            "publication": publish(http, bob),
            "account": http.get("/api/v1/account", headers=bob.headers).json()["id"],
            "passkey": new_id("psk"),
        }
        keys = {}
        for scope in SCOPE:
            made, secret = bob.studio.create_key(f"only {scope}", scopes=[scope])
            keys[scope], owned["key"] = secret.reveal(), made["id"]
        revoked = bob.token
        bob.studio.sign_out()
        bob.studio.unlock("bob", PASSWORD)
        sessions = http.get("/api/v1/sessions", headers=bob.headers).json()["sessions"]
        owned["session"] = sessions[0]["id"]
        yield World(server, http, alice, bob, carol, revoked, owned, keys)
        for person in (alice, bob, carol):
            person.studio.close()


@dataclass(frozen=True)
class Operation:
    """One operation of the description."""

    id: str
    method: str
    path: str

    def parameters(self) -> list[str]:
        return [p[1:-1] for p in self.path.split("/") if p.startswith("{")]


OPERATIONS = [
    Operation(operation["operationId"], method.upper(), path)
    for path, operations in DESCRIPTION["paths"].items()
    for method, operation in operations.items()
]
CLOSED = [o for o in OPERATIONS if o.id not in PUBLIC]
OWNED = [
    o for o in OPERATIONS if set(o.parameters()) & {"asset", "job", "share", "key", "session",
                                                    "passkey"} and o.id != "openShare"
] + [o for o in OPERATIONS if o.id in ("unpublish", "createShare", "publish")]  # fmt: skip
BODIES: dict[str, dict[str, Any]] = {
    "passwordStart": {"request": b64(b"x")},
    "passwordFinish": {"upload": b64(b"x"), "password_file": b64(b"x")},
    "leave": {"proof": {"login": "none", "finish": b64(b"x")}},
    "passkeyRegisterFinish": {"ticket": "none", "credential": {"id": "AA"}},
    "putUnlockFile": {"file": b64(b"x")},
    "rewrapVault": {"password_file": b64(b"x"), "recovery_file": b64(b"x")},
    "announceOwner": {"owner_recipient": "age1" + "q" * 58, "note": "x"},
    "rewrapEnvelopes": {"envelopes": [
        {"asset": "ast_" + "0" * 26, "before_sha256": "0" * 64, "envelope": b64(b"x")}
    ]},
    "putVaultHead": {"head": b64(b"x")},
    "createKey": {"name": "k", "scopes": ["generate"], "secret_sha256": "0" * 64,
                  "key_recipient": "age1" + "q" * 58, "record": "x"},
    "getThumbs": {"ids": []},
    "deleteAssets": {"ids": []},
    "createShare": {"bundle": b64(b"x"), "access_sha256": "0" * 64},
    "changePerson": {"disabled": True},
}  # fmt: skip


def call(
    world: World, operation: Operation, headers: dict[str, str], ids: dict[str, str] | None = None
) -> httpx.Response:
    """One request, well formed, about bob's things or those of ``ids``."""
    named = world.owned | {"method": "password", "digest": "0" * 64, "part": "full", "name": "bob"}
    named |= ids or {}
    path = operation.path
    for parameter in operation.parameters():
        path = path.replace("{" + parameter + "}", named[parameter])
    more: dict[str, Any] = {}
    if operation.id in BODIES:
        body = dict(BODIES[operation.id])
        if "ids" in body:
            body["ids"] = [named["asset"]]
        if operation.id == "createShare":
            body["asset"] = named["asset"]
        more["json"] = body
    elif operation.id == "createJob":
        more["content"] = b"sealed"
        headers = headers | job_headers()
    elif operation.id == "putSegment":
        more["content"] = b"x"
    elif operation.id == "putAsset":
        more["data"] = {"asset": new_id("ast"), "kind": "upload", "envelope": b64(b"x")}
        more["files"] = {p: (p, b"x", "application/age") for p in ("full", "thumb", "meta")}
    elif operation.id == "publish":
        more["data"] = {"asset": named["asset"]}
        more["files"] = {"picture": ("p.png", picture_bytes(), "image/png")}
    if operation.id == "putVaultHead":
        headers = headers | {"If-Match": "0"}
    answer = world.http.request(operation.method, path, headers=headers, **more)
    for name in ALWAYS:
        assert name in answer.headers, (operation.id, name)
    return answer


def test_every_operation_has_a_body_here():
    """A new route with a body must be added to this file, or it would be tested as malformed."""
    for operation in CLOSED:
        described = DESCRIPTION["paths"][operation.path][operation.method.lower()]
        content = described.get("requestBody", {}).get("content", {})
        assert ("application/json" in content) == (operation.id in BODIES), operation.id
        assert described["security"], operation.id
    for operation in OPERATIONS:
        described = DESCRIPTION["paths"][operation.path][operation.method.lower()]
        assert ("security" in described) != (operation.id in PUBLIC), operation.id
    assert len(OPERATIONS) >= 60


def test_nobody_passes_without_an_account(world: World):
    for operation in CLOSED:
        assert call(world, operation, {}).status_code == 401, operation.id


def test_an_ended_session_is_nobody(world: World):
    headers = {"Authorization": f"Bearer {world.revoked}"}
    for operation in OPERATIONS:
        if operation.id in ("healthz", "readyz"):
            continue
        status = call(world, operation, headers).status_code
        public = operation.id in PUBLIC and not uses_caller(operation)
        assert (status == 401) != public, (operation.id, status)


def uses_caller(operation: Operation) -> bool:
    """Whether a public operation looks at who is calling."""
    return operation.id not in {
        *("healthz", "readyz", "getServer", "getTrust", "listDarkrooms", "listModels", "explore"),
        *("getPublication", "getPublicPicture", "signInFinish", "recoveryFinish"),
        "passkeySignInFinish",
    }


def test_a_wrong_bearer_is_nobody(world: World):
    for credential in ("sl_" + "A" * 43, "A" * 43, "x", "a b"):
        answer = world.http.get("/api/v1/assets", headers={"Authorization": f"Bearer {credential}"})
        assert answer.status_code == 401
    assert (
        world.http.get("/api/v1/assets", headers={"Authorization": "Basic YQ=="}).status_code == 401
    )


@pytest.mark.parametrize("scope", list(SCOPE))
def test_a_key_does_what_its_scope_says_and_no_more(world: World, scope: str):
    headers = {"Authorization": f"Bearer {world.keys[scope]}"}
    allowed = SCOPE[scope] | (PUBLIC - {"createJob", "getJob", "cancelJob", "followJob"})
    for operation in OPERATIONS:
        if operation.id in allowed:
            continue
        answer = call(world, operation, headers)
        assert answer.status_code == 403, (operation.id, answer.status_code)
        assert answer.json()["code"] == "not-allowed"


@pytest.mark.parametrize("caller", ["carol", "alice"])
def test_what_is_anothers_looks_like_what_is_not_there(world: World, caller: str):
    """Also to the operator: an administrator who cannot look."""
    headers = getattr(world, caller).headers
    seen = 0
    for operation in OWNED:
        if caller == "alice" and operation.id in OPERATOR:
            continue
        foreign = call(world, operation, headers)
        unknown = call(
            world, operation, headers, {name: new_id(kind) for name, kind in KINDS.items()}
        )
        assert foreign.status_code == 404, (operation.id, foreign.status_code)
        assert foreign.content == unknown.content, operation.id
        assert dict(foreign.headers) | {"date": ""} == dict(unknown.headers) | {"date": ""}
        seen += 1
    assert seen >= 14


@pytest.mark.parametrize("caller", ["carol", "alice"])
def test_lists_show_only_ones_own(world: World, caller: str):
    headers = getattr(world, caller).headers
    lists = {"listAssets": "assets", "listJobs": "jobs", "listShares": "shares",
             "listKeys": "keys", "listPublications": "publications", "listPasskeys": "passkeys",
             "listReceivedShares": "shares"}  # fmt: skip
    for operation in OPERATIONS:
        if operation.id in lists:
            answer = call(world, operation, headers)
            assert answer.status_code == 200
            assert answer.json()[lists[operation.id]] == [], operation.id
    sessions = world.http.get("/api/v1/sessions", headers=headers).json()["sessions"]
    assert world.owned["session"] not in {s["id"] for s in sessions}
    body = {"ids": [world.owned["asset"], new_id("ast")]}
    thumbs = world.http.post("/api/v1/assets/thumbs", headers=headers, json=body)
    assert thumbs.json() == {"thumbs": {}, "stated": {}}
    deleted = world.http.post("/api/v1/assets/delete", headers=headers, json=body)
    assert set(deleted.json()["results"].values()) == {"not-found"}


def test_only_the_operator_administers(world: World):
    for operation in OPERATIONS:
        if operation.id in OPERATOR:
            for headers in (world.bob.headers, world.carol.headers):
                assert call(world, operation, headers).status_code == 403, operation.id
    people = world.http.get("/api/v1/admin/people", headers=world.alice.headers)
    assert {p["name"] for p in people.json()["people"]} == {"alice", "bob", "carol"}
    allowed = {"id", "name", "role", "plan", "created_at", "disabled"}
    assert all(set(p) == allowed for p in people.json()["people"])


def test_guests_see_only_jobs_they_hold_a_ticket_for(world: World):
    taken = world.http.post("/api/v1/jobs", content=b"sealed", headers=job_headers())
    assert taken.status_code == 202
    job, ticket = taken.json()["job"]["id"], taken.json()["ticket"]
    own = {"Safelight-Ticket": ticket}
    assert world.http.get(f"/api/v1/jobs/{job}", headers=own).status_code == 200
    for headers in ({}, {"Safelight-Ticket": ticket[:-1] + "!"}, world.carol.headers):
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events")):
            answer = world.http.request(method, f"/api/v1/jobs/{job}{path}", headers=headers)
            assert answer.status_code == 404
    foreign = world.http.get(f"/api/v1/jobs/{world.owned['job']}", headers=own)
    assert foreign.status_code == 404


def test_a_share_needs_its_token(world: World):
    path = f"/api/v1/shares/{world.owned['share']}/open"
    wrong = world.http.post(path, json={"access_token": b64(b"\x08" * 32)})
    none = world.http.post(
        f"/api/v1/shares/{new_id('shr')}/open", json={"access_token": b64(TOKEN)}
    )
    assert wrong.status_code == none.status_code == 404
    assert wrong.content == none.content
    right = world.http.post(path, json={"access_token": b64(TOKEN)})
    assert right.status_code == 200
    assert right.json()["protection"] == "sealed"


def test_nothing_of_bobs_was_changed_by_any_of_this(world: World):
    headers = world.bob.headers
    for path in (
        f"/api/v1/assets/{world.owned['asset']}",
        f"/api/v1/jobs/{world.owned['job']}",
        f"/api/v1/publications/{world.owned['publication']}",
        "/api/v1/account",
    ):
        assert world.http.get(path, headers=headers).status_code == 200, path
    keys = world.http.get("/api/v1/keys", headers=headers).json()["keys"]
    assert len(keys) == len(SCOPE)
    shares = world.http.get("/api/v1/shares", headers=headers).json()["shares"]
    assert [s["id"] for s in shares] == [world.owned["share"]]


def test_a_revoked_key_is_refused_at_once(world: World, proof: Any):
    made, secret = world.bob.studio.create_key("short", scopes=["library"])
    headers = {"Authorization": f"Bearer {secret.reveal()}"}
    assert world.http.get("/api/v1/assets", headers=headers).status_code == 200
    world.bob.studio.revoke_key(made["id"])
    assert world.http.get("/api/v1/assets", headers=headers).status_code == 401
    callers = "anonymous, ended session, four one-scope keys, other account, operator"
    proof("A1", f"{len(OPERATIONS)} operations x ({callers})", "0 unexpected 2xx")


def test_the_server_logged_only_events(world: World):
    from safelight.server.logs import Event

    records = world.server.records()
    assert len(records) > 200
    assert {r["event"] for r in records} <= {e.value for e in Event} - {"log.misfit", "crash"}
