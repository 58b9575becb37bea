"""``safelight open``: fetch one asset, verify it, open it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from safelight.cli.remote import (
    add_server_options,
    check_output,
    open_studio,
    show,
    write_output,
)

if TYPE_CHECKING:
    from safelight.cli.remote import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("open", help="fetch an asset, verify it and open it")
    parser.add_argument("asset", metavar="ID", help="id of an asset, ast_...")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the new file"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_server_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the opened asset; 0 when done, 4 and no file if it is not what it must be."""
    check_output(args.output)
    with open_studio(args) as studio:
        opened = studio.open(args.asset)
    write_output(args.output, opened.data)
    value = {"asset": opened.asset, "file": str(args.output), "media_type": opened.media_type}
    show(value, as_json=args.json, plain=f"opened {opened.asset}")
    return 0
