"""People for tests over HTTP: accounts made with the client's own code, and what they own."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from safelight.client.sdk import Studio
from safelight.ids import b64, canonical_json, new_id, sha256_hex
from safelight.secret import Secret
from safelight.vault import age
from safelight.vault.identity import Identity
from safelight.vault.request import seal_envelope

PASSWORD = Secret("four unrelated words here")


@dataclass
class Person:
    """A signed-in account."""

    name: str
    studio: Studio
    code: Secret[str]

    @property
    def token(self) -> str:
        token = self.studio.link.wire.token
        assert token is not None
        return token

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def join(url: str, name: str, folder: Path) -> Person:
    """Make an account."""
    studio, codes = Studio(url, folder / name), []

    def keep(code: Secret[str]) -> str:
        codes.append(code)
        return code.reveal()

    studio.create_account(name, PASSWORD, keep_code=keep)
    return Person(name=name, studio=studio, code=codes[0])


def picture_bytes() -> bytes:
    """A small PNG."""
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 40, 30)).save(out, "PNG")
    return out.getvalue()


def put_asset(http: httpx.Client, person: Person) -> str:
    """Keep something sealed; its id."""
    made, asset = Identity.generate(), new_id("ast")
    sealed = age.seal(b"a picture", [made.recipient])
    owner = person.studio.link.keys().recipient
    answer = http.put(
        "/api/v1/assets",
        headers=person.headers,
        data={"asset": asset, "kind": "upload", "envelope": b64(seal_envelope(made, owner))},
        files={part: (part, sealed, "application/age") for part in ("full", "thumb", "meta")},
    )
    assert answer.status_code == 201, answer.text
    return asset


def publish(http: httpx.Client, person: Person) -> str:
    """Publish a picture; the publication's id."""
    answer = http.post(
        "/api/v1/publications",
        headers=person.headers,
        data={"words": "a red square"},
        files={"picture": ("p.png", picture_bytes(), "image/png")},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def share(http: httpx.Client, person: Person, asset: str, token: bytes) -> str:
    """Share an asset by link; the share's id."""
    answer = http.post(
        "/api/v1/shares",
        headers=person.headers,
        json={"asset": asset, "bundle": b64(b"a bundle"), "access_sha256": sha256_hex(token)},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def cost_text(model: str = "0" * 64) -> str:
    """A cost header."""
    value: dict[str, Any] = {
        "model": model,
        "width_px": 64,
        "height_px": 64,
        "steps": 2,
        "count": 1,
        "features": [],
    }
    return canonical_json(value).decode()


def job_headers(asset: str | None = None) -> dict[str, str]:
    """The headers of a sealed job: kept if an asset id is given."""
    return {
        "Content-Type": "application/age",
        "Safelight-Cost": cost_text(),
        "Safelight-Retention": "none" if asset is None else "owner",
        "Safelight-Assets": asset or "",
    }
