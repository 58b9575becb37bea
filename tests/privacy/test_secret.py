"""Text that a person wrote is read in few places: a scan of the whole source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "safelight"
MAY_REVEAL = {
    "vault",  # seals and opens it
    "engine",  # draws it
    "client",  # is the caller
    "cli",  # is the caller
    "recipe.py",  # its canonical form and its checks
    "policy/content.py",  # checks it
    "server/transit.py",  # is the door for transit: an API key's secret opens the reply to it
    "secret.py",  # defines it
}


def reveals(source: str) -> list[int]:
    """Lines that mention the attribute ``reveal`` or get at the value behind it."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Attribute) and node.attr in ("reveal", "_value"))
        or (isinstance(node, ast.Constant) and node.value in ("reveal", "_value"))
    ]


def places() -> Iterator[str]:
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if reveals(path.read_text(encoding="utf-8")):
            yield name


def allowed(name: str) -> bool:
    return name in MAY_REVEAL or name.partition("/")[0] in MAY_REVEAL


def test_only_these_rooms_read_what_a_person_wrote() -> None:
    assert [name for name in places() if not allowed(name)] == []


def test_the_scan_sees_every_way() -> None:
    assert reveals("x = recipe.prompt.reveal()") == [1]
    assert reveals("f = prompt.reveal") == [1]
    assert reveals("getattr(prompt, 'reveal')()") == [1]
    assert reveals("prompt._value") == [1]
    assert reveals("object.__getattribute__(prompt, '_value')") == [1]
    assert reveals("prompt.conceal()") == []


def test_the_rooms_that_may_are_the_rooms_that_do() -> None:
    found = set(places())
    for entry in MAY_REVEAL:
        assert any(name == entry or name.startswith(f"{entry}/") for name in found), entry
