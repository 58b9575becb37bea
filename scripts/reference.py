"""Writes the generated pages of ``docs/reference`` from the code; with ``--check`` only compares.

``errors.md``, ``settings.md`` and ``cli.md`` come from the package, ``routes.md`` from
``openapi.json`` (which ``scripts/openapi.py`` writes).
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from itertools import pairwise
from pathlib import Path

from safelight import settings as settings_module
from safelight.cli import build_parser
from safelight.errors import IntegrityError, RequestError, TransientError, all_errors
from safelight.settings import Settings

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
NOTE = "<!-- Made by scripts/reference.py. Do not edit. -->\n\n"
METHODS = ("get", "post", "put", "patch", "delete")


def errors_page() -> str:
    """Every error code, its exit code and HTTP status, what it means and what to do."""
    rows = []
    for error in all_errors():
        means = one_line(inspect.getdoc(error) or "")
        hint = one_line(error.default_hint)
        rows.append(
            f"| `{error.code}` | {error.exit_code} | {error.http_status} | {means} | {hint} |"
        )
    branches = ((RequestError, "is yours to fix"), (TransientError, "may pass: try again"),
                (IntegrityError, "must not be ignored: stop, and tell the operator"))  # fmt: skip
    told = "; ".join(f"{b.exit_code}: it {text}" for b, text in branches)
    return (
        f"# Errors\n\n{NOTE}"
        "The command line prints two lines on standard error, `safelight: error:` and "
        "`safelight: hint:`, and ends with the exit code. The HTTP interface answers with "
        "problem+json (RFC 9457) that has the code and the hint. No error repeats a prompt, a file "
        f"name or a key.\n\nExit codes: 0: done; {told}; 1: a bug; 130: interrupted.\n\n"
        "| code | exit | HTTP | means | hint |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def settings_page() -> str:
    """Every setting, its default and its variable."""
    told = field_docs(Settings)
    rows = []
    for field in fields(Settings):
        default = "(needed)" if field.default is MISSING else f"`{field.default!r}`"
        if field.name == "home":
            default = "`~/.safelight`"
        name = f"SAFELIGHT_{field.name.upper()}"
        rows.append(f"| `{field.name}` | {default} | `{name}` | {told[field.name]} |")
    return (
        f"# Settings of a server\n\n{NOTE}"
        "Put them into `safelight.toml` in the home folder, or set the variable. The environment "
        "wins over the file; arguments of `safelight serve` win over both. `SAFELIGHT_PROFILE` "
        "names the folder where a client keeps its pins.\n\n"
        "| setting | default | variable | what it does |\n|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def cli_page() -> str:
    """Every verb with its arguments and options."""
    head = (
        f"# The command line\n\n{NOTE}"
        "`safelight --version` and `--help` answer at once. Exit codes and errors: "
        "[errors](errors.md). `--json` prints one object for scripts. `--home` (or "
        "`SAFELIGHT_HOME`) is where a server keeps everything and models are listed; `--profile` "
        "(or `SAFELIGHT_PROFILE`) is where a client keeps its pins. Nothing is written elsewhere.\n"
    )
    parts = [head]
    for name, about, parser in verbs(build_parser(), "safelight"):
        parts.append(f"\n## `{name}`\n\n{sentence(about)}\n")
        rows = list(argument_rows(parser))
        if rows:
            parts.append("\n| argument | what it does |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "".join(parts)


def routes_page() -> str:
    """Every route, from the OpenAPI description."""
    source = FOLDER / "openapi.json"
    described = json.loads(source.read_text(encoding="utf-8")) if source.is_file() else {}
    rows = []
    for path, methods in sorted(described.get("paths", {}).items()):
        for method in METHODS:
            if method in methods:
                route = methods[method]
                about = route.get("description") or route.get("summary") or ""
                rows.append(f"| `{method.upper()}` | `{path}` | {one_line(first(about))} |")
    return (
        f"# Routes\n\n{NOTE}"
        "The whole description is in [openapi.json](openapi.json), and at `/api/docs` of a running "
        "server.\n\n| method | path | what it does |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def verbs(
    parser: argparse.ArgumentParser, name: str
) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Every command that runs something: its words, what it does, and its parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for word, child in action.choices.items():
                inner = list(verbs(child, f"{name} {word}"))
                if inner:
                    yield from inner
                else:
                    yield f"{name} {word}", child.description or helps.get(word, ""), child


def argument_rows(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A table row for each argument and option."""
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        value = action.metavar if isinstance(action.metavar, str) else None
        if value is None and action.choices is not None:
            value = "|".join(str(choice) for choice in action.choices)
        if value is None and action.nargs != 0:
            value = action.dest.upper()
        names = [
            f"{n} {value}" if value and action.nargs != 0 else n for n in action.option_strings
        ]
        shown = ", ".join(f"`{n}`" for n in names) if names else f"`{value}`"
        yield f"| {cell(shown)} | {one_line(action.help or '')} |"


def field_docs(cls: type) -> dict[str, str]:
    """The strings that stand under the fields of a dataclass."""
    tree = ast.parse(inspect.getsource(settings_module))
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == cls.__name__)
    found: dict[str, str] = {}
    for field, after in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = after.value if isinstance(after, ast.Expr) else None
            told = str(text.value) if isinstance(text, ast.Constant) else ""
            found[field.target.id] = one_line(told)
    return found


def first(text: str) -> str:
    """The first paragraph."""
    return text.split("\n\n", 1)[0]


def one_line(text: str) -> str:
    """A text in one table cell, with code in Markdown's form."""
    return cell(" ".join(text.split()).replace("``", "`").replace(":class:", ""))


def cell(text: str) -> str:
    """A text that does not end its table cell."""
    return text.replace("|", "\\|")


def sentence(text: str) -> str:
    """A text with a capital letter and a full stop."""
    plain = " ".join(text.split())
    return plain[:1].upper() + plain[1:] + ("" if plain.endswith(".") else ".")


def pages() -> dict[str, str]:
    """Name and text of every generated page."""
    return {
        "errors.md": errors_page(),
        "settings.md": settings_page(),
        "cli.md": cli_page(),
        "routes.md": routes_page(),
    }


def main() -> int:
    """Write or compare. Returns 1 if a page is not what the code says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    check = parser.parse_args().check
    late = []
    for name, text in pages().items():
        path = FOLDER / name
        if check and (not path.is_file() or path.read_text(encoding="utf-8") != text):
            late.append(name)
        elif not check:
            path.write_text(text, encoding="utf-8")
    if late:
        sys.stderr.write(f"out of date: {', '.join(late)}; run scripts/reference.py\n")
    return 1 if late else 0


if __name__ == "__main__":
    raise SystemExit(main())
