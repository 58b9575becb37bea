"""The routes, one module for each topic. Thin: read the request, ask the desk, answer."""

from __future__ import annotations

from fastapi import APIRouter

from safelight.server.routes import (
    accounts,
    admin,
    assets,
    exports,
    jobs,
    keys,
    passkeys,
    publications,
    recovery,
    sessions,
    shares,
    system,
    vault,
)


def routers() -> tuple[APIRouter, ...]:
    """Every router, in the order of the description."""
    return (
        system.router,
        accounts.router,
        sessions.router,
        passkeys.router,
        recovery.router,
        vault.router,
        keys.router,
        jobs.router,
        assets.router,
        exports.router,
        shares.router,
        publications.router,
        admin.router,
    )
