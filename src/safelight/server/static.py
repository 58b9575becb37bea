"""Serves the built studio from memory: hashed files for ever, the page itself never cached."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from safelight.errors import NotFoundError
from safelight.server.headers import API_POLICY, WORKER_POLICY, page_policy

FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".map": "application/json",
}
_SQUEEZED = (".js", ".css", ".html", ".svg", ".wasm", ".json", ".webmanifest")
_MISSING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Safelight</title></head>
<body><h1>The studio is not built</h1>
<p>This server works; its pages are missing. Build them with <code>make web</code> in the source
folder, then load this page again. The command line and the API need no pages.</p></body></html>
"""


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    squeezed: bytes | None
    headers: dict[str, str]


class Pages:
    """The files of one folder. Each is read, checked and squeezed once, when first asked for.

    A path that leaves the folder or names a hidden file is not found.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder.resolve()
        self._files: dict[str, _File] = {}

    def answer(self, request: Request, path: str) -> Response:
        """The file at ``path``, or the studio's page for an address inside the studio.

        Raises :class:`NotFoundError` for a missing file.
        """
        name = path.strip("/")
        file = self._find(name) if name else None
        if file is None:
            if "." in name.rsplit("/", 1)[-1] or name.split("/", 1)[0] in ("api", "assets"):
                raise NotFoundError("nothing with this address is here")
            file = self._find("index.html")
        if file is None:
            headers = {"Content-Security-Policy": API_POLICY}
            return Response(_MISSING, status_code=503, media_type="text/html", headers=headers)
        headers = dict(file.headers)
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        body = file.body
        if file.squeezed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body = file.squeezed
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers)

    def _find(self, name: str) -> _File | None:
        if name in self._files:
            return self._files[name]
        parts = name.split("/")
        if any(not p or p.startswith(".") or "\\" in p or "\x00" in p for p in parts):
            return None
        path = self._folder.joinpath(*parts)
        if not path.is_file() or not path.resolve().is_relative_to(self._folder):
            return None
        file = _read(path, fixed=parts[0] == "assets")
        if parts[0] == "assets":
            self._files[name] = file  # its name holds its hash; the page itself is read anew
        return file


def _read(path: Path, *, fixed: bool) -> _File:
    body = path.read_bytes()
    suffix = path.suffix.lower()
    kind = _TYPES.get(suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    headers = {
        "Content-Type": kind,
        "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        "Cache-Control": "public, max-age=31536000, immutable" if fixed else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if suffix == ".html":
        headers["Content-Security-Policy"] = page_policy(body.decode("utf-8"))
    elif suffix == ".js":
        headers["Content-Security-Policy"] = WORKER_POLICY
    squeezed = gzip.compress(body, 6, mtime=0) if suffix in _SQUEEZED else None
    return _File(body, squeezed, headers)
