"""Prices and what plans allow."""

from __future__ import annotations

import pytest

from safelight.errors import ForbiddenError, QuotaError
from safelight.policy.plans import DEFAULT_PLAN, PLANS, check_plan, cost_header, price
from safelight.recipe import AdapterUse, Recipe
from safelight.records import CostHeader
from safelight.secret import Secret


def cost(side: int = 1024, steps: int = 20, count: int = 1) -> CostHeader:
    return CostHeader(model="a" * 64, width_px=side, height_px=side, steps=steps, count=count)


def test_one_token_is_one_picture_of_1024_in_20_steps() -> None:
    assert price(cost()) == 1
    assert price(cost(count=3)) == 3
    assert price(cost(side=1032)) == 2
    assert price(cost(steps=40)) == 2


def test_the_smallest_picture_costs_one_token() -> None:
    assert price(cost(side=16, steps=1)) == 1


def test_the_cost_header_says_what_the_recipe_needs_and_no_words() -> None:
    recipe = Recipe(
        prompt=Secret("canary"), model="a" * 64, width_px=64, height_px=128, steps=4, guidance=1.0,
        seed=7, count=2, adapters=(AdapterUse(digest="b" * 64),), transparent=True,
    )  # fmt: skip
    header = cost_header(recipe)
    assert header.to_dict() == {
        "model": "a" * 64, "width_px": 64, "height_px": 128, "steps": 4, "count": 2,
        "features": ["adapters", "transparent"],
    }  # fmt: skip
    assert "canary" not in repr(header)


def test_the_home_plan_allows_every_recipe_that_can_be() -> None:
    assert DEFAULT_PLAN == "home"
    check_plan(PLANS["home"], cost(side=4096, steps=150, count=10))


def test_limits_of_a_plan() -> None:
    with pytest.raises(ForbiddenError, match="1024 px"):
        check_plan(PLANS["guest"], cost(side=1032))
    with pytest.raises(ForbiddenError, match="4 pictures"):
        check_plan(PLANS["guest"], cost(count=5))
    check_plan(PLANS["small"], cost(steps=150, count=4))
    tight = type(PLANS["small"])(
        name="tight", monthly_tokens=3, max_side_px=4096, max_count=10, concurrent_jobs=1
    )
    with pytest.raises(QuotaError):
        check_plan(tight, cost(count=4))


def test_privacy_is_never_sold() -> None:
    assert all(plan.can_be_private for plan in PLANS.values())
    assert all(name == plan.name for name, plan in PLANS.items())
