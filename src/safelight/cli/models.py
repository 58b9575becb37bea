"""``safelight models``: what is here, where it came from, and what its licence allows."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from safelight.cli.bar import Bar
from safelight.settings import default_home

if TYPE_CHECKING:
    from safelight.catalogue import Catalogue, Model

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Describe the commands."""
    parser = subparsers.add_parser("models", help="list, add, pull and remove models")
    verbs = parser.add_subparsers(dest="models_verb", metavar="VERB", required=True)
    listed = verbs.add_parser("list", help="every model and adapter that is here")
    shown = verbs.add_parser("show", help="one of them, and whether its files are unchanged")
    shown.add_argument("name", metavar="NAME", help="name or digest")
    added = verbs.add_parser("add", help="take a folder or .safetensors file into the list")
    added.add_argument(
        "path", type=Path, metavar="PATH", help="a diffusers folder or a .safetensors file"
    )
    pulled = verbs.add_parser("pull", help="download one from a hub; nothing else downloads")
    pulled.add_argument("repo", metavar="REPO", help="owner/name on the hub")
    removed = verbs.add_parser("remove", help="take one out of the list")
    removed.add_argument("name", metavar="NAME", help="name or digest")
    for verb in (added, pulled):
        verb.add_argument("--name", dest="as_name", metavar="NAME", help="what to call it here")
    added.add_argument("--licence", metavar="TEXT", help="its licence, as its maker states it")
    for verb, action in (
        (listed, _list),
        (shown, _show),
        (added, _add),
        (pulled, _pull),
        (removed, _remove),
    ):
        verb.add_argument("--home", type=Path, metavar="DIR", help="where models are listed")
        verb.add_argument("--json", action="store_true", help="print JSON")
        verb.set_defaults(run=action)


def _catalogue(args: argparse.Namespace, bar: Bar | None = None) -> Catalogue:
    from safelight.catalogue import Catalogue

    home = args.home if args.home is not None else default_home()
    return Catalogue(home, None if bar is None else bar.show)


def _list(args: argparse.Namespace) -> int:
    models = _catalogue(args).models()
    if args.json:
        print(json.dumps([m.to_dict() for m in models]))
        return 0
    print(f"{'name':<24} {'kind':<8} {'family':<11} {'size px':>7} {'MB':>7}  licence")
    for m in models:
        print(
            f"{m.name:<24} {m.kind:<8} {m.family:<11} {m.native_size_px:>7} "
            f"{m.size_bytes / 1e6:>7.1f}  {m.licence}"
        )
    return 0


def _show(args: argparse.Namespace) -> int:
    with Bar(args, "B") as bar:
        catalogue = _catalogue(args, bar)
        model = catalogue.find(args.name)
        catalogue.verify(model)
    _print(model, as_json=args.json)
    return 0


def _add(args: argparse.Namespace) -> int:
    with Bar(args, "B") as bar:
        model = _catalogue(args, bar).add(args.path, args.as_name, args.licence)
    _print(model, as_json=args.json)
    return 0


def _pull(args: argparse.Namespace) -> int:
    with Bar(args, "B") as bar:  # of the check; the download shows its own
        model = _catalogue(args, bar).pull(args.repo, args.as_name)
    _print(model, as_json=args.json)
    return 0


def _remove(args: argparse.Namespace) -> int:
    _print(_catalogue(args).remove(args.name), as_json=args.json)
    return 0


def _print(model: Model, *, as_json: bool) -> None:
    value = model.to_dict()
    if as_json:
        print(json.dumps(value))
        return
    allowed = {True: "yes", False: "no", None: "not known"}[model.commercial]
    for name, text in (value | {"commercial": allowed}).items():
        print(f"{name.replace('_', ' '):<17} {text}")
