"""A caller for tests: seals requests to darkroom notes and opens what comes back, as clients do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from safelight.desk.fleet import Outcome
from safelight.ids import new_id
from safelight.recipe import Recipe
from safelight.secret import Secret
from safelight.vault import container
from safelight.vault.identity import Identity, OwnerKeys
from safelight.vault.notes import read_note
from safelight.vault.reply import Meta, Reply, unpack_reply
from safelight.vault.request import (
    AssetSlot,
    SealedRequest,
    new_nonce,
    open_envelope,
    seal_envelope,
    seal_request,
    time_text,
)


def make_recipe(model: str, **changes: Any) -> Recipe:
    """A small text-to-image recipe for a tiny model."""
    values: dict[str, Any] = {
        "prompt": Secret("a lamp in a darkroom"),
        "model": model,
        "width_px": 64,
        "height_px": 64,
        "steps": 2,
        "guidance": 5.0,
        "seed": 7,
    }
    return Recipe(**(values | changes))


@dataclass
class Hearing:
    """A listener that keeps what it hears and can be waited on."""

    steps: list[tuple[int, int, int]] = field(default_factory=list)
    previews: list[bytes] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def progress(self, index: int, step: int, steps: int, seconds_left: float | None) -> None:
        self.steps.append((index, step, steps))
        self.heard.set()

    def preview(self, sealed: bytes) -> None:
        self.previews.append(sealed)


@dataclass
class Opened:
    """What the caller finally holds."""

    reply: Reply
    pictures: list[bytes]
    thumbs: list[bytes] = field(default_factory=list)
    metas: list[Meta] = field(default_factory=list)


class Caller:
    """One owner with keys, who seals, and opens with every check a client makes."""

    def __init__(self, fleet_key: str) -> None:
        self.owner = OwnerKeys.generate()
        self.reply_identity = Identity.generate()
        self.fleet_key = fleet_key

    def request(self, recipe: Recipe, *, keep: bool = True, **changes: Any) -> SealedRequest:
        slots = []
        for _ in range(recipe.count if keep else 0):
            identity = Identity.generate()
            envelope = seal_envelope(identity, self.owner.recipient)
            slots.append(
                AssetSlot(id=new_id("ast"), recipient=identity.recipient, envelope=envelope)
            )
        values: dict[str, Any] = {
            "request_nonce": new_nonce(),
            "not_after": time_text(datetime.now(UTC) + timedelta(minutes=30)),
            "account_tag": "tag",
            "owner_recipient": self.owner.recipient if keep else None,
            "owner_signing_key": self.owner.signing_public_hex if keep else None,
            "assets": tuple(slots),
            "reply_recipient": self.reply_identity.recipient,
            "retention": "owner" if keep else "none",
            "recipe": recipe,
        }
        return SealedRequest(**(values | changes))

    def seal(
        self,
        request: SealedRequest,
        notes: Sequence[str],
        inputs: Mapping[str, bytes] | None = None,
    ) -> bytes:
        keys = [read_note(note, self.fleet_key) for note in notes]
        return seal_request(request, inputs or {}, [key.recipient for key in keys])

    def open(self, request: SealedRequest, notes: Sequence[str], outcome: Outcome) -> Opened:
        """Open and verify everything of an outcome; raises what a client would raise."""
        assert outcome.reply is not None
        key = read_note(notes[0], self.fleet_key)
        common: dict[str, Any] = {
            "owner": request.owner_recipient or request.reply_recipient,
            "request_nonce": request.request_nonce,
            "darkroom_key": key.signing_key,
        }
        _, payload = container.open_object(
            outcome.reply,
            self.reply_identity,
            asset=None,
            kind="reply",
            recipients_expected=2 if request.key_recipient else 1,
            **common,
        )
        reply, pictures = unpack_reply(payload)
        opened = Opened(reply=reply, pictures=pictures)
        for asset in outcome.assets:
            identity = open_envelope(asset.envelope, self.owner.identity)
            payloads = {
                kind: container.open_object(
                    getattr(asset, kind), identity, asset=asset.id, kind=kind, **common
                )[1]
                for kind in ("full", "thumb", "meta")
            }
            opened.pictures.append(payloads["full"])
            opened.thumbs.append(payloads["thumb"])
            opened.metas.append(Meta.from_payload(payloads["meta"]))
        return opened

    def open_preview(self, request: SealedRequest, notes: Sequence[str], sealed: bytes) -> bytes:
        key = read_note(notes[0], self.fleet_key)
        return container.open_object(
            sealed,
            self.reply_identity,
            asset=None,
            kind="preview",
            owner=request.owner_recipient or request.reply_recipient,
            request_nonce=request.request_nonce,
            darkroom_key=key.signing_key,
        )[1]
