"""A desk in a fresh folder, with a scripted fleet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deskwork import NOON, ScriptedFleet, add_account, open_test_desk, put_empty_databases
from safelight.desk import Desk
from safelight.ids import FixedClock
from safelight.records import Account


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture
async def desk(tmp_path: Path, clock: FixedClock) -> AsyncIterator[Desk]:
    await put_empty_databases(tmp_path)
    found = await open_test_desk(tmp_path, clock)
    yield found
    await found.close()


@pytest.fixture
async def fleet(desk: Desk) -> ScriptedFleet:
    fleet = ScriptedFleet()
    desk.attach(fleet)
    return fleet


@pytest.fixture
async def anna(desk: Desk) -> Account:
    return await add_account(desk)


@pytest.fixture
async def bert(desk: Desk, anna: Account) -> Account:
    return await add_account(desk, "bert")
