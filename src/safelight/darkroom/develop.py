"""One job in the engine process: plan, draw, check every picture, encode. No key is here.

Note [no picture without a verdict]
    A picture leaves this process only through :func:`_finish_picture`, whose first line is the
    classifier's gate. A refusal of one picture refuses the whole job: the keeper drops what it had.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.darkroom.look import embedding
from safelight.errors import CancelledError
from safelight.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safelight.engine import Engine, Picture, Progress
    from safelight.engine.classifier import Classifier

    Send = Callable[[dict[str, Any], Sequence[bytes]], None]

THUMB_SIDE_PX = 256
THUMB_QUALITY = 80
PREVIEW_SIDE_PX = 192
PREVIEW_QUALITY = 60
PREVIEW_EVERY_SECONDS = 0.35
PROGRESS_EVERY_SECONDS = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the keeper asks of the engine process: a recipe and how to hand the pictures back."""

    job: str
    recipe: Recipe
    inputs: Mapping[str, bytes]
    """Digest of the encoded file -> the encoded file."""
    media_type: str
    kept: bool
    """Whether thumb and embedding are wanted."""
    previews: bool


class Reporter:
    """The engine's watch: passes progress and previews on, and says whether to stop."""

    def __init__(self, order: Order, send: Send, is_cancelled: Callable[[], bool]) -> None:
        self._order = order
        self._send = send
        self._is_cancelled = is_cancelled
        self._began = time.monotonic()
        self._next_progress = 0.0
        self._next_preview = 0.0

    @property
    def previews(self) -> bool:
        """Whether the engine should spend time on previews."""
        return self._order.previews

    def cancelled(self) -> bool:
        """Whether the caller took the job back."""
        return self._is_cancelled()

    def step(self, progress: Progress) -> None:
        """Report one step; too frequent ones are dropped, the last of a picture never is."""
        now = time.monotonic()
        last = progress.step >= progress.steps
        if now < self._next_progress and not last:
            return
        self._next_progress = now + PROGRESS_EVERY_SECONDS
        done = progress.index * progress.steps + progress.step
        left = (progress.count * progress.steps - done) * (now - self._began) / max(done, 1)
        self._send(
            {
                "op": "progress",
                "job": self._order.job,
                "index": progress.index,
                "step": progress.step,
                "steps": progress.steps,
                "seconds_left": round(left, 1),
            },
            (),
        )
        if self._order.previews and progress.preview is not None and now >= self._next_preview:
            self._next_preview = now + PREVIEW_EVERY_SECONDS
            self._send_preview(progress)

    def _send_preview(self, progress: Progress) -> None:
        from safelight.engine.output import encode, thumb

        assert progress.preview is not None
        small = thumb(progress.preview, PREVIEW_SIDE_PX)
        picture = encode(small, "image/webp", quality=PREVIEW_QUALITY)
        self._send({"op": "preview", "job": self._order.job, "index": progress.index}, (picture,))


def develop(
    engine: Engine, classifier: Classifier, order: Order, send: Send, watch: Reporter
) -> None:
    """Draw an order and send a ``picture`` frame for each, then return.

    Raises what the engine and the classifier raise (:class:`SafelightError`), and
    :class:`CancelledError` between steps. Pictures sent before an error count for nothing.
    """
    plan = engine.plan(order.recipe)
    for index, picture in enumerate(engine.run(plan, order.inputs, watch)):
        header, parts = _finish_picture(classifier, order, picture, index)
        if watch.cancelled():
            raise CancelledError("the job was cancelled")
        send(header, parts)


def _finish_picture(
    classifier: Classifier, order: Order, picture: Picture, index: int
) -> tuple[dict[str, Any], tuple[bytes, ...]]:
    classifier.gate(picture.pixels)  # Note [no picture without a verdict]

    from safelight.engine.output import encode, thumb

    height, width = picture.pixels.shape[:2]
    header = {
        "op": "picture",
        "job": order.job,
        "index": index,
        "seed": picture.seed,
        "media_type": order.media_type,
        "width_px": width,
        "height_px": height,
    }
    full = encode(picture.pixels, order.media_type)
    if not order.kept:
        return header, (full,)
    small = thumb(picture.pixels, THUMB_SIDE_PX)
    return header, (full, encode(small, "image/webp", quality=THUMB_QUALITY), embedding(small))
