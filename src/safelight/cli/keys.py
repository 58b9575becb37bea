"""``safelight keys``: API keys for programs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from safelight.cli.remote import add_server_options, open_studio, parse_days, show

if TYPE_CHECKING:
    from safelight.cli.remote import Subparsers

SCOPES = ("generate", "library", "share", "publish")


def add_parser(subparsers: Subparsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("keys", help="make, list or revoke API keys")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = verbs.add_parser("create", help="make a key; it is shown once")
    create.add_argument("--name", required=True, help="to tell your keys apart")
    create.add_argument("--scope", action="append", choices=SCOPES, help="may be given again")
    create.add_argument("--expires", metavar="TIME", help="such as 30d; by default never")
    verbs.add_parser("list", help="your keys, without their secrets")
    revoke = verbs.add_parser("revoke", help="end a key, at once")
    revoke.add_argument("key", metavar="ID", help="id of a key, key_...")
    for verb in verbs.choices.values():
        add_server_options(verb)
        verb.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what the verb says; 0 when done."""
    return {"create": _create, "list": _list, "revoke": _revoke}[args.verb](args)


def _create(args: argparse.Namespace) -> int:
    days = None if args.expires is None else parse_days(args.expires)
    with open_studio(args, by_key=False) as studio:
        scopes = tuple(dict.fromkeys(args.scope or ("generate",)))
        made, secret = studio.create_key(args.name, scopes=scopes, days=days)
    value = {"id": made["id"], "key": secret.reveal(), "expires_at": made.get("expires_at")}
    show(value, as_json=args.json, plain=secret.reveal())
    return 0


def _list(args: argparse.Namespace) -> int:
    with open_studio(args, by_key=False) as studio:
        found = list(studio.list_keys())
    lines = [f"{k['id']}  {k['name']}  {','.join(k['scopes'])}" for k in found]
    show(found, as_json=args.json, plain="\n".join(lines) or "no keys")
    return 0


def _revoke(args: argparse.Namespace) -> int:
    with open_studio(args, by_key=False) as studio:
        studio.revoke_key(args.key)
    show({"revoked": args.key}, as_json=args.json, plain=f"revoked {args.key}")
    return 0
