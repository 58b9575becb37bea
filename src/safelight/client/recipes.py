"""From what a person asks for to a recipe, with the server's models and their defaults."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from safelight.client.link import Link
from safelight.errors import TransientError, UnknownModelError
from safelight.recipe import MAX_SEED, Recipe
from safelight.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model of the server, as far as a recipe needs it."""

    name: str
    digest: str
    kind: str
    native_size_px: int
    default_steps: int
    default_guidance: float
    side_step_px: int


def models(link: Link) -> list[ModelInfo]:
    """The server's models and adapters, its default first."""
    found = []
    for value in link.wire.get("/api/v1/models").get("models", []):
        try:
            found.append(
                ModelInfo(
                    name=str(value["name"]),
                    digest=str(value["digest"]),
                    kind=str(value["kind"]),
                    native_size_px=int(value["native_size_px"]),
                    default_steps=int(value["default_steps"]),
                    default_guidance=float(value["default_guidance"]),
                    side_step_px=int(value["side_step_px"]),
                )
            )
        except (KeyError, TypeError, ValueError):
            raise TransientError("the server's model list has an entry of the wrong form") from None
    return found


def find_model(link: Link, name: str | None) -> ModelInfo:
    """The model of this name or digest, or the server's default.

    Raises :class:`UnknownModelError`.
    """
    for model in models(link):
        if model.kind == "model" and name in (None, model.name, model.digest):
            return model
    raise UnknownModelError(
        "the server has no model of this name", hint="see /api/v1/models of the server"
    )


def build(
    model: ModelInfo,
    prompt: Secret[str],
    *,
    size: tuple[int, int] | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    seed: int | None = None,
    more: Mapping[str, Any] | None = None,
) -> Recipe:
    """A recipe; what is None is the model's default, and the seed then random.

    ``more`` are further fields of :class:`Recipe`. Raises :class:`RecipeError`.
    """
    width, height = size or (model.native_size_px, model.native_size_px)
    return Recipe(
        prompt=prompt,
        model=model.digest,
        width_px=width,
        height_px=height,
        steps=model.default_steps if steps is None else steps,
        guidance=model.default_guidance if guidance is None else guidance,
        seed=secrets.randbelow(MAX_SEED + 1) if seed is None else seed,
        **(more or {}),
    )
