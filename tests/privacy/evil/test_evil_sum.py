"""Runs last of this folder: what all attacks together came to."""

from __future__ import annotations

from collections.abc import Callable

from evil.proxy import REFUSED


def test_the_numbers(proof: Callable[[str, str, str], None]) -> None:
    """Runs last: every attack above must have ended as it must."""
    assert {f"E{n}" for n in range(1, 17)} == REFUSED
    proof(
        "E1-14",
        "the evil server: a proxy in front of a real server that rewrites its answers",
        "14 of 14 attacks refused by a named error, and 2 more; nothing sent to the evil key",
    )
