"""Accounts take turns, whatever each has waiting."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from safelight.desk.turns import Turns


def drain(turns: Turns) -> list[str]:
    order = []
    while (taken := turns.take()) is not None:
        account, job = taken
        order.append(job)
        turns.ended(account)
    return order


def test_a_long_queue_does_not_hold_up_a_short_one() -> None:
    turns = Turns()
    for i in range(5):
        turns.push("anna", f"a{i}", most_running=9)
    turns.push("bert", "b0", most_running=9)
    assert drain(turns) == ["a0", "b0", "a1", "a2", "a3", "a4"]


def test_places_say_when_a_job_begins() -> None:
    turns = Turns()
    places = [turns.push("anna", f"a{i}", most_running=9) for i in range(3)]
    assert places == [1, 2, 3]
    assert turns.push("bert", "b0", most_running=9) == 2
    assert turns.place("a2") == 4
    assert turns.push("anna", "again", most_running=9, first=True) == 2
    assert turns.place("none") == 0


def test_an_account_runs_no_more_at_once_than_its_plan_says() -> None:
    turns = Turns()
    for i in range(3):
        turns.push("anna", f"a{i}", most_running=2)
    assert turns.take() == ("anna", "a0")
    assert turns.take() == ("anna", "a1")
    assert turns.take() is None
    turns.ended("anna")
    assert turns.take() == ("anna", "a2")


def test_what_is_removed_is_not_taken() -> None:
    turns = Turns()
    turns.push("anna", "a0", most_running=9)
    turns.push("anna", "a1", most_running=9)
    assert turns.remove("a0")
    assert not turns.remove("a0")
    assert "a1" in turns
    assert drain(turns) == ["a1"]
    assert len(turns) == 0


async def test_a_waiting_worker_wakes_when_a_job_comes() -> None:
    turns = Turns()
    waiting = asyncio.create_task(turns.next())
    await asyncio.sleep(0)
    turns.push("anna", "a0", most_running=1)
    assert await asyncio.wait_for(waiting, 5) == ("anna", "a0")


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 10**6)), max_size=60))
def test_between_two_jobs_of_one_account_every_other_waiting_account_has_a_turn(
    pushes: list[tuple[str, int]],
) -> None:
    turns = Turns()
    waiting: dict[str, list[str]] = {}
    for i, (account, _) in enumerate(pushes):
        turns.push(account, f"{account}{i}", most_running=99)
        waiting.setdefault(account, []).append(f"{account}{i}")
    order = drain(turns)
    assert sorted(order) == sorted(job for jobs in waiting.values() for job in jobs)
    for account, jobs in waiting.items():
        assert [job for job in order if job[0] == account] == jobs  # first come in each account
    for i, job in enumerate(order):
        later = order[i + 1 :]
        again = next((k for k, other in enumerate(later) if other[0] == job[0]), None)
        if again is not None:
            between = {other[0] for other in later[:again]}
            assert between >= {other[0] for other in later} - {job[0]}
