"""Rotates an account's keys and is killed in it: ``rotation_victim.py URL PROFILE CODE POINT``.

Before and after each request that changes something, and before and after each write to the
profile, is a moment; at the POINT-th (from 0) it kills itself. With -1 it lives, and prints the
names of the moments as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx

from people import PASSWORD
from safelight.client import profile
from safelight.client.sdk import Studio
from safelight.secret import Secret

NO_WRITES = ("/api/v1/sessions/start",)


class Moments:
    def __init__(self, point: int) -> None:
        self.point = point
        self.names: list[str] = []

    def __call__(self, name: str) -> None:
        if len(self.names) == self.point:
            os.kill(os.getpid(), signal.SIGKILL)
        self.names.append(name)


class Watched(httpx.HTTPTransport):
    def __init__(self, moment: Moments) -> None:
        super().__init__(local_address=f"127.0.2.{moment.point + 2}")
        self.moment = moment

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET" or request.url.path in NO_WRITES:
            return super().handle_request(request)
        name = "segment" if "/segments/" in request.url.path else request.url.path
        self.moment(f"{name} before")
        answer = super().handle_request(request)
        answer.read()
        self.moment(f"{name} after")
        return answer


def main() -> None:
    url, folder, code = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    moment, write = Moments(int(sys.argv[4])), profile._write

    def watched(*args: Any, **named: Any) -> None:
        moment("profile before")
        write(*args, **named)
        moment("profile after")

    profile._write = watched
    with Studio(url, folder, transport=Watched(moment)) as studio:
        studio.rotate(PASSWORD, code=Secret(code.read_text()))
    print(json.dumps(moment.names))


if __name__ == "__main__":
    main()
