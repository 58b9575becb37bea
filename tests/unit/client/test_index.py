"""Searching the index on this device."""

from __future__ import annotations

import pytest

from safelight.client.index import Index
from safelight.errors import NotFoundError
from safelight.ids import b64
from safelight.vault.head import IndexEntry


def entry(asset: str, words: str, embedding: list[int] | None = None) -> IndexEntry:
    return IndexEntry(
        asset=asset,
        kind="picture",
        words=tuple(words.split()),
        tags=("holiday",) if "kite" in words else (),
        made_on="2026-11-28",
        model="pocket",
        width_px=64,
        height_px=64,
        seed=1,
        darkroom_key="0" * 64,
        request_nonce="0" * 32,
        embedding=None if embedding is None else b64(bytes(n % 256 for n in embedding)),
    )


INDEX = Index(
    None,
    [
        ("a", [entry("1", "red kite", [100, 0, 0]), entry("2", "blue kite", [90, 10, 0])]),
        ("b", [entry("3", "red door", [0, 0, -100]), entry("4", "green", None)]),
        ("c", [entry("5", "red kite", [-100, 0, 0]), entry("6", "empty", [0, 0, 0])]),
    ],
)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("red", ["5", "3", "1"]),
        ("RED ki", ["5", "1"]),
        ("holiday blue", ["2"]),
        ("kite door", []),
        ("", ["6", "5", "4", "3", "2", "1"]),
    ],
)
def test_search(words: str, found: list[str]) -> None:
    assert [e.asset for e in INDEX.search(words)] == found


def test_similar() -> None:
    assert [e.asset for e in INDEX.similar("1")] == ["2", "6", "3", "5"]
    assert [e.asset for e in INDEX.similar("1", limit=1)] == ["2"]
    for missing in ("4", "nobody"):
        with pytest.raises(NotFoundError):
            INDEX.similar(missing)
