"""Makes every error that a route or the web framework raises a problem of ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from safelight.errors import SafelightError
from safelight.server.problems import from_error, internal, problem

_MAX_FIELDS = 16
_HTTP_HINTS = {
    404: ("not-found", "nothing with this address or id is here", "check the address and the id"),
    405: ("bad-method", "this address does not take this method", "see /api/docs"),
    413: ("too-large", "the body is over the limit", "send less"),
    415: ("bad-media-type", "the body has another content type than expected", "see /api/docs"),
}


def from_http(error: HTTPException) -> Response:
    """The answer for an error of the web framework: the status, in our words."""
    status = error.status_code
    phrase = HTTPStatus(status).phrase.lower()
    code, title, hint = _HTTP_HINTS.get(status, ("bad-request", phrase, "see /api/docs"))
    kept = {k: v for k, v in (error.headers or {}).items() if k.lower() == "allow"}
    return problem(status, code, title, hint, headers=kept)


def from_validation(errors: Sequence[Any], names: Iterable[str]) -> Response:
    """The answer for a body, query or header of the wrong shape: fields of ours and rules only.

    ``names`` are the field names that this server's own description has; anything else in a
    location came from the caller and is left out.
    """
    if any(e.get("type") == "json_invalid" for e in errors):
        return problem(400, "bad-json", "the body is not JSON", "send one JSON object")
    known = set(names)
    fields = []
    for error in errors[:_MAX_FIELDS]:
        parts = [str(p) if isinstance(p, int) else p for p in error.get("loc", ())]
        shown = [p if p in known or (p.isdigit() and len(p) < 5) else "?" for p in parts]
        fields.append({"field": ".".join(shown), "rule": str(error.get("type", "invalid"))})
    return problem(
        422, "bad-request", "a field is missing or of the wrong kind", "see fields", fields=fields
    )


def field_names(app: FastAPI) -> frozenset[str]:
    """Every name of a field, parameter or header that the description of ``app`` has."""
    found: set[str] = {"body", "query", "path", "header", "cookie"}

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            found.update(node.get("properties", {}))
            if isinstance(node.get("name"), str) and "in" in node:
                found.add(node["name"])
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(app.openapi())
    return frozenset(found)


def install(app: FastAPI) -> None:
    """Make every error answer of ``app`` one of the above."""

    known: list[frozenset[str]] = []

    async def ours(_: Request, error: Exception) -> Response:
        return from_error(error) if isinstance(error, SafelightError) else internal()

    async def http(_: Request, error: Exception) -> Response:
        return from_http(error) if isinstance(error, HTTPException) else internal()

    async def shape(_: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else []
        if not known:
            known.append(field_names(app))  # on the first wrong request, not at the start
        return from_validation(found, known[0])

    app.add_exception_handler(SafelightError, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, shape)
