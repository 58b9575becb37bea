"""The table in docs/proofs.md, written by the run that made the numbers."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

HEAD = """# Proofs

Written by `make proofs`; each line by the test that measured it, on the day and machine named in
it. The tests are in `tests/privacy` and `tests/faults`; `docs/threat-model.md` says against whom.

| proof | what was tried | result | when and where |
|---|---|---|---|
"""
_ROW = re.compile(r"^\| (\S+) \| (.+?) \| (.+?) \| (.+?) \|$")


class Proofs:
    """Lines of this run, merged into those of earlier runs for proofs that did not run."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], tuple[str, str]] = {}

    def add(self, name: str, what: str, result: str) -> None:
        """One line; a later one with the same name and text replaces it."""
        where = f"{datetime.now(UTC):%Y-%m-%d}, Linux {platform.release().split('-')[0]}, "
        where += f"{os.cpu_count()} cores, Python {platform.python_version()}"
        assert "|" not in what + result
        self._rows[name, what] = (result, where)

    def write(self, path: Path) -> None:
        """Write the table, keeping the lines of proofs that this run did not make."""
        rows = dict(self._rows)
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                if (found := _ROW.match(line)) is not None and found[1] != "proof":
                    rows.setdefault((found[1], found[2]), (found[3], found[4]))
        order = sorted(rows, key=lambda key: (key[0][0], int("0" + re.sub(r"\D", "", key[0])), key))
        lines = [f"| {n} | {w} | {rows[n, w][0]} | {rows[n, w][1]} |\n" for n, w in order]
        path.write_text(HEAD + "".join(lines), encoding="utf-8")
