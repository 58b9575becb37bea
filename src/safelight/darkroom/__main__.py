"""The keeper process: ``python -m safelight.darkroom``, started by a fleet with an open socket."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safelight.darkroom.confine import confine
from safelight.darkroom.engine_link import EngineLink
from safelight.darkroom.keeper import Keeper
from safelight.darkroom.keyring import KeyRing
from safelight.errors import SafelightError
from safelight.frames import FrameStream, encode_frame
from safelight.ids import SystemClock, new_id

CANNOT_START_EXIT = 70


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options that a fleet passes."""
    parser = argparse.ArgumentParser(prog="safelight.darkroom")
    parser.add_argument("--fd", type=int, required=True, help="number of an open, connected socket")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--confine", default="auto")
    parser.add_argument("--key-seconds", type=float, default=600)
    parser.add_argument("--kept-seconds", type=float, default=3600)
    parser.add_argument("--job-timeout-seconds", type=float, default=900)
    return parser.parse_args(argv)


async def serve(
    args: argparse.Namespace,
    desk_socket: socket.socket,
    confinement: dict[str, Any],
    engine_command: Sequence[str] | None = None,
) -> None:
    """Run one keeper until its desk is gone. ``engine_command`` is for tests."""
    darkroom, clock = new_id("drk"), SystemClock()
    desk = await FrameStream.over(desk_socket)
    keys = KeyRing(
        darkroom, clock, announced_seconds=args.key_seconds, kept_seconds=args.kept_seconds
    )
    keeper = Keeper(darkroom, desk, keys, clock, args.job_timeout_seconds)
    engine = EngineLink(args.home, args.device, args.confine, keeper.engine_changed, engine_command)
    await keeper.run(engine, confinement)


def main(argv: Sequence[str] | None = None, engine_command: Sequence[str] | None = None) -> int:
    """Confine this process, then serve."""
    args = arguments(argv)
    desk_socket = socket.socket(fileno=args.fd)
    # A terminal's Ctrl-C reaches the whole group; the desk decides when the darkroom stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        confinement = confine(args.confine, probe_folders=[args.home])
    except SafelightError as error:
        with contextlib.suppress(OSError), desk_socket:
            desk_socket.sendall(
                encode_frame({"op": "cannot-start", "code": error.code, "message": error.message})
            )
        return CANNOT_START_EXIT
    asyncio.run(serve(args, desk_socket, confinement, engine_command))
    return 0


if __name__ == "__main__":
    sys.exit(main())
