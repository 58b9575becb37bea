"""What every answer carries: no sniffing, no referrer, no framing, no caching, a strict policy."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

API_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

WORKER_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)
"""Of a script, for the worker that it may become: the vault's worker runs OPAQUE's WebAssembly and
can connect to nothing."""

ALWAYS: dict[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Content-Security-Policy": API_POLICY,
    "Cache-Control": "no-store",
}
HSTS = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
TRUSTED_TYPES = ("svelte-trusted-html", "safelight")

STATED: dict[str, Any] = {
    name: {"required": True, "schema": {"type": "string"}, "description": text}
    for name, text in (
        ("Safelight-Protection", "`sealed`, `transit` or `public`."),
        ("Safelight-Retention", "`none`, `owner` or `public`."),
    )
}
"""The description of :func:`stated`."""

_INLINE = re.compile(r"<(script|style)([^>]*)>(.*?)</\1>", re.DOTALL | re.IGNORECASE)


def stated(protection: str, retention: str) -> dict[str, str]:
    """What an answer says that carries a picture and is not JSON of ours."""
    return {"Safelight-Protection": protection, "Safelight-Retention": retention}


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def page_policy(html: str) -> str:
    """The policy of one page: only this server's own files, and inline parts by their hash."""
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for tag, attributes, body in _INLINE.findall(html):
        if "src=" not in attributes and body.strip():
            hashes[tag.lower()].append(_hash(body))
    rules = {
        "default-src": ["'none'"],
        "script-src": ["'self'", *hashes["script"]],
        "style-src": ["'self'", *hashes["style"]],
        "img-src": ["'self'", "blob:", "data:"],
        "media-src": ["'self'", "blob:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "worker-src": ["'self'"],
        "manifest-src": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "require-trusted-types-for": ["'script'"],
        "trusted-types": list(TRUSTED_TYPES),
    }
    return "; ".join(f"{name} {' '.join(values)}" for name, values in rules.items())
