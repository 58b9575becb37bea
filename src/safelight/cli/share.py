"""``safelight share``: let somebody else open one asset, and open what others share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from safelight.cli.remote import (
    add_server_options,
    check_output,
    open_studio,
    parse_days,
    read_secret,
    show,
    write_output,
)

if TYPE_CHECKING:
    from safelight.cli.remote import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("share", help="share an asset by link or by name, or open one")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = verbs.add_parser("create", help="make a share; its link is shown once")
    create.add_argument("asset", metavar="ID", help="id of an asset, ast_...")
    create.add_argument("--expires", default="7d", metavar="TIME", help="such as 7d or 12h")
    create.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="also needs this passphrase to open"
    )
    create.add_argument("--person", metavar="NAME", help="share to this account instead of by link")
    opens = verbs.add_parser("open", help="open a share by its link, or by its id if it names you")
    opens.add_argument("share", metavar="URL|ID", help="the link, or the id of a share to you")
    opens.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the new file"
    )
    opens.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="the passphrase, if it has one"
    )
    revoke = verbs.add_parser("revoke", help="end a share, at once")
    revoke.add_argument("share", metavar="ID", help="id of a share, shr_...")
    for verb in verbs.choices.values():
        add_server_options(verb)
        verb.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what the verb says; 0 when done."""
    return {"create": _create, "open": _open, "revoke": _revoke}[args.verb](args)


def _create(args: argparse.Namespace) -> int:
    days = parse_days(args.expires)
    passphrase = None
    if args.passphrase_file is not None:
        passphrase = read_secret(args.passphrase_file, "passphrase")
    with open_studio(args) as studio:
        made = studio.share(args.asset, days=days, passphrase=passphrase, person=args.person)
    url = made.url.reveal() if made.url is not None else None
    value = {
        "id": made.id,
        "url": url,
        "expires_at": made.expires_at,
        "verification_code": made.verification_code,
    }
    told = f"{made.id}  compare their keys with them: {made.verification_code}"
    show(value, as_json=args.json, plain=url or told)
    return 0


def _open(args: argparse.Namespace) -> int:
    from safelight.client.sdk import open_share_link

    check_output(args.output)
    passphrase = None
    if args.passphrase_file is not None:
        passphrase = read_secret(args.passphrase_file, "passphrase")
    if args.share.startswith("shr_"):
        with open_studio(args) as studio:
            opened = studio.open_received(args.share)
    else:
        opened = open_share_link(args.share, passphrase)
    write_output(args.output, opened.data)
    value = {"asset": opened.asset, "file": str(args.output), "media_type": opened.media_type}
    show(value, as_json=args.json, plain=f"opened {opened.asset}")
    return 0


def _revoke(args: argparse.Namespace) -> int:
    with open_studio(args) as studio:
        studio.revoke_share(args.share)
    show({"revoked": args.share}, as_json=args.json, plain=f"revoked {args.share}")
    return 0
