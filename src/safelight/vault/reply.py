"""The sealed reply and the sealed ``meta`` of a kept picture: what a darkroom tells the caller."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from safelight.errors import SealError
from safelight.ids import canonical_json, sha256_hex
from safelight.recipe import Recipe
from safelight.vault import tar

REPLY_VERSION = 1
META_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyPicture:
    """One picture of a reply. ``asset`` is its id if it was kept; its bytes are there if not."""

    asset: str | None
    seed: int
    media_type: str
    width_px: int
    height_px: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How a job ended, for the caller only."""

    job: str
    verdict: Literal["allowed", "refused"]
    category: str | None
    """Which content rule refused."""
    recipe_digest: str
    model: str
    seed: int
    seconds: float
    device: str
    pictures: tuple[ReplyPicture, ...]
    v: int = REPLY_VERSION


def pack_reply(reply: Reply, pictures: Sequence[bytes] = ()) -> bytes:
    """The payload of a reply container: an archive of ``reply.json``, ``picture-0``, ...

    ``pictures`` are the encoded files, in the order of ``reply.pictures``; empty when they are
    kept and so travel as assets.
    """
    if pictures and len(pictures) != len(reply.pictures):
        raise SealError("a reply carries all of its pictures or none")
    value = {f.name: getattr(reply, f.name) for f in fields(reply)}
    value["pictures"] = [{f.name: getattr(p, f.name) for f in fields(p)} for p in reply.pictures]
    entries = [("reply.json", canonical_json(value))]
    entries += [(f"picture-{i}", data) for i, data in enumerate(pictures)]
    return tar.write_tar(entries)


def unpack_reply(payload: bytes) -> tuple[Reply, list[bytes]]:
    """Undo :func:`pack_reply`, checking each picture's hash. Raises :class:`SealError`."""
    entries = tar.read_tar(payload)
    if not entries or entries[0][0] != "reply.json":
        raise SealError("a reply holds no reply")
    value = _object(entries[0][1])
    try:
        value["pictures"] = tuple(ReplyPicture(**p) for p in value["pictures"])
        value["seconds"] = float(value["seconds"])
        reply = Reply(**value)
    except (KeyError, TypeError, ValueError):
        raise SealError("a reply lacks a field or has one of the wrong kind") from None
    if reply.v != REPLY_VERSION or reply.verdict not in ("allowed", "refused"):
        raise SealError("a reply has a version or verdict that this program does not read")
    pictures = [data for _, data in entries[1:]]
    names = [name for name, _ in entries[1:]]
    if pictures and len(pictures) != len(reply.pictures):
        raise SealError("a reply carries all of its pictures or none")
    if names != [f"picture-{i}" for i in range(len(names))]:
        raise SealError("a reply has an entry that is not a picture")
    for described, data in zip(reply.pictures, pictures, strict=bool(pictures)):
        if sha256_hex(data) != described.sha256:
            raise SealError("a picture of a reply does not have the hash it says")
    return reply, pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """The payload of ``meta.age``: what the library shows and searches. Holds the prompt."""

    asset: str
    recipe: Recipe | None
    """The recipe of this one picture; None for an upload, which has none."""
    words: tuple[str, ...]
    """Lower-case words to search by, from the prompt, or as the owner gave them."""
    tags: tuple[str, ...]
    made_on: str
    model_name: str
    width_px: int
    height_px: int
    media_type: str
    seconds: float
    device: str
    note: str | None
    """The darkroom's own key note, as the caller had checked it: lets a reader trust the
    signature after the key is gone."""
    embedding: str | None = None
    """Base64 of int8 numbers, for "more like this"; None where none was made."""
    v: int = META_VERSION

    def to_payload(self) -> bytes:
        """Canonical JSON."""
        value = {f.name: getattr(self, f.name) for f in fields(self)}
        value["recipe"] = None if self.recipe is None else self.recipe.to_dict()
        value["words"], value["tags"] = list(self.words), list(self.tags)
        return canonical_json(value)

    @classmethod
    def from_payload(cls, payload: bytes) -> Meta:
        """Undo :meth:`to_payload`. Raises :class:`SealError` or :class:`RecipeError`."""
        value = _object(payload)
        try:
            recipe = value["recipe"]
            value["recipe"] = None if recipe is None else Recipe.from_dict(recipe)
            value["words"], value["tags"] = tuple(value["words"]), tuple(value["tags"])
            value["seconds"] = float(value["seconds"])
            meta = cls(**value)
        except (KeyError, TypeError, ValueError):
            raise SealError("a meta lacks a field or has one of the wrong kind") from None
        if meta.v != META_VERSION:
            raise SealError("a meta has a version that this program does not read")
        return meta

    def __repr__(self) -> str:
        return f"<meta of {self.asset}>"


def words_of(prompt: str, *, limit: int = 64) -> tuple[str, ...]:
    """The words to search by: lower case, letters and digits, each once, in order, at most 64."""
    cleaned = "".join(c if c.isalnum() else " " for c in prompt.lower())
    return tuple(dict.fromkeys(cleaned.split()))[:limit]


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value: Mapping[str, Any] = json.loads(raw)
    except ValueError:
        raise SealError("a sealed text is not JSON") from None
    if not isinstance(value, dict):
        raise SealError("a sealed text is not a JSON object")
    return dict(value)
