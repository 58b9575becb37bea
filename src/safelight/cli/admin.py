"""``safelight admin``: what an operator may do about people and backups. Nothing here opens."""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.cli.remote import add_server_options, open_studio, show
from safelight.errors import NotFoundError
from safelight.ids import SystemClock, utc_day
from safelight.settings import default_home, load_settings

if TYPE_CHECKING:
    from safelight.client.link import Link

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Describe the command and its verbs."""
    parser = subparsers.add_parser(
        "admin",
        help="for operators: people, plans and backups of the keys store",
        description="For the operator of a server (role owner), signed in on this device; "
        "backup-keys is for who runs the server's machine.",
    )
    verbs = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    people = verbs.add_parser("people", help="list every account")
    people.add_argument("--json", action="store_true", help="print JSON")
    plan = verbs.add_parser("set-plan", help="give an account another plan")
    plan.add_argument("name", help="the account's name")
    plan.add_argument("plan", help="the plan's name")
    for verb, text in (("disable", "shut an account out"), ("enable", "let it in again")):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("name", help="the account's name")
    health = verbs.add_parser("health", help="how the server is doing, in numbers")
    health.add_argument("--json", action="store_true", help="print JSON")
    for one in verbs.choices.values():
        add_server_options(one)
    backup = verbs.add_parser(
        "backup-keys", help="copy the keys store, and delete copies past the erasure horizon"
    )
    backup.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="where copies are kept"
    )
    backup.add_argument("--home", type=Path, metavar="DIR", help="the server's home folder")
    backup.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do one verb. Raises the errors of :mod:`safelight.errors`."""
    if args.action == "backup-keys":
        return _backup_keys(args)
    from safelight.client.link import need_session

    with open_studio(args, by_key=False) as studio:
        link = studio.link
        need_session(link)
        if args.action == "people":
            _print_people(link.wire.get("/api/v1/admin/people")["people"], as_json=args.json)
        elif args.action == "health":
            _print_health(link.wire.get("/api/v1/admin/health"), as_json=args.json)
        else:
            change = {"plan": args.plan} if args.action == "set-plan" else {
                "disabled": args.action == "disable"
            }  # fmt: skip
            target = _find(link, args.name)
            link.wire.call("PATCH", f"/api/v1/admin/people/{target}", body=change)
    return 0


def _backup_keys(args: argparse.Namespace) -> int:
    """Works while the server runs. Copies in that folder that are too old go."""
    from safelight.desk import make_desk

    home = args.home if args.home is not None else default_home()
    settings = load_settings(home)
    if not settings.keys_url and not (home / "keys.db").is_file():
        raise NotFoundError("this home has no keys store", hint="name the server's with --home")
    clock, days = SystemClock(), settings.erasure_days

    async def copy() -> Path:
        keys = make_desk(settings, clock).keys_store
        try:
            return await keys.backup(args.output, clock.now(), days)
        finally:
            await keys.close()

    path = asyncio.run(copy())
    until = utc_day(clock.now() + timedelta(days=days))
    value = {"file": str(path), "erasure_days": days, "delete_by": until}
    plain = f"{path}\ndelete it by {until}: the erasure horizon is {days} days"
    show(value, as_json=args.json, plain=plain)
    return 0


def _find(link: Link, name: str) -> str:
    folded = name.strip().lower()
    for person in link.wire.get("/api/v1/admin/people")["people"]:
        if person["name"] == folded:
            return str(person["id"])
    raise NotFoundError("nobody has this name here", hint="run `safelight admin people`")


def _print_people(people: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(people))
        return
    for person in people:
        state = "disabled" if person["disabled"] else person["role"]
        print(
            f"{person['name']:<32} {person['plan']:<8} {state:<8} since {person['created_at'][:10]}"
        )


def _print_health(health: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(health))
        return
    for name, value in health.items():
        print(f"{name.replace('_', ' '):<14} {value}")
