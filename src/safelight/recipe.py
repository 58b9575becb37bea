"""The recipe: everything that decides the pixels, frozen.

Two recipes with the same :func:`Recipe.digest` give the same bytes on the same machine. The form is
versioned by ``v``; a reader refuses a version that it does not know.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from safelight.errors import RecipeError
from safelight.ids import canonical_json, sha256_hex
from safelight.secret import Secret

RECIPE_VERSION = 1

Task = Literal["text-to-image", "image-to-image", "inpaint", "outpaint", "control"]
ControlKind = Literal["edge", "depth", "pose"]
Sampler = Literal[
    "default", "ddim", "euler", "euler-ancestral", "dpm++-2m", "lms", "pndm", "unipc", "lcm"
]

MAX_PROMPT_CHARS = 8_000
MAX_SIDE_PX = 4_096
MIN_SIDE_PX = 16
MAX_PIXELS = 4_096 * 4_096
MAX_COUNT = 10
MAX_STEPS = 150
MAX_SEED = 2**32 - 1
MAX_ADAPTERS = 8
MAX_CONTROLS = 4
SIDE_STEP_PX = 8


def _is_digest(value: str) -> bool:
    return len(value) == 64 and all(c in "0123456789abcdef" for c in value)


def _number(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not math.isfinite(value) or not low <= value <= high:
        raise RecipeError(f"{name} must be from {low:g} to {high:g}")


def _whole(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise RecipeError(f"{name} must be a whole number from {low} to {high}")


def _digest(name: str, value: str) -> None:
    if not _is_digest(value):
        raise RecipeError(f"{name} must be a SHA-256 in 64 hexadecimal digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterUse:
    """One LoRA in the stack: its file's digest and its weight (-2 to 2)."""

    digest: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        _digest("adapter digest", self.digest)
        _number("adapter weight", self.weight, -2.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlUse:
    """One control picture: which kind of map it is, its digest, and its weight (0 to 2)."""

    kind: ControlKind
    image: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(ControlKind):
            raise RecipeError(f"control kind must be one of {', '.join(get_args(ControlKind))}")
        _digest("control image", self.image)
        _number("control weight", self.weight, 0.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides the pixels.

    ``model`` is the model's digest, never its name. ``init_image``, ``mask_image`` and the control
    images are SHA-256 digests of the encoded input files; white in a mask means "repaint".
    Picture ``i`` of ``count`` is drawn with seed ``(seed + i) mod 2**32``.
    Raises :class:`RecipeError` for an impossible value, naming the field and not its text.
    """

    prompt: Secret[str]
    model: str
    width_px: int
    height_px: int
    steps: int
    guidance: float
    seed: int
    task: Task = "text-to-image"
    negative_prompt: Secret[str] = field(default_factory=lambda: Secret(""))
    sampler: Sampler = "default"
    count: int = 1
    init_image: str | None = None
    mask_image: str | None = None
    strength: float | None = None
    adapters: tuple[AdapterUse, ...] = ()
    controls: tuple[ControlUse, ...] = ()
    transparent: bool = False
    v: int = RECIPE_VERSION

    def __post_init__(self) -> None:
        if isinstance(self.v, bool) or self.v != RECIPE_VERSION:
            raise RecipeError(
                f"this recipe is version {self.v}; this program reads {RECIPE_VERSION}"
            )
        if self.task not in get_args(Task):
            raise RecipeError(f"task must be one of {', '.join(get_args(Task))}")
        if self.sampler not in get_args(Sampler):
            raise RecipeError(f"sampler must be one of {', '.join(get_args(Sampler))}")
        for name, text in (("prompt", self.prompt), ("negative prompt", self.negative_prompt)):
            _text(name, text.reveal())
        _digest("model", self.model)
        for name, side in (("width", self.width_px), ("height", self.height_px)):
            _whole(name, side, MIN_SIDE_PX, MAX_SIDE_PX)
            if side % SIDE_STEP_PX:
                raise RecipeError(f"{name} must be a multiple of {SIDE_STEP_PX} px")
        _whole("steps", self.steps, 1, MAX_STEPS)
        _number("guidance", self.guidance, 0.0, 30.0)
        _whole("seed", self.seed, 0, MAX_SEED)
        _whole("count", self.count, 1, MAX_COUNT)
        if not isinstance(self.transparent, bool):
            raise RecipeError("transparent must be true or false")
        if len(self.adapters) > MAX_ADAPTERS:
            raise RecipeError(f"at most {MAX_ADAPTERS} adapters")
        if len(self.controls) > MAX_CONTROLS:
            raise RecipeError(f"at most {MAX_CONTROLS} controls")
        self._check_task()

    def _check_task(self) -> None:
        needs_init = self.task in ("image-to-image", "inpaint", "outpaint")
        needs_mask = self.task in ("inpaint", "outpaint")
        if needs_init != (self.init_image is not None):
            raise RecipeError(
                f"task {self.task} {'needs' if needs_init else 'takes no'} init image"
            )
        if needs_mask != (self.mask_image is not None):
            raise RecipeError(
                f"task {self.task} {'needs' if needs_mask else 'takes no'} mask image"
            )
        if needs_init != (self.strength is not None):
            raise RecipeError(f"task {self.task} {'needs' if needs_init else 'takes no'} strength")
        if (self.task == "control") != bool(self.controls):
            raise RecipeError("task control and controls go together")
        for name, digest in (("init image", self.init_image), ("mask image", self.mask_image)):
            if digest is not None:
                _digest(name, digest)
        if self.strength is not None:
            _number("strength", self.strength, 0.0, 1.0)

    # --- forms ---

    def to_dict(self) -> dict[str, Any]:
        """The plain form: what goes into ``request.json`` and ``meta``. Contains the prompt."""
        return {
            "v": self.v,
            "task": self.task,
            "prompt": self.prompt.reveal(),
            "negative_prompt": self.negative_prompt.reveal(),
            "model": self.model,
            "sampler": self.sampler,
            "steps": self.steps,
            "guidance": self.guidance,
            "seed": self.seed,
            "width_px": self.width_px,
            "height_px": self.height_px,
            "count": self.count,
            "init_image": self.init_image,
            "mask_image": self.mask_image,
            "strength": self.strength,
            "adapters": [{"digest": a.digest, "weight": a.weight} for a in self.adapters],
            "controls": [
                {"kind": c.kind, "image": c.image, "weight": c.weight} for c in self.controls
            ],
            "transparent": self.transparent,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Recipe:
        """Read the plain form. Unknown fields are refused: they might change the picture.

        Raises :class:`RecipeError`, naming fields and never their text.
        """
        known = {f.name for f in fields(cls)}
        if set(value) - known:
            raise RecipeError("a recipe has a field that this version does not know")
        data = dict(value)
        try:
            data["prompt"] = Secret(_as_text("prompt", data["prompt"]))
            data["negative_prompt"] = Secret(
                _as_text("negative prompt", data.get("negative_prompt", ""))
            )
            data["adapters"] = tuple(AdapterUse(**a) for a in data.get("adapters", ()))
            data["controls"] = tuple(ControlUse(**c) for c in data.get("controls", ()))
            for name in ("guidance", "strength"):
                if isinstance(data.get(name), int) and not isinstance(data[name], bool):
                    data[name] = float(data[name])
            return cls(**data)
        except KeyError as error:
            raise RecipeError(f"a recipe needs the field {error.args[0]}") from None
        except (TypeError, OverflowError):
            raise RecipeError("a recipe lacks a field or has one of the wrong kind") from None

    def canonical(self) -> bytes:
        """RFC 8785 canonical JSON of :meth:`to_dict`."""
        return canonical_json(self.to_dict())

    @classmethod
    def from_canonical(cls, raw: bytes) -> Recipe:
        """Read :meth:`canonical`. Raises :class:`RecipeError`."""
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            raise RecipeError("a recipe is not JSON") from None
        if not isinstance(value, dict):
            raise RecipeError("a recipe is not a JSON object")
        return cls.from_dict(value)

    def digest(self) -> str:
        """SHA-256 of :meth:`canonical`, 64 hexadecimal digits."""
        return sha256_hex(self.canonical())

    def seeds(self) -> tuple[int, ...]:
        """The seed of each picture, in order."""
        return tuple((self.seed + i) % (MAX_SEED + 1) for i in range(self.count))

    def single(self, index: int) -> Recipe:
        """The recipe that draws only picture ``index`` of this one."""
        return replace(self, seed=self.seeds()[index], count=1)

    def inputs(self) -> tuple[str, ...]:
        """Digests of every input picture, each once, in a fixed order."""
        named = [self.init_image, self.mask_image, *(c.image for c in self.controls)]
        return tuple(dict.fromkeys(d for d in named if d is not None))

    def features(self) -> tuple[str, ...]:
        """Names of what this recipe uses beyond plain text-to-image; part of the cost header."""
        found: list[str] = [] if self.task == "text-to-image" else [self.task]
        if self.adapters:
            found.append("adapters")
        if self.transparent:
            found.append("transparent")
        return tuple(found)


def _as_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise RecipeError(f"{name} must be text")
    return value


def _text(name: str, text: str) -> None:
    _as_text(name, text)
    if len(text) > MAX_PROMPT_CHARS:
        raise RecipeError(f"{name} is over {MAX_PROMPT_CHARS} characters")
    if "\x00" in text or any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        raise RecipeError(f"{name} holds a character that is not text")
