"""``safelight publish`` and ``safelight unpublish``: a separate public copy, there and gone."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from safelight.cli.remote import add_server_options, open_studio, show

if TYPE_CHECKING:
    from safelight.cli.remote import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Describe both commands."""
    publish = subparsers.add_parser("publish", help="make a separate public copy of an asset")
    publish.add_argument("asset", metavar="ID", help="id of an asset, ast_...")
    publish.add_argument("--words", default="", help="a caption that everybody sees")
    publish.add_argument("--show-name", action="store_true", help="show who published it")
    publish.set_defaults(run=run)
    unpublish = subparsers.add_parser("unpublish", help="take a public copy back")
    unpublish.add_argument("publication", metavar="ID", help="the publication's id, pub_...")
    unpublish.set_defaults(run=run_unpublish)
    for parser in (publish, unpublish):
        add_server_options(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Publish; prints the publication's id and address."""
    with open_studio(args) as studio:
        made = studio.publish(args.asset, words=args.words, show_name=args.show_name)
    value = {"id": made["id"], "url": made["url"]}
    show(value, as_json=args.json, plain=f"{made['id']}  {made['url']}")
    return 0


def run_unpublish(args: argparse.Namespace) -> int:
    """Unpublish; 0 when the copy is gone from the server."""
    with open_studio(args) as studio:
        studio.unpublish(args.publication)
    show(
        {"unpublished": args.publication},
        as_json=args.json,
        plain=f"unpublished {args.publication}",
    )
    return 0
