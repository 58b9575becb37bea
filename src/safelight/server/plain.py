"""Plain requests (transit protection): their JSON form, and the whole way there and back."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Literal

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from starlette.responses import JSONResponse, Response

from safelight.errors import (
    CancelledError,
    RecipeError,
    RefusedError,
    SafelightError,
    TransientError,
    all_errors,
)
from safelight.ids import b64, sha256_hex, unb64
from safelight.recipe import MAX_SEED, Recipe, Sampler, Task
from safelight.records import Job
from safelight.server import views
from safelight.server.auth import Caller, check_scope
from safelight.server.context import Context
from safelight.server.limits import GUEST
from safelight.server.shapes import B64, Hex64, In, JobOut, Name, Out, Protection, Retention
from safelight.server.transit import Once, Opened


class AdapterIn(In):
    """One LoRA of the stack."""

    digest: Hex64
    weight: float = 1.0


class ControlIn(In):
    """One control picture."""

    kind: Literal["edge", "depth", "pose"]
    image: Hex64
    weight: float = 1.0


class RecipeIn(In):
    """A recipe in plain form. What is left out is the model's default; the seed is then random."""

    prompt: str
    negative_prompt: str = ""
    model: Name | None = None
    """Name or digest; Pocket if it is left out."""
    width_px: int | None = None
    height_px: int | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None
    task: Task = "text-to-image"
    sampler: Sampler = "default"
    count: int = 1
    init_image: Hex64 | None = None
    mask_image: Hex64 | None = None
    strength: float | None = None
    adapters: tuple[AdapterIn, ...] = ()
    controls: tuple[ControlIn, ...] = ()
    transparent: bool = False
    v: Literal[1] = 1


class PlainRequest(In):
    """A request in plain form: the server seals it, and the answer says ``transit``."""

    recipe: RecipeIn
    inputs: dict[str, B64] = Field(default_factory=dict, max_length=8)
    """Input pictures by their SHA-256, base64."""
    retention: Retention = "none"
    format: Literal["image/png", "image/jpeg", "image/webp"] = "image/png"
    wait: bool = False
    """Answer only when the pictures are there, with the pictures."""


class PlainPicture(Out):
    """One picture of a transit result."""

    asset: str | None
    seed: int
    media_type: str
    width_px: int
    height_px: int
    sha256: str
    b64: str | None
    """The picture itself; None where it can only be opened by the owner."""


class PlainResult(Out):
    """The result of a transit job."""

    job: JobOut
    protection: Protection
    retention: Retention
    verdict: Literal["allowed", "refused"]
    category: str | None
    recipe_digest: str
    model: str
    seed: int
    seconds: float
    device: str
    pictures: list[PlainPicture]


def read_plain(raw: bytes) -> PlainRequest:
    """Read a body. Raises :class:`RequestValidationError`, whose answer repeats nothing."""
    try:
        return PlainRequest.model_validate_json(raw)
    except ValidationError as error:
        found: list[dict[str, Any]] = [
            {"type": e["type"], "loc": ("body", *e["loc"])}
            for e in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise RequestValidationError(found) from None


def build_recipe(ctx: Context, body: RecipeIn) -> Recipe:
    """The whole recipe: defaults from the model. Raises :class:`RecipeError` and the like."""
    value = body.model_dump(exclude={"model"})
    model = ctx.catalogue.find(body.model) if body.model else ctx.catalogue.models()[0]
    defaults: dict[str, Any] = {
        "width_px": model.native_size_px,
        "height_px": model.native_size_px,
        "steps": model.default_steps,
        "guidance": model.default_guidance,
        "seed": secrets.randbelow(MAX_SEED + 1),
    }
    for name, default in defaults.items():
        if value[name] is None:
            value[name] = default
    return Recipe.from_dict({**value, "model": model.digest})


def read_inputs(given: dict[str, str]) -> dict[str, bytes]:
    """The input pictures. Raises :class:`RecipeError` for one that is not what it is called."""
    inputs = {digest: unb64(text) for digest, text in given.items()}
    if any(sha256_hex(data) != digest for digest, data in inputs.items()):
        raise RecipeError("an input does not have the digest it is sent under")
    return inputs


async def make_plain(
    ctx: Context, caller: Caller, raw: bytes, idempotency_key: str | None, request: Request
) -> Response:
    """Seal at the door, submit, and with ``wait`` answer with the opened result."""
    body = read_plain(raw)
    if caller.account is None:
        ctx.limiter.hit(GUEST, caller.address)
    once, job, ticket = None, None, None
    if idempotency_key is not None and caller.account is not None:
        once = Once(account=caller.account.id, key=idempotency_key, digest=sha256_hex(raw))
        earlier = ctx.door.earlier(once)
        job = await ctx.desk.job_by_id(earlier) if earlier is not None else None
    if job is None:
        job, ticket = await _submit(ctx, caller, body, once)
    if body.wait:
        result = await wait_for(ctx, caller, job, request)
        return JSONResponse(result.model_dump(mode="json"))
    taken = {
        "job": views.job_out(job).model_dump(mode="json"),
        "protection": "transit",
        "retention": job.retention,
        "ticket": ticket,
    }
    return JSONResponse(taken, status_code=202)


async def _submit(
    ctx: Context, caller: Caller, body: PlainRequest, once: Once | None
) -> tuple[Job, str | None]:
    if body.retention == "public":
        check_scope(caller.key, "publish")
    recipe = await asyncio.to_thread(build_recipe, ctx, body.recipe)
    inputs = read_inputs(body.inputs)
    if set(inputs) != set(recipe.inputs()):
        raise RecipeError("the recipe and the inputs do not name the same pictures")
    sealed = await asyncio.to_thread(
        ctx.door.seal,
        recipe,
        inputs,
        account=caller.account,
        key=caller.key,
        retention=body.retention,
        media_type=body.format,
    )
    job, ticket = await ctx.desk.submit(
        account=caller.account,
        sealed=sealed.sealed,
        cost=sealed.cost,
        retention=body.retention,
        protection="transit",
        assets=sealed.assets,
        idempotency_key=once.key if once is not None else None,
    )
    ctx.door.remember(sealed.exchange, job.id, once)
    return job, ticket


async def wait_for(ctx: Context, caller: Caller, job: Job, request: Request) -> PlainResult:
    """Follow a job to its end and open its reply. A caller who goes away cancels the job.

    Raises :class:`RefusedError` with the category, or the error that the job failed with.
    """
    following = asyncio.ensure_future(_follow(ctx, job.id))
    try:
        while not following.done():
            await asyncio.wait({following}, timeout=1.0)
            if not following.done() and await request.is_disconnected():
                await ctx.desk.cancel(job.id)
                raise CancelledError("the caller went away")
        kind, reply, code = following.result()
    finally:
        following.cancel()
    if kind == "cancelled":
        raise CancelledError("the job was cancelled")
    if reply is None:
        raise error_of(code)
    opened = await asyncio.to_thread(
        ctx.door.open, job.id, reply, key=caller.key, secret=caller.secret
    )
    if opened is None:
        raise TransientError("the result could not be opened here")
    ended = await ctx.desk.job_by_id(job.id)
    if opened.reply.category is not None:
        raise RefusedError(opened.reply.category)
    return plain_result(ended or job, opened)


async def _follow(ctx: Context, job_id: str) -> tuple[str, bytes | None, str | None]:
    async for event in ctx.desk.events(job_id, 0):
        if event.type in ("done", "refused"):
            reply = event.data.get("reply")
            return event.type, None if reply is None else unb64(reply), None
        if event.type in ("failed", "cancelled"):
            return event.type, None, event.data.get("code")
    return "failed", None, None


def error_of(code: str | None) -> SafelightError:
    """The error that a failed job's code names."""
    for kind in all_errors():
        if kind.code == code and kind not in (RefusedError,):
            try:
                return kind("the job failed")
            except TypeError:
                break
    return TransientError("the job failed")


def plain_result(job: Job, opened: Opened) -> PlainResult:
    """An opened reply as JSON."""
    reply = opened.reply
    pictures: list[bytes | None] = [*opened.pictures] or [None] * len(reply.pictures)
    return PlainResult(
        job=views.job_out(job),
        protection="transit",
        retention=job.retention,
        verdict=reply.verdict,
        category=reply.category,
        recipe_digest=reply.recipe_digest,
        model=reply.model,
        seed=reply.seed,
        seconds=reply.seconds,
        device=reply.device,
        pictures=[
            PlainPicture(
                asset=described.asset,
                seed=described.seed,
                media_type=described.media_type,
                width_px=described.width_px,
                height_px=described.height_px,
                sha256=described.sha256,
                b64=None if data is None else b64(data),
            )
            for described, data in zip(reply.pictures, pictures, strict=True)
        ],
    )
