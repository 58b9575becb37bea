"""Who may read text that a person wrote: the places that reveal a secret are counted here."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

import safelight
from safelight.secret import Secret

SOURCE = Path(safelight.__file__).parent
ROOMS = {"vault", "engine", "client", "cli"}
FILES = {
    "recipe.py": "checks the text it holds, and writes its own plain form",
    "policy/content.py": "the content rules",
    "server/transit.py": "the door: derives an API key's identity from the key that was presented",
}


def reveals(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("reveal", "_value")
        for node in ast.walk(tree)
    )


def test_only_these_reveal() -> None:
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if path.name != "secret.py" and reveals(path)
    }
    outside = {name for name in found if name.split("/")[0] not in ROOMS}
    assert outside == set(FILES)


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("words that a person wrote")
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret:>40}", repr([secret])):
        assert "words" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)
