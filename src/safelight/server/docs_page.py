"""The API's reference as one plain page, made from the OpenAPI description."""

from __future__ import annotations

from html import escape
from typing import Any

from starlette.responses import HTMLResponse

from safelight.server.headers import page_policy

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "background:#faf7f4;color:#1d1716}code{font-size:.95em}h2{margin-top:2rem}"
    "dt{margin-top:1rem}dd{margin:0;color:#6a5f5c}"
)


def docs_page(description: dict[str, Any]) -> HTMLResponse:
    """One page with every operation, by tag; links to the description itself."""
    by_tag: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            text = escape(operation.get("description") or operation.get("summary", ""))
            line = (
                f"<dt><code>{method.upper()} {escape(path)}</code> "
                f"<small>{escape(operation.get('operationId', ''))}</small></dt><dd>{text}</dd>"
            )
            by_tag.setdefault(operation.get("tags", ["other"])[0], []).append(line)
    parts = [f"<h2>{escape(tag)}</h2><dl>{''.join(lines)}</dl>" for tag, lines in by_tag.items()]
    info = description["info"]
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Safelight API</title>'
        f"<style>{_STYLE}</style></head><body>"
        f"<h1>Safelight API {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        '<p>The same as a file: <a href="/api/openapi.json">/api/openapi.json</a></p>'
        f"{''.join(parts)}</body></html>"
    )
    return HTMLResponse(html, headers={"Content-Security-Policy": page_policy(html)})
