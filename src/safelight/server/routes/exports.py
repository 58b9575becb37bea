"""Export: everything that is the caller's, as one zip that stock tools open."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from safelight.server.auth import Ctx, SignedIn
from safelight.server.export_zip import export_stream
from safelight.server.headers import STATED, stated

router = APIRouter(prefix="/api/v1", tags=["export"])
_ZIP: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": STATED,
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("/export", operation_id="export", response_class=StreamingResponse, responses=_ZIP)
async def export(ctx: Ctx, member: SignedIn) -> StreamingResponse:
    """Age files, key envelopes, unlock files, and a README with three stock commands."""
    return StreamingResponse(
        export_stream(ctx, member.account),
        media_type="application/zip",
        headers={
            "Content-Disposition": 'attachment; filename="safelight-export.zip"',
            **stated("sealed", "owner"),  # every file in it is sealed, however it was asked for
        },
    )
