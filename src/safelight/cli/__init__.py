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
from typing import NoReturn

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

    def error(self, message: str) -> NoReturn:
        name = message.split(":", 1)[0] if message.startswith("argument ") else "the arguments"
        raise RequestError(
            f"{name} cannot be used like that", hint=f"see `{self.prog} --help`"
        ) from None


def build_parser() -> argparse.ArgumentParser:
    """The parser with every verb."""
    parser = _Parser(
        prog="safelight", description="A private image studio that people run themselves."
    )
    parser.add_argument("--version", action="version", version=f"safelight {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    for name in VERBS:
        importlib.import_module(f"safelight.cli.{name}").add_parser(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _be_offline()
    try:
        args = build_parser().parse_args(argv)
        return int(args.run(args))
    except SafelightError as error:
        return _tell(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output is gone; nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # the text of an unknown error may hold a prompt
        if os.environ.get("SAFELIGHT_DEBUG") == "1":
            raise
        print(f"safelight: error: a bug ({type(error).__name__})", file=sys.stderr)
        print("safelight: hint: set SAFELIGHT_DEBUG=1 to see where", file=sys.stderr)
        return A_BUG


def _be_offline() -> None:
    """Nothing is fetched or reported by any library, whatever the user's own settings are."""
    pulls = sys.argv[1:3] == ["models", "pull"]
    if not pulls:
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["DO_NOT_TRACK"] = "1"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def _tell(error: SafelightError) -> int:
    print(f"safelight: error: {error.message}", file=sys.stderr)
    print(f"safelight: hint: {error.hint}", file=sys.stderr)
    return error.exit_code
