"""For all tests: nothing is fetched, and proofs write their numbers with ``--proofs FILE``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

from proofs import Proofs


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--proofs",
        metavar="FILE",
        default=None,
        help="write the numbers of the proofs that this run makes into FILE",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PROOFS] = Proofs()


def pytest_sessionfinish(session: pytest.Session) -> None:
    name = session.config.getoption("--proofs")
    if name is not None:
        session.config.stash[PROOFS].write(Path(name))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("proof"):
            item.add_marker(pytest.mark.timeout(7_200))


PROOFS = pytest.StashKey[Proofs]()


@pytest.fixture
def proof(request: pytest.FixtureRequest) -> Callable[[str, str, str], None]:
    """``proof(id, what, result)``: one line of docs/proofs.md, written if the test passes.

    A line is told only after its assertion, so a failing proof leaves no line of this run.
    """
    return request.config.stash[PROOFS].add
