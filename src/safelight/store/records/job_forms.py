"""Jobs as rows and rows as jobs."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import text

from safelight.errors import SafelightError
from safelight.records import CostHeader, Job
from safelight.store.tables import jobs
from safelight.store.times import from_us, maybe_from_us, maybe_us, to_us

COLUMNS = [c for c in jobs.c if c.name not in ("sealed", "body_sha256")]
"""All of a row that a job's record shows."""
# Spelt out, not bound: so SQLite sees that the partial index jobs_active answers it.
ACTIVE = text("jobs.state IN ('queued', 'running')")


def write_job(job: Job) -> dict[str, Any]:
    """A record as a row, without its sealed request."""
    return {
        "id": job.id,
        "account": job.account,
        "state": job.state,
        "retention": job.retention,
        "protection": job.protection,
        "cost": json.dumps(job.cost.to_dict(), separators=(",", ":")),
        "tokens": job.tokens,
        "created_at": to_us(job.created_at),
        "not_after": to_us(job.not_after),
        "idempotency_key": job.idempotency_key,
        "attempts": job.attempts,
        "lease_until": maybe_us(job.lease_until),
        "darkroom": job.darkroom,
        "started_at": maybe_us(job.started_at),
        "ended_at": maybe_us(job.ended_at),
        "error_code": job.error_code,
        "assets": json.dumps(list(job.assets)),
    }


def read_job(row: Any, prefix: str = "") -> Job:
    """A row as a record. Raises :class:`SafelightError` for one that is broken."""
    found = row._mapping
    value = {c.name: found[prefix + c.name] for c in COLUMNS}
    try:
        cost = json.loads(value["cost"])
        cost["features"] = tuple(cost["features"])
        return Job(
            id=value["id"],
            account=value["account"],
            state=value["state"],
            retention=value["retention"],
            protection=value["protection"],
            cost=CostHeader(**cost),
            tokens=value["tokens"],
            created_at=from_us(value["created_at"]),
            not_after=from_us(value["not_after"]),
            idempotency_key=value["idempotency_key"],
            attempts=value["attempts"],
            lease_until=maybe_from_us(value["lease_until"]),
            darkroom=value["darkroom"],
            started_at=maybe_from_us(value["started_at"]),
            ended_at=maybe_from_us(value["ended_at"]),
            error_code=value["error_code"],
            assets=tuple(json.loads(value["assets"])),
        )
    except (ValueError, KeyError, TypeError):
        raise SafelightError("the row of a job is broken") from None
