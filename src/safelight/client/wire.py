"""The calls a client makes, as plain functions over one guarded connection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from safelight import __version__
from safelight.client.guard import GuardedTransport, no_connection, origin_of, raise_for_problem
from safelight.errors import NoConnectionError, TransientError

AGE = "application/age"
MAX_ANSWER_BYTES = 160 * 1024 * 1024
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
EVENT_TIMEOUT = httpx.Timeout(45.0, connect=10.0)
RECONNECTS = 7
"""With :func:`_pause`, half a minute: long enough for a server to be started again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One server-sent event of a job."""

    seq: int
    type: str
    data: dict[str, Any]

    def __repr__(self) -> str:
        return f"<event {self.seq} {self.type}>"


class Wire:
    """One server, one session. ``token`` is a session's token or an API key."""

    def __init__(
        self,
        server: str,
        *,
        token: str | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.origin = origin_of(server)
        self.token = token
        self._sleep = sleep
        self._met = False
        self._http = httpx.Client(
            base_url=self.origin,
            transport=GuardedTransport(self.origin, transport),
            timeout=TIMEOUT,
            follow_redirects=False,
            headers={"User-Agent": f"safelight/{__version__}"},
        )

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        files: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """Send one request and return the whole answer. Raises the error the server names.

        A server that has answered before and is gone now may be starting again: what can be sent
        twice without harm (a GET, or anything with an idempotency key) is, for some seconds.
        """
        sent = self._headers(headers)
        if content is not None:
            sent.setdefault("Content-Type", AGE)
        harmless = method == "GET" or "Idempotency-Key" in sent
        for turn in range(RECONNECTS + 1):
            try:
                response = self._http.request(
                    method,
                    path,
                    json=body,
                    content=content,
                    headers=sent,
                    params=params,
                    files=files,
                )
            except (httpx.TransportError, NoConnectionError) as error:
                if self._met and harmless and turn < RECONNECTS:
                    self._sleep(_pause(turn))
                    continue
                if isinstance(error, NoConnectionError):
                    raise
                raise no_connection(error) from error
            self._met = True
            raise_for_problem(response)
            return response
        raise AssertionError("unreachable")

    def get(self, path: str, **params: str) -> dict[str, Any]:
        """A JSON answer to a GET."""
        return _object(self.call("GET", path, params=params or None))

    def post(self, path: str, body: Any, **headers: str) -> dict[str, Any]:
        """A JSON answer to a JSON body."""
        return _object(self.call("POST", path, body=body, headers=headers))

    def post_anonymously(self, path: str, body: Any) -> dict[str, Any]:
        """As :meth:`post`, without the session: an old one would be refused before signing in."""
        token, self.token = self.token, None
        try:
            return self.post(path, body)
        finally:
            self.token = token

    def blob(self, path: str) -> bytes:
        """A sealed file."""
        return self.call("GET", path).content

    def download(self, path: str) -> Iterator[bytes]:
        """A long answer in pieces."""
        try:
            with self._http.stream("GET", path, headers=self._headers(None)) as response:
                if not response.is_success:
                    response.read()
                    raise_for_problem(response)
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise no_connection(error) from error

    def events(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[Event]:
        """The events of a job; a broken line is taken up again after the last event that came.

        Ends when the server ends the stream after a last event. Raises
        :class:`NoConnectionError` after seven broken lines in a row.
        """
        last, broken = 0, 0
        while True:
            try:
                for event in self._stream(path, headers, last):
                    last, broken = max(last, event.seq), 0
                    yield event
                    if event.type in ("done", "refused", "failed", "cancelled"):
                        return
                broken += 1
            except (NoConnectionError, TransientError) as error:
                broken += 1
                if broken > RECONNECTS:
                    raise
                if not isinstance(error, NoConnectionError) and error.http_status != 503:
                    raise
            if broken > RECONNECTS:
                raise NoConnectionError("the server ended the events without saying how")
            self._sleep(_pause(broken))

    def _stream(self, path: str, headers: Mapping[str, str] | None, last: int) -> Iterator[Event]:
        sent = self._headers(headers) | {"Accept": "text/event-stream"}
        if last:
            sent["Last-Event-ID"] = str(last)
        try:
            with self._http.stream("GET", path, headers=sent, timeout=EVENT_TIMEOUT) as response:
                if not response.is_success:
                    response.read()
                    raise_for_problem(response)
                yield from parse_events(response.iter_lines())
        except httpx.TransportError as error:
            raise no_connection(error) from error

    def _headers(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        sent = {k.replace("_", "-"): v for k, v in (headers or {}).items()}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        return sent

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _pause(turn: int) -> float:
    return float(min(0.25 * 2**turn, 8.0))


def parse_events(lines: Iterator[str]) -> Iterator[Event]:
    """Server-sent events (WHATWG HTML, section 9.2) from lines; comments are skipped."""
    kind, seq, data = "message", 0, list[str]()
    for line in lines:
        if line == "":
            if data:
                try:
                    value = json.loads("\n".join(data))
                except ValueError:
                    raise TransientError("an event is not JSON") from None
                yield Event(seq=seq, type=kind, data=value if isinstance(value, dict) else {})
            kind, data = "message", []
            continue
        name, _, rest = line.partition(":")
        rest = rest.removeprefix(" ")
        if name == "event":
            kind = rest
        elif name == "data":
            data.append(rest)
        elif name == "id" and rest.isdigit():
            seq = int(rest)


def _object(response: httpx.Response) -> dict[str, Any]:
    if response.status_code == 204 or not response.content:
        return {}
    try:
        value = response.json()
    except ValueError:
        raise TransientError("the server's answer is not JSON") from None
    if not isinstance(value, dict):
        raise TransientError("the server's answer is not a JSON object")
    return value
