"""The guard in front of every request: one origin, no redirects, no plain HTTP beyond loopback.

Note [one origin]
    A client speaks to the origin it was given and to no other. A redirect would carry a bearer
    token or a sealed body somewhere else, so any 3xx answer is an error, not a hint.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import httpx

from safelight import errors
from safelight.errors import (
    DowngradeError,
    NoConnectionError,
    RateLimitError,
    RefusedError,
    RequestError,
    SafelightError,
    TransientError,
)

_BY_CODE: dict[str, type[SafelightError]] = {e.code: e for e in errors.all_errors()}


def origin_of(address: str) -> str:
    """The origin of a server address: ``https://studio.example`` or ``http://127.0.0.1:7788``.

    Raises :class:`RequestError` for something that is no address, :class:`DowngradeError` for
    plain HTTP to anything but this machine.
    """
    try:
        url = httpx.URL(address.strip())
    except (httpx.InvalidURL, TypeError):
        raise RequestError("the server address is not a URL") from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query:
        raise RequestError(
            "the server address is not an http or https URL",
            hint="it looks like https://studio.example or http://127.0.0.1:7788",
        )
    if url.path not in ("", "/"):
        raise RequestError("the server address has a path; give the address alone")
    if url.scheme == "http" and not is_loopback(url.host):
        raise DowngradeError(
            "plain http is only used on this machine", hint="use the server's https address"
        )
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class GuardedTransport(httpx.BaseTransport):
    """Passes on only requests to ``origin``, and refuses to be sent elsewhere by the answer."""

    def __init__(self, origin: str, inner: httpx.BaseTransport | None = None) -> None:
        self.origin = origin_of(origin)
        self._inner = inner or httpx.HTTPTransport(retries=0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See Note [one origin]. Raises :class:`DowngradeError`, :class:`NoConnectionError`."""
        url = request.url
        if f"{url.scheme}://{url.netloc.decode('ascii')}" != self.origin:
            raise DowngradeError("a request to another server than the chosen one was stopped")
        try:
            response = self._inner.handle_request(request)
        except httpx.TransportError as error:
            raise no_connection(error) from error
        if 300 <= response.status_code < 400 and response.status_code != 304:
            response.close()
            raise DowngradeError(
                "the server tried to send this client somewhere else",
                hint="give the server's final address",
            )
        return response

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


def no_connection(error: httpx.TransportError) -> TransientError:
    """What a failed connection is called; never repeats the address."""
    if isinstance(error, httpx.TimeoutException):
        return NoConnectionError("the server did not answer in time")
    return NoConnectionError("the server cannot be reached, or hung up")


def raise_for_problem(response: httpx.Response) -> None:
    """Raise the error that a problem+json answer names; do nothing for an answer that is fine.

    ``response`` must have been read. Raises the class of the same ``code``, or by the status.
    """
    if response.is_success:
        return
    try:
        problem = json.loads(response.content)
        code, title = str(problem["code"]), str(problem["title"])[:200]
        hint = str(problem.get("hint") or "")[:300] or None
    except (KeyError, TypeError, ValueError):
        problem, code, title, hint = {}, "", f"the server answered {response.status_code}", None
    raise error_for(code, title, hint, problem, response)


def error_for(
    code: str, title: str, hint: str | None, problem: dict[str, Any], response: httpx.Response
) -> SafelightError:
    """The error object for a problem."""
    kind = _BY_CODE.get(code)
    if kind is RefusedError:
        return RefusedError(str(problem.get("category") or "unnamed"), hint=hint)
    if kind is RateLimitError or response.status_code == 429:
        seconds = response.headers.get("Retry-After", "1")
        wait = int(seconds) if seconds.isdigit() else 1
        return RateLimitError(title, retry_after_seconds=wait, hint=hint)
    if kind is None:
        kind = TransientError if response.status_code >= 500 else RequestError
    made: SafelightError = kind(title, hint=hint)
    return made


def error_by_code(code: str, hint: object) -> SafelightError:
    """The error that a failed job names by its code."""
    kind = _BY_CODE.get(code, TransientError)
    if kind in (RefusedError, RateLimitError):
        kind = TransientError
    made: SafelightError = kind(
        f"the job failed ({code if code in _BY_CODE else 'unknown'})",
        hint=str(hint)[:300] if hint else None,
    )
    return made
