"""Errors as problem+json (RFC 9457), and nothing of what the caller sent in any of them."""

from __future__ import annotations

import json

from starlette.responses import Response

from safelight.errors import (
    AuthenticationError,
    RateLimitError,
    RefusedError,
    SafelightError,
)

MEDIA_TYPE = "application/problem+json"


def problem(
    status: int,
    code: str,
    title: str,
    hint: str,
    *,
    headers: dict[str, str] | None = None,
    **more: object,
) -> Response:
    """One problem+json answer. ``more`` are members beside the five that every problem has."""
    body = {
        "type": f"urn:safelight:error:{code}",
        "title": title,
        "status": status,
        "code": code,
        "hint": hint,
        **more,
    }
    return Response(
        json.dumps(body), status_code=status, media_type=MEDIA_TYPE, headers=headers or {}
    )


def from_error(error: SafelightError) -> Response:
    """The answer for an error of ours: its own code, line and hint, which never hold content."""
    headers: dict[str, str] = {}
    more: dict[str, object] = {}
    if isinstance(error, RateLimitError):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, AuthenticationError):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RefusedError):
        more["category"] = error.category
    return problem(
        error.http_status, error.code, error.message, error.hint, headers=headers, **more
    )


def internal() -> Response:
    """The answer for a bug: says that it is one, and nothing else."""
    return problem(
        500, "internal", "the server made a mistake", "tell the operator the time it happened"
    )
