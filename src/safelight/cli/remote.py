"""What the commands that speak to a server have in common: options, secrets from files, output."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.errors import OutputError, RequestError
from safelight.secret import Secret
from safelight.settings import default_profile

if TYPE_CHECKING:
    from safelight.client.profile import Profile
    from safelight.client.sdk import Studio

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_DURATION = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([smhd])")
_DAY_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
MAX_SECRET_BYTES = 4_096


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """``--server`` and ``--profile``."""
    parser.add_argument("--server", metavar="URL", help="the server; by default the one used last")
    parser.add_argument(
        "--profile", type=Path, metavar="DIR", help="where this device keeps its pins"
    )


def open_profile(args: argparse.Namespace) -> Profile:
    """The profile that the arguments or ``SAFELIGHT_PROFILE`` name."""
    from safelight.client.profile import Profile

    return Profile(args.profile if args.profile is not None else default_profile())


def open_studio(args: argparse.Namespace, *, by_key: bool = True) -> Studio:
    """A connection to the chosen server, through the API key in ``SAFELIGHT_API_KEY`` if there is
    one, whose owner ``SAFELIGHT_OWNER`` may name by their verification code.

    ``by_key`` False is for what only a person can do. Raises :class:`RequestError` if no server
    was ever chosen.
    """
    from safelight.client.sdk import Studio

    profile = open_profile(args)
    server = args.server or profile.current()
    if server is None:
        raise RequestError("no server is chosen", hint="give one with --server URL")
    key = os.environ.get("SAFELIGHT_API_KEY") if by_key else None
    if not key:
        return Studio(server, profile)
    owner = os.environ.get("SAFELIGHT_OWNER") or None
    return Studio(server, profile, api_key=Secret(key.strip()), owner_code=owner)


def read_secret(path: Path | None, what: str, *, ask: bool = True) -> Secret[str]:
    """The first line of a file, or what is typed at a terminal.

    Raises :class:`RequestError` if there is neither, naming ``what`` and never the content.
    """
    if path is not None:
        try:
            raw = path.read_bytes()[:MAX_SECRET_BYTES].decode("utf-8")
        except (OSError, UnicodeDecodeError):
            raise RequestError(f"the file with the {what} cannot be read") from None
        text = raw.split("\n", 1)[0].rstrip("\r")
    elif ask and sys.stdin.isatty():
        text = getpass.getpass(f"{what}: ")
    else:
        raise RequestError(f"no {what} is given", hint=f"put the {what} into a file and name it")
    if not text:
        raise RequestError(f"the {what} is empty")
    return Secret(text)


def parse_days(text: str) -> float:
    """Days from ``7d``, ``12h``, ``30m`` or ``5s``. Raises :class:`RequestError`."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise RequestError("a time is a number and s, m, h or d", hint="such as 7d or 12h")
    return float(found[1]) * _DAY_SECONDS[found[2]] / _DAY_SECONDS["d"]


def check_output(path: Path) -> None:
    """Raise :class:`OutputError` before any work if ``path`` cannot become a file."""
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError("the output is not a file in a folder that exists")


def write_output(path: Path, data: bytes) -> None:
    """Write a whole file or none. Raises :class:`OutputError` or :class:`NoSpaceError`."""
    from safelight.engine.output import write_atomically

    check_output(path)
    write_atomically(path, data)


def show(value: dict[str, Any] | list[dict[str, Any]], *, as_json: bool, plain: str) -> None:
    """Print a result: as JSON for scripts, or a line for people."""
    print(json.dumps(value) if as_json else plain)
