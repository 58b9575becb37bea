"""``safelight admin``: what an operator may do about people. Nothing here opens anything."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from safelight.cli.remote import add_server_options, open_studio
from safelight.errors import NotFoundError

if TYPE_CHECKING:
    from safelight.client.link import Link

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Describe the command and its verbs."""
    parser = subparsers.add_parser(
        "admin",
        help="for operators: people and plans",
        description="For the operator of a server (role owner), signed in on this device.",
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
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do one verb. Raises the errors of :mod:`safelight.errors`."""
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
