"""For the operator: people and plans, and nowhere a way to open anything."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import StringConstraints

from safelight.errors import RequestError
from safelight.policy.plans import PLANS
from safelight.records import Account
from safelight.server.auth import Ctx, Operator
from safelight.server.metrics import resident_bytes
from safelight.server.routes.jobs import as_id
from safelight.server.shapes import In, Out

router = APIRouter(prefix="/api/v1/admin", tags=["admin"])


class PersonAdmin(Out):
    """What the operator sees of an account: no keys, no counts of what is in its library."""

    id: str
    name: str
    role: Literal["owner", "member"]
    plan: str
    created_at: datetime
    disabled: bool


class PeopleList(Out):
    """Every account, and the plans that one may have."""

    people: list[PersonAdmin]
    plans: list[str]


class PersonChange(In):
    """What to change; a field that is left out stays."""

    plan: Annotated[str, StringConstraints(max_length=32)] | None = None
    disabled: bool | None = None


class HealthOut(Out):
    """How the server is doing, in numbers."""

    queued: int
    running: int
    darkroom: str
    memory_bytes: int


@router.get("/people", operation_id="listPeople")
async def list_people(ctx: Ctx, member: Operator) -> PeopleList:  # noqa: ARG001 - the check
    """Every account of this instance."""
    return PeopleList(people=[_person(a) for a in await ctx.desk.people()], plans=list(PLANS))


@router.patch("/people/{account}", operation_id="changePerson")
async def change_person(
    account: str, body: PersonChange, ctx: Ctx, member: Operator
) -> PersonAdmin:
    """Set a plan, or disable an account: its sessions and keys end, its library stays sealed."""
    target = as_id("acc", account)
    if body.disabled and target == member.account.id:
        raise RequestError("an operator cannot disable their own account")
    if body.plan is not None and body.plan not in PLANS:
        raise RequestError("no such plan", hint=f"one of {', '.join(PLANS)}")
    return _person(await ctx.desk.change_person(target, plan=body.plan, disabled=body.disabled))


@router.get("/health", operation_id="getHealth")
async def get_health(ctx: Ctx, member: Operator) -> HealthOut:  # noqa: ARG001 - the check
    """How the server is doing."""
    queued, running = await ctx.desk.queue_lengths()
    return HealthOut(
        queued=queued,
        running=running,
        darkroom=ctx.fleet.status().state,
        memory_bytes=int(resident_bytes()),
    )


def _person(account: Account) -> PersonAdmin:
    return PersonAdmin(
        id=account.id,
        name=account.name,
        role=account.role,
        plan=account.plan,
        created_at=account.created_at,
        disabled=account.disabled,
    )
