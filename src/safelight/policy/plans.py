"""Plans: what a subscription entitles to, and what a recipe costs. Pure rules, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from safelight.errors import ForbiddenError, QuotaError
from safelight.recipe import MAX_COUNT, MAX_SIDE_PX, Recipe
from safelight.records import CostHeader

PIXEL_STEPS_PER_TOKEN = 1_024 * 1_024 * 20
"""One token draws one 1024 x 1024 picture in 20 steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one plan allows. ``monthly_tokens`` is None where nothing is counted."""

    name: str
    monthly_tokens: int | None
    max_side_px: int
    max_count: int
    concurrent_jobs: int
    can_be_private: bool = True
    """Privacy is never sold: every plan may keep pictures private."""


PLANS: dict[str, Plan] = {
    "home": Plan(
        name="home",
        monthly_tokens=None,
        max_side_px=MAX_SIDE_PX,
        max_count=MAX_COUNT,
        concurrent_jobs=200,
    ),
    "guest": Plan(
        name="guest", monthly_tokens=None, max_side_px=1_024, max_count=4, concurrent_jobs=4
    ),
    "small": Plan(
        name="small", monthly_tokens=500, max_side_px=1_024, max_count=4, concurrent_jobs=5
    ),
    "studio": Plan(
        name="studio", monthly_tokens=10_000, max_side_px=2_048, max_count=10, concurrent_jobs=20
    ),
}
DEFAULT_PLAN = "home"


def cost_header(recipe: Recipe) -> CostHeader:
    """The cost header that this recipe must be sent with."""
    return CostHeader(
        model=recipe.model,
        width_px=recipe.width_px,
        height_px=recipe.height_px,
        steps=recipe.steps,
        count=recipe.count,
        features=recipe.features(),
    )


def price(cost: CostHeader) -> int:
    """Tokens for one request: pixels times steps times pictures, rounded up, at least 1 each."""
    work = cost.width_px * cost.height_px * cost.steps
    each = max(1, -(-work // PIXEL_STEPS_PER_TOKEN))
    return each * cost.count


def check_plan(plan: Plan, cost: CostHeader) -> None:
    """Raise :class:`ForbiddenError` or :class:`QuotaError` unless the plan allows this request.

    Whether tokens are left is the desk's to know; a request over a whole month's tokens is not.
    """
    if max(cost.width_px, cost.height_px) > plan.max_side_px:
        raise ForbiddenError(
            f"the plan {plan.name} allows sides up to {plan.max_side_px} px",
            hint="ask for a smaller picture or change the plan",
        )
    if cost.count > plan.max_count:
        raise ForbiddenError(
            f"the plan {plan.name} allows {plan.max_count} pictures at once",
            hint="ask for fewer pictures or change the plan",
        )
    if plan.monthly_tokens is not None and price(cost) > plan.monthly_tokens:
        raise QuotaError(f"this request costs more than a month of the plan {plan.name}")
