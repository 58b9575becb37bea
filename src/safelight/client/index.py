"""The library's index: the signed head, its segments, and search on this device.

Note [index order]
    A segment is put before the head that names it. A crash between the two leaves a segment that
    no head names, which the server sweeps. An asset that never reached the index is still in the
    server's list; the next index write of any device may take it up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from safelight.client.link import Link, need_session
from safelight.errors import ConflictError, NotFoundError, RollbackError
from safelight.ids import b64, sha256_hex, unb64, utc_day
from safelight.vault import age
from safelight.vault.head import (
    SEGMENT_ENTRIES,
    IndexEntry,
    VaultHead,
    next_head,
    open_segment,
    read_head,
    seal_segment,
)
from safelight.vault.identity import OwnerKeys

ATTEMPTS = 6
Segments = list[tuple[str, list[IndexEntry]]]


@dataclass(frozen=True, slots=True)
class Index:
    """The index at one version."""

    head: VaultHead | None
    segments: Segments

    @property
    def entries(self) -> list[IndexEntry]:
        """All entries, oldest first."""
        return [entry for _, part in self.segments for entry in part]

    def search(self, words: str) -> list[IndexEntry]:
        """Entries that have every one of these words (or its beginning), newest first."""
        wanted = words.lower().split()
        return [
            entry
            for entry in reversed(self.entries)
            if all(any(w.startswith(want) for w in (*entry.words, *entry.tags)) for want in wanted)
        ]

    def similar(self, asset: str, *, limit: int = 24) -> list[IndexEntry]:
        """Other entries that look most like this one, the closest first.

        By the distance of the small embeddings that the darkroom made; entries without one are
        left out. Raises :class:`NotFoundError` if ``asset`` has none.
        """
        seen = {e.asset: (e, _numbers(e)) for e in self.entries if e.embedding}
        if asset not in seen:
            raise NotFoundError("this asset has no embedding in the index")
        wanted = seen[asset][1]
        found = [
            (float(np.square(numbers - wanted).sum()), entry)
            for name, (entry, numbers) in seen.items()
            if name != asset and numbers.shape == wanted.shape
        ]
        found.sort(key=lambda pair: pair[0])
        return [entry for _, entry in found[:limit]]


def _numbers(entry: IndexEntry) -> npt.NDArray[np.float32]:
    return np.frombuffer(unb64(entry.embedding or ""), dtype=np.int8).astype(np.float32)


def load(link: Link, keys: OwnerKeys) -> Index:
    """The index as the server has it.

    Raises :class:`RollbackError` if the head is not the owner's, is older than this device has
    seen, or names a segment that the server does not have as it was.
    """
    need_session(link)
    with link.profile.alone:  # another command here would make a newer head look like a rollback
        raw = _fetch_head(link)
        head = None if raw is None else read_head(raw, keys.signing_public_hex)
        link.profile.check_head(link.origin, head)
    segments: Segments = []
    for digest in head.segments if head is not None else ():
        segments.append((digest, open_segment(_segment(link, digest), digest, keys)))
    return Index(head, segments)


def _segment(link: Link, digest: str) -> bytes:
    kept = link.profile.segment(digest)
    if kept is not None and sha256_hex(kept) == digest:
        return kept
    try:
        sealed = link.wire.blob(f"/api/v1/vault/segments/{digest}")
    except NotFoundError:
        raise RollbackError("the server lacks a segment of the library's index") from None
    link.profile.keep_segment(digest, sealed)
    return sealed


def add(link: Link, keys: OwnerKeys, entries: Iterable[IndexEntry]) -> Index:
    """Add entries that are not there yet, and sign a new head.

    Another device may write at the same time: the newer head is read and the entries are added
    to that. Raises :class:`ConflictError` after six such turns.
    """
    added = list(entries)

    def change(segments: Segments) -> Segments:
        known = {entry.asset for _, part in segments for entry in part}
        fresh = [entry for entry in added if entry.asset not in known]
        while fresh:
            room = SEGMENT_ENTRIES - len(segments[-1][1]) if segments else 0
            if room <= 0:
                segments.append(("", []))
                continue
            segments[-1] = ("", [*segments[-1][1], *fresh[:room]])
            fresh = fresh[room:]
        return segments

    return _write(link, keys, change)


def remove(link: Link, keys: OwnerKeys, assets: Iterable[str]) -> Index:
    """Take entries out, and sign a new head. Empty segments go."""
    gone = set(assets)

    def change(segments: Segments) -> Segments:
        kept: Segments = []
        for digest, part in segments:
            left = [entry for entry in part if entry.asset not in gone]
            if len(left) == len(part):
                kept.append((digest, part))
            elif left:
                kept.append(("", left))
        return kept

    return _write(link, keys, change)


def reseal(link: Link, keys: OwnerKeys) -> int:
    """Seal to O what is still sealed to a former one, and sign a new head; how many segments."""
    stale: set[str] = set()

    def change(segments: Segments) -> Segments:
        stale.update(d for d, _ in segments if not age.opens(_segment(link, d), keys.identity))
        return [("" if digest in stale else digest, part) for digest, part in segments]

    _write(link, keys, change)
    return len(stale)


def _write(link: Link, keys: OwnerKeys, change: Callable[[Segments], Segments]) -> Index:
    with link.profile.alone:
        return _write_alone(link, keys, change)


def _write_alone(link: Link, keys: OwnerKeys, change: Callable[[Segments], Segments]) -> Index:
    for _ in range(ATTEMPTS):
        before = load(link, keys)
        wanted = change(list(before.segments))
        if [d for d, _ in wanted] == [d for d, _ in before.segments]:
            return before
        segments = [(d or _put_segment(link, keys, part), part) for d, part in wanted]
        head = next_head(
            before.head,
            segments=[d for d, _ in segments],
            asset_count=sum(len(part) for _, part in segments),
            keys=keys,
        )
        try:
            _put_head(link, head, before.head)
        except ConflictError:
            continue  # another device was faster: Note [index order]
        link.profile.check_head(link.origin, head)
        link.profile.drop_segments({d for d, _ in before.segments} - set(head.segments))
        return Index(head, segments)
    raise ConflictError("other devices kept changing the library", hint="try again in a moment")


def _put_segment(link: Link, keys: OwnerKeys, part: list[IndexEntry]) -> str:
    sealed, digest = seal_segment(part, keys, made_on=utc_day(link.clock.now()))
    # A crash after this leaves a segment that no head names; the server sweeps it.
    link.wire.call("PUT", f"/api/v1/vault/segments/{digest}", content=sealed)
    link.profile.keep_segment(digest, sealed)
    return digest


def _fetch_head(link: Link) -> bytes | None:
    text = link.wire.get("/api/v1/vault/head").get("head")
    return unb64(text) if isinstance(text, str) else None


def _put_head(link: Link, head: VaultHead, before: VaultHead | None) -> None:
    seq = 0 if before is None else before.seq
    # The head is replaced as one row: a crash leaves the old one or this one.
    link.wire.call(
        "PUT",
        "/api/v1/vault/head",
        body={"head": b64(head.to_bytes())},
        headers={"If-Match": f'"{seq}"'},
    )
