"""``safelight library``: list, search, add to, delete and export what is kept."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from safelight.cli.bar import Bar
from safelight.cli.remote import add_server_options, check_output, open_studio, show
from safelight.errors import NotFoundError, PictureError, TooLargeError

if TYPE_CHECKING:
    from safelight.cli.remote import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "library", help="list, search, add to, delete or export what is kept"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("list", help="your own assets, newest first")
    search = verbs.add_parser("search", help="find by words; the words do not leave this machine")
    search.add_argument("words", nargs="+", metavar="WORD", help="a word of the prompt or a tag")
    add = verbs.add_parser("add", help="keep picture files of your own, without their metadata")
    add.add_argument("files", nargs="+", type=Path, metavar="FILE", help="PNG, JPEG or WebP")
    add.add_argument("--words", default="", metavar="TEXT", help="words to find them by; sealed")
    delete = verbs.add_parser("delete", help="erase assets: first their keys, then their bytes")
    delete.add_argument("assets", nargs="+", metavar="ID", help="ids of assets, ast_...")
    export = verbs.add_parser("export", help="everything, as files that stock age and tar open")
    export.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE.zip", help="the new file"
    )
    verbs.add_parser("sync", help="take pictures into the index that never reached it")
    for verb in verbs.choices.values():
        add_server_options(verb)
        verb.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what the verb says; 0 when done."""
    return {
        "list": _list,
        "search": _search,
        "add": _add,
        "delete": _delete,
        "export": _export,
        "sync": _sync,
    }[args.verb](args)


def _list(args: argparse.Namespace) -> int:
    with open_studio(args) as studio:
        found = list(studio.assets())
        lost = studio.missing(found) if studio.link.keys_or_none() else ()
    value = [asset.to_dict() for asset in found]
    lines = [f"{a.id}  {a.made_on}  {a.kind:8} {a.visibility:8} {a.size_bytes:>10}" for a in found]
    show(value, as_json=args.json, plain="\n".join(lines) or "nothing is kept")
    if lost:
        print(
            f"safelight: hint: the index has {len(lost)} assets that the server does not list",
            file=sys.stderr,
        )
    return 0


def _search(args: argparse.Namespace) -> int:
    with open_studio(args) as studio:
        found = studio.search(" ".join(args.words))
    value = [
        {"id": e.asset, "made_on": e.made_on, "model": e.model, "words": list(e.words)}
        for e in found
    ]
    lines = [f"{e.asset}  {e.made_on}  {' '.join(e.words[:12])}" for e in found]
    show(value, as_json=args.json, plain="\n".join(lines) or "nothing is found")
    return 0


def _add(args: argparse.Namespace) -> int:
    """Each file is kept before the next is read: a bad one ends the command, not what is kept."""
    added: list[str] = []
    try:
        with open_studio(args) as studio, Bar(args, "file") as bar:
            for path in args.files:
                bar.show(len(added), len(args.files))
                asset = studio.upload(_read(path), words=args.words)
                added.append(asset)
                bar.clear()
                if not args.json:
                    print(asset, flush=True)
    except (PictureError, TooLargeError) as error:
        # Which one it was, by its place and not by its name.
        message = f"file {len(added) + 1} of {len(args.files)}: {error.message}"
        raise type(error)(message, hint=error.hint) from None
    finally:
        if added and args.json:
            print(json.dumps({"added": added}))
    return 0


def _read(path: Path) -> bytes:
    from safelight.pictures import MAX_FILE_BYTES

    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TooLargeError(f"it is over {MAX_FILE_BYTES // 2**20} MiB")
        return path.read_bytes()
    except OSError:
        raise PictureError("it cannot be read", hint="check its path") from None


def _delete(args: argparse.Namespace) -> int:
    with open_studio(args) as studio:
        results = studio.delete(args.assets)
    plain = "\n".join(f"{asset}  {result}" for asset, result in results.items())
    show(dict(results), as_json=args.json, plain=plain)
    if any(result != "deleted" for result in results.values()):
        raise NotFoundError("some of these ids are not here")
    return 0


def _export(args: argparse.Namespace) -> int:
    check_output(args.output)
    with open_studio(args) as studio, Bar(args, "B") as bar:
        size = studio.export(args.output, bar.show)
    value = {"file": str(args.output), "size_bytes": size}
    show(value, as_json=args.json, plain=f"exported {size} bytes")
    return 0


def _sync(args: argparse.Namespace) -> int:
    with open_studio(args) as studio, Bar(args, "asset") as bar:
        added = studio.adopt(bar.show)
    show({"added": added}, as_json=args.json, plain=f"added {added} to the index")
    return 0
