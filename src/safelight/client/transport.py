"""``SealingTransport``: a stock HTTP client makes sealed pictures without knowing it.

::

    client = OpenAI(
        base_url="https://studio.example/v1",
        api_key="unused",
        http_client=httpx.Client(transport=SealingTransport("https://studio.example", profile)),
    )

Note [no silent transit]
    Two requests carry words: ``POST /api/v1/jobs`` with JSON and ``POST /v1/images/generations``.
    They are sealed here and never sent as they are. Every other request with a body is stopped,
    because it might carry words too. Requests without a body are passed on.
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx

from safelight.client.exchange import Wish
from safelight.client.guard import GuardedTransport, origin_of
from safelight.client.link import Link
from safelight.client.making import Made, generate
from safelight.client.profile import Profile
from safelight.client.recipes import build, find_model
from safelight.client.wire import Wire
from safelight.errors import (
    DowngradeError,
    IntegrityError,
    RecipeError,
    RequestError,
    SafelightError,
)
from safelight.ids import Clock, b64, sha256_hex, unb64
from safelight.recipe import AdapterUse, ControlUse, Recipe
from safelight.secret import Secret

JOBS_PATH = "/api/v1/jobs"
OPENAI_PATH = "/v1/images/generations"
OPENAI_FIELDS = frozenset(
    {"prompt", "model", "n", "size", "response_format", "output_format", "user", "quality"}
)
_MEDIA = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


class SealingTransport(httpx.BaseTransport):
    """Seals what carries words, refuses what might, passes on the rest.

    Speaks to one origin only, follows no redirect, uses plain HTTP on this machine only. Raises
    :class:`DowngradeError` for anything that would be sent less protected; nothing is sent then.
    """

    def __init__(
        self,
        server: str,
        profile: Profile,
        *,
        inner: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._origin = origin_of(server)
        self._guard = GuardedTransport(self._origin, inner)
        self._link = Link.open(Wire(server, transport=self._guard), profile, clock)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request; see Note [no silent transit]."""
        url = request.url
        if f"{url.scheme}://{url.netloc.decode('ascii')}" != self._origin:
            raise DowngradeError("a request to another server than the chosen one was stopped")
        body = request.read()
        makes = {JOBS_PATH: self._plain_job, OPENAI_PATH: self._openai}.get(url.path)
        if request.method == "POST" and makes is not None:
            return self._answer(makes, body)
        if body or request.method not in ("GET", "HEAD", "DELETE"):
            raise DowngradeError("a request that cannot be sealed was stopped")
        if self._link.wire.token is not None:
            request.headers["Authorization"] = f"Bearer {self._link.wire.token}"
        return self._guard.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self._link.wire.close()

    def _answer(self, makes: Any, body: bytes) -> httpx.Response:
        try:
            value = json.loads(body)
            if not isinstance(value, dict):
                raise RequestError("the body is not a JSON object")
            return httpx.Response(
                200,
                json=makes(value),
                headers={
                    "Safelight-Protection": "sealed",
                    "Safelight-Retention": str(value.get("retention", "none")),
                },
            )
        except ValueError:
            return _problem(RequestError("the body is not JSON"))
        except (DowngradeError, IntegrityError):
            raise
        except SafelightError as error:
            return _problem(error)

    def _plain_job(self, value: dict[str, Any]) -> dict[str, Any]:
        """The native plain form (``PlainRequest``), answered as ``PlainResult``."""
        if set(value) - {"recipe", "inputs", "retention", "format", "wait"}:
            raise RequestError("a field is not known here")
        asked = value.get("recipe")
        if not isinstance(asked, dict):
            raise RequestError("the request has no recipe")
        inputs = {sha256_hex(raw): raw for raw in map(unb64, value.get("inputs", {}).values())}
        retention = value.get("retention", "none")
        if retention not in ("none", "owner"):
            raise RequestError("retention is none or owner here; publish afterwards")
        recipe = self._recipe(asked)
        made = generate(
            self._link,
            Wish(
                recipe=recipe,
                inputs=inputs,
                retention=retention,
                media_type=value.get("format", "image/png"),
            ),
        )
        return _plain_result(made)

    def _recipe(self, asked: dict[str, Any]) -> Recipe:
        more = dict(asked)
        prompt = more.pop("prompt", None)
        if not isinstance(prompt, str):
            raise RecipeError("prompt must be text")
        model = find_model(self._link, more.pop("model", None))
        width, height = more.pop("width_px", None), more.pop("height_px", None)
        native = model.native_size_px
        named = {k: more.pop(k, None) for k in ("steps", "guidance", "seed")}
        try:
            more["negative_prompt"] = Secret(more.get("negative_prompt", ""))
            more["adapters"] = tuple(AdapterUse(**a) for a in more.get("adapters", ()))
            more["controls"] = tuple(ControlUse(**c) for c in more.get("controls", ()))
            size = (width or native, height or native)
            return build(model, Secret(prompt), size=size, more=more, **named)
        except TypeError:
            raise RecipeError("a recipe has a field of the wrong kind") from None

    def _openai(self, value: dict[str, Any]) -> dict[str, Any]:
        """OpenAI's form of an image generation; always answers ``b64_json``."""
        if set(value) - OPENAI_FIELDS:
            raise RequestError("a field is not known here")
        asked: dict[str, Any] = {"prompt": value.get("prompt"), "count": value.get("n") or 1}
        if value.get("model"):
            asked["model"] = value["model"]
        size = value.get("size") or "auto"
        if size != "auto":
            try:
                asked["width_px"], asked["height_px"] = (int(s) for s in str(size).split("x"))
            except ValueError:
                raise RequestError("size is WIDTHxHEIGHT or auto") from None
        media_type = _MEDIA.get(value.get("output_format") or "png")
        if media_type is None:
            raise RequestError("output_format is png, jpeg or webp")
        recipe = self._recipe(asked)
        made = generate(self._link, Wish(recipe=recipe, media_type=media_type))
        return {
            "created": int(time.time()),
            "data": [{"b64_json": b64(p.data)} for p in made.pictures],
            "protection": made.protection,
            "retention": made.retention,
        }


def _plain_result(made: Made) -> dict[str, Any]:
    return {
        "job": {"id": made.job, "state": "done"},
        "protection": made.protection,
        "retention": made.retention,
        "verdict": "allowed",
        "category": None,
        "recipe_digest": made.recipe_digest,
        "model": made.model,
        "seed": made.seed,
        "seconds": made.seconds,
        "device": made.device,
        "pictures": [
            {
                "asset": p.asset,
                "seed": p.seed,
                "media_type": p.media_type,
                "width_px": p.width_px,
                "height_px": p.height_px,
                "sha256": sha256_hex(p.data),
                "b64": base64.b64encode(p.data).decode("ascii"),
            }
            for p in made.pictures
        ],
    }


def _problem(error: SafelightError) -> httpx.Response:
    """An error as the server would answer it, with OpenAI's member beside ours."""
    return httpx.Response(
        error.http_status,
        headers={"Content-Type": "application/problem+json"},
        json={
            "type": f"urn:safelight:error:{error.code}",
            "title": error.message,
            "status": error.http_status,
            "code": error.code,
            "hint": error.hint,
            "error": {"message": error.message, "code": error.code, "type": "safelight"},
        },
    )
