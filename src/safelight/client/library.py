"""The library: list, open, delete, export. The server holds it and cannot look into it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safelight.client import index
from safelight.client.link import Link, need_session
from safelight.client.opening import Opener, entry_of
from safelight.errors import (
    IntegrityError,
    NoSpaceError,
    NotFoundError,
    OutputError,
    PictureError,
    RequestError,
    TransientError,
)
from safelight.ids import check_id, sha256_hex, unb64
from safelight.vault.head import IndexEntry
from safelight.vault.identity import OwnerKeys
from safelight.vault.reply import Meta
from safelight.vault.request import MEDIA_TYPES

PAGE = 200
DELETE_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One asset of the list, as the server describes it, and its index entry if it has one."""

    id: str
    kind: str
    visibility: str
    retention: str
    protection: str
    size_bytes: int
    made_on: str
    envelope: bytes | None
    entry: IndexEntry | None = None

    def to_dict(self) -> dict[str, Any]:
        """What ``library list --json`` shows: nothing that a person wrote."""
        return {
            "id": self.id,
            "kind": self.kind,
            "visibility": self.visibility,
            "retention": self.retention,
            "protection": self.protection,
            "size_bytes": self.size_bytes,
            "made_on": self.made_on,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An opened asset. Its repr shows nothing of it."""

    asset: str
    data: bytes
    media_type: str
    meta: Meta | None

    def __repr__(self) -> str:
        return f"<opened {self.asset}>"


def listing(
    link: Link, keys: OwnerKeys | None = None, progress: Callable[[int], None] | None = None
) -> Iterator[Listed]:
    """The caller's assets, newest first, page by page; ``progress`` hears how many came so far."""
    need_session(link)
    entries = {} if keys is None else {e.asset: e for e in index.load(link, keys).entries}
    cursor, count = None, 0
    while True:
        params = {"limit": str(PAGE)} | ({} if cursor is None else {"cursor": cursor})
        page = link.wire.get("/api/v1/assets", **params)
        for value in page.get("assets", []):
            count += 1
            if progress is not None:
                progress(count)
            yield _listed(value, entries)
        following = page.get("next")
        if following is None or str(following) == cursor:
            return
        cursor = str(following)


def missing(link: Link, keys: OwnerKeys, listed: Iterable[Listed] | None = None) -> list[str]:
    """Assets that the signed index has and the server's list has not: deleted elsewhere, or
    withheld. ``listed`` is a list that was fetched already."""
    shown = {asset.id for asset in (listing(link) if listed is None else listed)}
    return [e.asset for e in index.load(link, keys).entries if e.asset not in shown]


def adopt(link: Link, keys: OwnerKeys, progress: Callable[[int], None] | None = None) -> int:
    """Take kept pictures into the index that never reached it; returns how many.

    That is what a crash between keeping and indexing leaves, and what API keys fill in. Raises
    :class:`ManifestError` for one that no pinned fleet vouches for.
    """
    known = index.load(link, keys).entries
    opener = Opener(link, keys, known)
    have, fresh = {e.asset for e in known}, []
    for asset in listing(link, progress=progress):
        if asset.id not in have and asset.kind in ("picture", "upload"):
            kept = opener.locate(asset.id, asset.envelope)
            fresh.append(entry_of(opener.meta(kept), kept))
    if fresh:
        index.add(link, keys, reversed(fresh))
    return len(fresh)


def open_asset(link: Link, keys: OwnerKeys, asset: str, *, with_meta: bool = False) -> Opened:
    """Fetch, verify and open one asset. Raises :class:`NotFoundError`, :class:`IntegrityError`."""
    need_session(link)
    check_id("ast", asset)
    opener = Opener(link, keys, index.load(link, keys).entries)
    kept = opener.locate(asset)
    found, data = opener.open(kept, "full")
    meta = opener.meta(kept) if with_meta else None
    return Opened(asset=asset, data=data, media_type=found.media_type, meta=meta)


def open_input(link: Link, keys: OwnerKeys, asset: str) -> tuple[str, bytes]:
    """The digest and the bytes of a picture of the library, for a recipe that starts from it.

    Raises as :func:`open_asset`, and :class:`PictureError` for an asset that is no picture.
    """
    opened = open_asset(link, keys, asset)
    if opened.media_type not in MEDIA_TYPES:
        raise PictureError("this asset is not a picture")
    return sha256_hex(opened.data), opened.data


def delete(link: Link, keys: OwnerKeys | None, assets: Sequence[str]) -> dict[str, str]:
    """Erase assets: ``deleted`` or ``not-found`` by id.

    The server destroys each key before its bytes. The index follows; a crash between leaves
    entries whose assets are gone, which :func:`missing` shows.
    """
    need_session(link)
    ids = [check_id("ast", asset) for asset in dict.fromkeys(assets)]
    results: dict[str, str] = {}
    for start in range(0, len(ids), DELETE_BATCH):
        batch = ids[start : start + DELETE_BATCH]
        answer = link.wire.post("/api/v1/assets/delete", {"ids": batch})
        results |= {str(k): str(v) for k, v in answer.get("results", {}).items()}
    if keys is not None:
        index.remove(link, keys, ids)
    return results


def export(link: Link, path: Path, progress: Callable[[int], None] | None = None) -> int:
    """Write everything as a zip of age files to ``path``; returns its size in bytes.

    Stock ``age`` and ``tar`` open it with the server off. Raises :class:`OutputError` or
    :class:`NoSpaceError`; a part is never left under ``path``.
    """
    need_session(link)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    size, tail = 0, b""
    try:
        # A crash here leaves a hidden .part file and whatever was under the name before.
        with partial.open("xb") as file:
            for piece in link.wire.download("/api/v1/export"):
                file.write(piece)
                size += len(piece)
                tail = (tail + piece)[-22:]
                if progress is not None:
                    progress(size)
            if not tail.startswith(b"PK\x05\x06"):
                raise TransientError("the export ended early", hint="export again")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if error.errno == 28:
            raise NoSpaceError("the export does not fit on the disk") from error
        raise OutputError("the export cannot be written there") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return size


def _listed(value: dict[str, Any], entries: dict[str, IndexEntry]) -> Listed:
    try:
        envelope = value.get("envelope")
        return Listed(
            id=check_id("ast", value["id"]),
            kind=str(value["kind"]),
            visibility=str(value["visibility"]),
            retention=str(value["retention"]),
            protection=str(value["protection"]),
            size_bytes=int(value["size_bytes"]),
            made_on=str(value["made_on"]),
            envelope=unb64(envelope) if isinstance(envelope, str) else None,
            entry=entries.get(value["id"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RequestError):
        raise IntegrityError("the server's list has an entry of the wrong form") from None


def one(link: Link, asset: str) -> Listed:
    """One asset as the server describes it. Raises :class:`NotFoundError`."""
    value = link.wire.get(f"/api/v1/assets/{check_id('ast', asset)}")
    if value.get("id") != asset:
        raise NotFoundError("nothing with this id is here")
    return _listed(value, {})
