"""``safelight serve``: the desk, one local darkroom and the web studio, in one command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from safelight.settings import default_home, load_settings

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "serve",
        help="run the server and the web studio",
        description="Run the desk, a local darkroom and the web studio until stopped. SIGTERM or "
        "Ctrl+C finishes running work first; a second one does not wait.",
    )
    parser.add_argument("--home", type=Path, help="where the server keeps everything")
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on; 0 picks a free one (7788)")
    parser.add_argument("--open", action="store_true", help="open the studio in the browser")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until stopped; 0 after a clean stop."""
    from safelight.server.serve import serve

    home = args.home if args.home is not None else default_home()
    settings = load_settings(home, host=args.host, port=args.port)
    return serve(settings, open_browser=args.open)
