"""Sealed bytes under random names: local files or S3 through obstore, with four methods.

A name says nothing about what is in it. On local files, a blob is on the disk when :meth:`put`
returns, and a crash during it leaves nothing that :meth:`list` shows.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from safelight.errors import NoSpaceError, NotFoundError, TransientError
from safelight.ids import crockford32
from safelight.store.durable import durable

PARTS = ("full", "thumb", "meta")
"""The three objects of an asset are NAME-full, NAME-thumb and NAME-meta."""


def new_name() -> str:
    """A fresh random name: 26 characters, 128 bits."""
    return crockford32(os.urandom(16))


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobInfo:
    """What a listing says of one blob."""

    name: str
    size_bytes: int
    changed_at: datetime


class Blobs:
    """``url`` is a folder (``file:///...``), ``s3://bucket/prefix``, ``memory:///`` or another
    that obstore reads. Raises :class:`TransientError` when the store cannot be reached.
    """

    def __init__(self, url: str, **options: Any) -> None:
        from obstore.store import LocalStore, MemoryStore, from_url

        self._folder: Path | None = None
        if url.startswith("file://"):
            self._folder = Path(url.removeprefix("file://"))
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._store: Any = LocalStore(self._folder, mkdir=True)
        elif url.startswith("memory:"):
            self._store = MemoryStore()
        else:
            self._store = from_url(url, **options)

    async def put(self, name: str, data: bytes) -> None:
        """Keep ``data`` under ``name``; it is whole and durable when this returns.

        Raises :class:`NoSpaceError` and leaves nothing when the disk is full.
        """
        import obstore

        # A crash before leaves nothing that a listing shows; after it, a blob that no row names,
        # which the sweeper deletes.
        with durable("blob"), _Translated():
            await obstore.put_async(self._store, _path(name), data, use_multipart=False)
            if self._folder is not None:
                await asyncio.to_thread(_sync, self._folder / _path(name))

    async def get(self, name: str) -> bytes:
        """The bytes under ``name``. Raises :class:`NotFoundError`."""
        import obstore

        with _Translated():
            found = await obstore.get_async(self._store, _path(name))
            return bytes(await found.bytes_async())

    async def delete(self, names: Iterable[str]) -> None:
        """Delete these; one that is not there counts as deleted."""
        import obstore

        for name in names:
            # A crash between two leaves the rest, which the sweeper deletes.
            with durable("blob-delete"), _Translated():
                try:
                    await obstore.delete_async(self._store, _path(name))
                except FileNotFoundError:
                    continue

    async def list(self) -> AsyncIterator[BlobInfo]:
        """Every blob, in no promised order; whole ones only."""
        import obstore

        with _Translated():
            async for chunk in obstore.list(self._store, chunk_size=1_000):
                for entry in chunk:
                    yield BlobInfo(
                        name=entry["path"].rpartition("/")[2],
                        size_bytes=entry["size"],
                        changed_at=entry["last_modified"],
                    )

    async def remove_stumps(self) -> int:
        """Delete what crashed writes left beside the blobs (local files only); say how many."""
        if self._folder is None:
            return 0
        return await asyncio.to_thread(_remove_stumps, self._folder)


def _path(name: str) -> str:
    return f"{name[:2]}/{name}"


def _sync(path: Path) -> None:
    """Make a renamed file and its name survive a power cut."""
    for target in (path, path.parent):
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_stumps(folder: Path) -> int:
    found = 0
    for stump in folder.glob("*/*#*"):  # how obstore names a file that is still being written
        stump.unlink(missing_ok=True)
        found += 1
    return found


class _Translated:
    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            return
        if isinstance(error, FileNotFoundError):
            raise NotFoundError("no blob has this name") from None
        said = str(error)
        if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "os error 28" in said:
            raise NoSpaceError("the disk that holds the blobs is full") from None
        from obstore.exceptions import BaseError

        if isinstance(error, BaseError | OSError):
            raise TransientError("the blob store cannot be reached now") from error
