"""What is refused. The rules are filled in below this interface."""

from __future__ import annotations

from safelight.secret import Secret

CATEGORIES = ("minors", "intimate", "harm", "deepfake", "unlawful")


def check_text(prompt: Secret[str], negative: Secret[str], *, edits_picture: bool = False) -> None:
    """Raise :class:`safelight.errors.RefusedError` if the words break a content rule."""
    del prompt, negative, edits_picture
