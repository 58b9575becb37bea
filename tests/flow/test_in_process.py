"""The application inside the test's own process, under settings that the other tests do not use."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from people import PASSWORD, job_headers
from safelight.ids import b64, sha256_hex, unb64
from safelight.server.app import build_app
from safelight.server.logs import Journal
from safelight.settings import Settings
from safelight.vault.identity import OwnerKeys
from safelight.vault.opaque import OpaqueClientSide


@asynccontextmanager
async def open_app(home: Path, base: str, **changes: object) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(home=home, **changes)  # type: ignore[arg-type]
    app = build_app(settings, journal=Journal(io.StringIO()))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=base) as http,
    ):
        yield http


async def register(http: httpx.AsyncClient, name: str) -> httpx.Response:
    side, keys = OpaqueClientSide(), OwnerKeys.generate()
    start, state = side.registration_start(name, PASSWORD)
    begun = await http.post(
        "/api/v1/accounts/register/start", json={"name": name, "request": b64(start)}
    )
    upload, _ = side.registration_finish(state, unb64(begun.json()["response"]))
    body = {
        "name": name,
        "upload": b64(upload),
        "owner_recipient": keys.recipient,
        "signing_key": keys.signing_public_hex,
        "password_file": b64(b"sealed"),
        "recovery_file": b64(b"sealed"),
        "recovery_token_sha256": sha256_hex(b"token"),
    }
    return await http.post("/api/v1/accounts/register/finish", json=body)


async def test_over_https_the_cookie_is_bound_to_the_host(tmp_path: Path):
    site = "https://studio.example"
    async with open_app(tmp_path, site, public_url=site, host="0.0.0.0") as http:
        signed = await register(http, "anna")
        assert signed.status_code == 201, signed.text
        assert signed.json()["account"]["role"] == "owner"
        cookie = signed.headers["set-cookie"]
        assert cookie.startswith("__Host-safelight=")
        assert "Secure" in cookie
        assert "Domain" not in cookie
        assert "strict-transport-security" in signed.headers
        assert (await http.get("/api/v1/account")).json()["name"] == "anna"
        elsewhere = await http.get("/api/v1/account", headers={"host": "10.0.0.1.example"})
        assert elsewhere.status_code == 403


async def test_beyond_loopback_guests_and_strangers_stay_out(tmp_path: Path):
    site = "https://studio.example"
    async with open_app(tmp_path, site, public_url=site, host="0.0.0.0") as http:
        about = (await http.get("/api/v1/server")).json()
        assert about["guests"] is False
        assert about["sign_up"] is True  # for the first account
        assert (await register(http, "anna")).status_code == 201
        assert (await http.get("/api/v1/server")).json()["sign_up"] is False
        http.cookies.clear()
        stranger = await register(http, "berta")
        assert stranger.status_code == 403
        refused = await http.post("/api/v1/jobs", content=b"sealed", headers=job_headers())
        assert refused.status_code == 403
        assert refused.json()["code"] == "not-allowed"


async def test_the_label_is_made_from_the_settings(tmp_path: Path):
    changes = {"operator": "Lamp and Sons", "law": "Iceland", "hosted_in": "Reykjavik",
               "erasure_days": 3, "host": "0.0.0.0", "session_days": 2}  # fmt: skip
    async with open_app(tmp_path, "http://127.0.0.1:7788", **changes) as http:
        trust = (await http.get("/api/v1/trust")).json()
    assert trust["sentences"][-1] == (
        "Operated by Lamp and Sons, under the law of Iceland, hosted in Reykjavik."
    )
    lines = {line["key"]: line for line in trust["label"]}
    assert lines["erasure"]["value"] == "no key backup after 3 days"
    assert lines["sessions"]["value"] == "end after 2 days"
    assert lines["line"]["protects"] is False  # plain HTTP beyond this machine
    assert lines["guests"]["value"] == "may not make pictures"
    assert len(trust["fleet_key"]) == 64


async def test_a_disabled_account_is_out_at_once(tmp_path: Path):
    async with open_app(tmp_path, "http://127.0.0.1:7788") as operator:
        await register(operator, "anna")
        async with httpx.AsyncClient(
            transport=operator._transport, base_url="http://127.0.0.1:7788"
        ) as member:
            account = (await register(member, "berta")).json()["account"]["id"]
            assert (await member.get("/api/v1/assets")).status_code == 200
            path = f"/api/v1/admin/people/{account}"
            assert (await member.patch(path, json={"plan": "studio"})).status_code == 403
            changed = await operator.patch(path, json={"plan": "small"})
            assert changed.json()["plan"] == "small"
            assert (await operator.patch(path, json={"plan": "none"})).status_code == 400
            await operator.patch(path, json={"disabled": True})
            assert (await member.get("/api/v1/assets")).status_code == 401
        own = (await operator.get("/api/v1/account")).json()["id"]
        itself = await operator.patch(f"/api/v1/admin/people/{own}", json={"disabled": True})
        assert itself.status_code == 400
