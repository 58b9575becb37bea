"""Builds the FastAPI application and holds its life: open the desk, start the fleet, close both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from safelight import __version__
from safelight.server import handlers
from safelight.server.auth import needs_account
from safelight.server.context import Context, context
from safelight.server.docs_page import docs_page
from safelight.server.front import Front
from safelight.server.logs import Journal, loop_handler
from safelight.server.metrics import Metrics
from safelight.server.shapes import Problem
from safelight.server.wiring import open_context
from safelight.settings import Settings

DESCRIPTION = (
    "A private image studio. The server stores only what it cannot open: requests are sealed to a "
    "darkroom, results to their owner. Errors are problem+json and never repeat what was sent."
)
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A session's token or a key."},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "__Host-safelight"},
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "The request cannot be done; see `code` and `hint`."},
    "5XX": {"model": Problem, "description": "The server cannot do it now; see `code`."},
}


def build_app(
    settings: Settings, *, journal: Journal | None = None, metrics: Metrics | None = None
) -> FastAPI:
    """The whole server as an ASGI application.

    Its lifespan opens the desk and starts the fleet beside it: requests are answered before the
    darkroom is warm. ``journal`` is where events are logged; standard error by default.
    """
    from safelight.server.routes import routers

    log = journal if journal is not None else Journal(level=settings.log_level)
    counts = metrics if metrics is not None else Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_exception_handler(loop_handler(log))
        async with open_context(settings, log, counts) as ctx:
            app.state.context = ctx
            yield

    app = FastAPI(
        title="Safelight",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=_ERRORS,
        middleware=[Middleware(Front, settings=settings, journal=log, metrics=counts)],
    )
    handlers.install(app)
    templates: set[str] = set()
    for router in routers():
        app.include_router(router)
        templates |= {getattr(route, "path", "unknown") for route in router.routes}
    app.router.routes.append(Route("/api/docs", _docs, methods=["GET"]))
    app.router.routes.append(Route("/{path:path}", _page, methods=["GET", "HEAD"]))
    log.know_routes(templates | {"/api/docs", "/api/openapi.json", "/{path:path}"})
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]
    return app


def _describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with the body that is read by hand added to it. Made once."""
    if app.openapi_schema is None:
        from fastapi.openapi.utils import get_openapi

        from safelight.server.plain import PlainRequest

        found = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        plain = PlainRequest.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = found["components"]["schemas"]
        schemas.update(plain.pop("$defs", {}))
        schemas["PlainRequest"] = plain
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        found["components"]["securitySchemes"] = _SECURITY
        closed = _closed()
        for operations in found["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)  # ours is a Problem, in 4XX
                if operation["operationId"] in closed:
                    operation["security"] = [{name: []} for name in _SECURITY]
        app.openapi_schema = dict(sorted(found.items()))
    return app.openapi_schema


def _closed() -> set[str]:
    """The operations that need an account: those whose routes depend on the check for one."""
    from safelight.server.routes import routers

    return {
        route.operation_id
        for router in routers()
        for route in router.routes
        if isinstance(route, APIRoute) and route.operation_id and needs_account(route.dependant)
    }


async def _docs(request: Request) -> Response:
    """The API's reference page: plain HTML, no script, nothing from elsewhere."""
    return docs_page(request.app.openapi())


async def _page(request: Request) -> Response:
    """The studio."""
    ctx: Context = context(request)
    return ctx.pages.answer(request, request.path_params["path"])
