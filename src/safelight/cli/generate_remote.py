"""``safelight generate --server``: the same command through a server, sealed.

``safelight.cli.generate`` describes the arguments and calls :func:`run` when ``--server`` is given.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.cli.bar import Bar
from safelight.cli.pictures import (
    is_asset,
    media_type_of,
    numbered,
    parse_size,
    read_picture,
    starting_from,
)
from safelight.cli.remote import check_output, open_studio, write_output
from safelight.errors import RequestError
from safelight.ids import sha256_hex
from safelight.secret import Secret

if TYPE_CHECKING:
    from safelight.client.making import Made, Watcher
    from safelight.client.sdk import Studio
    from safelight.client.wire import Event
    from safelight.records import Retention


def run(args: argparse.Namespace) -> int:
    """Make pictures through a server; 0 when done.

    Without ``--private``, ``--off-the-record`` or ``--public`` nothing is kept. An output file is
    needed unless the picture is kept.
    """
    from safelight.client.recipes import build, find_model

    retention = retention_of(args)
    output: Path | None = args.output
    if output is None and retention == "none":
        raise RequestError("nothing would be left of the picture", hint="name a file with -o FILE")
    if output is not None:
        check_output(output)
    inputs: dict[str, bytes] = {}
    with open_studio(args) as studio:
        model = find_model(studio.link, args.model)
        recipe = build(
            model,
            Secret(args.prompt),
            size=None if args.size is None else parse_size(args.size, model.native_size_px),
            steps=args.steps,
            guidance=args.guidance,
            seed=args.seed,
            more=_more(args, studio, inputs),
        )
        with Bar(args) as bar:
            made = studio.generate(
                recipe,
                inputs=inputs,
                retention=retention,
                media_type=media_type_of(args.format, output),
                watcher=_watcher(bar, args.count),
            )
        files = _write(made, output)
        published = _published(studio, made) if retention == "public" else []
        by_key = studio.link.api_key is not None and retention != "none"
        kept_for = studio.verification_code() if by_key else None
    _tell(args, made, model.name, files, published)
    if kept_for is not None and not args.quiet:
        print(f"safelight: note: kept for the owner {kept_for}", file=sys.stderr)
    return 0


def retention_of(args: argparse.Namespace) -> Retention:
    """What becomes of the result. Raises :class:`RequestError` for two at once."""
    chosen: list[Retention] = []
    chosen += ["owner"] if args.private else []
    chosen += ["none"] if args.off_the_record else []
    chosen += ["public"] if args.public else []
    if len(chosen) > 1:
        raise RequestError("choose one of --private, --off-the-record and --public")
    return chosen[0] if chosen else "none"


def _more(args: argparse.Namespace, studio: Studio, inputs: dict[str, bytes]) -> dict[str, Any]:
    digest = None
    if args.init is not None:
        if is_asset(args.init):
            digest, data = studio.input(args.init)
        else:
            data = read_picture(Path(args.init))
            digest = sha256_hex(data)
        inputs[digest] = data
    return {
        "negative_prompt": Secret(args.negative),
        "count": args.count,
        "transparent": args.transparent,
        **starting_from(digest, args.strength),
    }


def _watcher(bar: Bar, count: int) -> Watcher:
    from safelight.client.making import Watcher

    def heard(event: Event) -> None:
        if event.type == "progress":
            index, step, steps = (int(event.data[name]) for name in ("index", "step", "steps"))
            bar.show(index * steps + step, count * steps)

    return Watcher(event=heard)


def _write(made: Made, output: Path | None) -> list[str]:
    if output is None:
        return []
    files: list[str] = []
    for i, picture in enumerate(made.pictures):
        path = numbered(output, i, len(made.pictures))
        write_output(path, picture.data)
        files.append(str(path))
    return files


def _published(studio: Studio, made: Made) -> list[dict[str, Any]]:
    """The public copies, which the darkroom handed over; one that is missing is sent from here."""
    from safelight.client.publishing import publish_bytes

    shown = {p["asset"]: p for p in studio.publications()}
    return [
        shown.get(picture.asset)
        or publish_bytes(studio.link, picture.data, picture.media_type, picture.asset)
        for picture in made.pictures
    ]


def _tell(
    args: argparse.Namespace,
    made: Made,
    model: str,
    files: list[str],
    published: list[dict[str, Any]],
) -> None:
    assets = [p.asset for p in made.pictures if p.asset is not None]
    if args.json:
        value: dict[str, Any] = {
            "files": files,
            "recipe_digest": made.recipe_digest,
            "model": model,
            "seed": made.seed,
            "seconds": made.seconds,
            "device": made.device,
            "verdict": "allowed",
            "asset": assets[0] if assets else None,
            "assets": assets,
            "protection": made.protection,
            "retention": made.retention,
            "publications": [{"id": p["id"], "url": p["url"]} for p in published],
        }
        print(json.dumps(value))
        return
    if not args.quiet:
        lines = [*files, *assets, *(f"{p['id']}  {p['url']}" for p in published)]
        print("\n".join(lines))
