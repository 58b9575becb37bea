"""The documentation is complete: each setting, error code, verb, option and route has its line."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from safelight.cli import build_parser
from safelight.errors import all_errors
from safelight.policy.content import CATEGORIES
from safelight.recipe import Recipe
from safelight.settings import Settings

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"


def _script(name: str) -> Any:
    found = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


reference = _script("reference")

PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if path.name != "proofs.md"
)


def read(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["errors.md", "settings.md", "cli.md", "routes.md"])
def test_the_generated_pages_are_what_the_code_says(name: str) -> None:
    assert read(name) == reference.pages()[name], "run `python scripts/reference.py`"


def test_every_error_code_has_its_line() -> None:
    page = read("errors.md")
    for error in all_errors():
        row = re.search(rf"^\| `{error.code}` \| {error.exit_code} \| .+\|$", page, re.MULTILINE)
        assert row, error.code


def test_every_setting_has_its_line_and_a_meaning() -> None:
    page = read("settings.md")
    for field in fields(Settings):
        row = re.search(rf"^\| `{field.name}` \| .+ \| `\S+` \| (.+) \|$", page, re.MULTILINE)
        assert row, field.name
        assert len(row[1]) > 10, field.name


def test_every_verb_and_option_has_its_line_and_a_meaning() -> None:
    page = read("cli.md")
    found = list(reference.verbs(build_parser(), "safelight"))
    assert len(found) >= 20
    for name, about, parser in found:
        assert f"\n## `{name}`\n" in page, name
        assert len(about) > 10, name
        section = page.split(f"\n## `{name}`\n", 1)[1].split("\n## ", 1)[0]
        for row in reference.argument_rows(parser):
            assert row in section
            assert not row.endswith("|  |"), f"{name}: {row}"


def test_every_route_has_its_line_and_a_meaning() -> None:
    page = read("routes.md")
    described = json.loads((REFERENCE / "openapi.json").read_text(encoding="utf-8"))
    count = 0
    for path, methods in described["paths"].items():
        for method in set(methods) & set(reference.METHODS):
            row = re.search(
                rf"^\| `{method.upper()}` \| `{re.escape(path)}` \| (.+) \|$", page, re.MULTILINE
            )
            assert row, f"{method} {path}"
            assert len(row[1]) > 10, f"{method} {path}"
            count += 1
    assert count >= 40


def test_every_recipe_field_and_category_has_its_line() -> None:
    for field in fields(Recipe):
        assert f"`{field.name}`" in read("recipe.md"), field.name
    for category in (*CATEGORIES, "explicit"):
        assert f"| `{category}` |" in read("content-rules.md"), category


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "docs/decisions/0004-what-we-depend-on.md").read_text(encoding="utf-8")
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for wanted in (re.split(r"[\[<>=]", line)[0] for group in groups for line in group):
        row = re.search(rf"^\| `{re.escape(wanted)}` \| (.+) \|$", page, re.MULTILINE)
        assert row, wanted


def test_decisions_are_numbered_in_a_row() -> None:
    names = sorted(path.name for path in (ROOT / "docs/decisions").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


def test_the_changelog_begins_each_release_with_privacy() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert releases
    for release in releases:
        assert re.findall(r"^### (.+)$", release, re.MULTILINE)[0] == "Privacy"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


def test_the_readme_shows_commands_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    known = {name for name, _, _ in reference.verbs(build_parser(), "safelight")}
    shown = re.findall(r"^safelight (.+)$", text, re.MULTILINE)
    assert len(shown) >= 10
    for line in shown:
        words = line.split()
        assert {f"safelight {words[0]}", f"safelight {' '.join(words[:2])}"} & known, line
        options = [w for w in line.partition("#")[0].split() if w.startswith("--")]
        section = read("cli.md").split(f"\n## `safelight {words[0]}", 1)[1]
        for option in options:
            assert f"`{option}" in section, line


def test_the_script_says_when_a_page_is_late(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/reference.py"), "--check"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
