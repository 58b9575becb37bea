"""Health, what this server is, what it promises, and which models and darkrooms it has."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from safelight import __version__
from safelight.policy.plans import PIXEL_STEPS_PER_TOKEN, price
from safelight.recipe import MAX_COUNT, MAX_PIXELS, MAX_PROMPT_CHARS, MAX_SIDE_PX, MAX_STEPS
from safelight.records import CostHeader
from safelight.server.auth import Ctx
from safelight.server.label import LabelLine, label, sentences
from safelight.server.shapes import Out

if TYPE_CHECKING:
    from safelight.catalogue import Model

router = APIRouter(tags=["system"])


class Health(Out):
    """The server answers."""

    status: Literal["ok"] = "ok"


class Readiness(Out):
    """Whether pictures can be made now."""

    ready: bool
    darkroom: str


class DarkroomState(Out):
    """Where the darkroom stands, and what holds it in on this machine."""

    state: Literal["starting", "warming", "ready", "restarting", "stopped"]
    device: str | None
    confinement: dict[str, Any]
    error: str | None


class Limits(Out):
    """The largest request this server takes."""

    max_upload_bytes: int
    max_prompt_chars: int
    max_side_px: int
    max_pixels: int
    max_count: int
    max_steps: int
    not_after_minutes: int


class RetentionTimes(Out):
    """How long things may live after they were deleted."""

    erasure_days: int


class ServerInfo(Out):
    """What this server is and allows."""

    name: str
    version: str
    guests: bool
    sign_up: bool
    darkroom: DarkroomState
    retention: RetentionTimes
    protections: list[Literal["sealed", "transit", "public"]]
    pixel_steps_per_token: int
    """One token draws so many pixels times steps; each picture costs at least one."""
    limits: Limits


class Trust(Out):
    """What this server says out loud about itself."""

    sentences: list[str]
    label: list[LabelLine]
    fleet_key: str
    operator: str
    law: str
    hosted_in: str


class Darkrooms(Out):
    """The keys that requests may be sealed to: check each note against the pinned fleet key."""

    fleet_key: str
    notes: list[str]


class ModelOut(Out):
    """A model that can be asked for."""

    name: str
    digest: str
    family: str
    kind: Literal["model", "adapter"]
    native_size_px: int
    default_steps: int
    default_guidance: float
    side_step_px: int
    licence: str | None
    commercial: bool | None
    price_example: int
    """Tokens for one picture at the native size with the default steps."""


class ModelList(Out):
    """All models, Pocket first."""

    models: list[ModelOut]


@router.get("/healthz", operation_id="healthz")
async def healthz() -> Health:
    """The server answers."""
    return Health()


@router.get("/readyz", operation_id="readyz", responses={503: {"model": Readiness}})
async def readyz(ctx: Ctx) -> Response:
    """200 when the darkroom takes work, 503 while it warms up."""
    state = ctx.fleet.status().state
    body = Readiness(ready=state == "ready", darkroom=state)
    return JSONResponse(body.model_dump(), status_code=200 if body.ready else 503)


@router.get("/api/v1/server", operation_id="getServer")
async def get_server(ctx: Ctx) -> ServerInfo:
    """What this server is and allows."""
    status = ctx.fleet.status()
    return ServerInfo(
        name="Safelight",
        version=__version__,
        guests=ctx.settings.guests_allowed,
        sign_up=await ctx.desk.sign_up_open(),
        darkroom=DarkroomState(
            state=status.state,
            device=status.device,
            confinement=dict(status.confinement),
            error=status.error,
        ),
        retention=RetentionTimes(erasure_days=ctx.settings.erasure_days),
        protections=["sealed", "transit", "public"],
        pixel_steps_per_token=PIXEL_STEPS_PER_TOKEN,
        limits=Limits(
            max_upload_bytes=ctx.settings.max_upload_mb * 1024 * 1024,
            max_prompt_chars=MAX_PROMPT_CHARS,
            max_side_px=MAX_SIDE_PX,
            max_pixels=MAX_PIXELS,
            max_count=MAX_COUNT,
            max_steps=MAX_STEPS,
            not_after_minutes=ctx.settings.not_after_minutes,
        ),
    )


@router.get("/api/v1/trust", operation_id="getTrust")
async def get_trust(ctx: Ctx) -> Trust:
    """The sentences of the protocol and the privacy label, made from the live settings."""
    settings = ctx.settings
    return Trust(
        sentences=sentences(settings),
        label=label(settings, ctx.fleet.status()),
        fleet_key=ctx.fleet.public_key,
        operator=settings.operator,
        law=settings.law,
        hosted_in=settings.hosted_in,
    )


@router.get("/api/v1/darkrooms", operation_id="listDarkrooms")
async def list_darkrooms(ctx: Ctx) -> Darkrooms:
    """The signed notes of the darkroom keys in force, newest first."""
    return Darkrooms(fleet_key=ctx.fleet.public_key, notes=ctx.fleet.notes())


@router.get("/api/v1/models", operation_id="listModels")
async def list_models(ctx: Ctx) -> ModelList:
    """Every model and adapter in the catalogue."""
    found = await asyncio.to_thread(ctx.catalogue.models)
    return ModelList(models=[_model(model) for model in found])


def _model(model: Model) -> ModelOut:
    example = CostHeader(
        model=model.digest,
        width_px=model.native_size_px,
        height_px=model.native_size_px,
        steps=model.default_steps,
        count=1,
    )
    return ModelOut(
        name=model.name,
        digest=model.digest,
        family=model.family,
        kind=model.kind,
        native_size_px=model.native_size_px,
        default_steps=model.default_steps,
        default_guidance=model.default_guidance,
        side_step_px=model.side_step_px,
        licence=model.licence,
        commercial=model.commercial,
        price_example=price(example),
    )
