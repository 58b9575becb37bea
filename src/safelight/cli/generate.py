"""``safelight generate``: a picture on this machine, off the record, or through a server."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from safelight.cli.bar import Bar
from safelight.cli.pictures import (
    is_asset,
    media_type_of,
    numbered,
    parse_size,
    read_picture,
    starting_from,
)
from safelight.cli.remote import add_server_options, check_output
from safelight.errors import OutputError, RecipeError
from safelight.ids import sha256_hex
from safelight.secret import Secret
from safelight.settings import default_home

if TYPE_CHECKING:
    from safelight.catalogue import Catalogue, Model
    from safelight.engine import Engine, Picture, Progress
    from safelight.recipe import Recipe

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "generate",
        help="make a picture from words, and from a picture",
        description="Make a picture. Without --server it is drawn on this machine and nothing is "
        "kept but the file you name.",
    )
    parser.add_argument(
        "prompt", metavar="PROMPT", help="what to draw; - reads it from standard input"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where the picture goes")
    parser.add_argument("--model", metavar="NAME", help="name or digest of a model (pocket)")
    parser.add_argument("--size", metavar="WxH", help="in px; the model's own size by default")
    parser.add_argument("--steps", type=int, metavar="N", help="steps of the sampler")
    parser.add_argument("--guidance", type=float, metavar="G", help="how closely to follow words")
    parser.add_argument("--seed", type=int, metavar="N", help="same seed, same picture")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="how many pictures")
    parser.add_argument("--negative", default="", metavar="TEXT", help="what to avoid")
    parser.add_argument(
        "--init",
        metavar="FILE|ID",
        help="a picture to start from: a file, or an asset of your library (server)",
    )
    parser.add_argument("--strength", type=float, metavar="S", help="0 keeps it, 1 ignores it")
    parser.add_argument("--format", choices=("png", "jpg", "jpeg", "webp"), help="file format")
    parser.add_argument("--transparent", action="store_true", help="cut out the background")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda or mps")
    parser.add_argument("--home", type=Path, metavar="DIR", help="where models are listed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    parser.add_argument("--progress", action="store_true", help="show progress in any case")
    parser.add_argument("--private", action="store_true", help="keep it, sealed to you (server)")
    parser.add_argument(
        "--off-the-record", action="store_true", help="keep nothing (the default without a server)"
    )
    parser.add_argument("--public", action="store_true", help="keep it and publish it (server)")
    add_server_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the pictures; 0 when every file is written, and none is if one is refused."""
    if args.prompt == "-":
        args.prompt = read_prompt()
    if args.server is not None or args.private or args.public:
        from safelight.cli.generate_remote import run as run_remote

        return run_remote(args)
    if args.output is None:
        raise OutputError("no output file is named", hint="name one with -o FILE")
    media_type = media_type_of(args.format, args.output)
    _check_words(args)
    check_output(args.output)
    from safelight.catalogue import Catalogue

    catalogue = Catalogue(args.home if args.home is not None else default_home())
    recipe, model, inputs = _request(args, catalogue)

    began = time.monotonic()
    pictures, device = _draw(args, catalogue, recipe, inputs)
    files = _write(args.output, pictures, media_type)
    _tell(args, recipe, model, files, device, time.monotonic() - began)
    return 0


def read_prompt() -> str:
    """The prompt from standard input: so it is in no list of processes and no shell history."""
    from safelight.recipe import MAX_PROMPT_CHARS

    try:
        return sys.stdin.read(MAX_PROMPT_CHARS * 2).strip()
    except UnicodeDecodeError:
        raise RecipeError("the prompt is not UTF-8 text") from None


def _request(
    args: argparse.Namespace, catalogue: Catalogue
) -> tuple[Recipe, Model, dict[str, bytes]]:
    """The recipe, before anything heavy is imported."""
    from safelight.recipe import Recipe

    model = catalogue.find(args.model or "pocket")
    width, height = parse_size(args.size, model.native_size_px)
    inputs: dict[str, bytes] = {}
    digest = None
    if args.init is not None:
        if is_asset(args.init):
            raise RecipeError("an asset is in a library", hint="name its server with --server URL")
        data = read_picture(Path(args.init))
        digest = sha256_hex(data)
        inputs[digest] = data
    recipe = Recipe(
        prompt=Secret(args.prompt),
        negative_prompt=Secret(args.negative),
        model=model.digest,
        width_px=width,
        height_px=height,
        steps=model.default_steps if args.steps is None else args.steps,
        guidance=model.default_guidance if args.guidance is None else args.guidance,
        seed=secrets.randbelow(2**32) if args.seed is None else args.seed,
        count=args.count,
        transparent=args.transparent,
        **starting_from(digest, args.strength),
    )
    return recipe, model, inputs


def _check_words(args: argparse.Namespace) -> None:
    from safelight.policy.content import check_text
    from safelight.recipe import MAX_PROMPT_CHARS

    if max(len(args.prompt), len(args.negative)) > MAX_PROMPT_CHARS:
        raise RecipeError(f"a prompt is over {MAX_PROMPT_CHARS} characters")
    check_text(Secret(args.prompt), Secret(args.negative))


def _draw(
    args: argparse.Namespace, catalogue: Catalogue, recipe: Recipe, inputs: dict[str, bytes]
) -> tuple[list[Picture], str]:
    """Draw, give the memory back, then check every picture: one refused, none is written."""
    from safelight.engine import open_engine

    engine: Engine = open_engine(catalogue, args.device)
    plan = engine.plan(recipe)
    for note in () if args.quiet or args.json else plan.notes:
        print(f"safelight: note: {note}", file=sys.stderr)
    with Bar(args) as bar:
        pictures = list(engine.run(plan, inputs, _Watch(bar)))
    device = plan.device
    del plan
    engine.release()

    from safelight.engine.classifier import Classifier

    classifier = Classifier()
    for picture in pictures:
        classifier.gate(picture.pixels)
    return pictures, device


class _Watch:
    """The engine's watch: tells the bar."""

    previews = False

    def __init__(self, bar: Bar) -> None:
        self._bar = bar

    def step(self, progress: Progress) -> None:
        """One step further."""
        done = progress.index * progress.steps + progress.step
        self._bar.show(done, progress.count * progress.steps)

    def cancelled(self) -> bool:
        """Ctrl+C ends the process itself."""
        return False


def _write(output: Path, pictures: list[Picture], media_type: str) -> list[str]:
    from safelight.engine.output import encode, write_atomically

    encoded = [encode(picture.pixels, media_type) for picture in pictures]
    files: list[str] = []
    for index, data in enumerate(encoded):
        path = numbered(output, index, len(encoded))
        # A crash here leaves the files before this one, each whole.
        write_atomically(path, data)
        files.append(str(path))
    return files


def _tell(
    args: argparse.Namespace,
    recipe: Recipe,
    model: Model,
    files: list[str],
    device: str,
    seconds: float,
) -> None:
    if args.json:
        value = {
            "files": files,
            "recipe_digest": recipe.digest(),
            "model": model.name,
            "seed": recipe.seed,
            "seconds": round(seconds, 3),
            "device": device,
            "verdict": "allowed",
            "asset": None,
            "protection": "sealed",
            "retention": "none",
        }
        print(json.dumps(value))
    elif not args.quiet:
        for file in files:
            print(file)
        print(f"seed {recipe.seed}, {seconds:.1f} s on {device}, off the record", file=sys.stderr)
