"""The command line: ``safelight VERB ...``. Each verb is a module with ``add_parser`` and ``run``.

Exit codes: 0 done, 2 the request is wrong, 3 the machine or server cannot now, 4 integrity, 1 a
bug. Errors are two lines on standard error. Help and version answer without the heavy libraries.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from safelight import __version__
from safelight.errors import RequestError, SafelightError

VERBS: tuple[str, ...] = (
    "generate",
    "models",
    "serve",
    "account",
    "library",
    "open",
    "share",
    "publish",
    "keys",
    "admin",
)
"""Modules of this package, in the order of the help text."""

INTERRUPTED = 130
A_BUG = 1


class _Parser(argparse.ArgumentParser):
    """Speaks of wrong arguments in our two lines and never repeats them: one may be a prompt."""

    def __init__(self, **settings: Any) -> None:
        # Whole names only: a script that uses a shortened one would break when another is added.
        super().__init__(**(settings | {"allow_abbrev": False}))

    def error(self, message: str) -> NoReturn:
        name = message.split(":", 1)[0] if message.startswith("argument ") else "the arguments"
        raise RequestError(
            f"{name} cannot be used like that", hint=f"see `{self.prog} --help`"
        ) from None


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser with every verb, or with only one to start faster."""
    parser = _Parser(
        prog="safelight", description="A private image studio that people run themselves."
    )
    parser.add_argument("--version", action="version", version=f"safelight {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    for name in (only,) if only in VERBS else VERBS:
        importlib.import_module(f"safelight.cli.{name}").add_parser(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    _be_offline(pulls=words[:2] == ["models", "pull"])
    try:
        args = build_parser(words[0] if words else None).parse_args(words)
        return int(args.run(args))
    except SafelightError as error:
        return _tell(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output is gone; nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("SAFELIGHT_DEBUG") == "1":
            raise
        print(f"safelight: error: a bug ({type(error).__name__})", file=sys.stderr)
        print("safelight: hint: set SAFELIGHT_DEBUG=1 to see where", file=sys.stderr)
        return A_BUG


def _be_offline(*, pulls: bool) -> None:
    """Nothing is fetched, reported or cached by any library, whatever the user's settings are."""
    if not pulls:
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["DO_NOT_TRACK"] = "1"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # torch makes this folder when it is imported, and writes there only if it compiles: it never
    # does here. Named so, it makes none in the temporary folder.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.sep


def _tell(error: SafelightError) -> int:
    print(f"safelight: error: {error.message}", file=sys.stderr)
    print(f"safelight: hint: {error.hint}", file=sys.stderr)
    return error.exit_code
