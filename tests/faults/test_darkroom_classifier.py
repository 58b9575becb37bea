"""S1, the darkroom's part: the picture check is missing, crashes, is slow or answers nonsense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bad_classifier import FAULTS
from darkrooms import darkroom

BROKEN = sorted(set(FAULTS) - {"explicit", "dying"})
QUICK = "nan"


async def no_picture(home: Path, fault: str) -> None:
    async with darkroom(home, f"classifier:{fault}") as room:
        for keep in (True, False):
            outcomes, _ = await room.make(keep=keep)
            assert (outcomes[0].state, outcomes[0].code) == ("failed", "check-unavailable")
            assert outcomes[0].assets == ()
            assert outcomes[0].reply is None


async def test_a_check_that_answers_nan_lets_nothing_out(tmp_path: Path) -> None:
    await no_picture(tmp_path, QUICK)


@pytest.mark.proof
@pytest.mark.parametrize("fault", [fault for fault in BROKEN if fault != QUICK])
async def test_a_broken_check_lets_nothing_out(tmp_path: Path, fault: str) -> None:
    await no_picture(tmp_path, fault)


@pytest.mark.proof
async def test_a_check_that_kills_the_process_lets_nothing_out(tmp_path: Path) -> None:
    async with darkroom(tmp_path, "classifier:dying", ready=False) as room:
        await room.until("darkroom-not-ready")
        outcomes, _ = await room.make()
        assert (outcomes[0].state, outcomes[0].code) == ("failed", "darkroom-stopped")
        assert outcomes[0].assets == ()


@pytest.mark.proof
async def test_a_refused_picture_gives_a_reply_and_no_asset(tmp_path: Path) -> None:
    async with darkroom(tmp_path, "classifier:explicit") as room:
        for keep in (True, False):
            outcomes, opened = await room.make(keep=keep, count=2)
            assert (outcomes[0].state, outcomes[0].code) == ("refused", None)
            assert outcomes[0].assets == ()
            assert opened is not None
            assert opened.reply.verdict == "refused"
            assert opened.reply.category is not None
            assert opened.pictures == []


@pytest.mark.proof
def test_it_is_told(proof: Callable[[str, str, str], None]) -> None:
    proof("S1", "picture check missing, crashing, killing, slow, NaN or nonsense, kept and not",
          f"0 pictures without a verdict in {2 * len(BROKEN) + 1} jobs")  # fmt: skip
