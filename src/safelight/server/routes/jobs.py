"""Jobs: sealed requests from those who can seal, plain ones from those who cannot."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import JSONResponse, Response

from safelight.errors import NotFoundError, RequestError, TransientError
from safelight.ids import b64, check_id
from safelight.records import CostHeader, Job
from safelight.server.auth import Anyone, Caller, Ctx, Generator, check_scope
from safelight.server.context import Context
from safelight.server.events import EventStream, read_event_id
from safelight.server.headers import STATED, stated
from safelight.server.limits import GUEST
from safelight.server.plain import PlainResult, make_plain, plain_result
from safelight.server.shapes import JobOut, Out, Protection, Retention
from safelight.server.views import job_out

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])
MAX_COST_CHARS = 2_048
AGE = "application/age"
Ticket = Annotated[str | None, Header(alias="Safelight-Ticket", max_length=128)]


class JobTaken(Out):
    """A job that was taken into the queue."""

    job: JobOut
    protection: Protection
    retention: Retention
    ticket: str | None = None
    """For guests: send it back in ``Safelight-Ticket`` to follow or cancel this job."""


class JobAnswer(Out):
    """A job, and its result where it can still be had."""

    job: JobOut
    protection: Protection
    retention: Retention
    reply: str | None = None
    """The sealed reply, base64, while the server still has it."""
    result: PlainResult | None = None
    """The opened reply of a transit job, for the session or key that asked for it."""


class JobList(Out):
    """Jobs, newest first."""

    jobs: list[JobOut]


_SUBMIT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            AGE: {"schema": {"type": "string", "format": "binary"}},
            "application/json": {"schema": {"$ref": "#/components/schemas/PlainRequest"}},
        },
    }
}


@router.post(
    "",
    operation_id="createJob",
    status_code=202,
    response_model=JobTaken,
    responses={200: {"model": PlainResult, "description": "A transit request with `wait`."}},
    openapi_extra=_SUBMIT_BODY,
)
async def create_job(
    request: Request,
    ctx: Ctx,
    caller: Anyone,
    safelight_cost: Annotated[str | None, Header(max_length=MAX_COST_CHARS)] = None,
    safelight_retention: Annotated[Retention | None, Header()] = None,
    safelight_assets: Annotated[str, Header(max_length=512)] = "",
    idempotency_key: Annotated[str | None, Header(min_length=8, max_length=128)] = None,
) -> Response:
    """Take a sealed request (`application/age`), or seal a plain one (`application/json`).

    A sealed request says outside the seal only what the desk must know: `Safelight-Cost` (canonical
    JSON), `Safelight-Retention`, `Safelight-Assets` (comma-separated ids, empty when nothing is
    kept). Send an `Idempotency-Key` to be able to send it again.
    A plain request has `transit` protection; with `wait` the answer carries the pictures.
    """
    check_scope(caller.key, "generate")
    if ctx.stopping.is_set():
        raise TransientError("the server is stopping", hint="try again in a minute")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return await make_plain(ctx, caller, await request.body(), idempotency_key, request)
    if kind != AGE:
        raise RequestError(
            "a job is application/age or application/json", hint="set the content type"
        )
    if caller.account is None:
        ctx.limiter.hit(GUEST, caller.address)
    if safelight_cost is None or safelight_retention is None:
        raise RequestError("a sealed request needs Safelight-Cost and Safelight-Retention")
    if safelight_retention == "public":
        check_scope(caller.key, "publish")
    assets = tuple(check_id("ast", a.strip()) for a in safelight_assets.split(",") if a.strip())
    sealed = await request.body()
    job, ticket = await ctx.desk.submit(
        account=caller.account,
        sealed=sealed,
        cost=read_cost(safelight_cost),
        retention=safelight_retention,
        protection="sealed",
        assets=assets,
        idempotency_key=idempotency_key,
    )
    taken = JobTaken(job=job_out(job), protection="sealed", retention=job.retention, ticket=ticket)
    return JSONResponse(taken.model_dump(mode="json"), status_code=202)


@router.get("", operation_id="listJobs")
async def list_jobs(
    ctx: Ctx, member: Generator, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> JobList:
    """The caller's jobs, newest first; off-the-record ones only while the server holds them."""
    jobs = await ctx.desk.jobs(member.account.id, limit=limit)
    return JobList(jobs=[job_out(job) for job in jobs])


@router.get("/{job}", operation_id="getJob")
async def get_job(job: str, ctx: Ctx, caller: Anyone, ticket: Ticket = None) -> JobAnswer:
    """One job, and its result where it can still be had."""
    found = await _own(ctx, caller, job, ticket)
    reply = await ctx.desk.reply(found.id)
    result = None
    if reply is not None and found.protection == "transit":
        opened = await asyncio.to_thread(
            ctx.door.open, found.id, reply, key=caller.key, secret=caller.secret
        )
        result = plain_result(found, opened) if opened is not None else None
    return JobAnswer(
        job=job_out(found),
        protection=found.protection,
        retention=found.retention,
        reply=b64(reply) if reply is not None else None,
        result=result,
    )


@router.delete("/{job}", operation_id="cancelJob")
async def cancel_job(job: str, ctx: Ctx, caller: Anyone, ticket: Ticket = None) -> JobAnswer:
    """Cancel a job that has not ended. One that has ended stays as it is."""
    found = await _own(ctx, caller, job, ticket)
    ended = await ctx.desk.cancel(found.id)
    return JobAnswer(job=job_out(ended), protection=ended.protection, retention=ended.retention)


@router.get(
    "/{job}/events",
    operation_id="followJob",
    status_code=200,
    response_class=EventStream,
    responses={
        200: {"headers": STATED, "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    },
)
async def follow_job(
    job: str,
    ctx: Ctx,
    caller: Anyone,
    ticket: Ticket = None,
    last_event_id: Annotated[str | None, Header(max_length=32)] = None,
) -> Response:
    """What happens to a job, as server-sent events that resume after `Last-Event-ID`.

    Types: `queued`, `running`, `progress`, `preview`, then one of `done`, `refused`, `failed`,
    `cancelled`.
    """
    found = await _own(ctx, caller, job, ticket)
    return EventStream(
        ctx.desk.events(found.id, read_event_id(last_event_id)),
        ctx.closing,
        stated(found.protection, found.retention),
    )


async def _own(ctx: Context, caller: Caller, job: str, ticket: str | None) -> Job:
    """The job, if it is this caller's. Raises :class:`NotFoundError` otherwise."""
    check_scope(caller.key, "generate")
    account = caller.account.id if caller.account is not None else None
    return await ctx.desk.job(as_id("job", job), account=account, ticket=ticket)


def read_cost(text: str) -> CostHeader:
    """The cost header. Raises :class:`RequestError` without repeating it."""
    try:
        value = json.loads(text)
        return CostHeader(
            model=_text(value["model"]),
            width_px=_whole(value["width_px"]),
            height_px=_whole(value["height_px"]),
            steps=_whole(value["steps"]),
            count=_whole(value["count"]),
            features=tuple(_text(f) for f in value["features"]),
        )
    except (ValueError, KeyError, TypeError):
        raise RequestError("Safelight-Cost is not a cost header") from None


def as_id(kind: str, value: str) -> str:
    """An id from an address. One that cannot exist is not found, like one that does not."""
    try:
        return check_id(kind, value)
    except RequestError:
        raise NotFoundError("nothing with this id is here") from None


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 128:
        raise TypeError
    return value


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**31:
        raise TypeError
    return value
