"""``python -m bench [NAME...]``: run benchmarks and write their tables to docs/benchmarks.md.

Without names, all of them. A table that was not run again stays as it was.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.rows import Row
from tqdm import tqdm

MODULES = ("engine", "seal", "desk", "server", "studio")
"""Modules of this folder, each with ``run() -> list[Row]``, in the order of the page."""
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Made by `make bench`. A goal is the most that a value may be. A ratio is the median of the ratios of
pairs that ran in turns on the same machine. "Peer" is InvokeAI 6.14.2 where it was measured here.
"""


def table(name: str, rows: list[Row]) -> str:
    """One section of the page."""
    made = datetime.now(UTC).strftime("%Y-%m-%d")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    if threads := os.environ.get("OMP_NUM_THREADS"):
        machine += f", {threads} thread(s) each"
    machine += f", load {os.getloadavg()[2]:.1f}"
    lines = [
        f"## {name}",
        "",
        f"{made}, {machine}, Python {platform.python_version()}",
        "",
        "| what | value | goal | met | peer | note |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        goal = "" if row.goal is None else f"{row.goal:g} {row.unit}"
        met = "" if row.goal is None else ("yes" if row.value <= row.goal else "**no**")
        peer = "" if row.peer is None else f"{row.peer:g} {row.unit}"
        value = f"{row.value:.3g}" if row.value < 1000 else f"{row.value:,.0f}"
        lines.append(f"| {row.name} | {value} {row.unit} | {goal} | {met} | {peer} | {row.note} |")
    return "\n".join(lines) + "\n"


def kept(page: str) -> dict[str, str]:
    """The sections of the page as it is, by name."""
    parts = re.split(r"^## (\w+)\n", page, flags=re.MULTILINE)
    return {
        name: f"## {name}\n{text.rstrip()}\n"
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def main(names: list[str]) -> int:
    """Run, print and write. 0 even where a goal is missed: the page says so."""
    wrong = [name for name in names if name not in MODULES]
    if wrong:
        print(f"no such benchmark; there are: {', '.join(MODULES)}", file=sys.stderr)
        return 2
    sections = kept(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    for name in tqdm(names or MODULES, desc="benchmarks", unit="module"):
        rows = importlib.import_module(f"bench.{name}").run()
        sections[name] = table(name, rows)
        tqdm.write(sections[name])
        page = [HEAD, *(sections[n] for n in MODULES if n in sections)]
        # A crash here leaves a page without this section; run it again.
        PAGE.write_text("\n".join(page), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
