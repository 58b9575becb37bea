"""Writes ``docs/reference/openapi.json`` from the routes; with ``--check`` only compares."""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path

from safelight.server.app import build_app
from safelight.server.logs import Journal
from safelight.settings import Settings

TARGET = Path(__file__).parents[1] / "docs" / "reference" / "openapi.json"


def description() -> str:
    """The OpenAPI description as text: the same for the same routes, whoever makes it."""
    app = build_app(Settings(home=Path()), journal=Journal(io.StringIO()))
    return json.dumps(app.openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    """Write or compare. Returns 1 if the file is not what the routes say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    arguments = parser.parse_args()
    text = description()
    if arguments.check:
        if not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != text:
            sys.stderr.write("docs/reference/openapi.json is out of date: run `make openapi`\n")
            return 1
        return 0
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
