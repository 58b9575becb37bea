"""What both ways of ``safelight generate`` share: sizes, formats, file names, the init picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safelight.errors import RecipeError, RequestError
from safelight.ids import check_id

DEFAULT_STRENGTH = 0.6
SUFFIXES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


def media_type_of(name: str | None, output: Path | None) -> str:
    """The picture's format from ``--format`` or the output's suffix; PNG by default."""
    suffix = f".{name}" if name else ("" if output is None else output.suffix.lower())
    if suffix and suffix not in SUFFIXES:
        raise RequestError("the format is png, jpeg or webp")
    return SUFFIXES.get(suffix, "image/png")


def numbered(path: Path, index: int, count: int) -> Path:
    """The file of picture ``index``: with several, ``-1``, ``-2`` before the suffix."""
    return path if count == 1 else path.with_name(f"{path.stem}-{index + 1}{path.suffix}")


def parse_size(text: str | None, native_px: int) -> tuple[int, int]:
    """Width and height in px from ``WxH``, or the native square. Raises :class:`RecipeError`."""
    if text is None:
        return native_px, native_px
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isascii() and width.isdigit() and height.isdigit()):
        raise RecipeError("the size is width x height in px", hint="such as 256x256")
    return int(width[:6]), int(height[:6])


def is_asset(text: str) -> bool:
    """Whether ``--init`` names an asset of the library; a file of that name is ``./ast_...``."""
    try:
        return bool(check_id("ast", text))
    except RequestError:
        return False


def read_picture(path: Path) -> bytes:
    """The init picture's file, checked to be a picture before any work.

    Raises :class:`PictureError`.
    """
    from safelight.engine.output import decode
    from safelight.errors import PictureError
    from safelight.pictures import MAX_FILE_BYTES

    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PictureError(f"the picture file is over {MAX_FILE_BYTES // 2**20} MiB")
        data = path.read_bytes()
    except OSError:
        raise PictureError("the init picture cannot be read", hint="check its path") from None
    decode(data)
    return data


def starting_from(digest: str | None, strength: float | None) -> dict[str, Any]:
    """The recipe's fields for an init picture, or none without one.

    Raises :class:`RecipeError` for a strength without a picture.
    """
    if digest is not None:
        strength = DEFAULT_STRENGTH if strength is None else strength
        return {"task": "image-to-image", "init_image": digest, "strength": strength}
    if strength is not None:
        raise RecipeError("strength needs a picture to start from", hint="name one with --init")
    return {}
