"""Pictures to bytes and back, and files that are whole or not there. No metadata either way."""

from __future__ import annotations

import errno
import io
import os
import secrets
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from safelight.errors import NoSpaceError, OutputError, PictureError
from safelight.pictures import MAX_FILE_BYTES, MAX_PIXELS, eight_bits

if TYPE_CHECKING:
    from PIL import Image

    from safelight.engine.protocol import Pixels

MEDIA_TYPES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_READABLE = ("PNG", "JPEG", "WEBP")


def encode(pixels: Pixels, media_type: str, quality: int = 92) -> bytes:
    """The file of a picture, without any metadata.

    ``pixels`` is (H, W, 3 or 4) uint8. JPEG has no transparency: a fourth channel is laid on white.
    Raises :class:`OutputError` for another media type.
    """
    from PIL import Image

    form = MEDIA_TYPES.get(media_type)
    if form is None:
        raise OutputError(f"pictures are {', '.join(MEDIA_TYPES)}")
    image = Image.fromarray(np.ascontiguousarray(pixels))
    out = io.BytesIO()
    if form == "PNG":
        image.save(out, form, compress_level=4)
    elif form == "JPEG":
        _on_white(image).save(out, form, quality=quality, subsampling=0)
    else:
        image.save(out, form, quality=quality, method=4)
    return out.getvalue()


def decode(data: bytes) -> Pixels:
    """The pixels of a PNG, JPEG or WebP file: (H, W, 3), or 4 where it has transparency.

    Orientation is applied, then every other chunk is dropped. Raises :class:`PictureError` for a
    file that is truncated, over 64 megapixels or 64 MiB, or no such picture.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if len(data) > MAX_FILE_BYTES:
        raise PictureError(f"the picture file is over {MAX_FILE_BYTES // 2**20} MiB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_READABLE) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise PictureError(f"the picture is over {MAX_PIXELS // 10**6} megapixels")
                image.load()
                turned = ImageOps.exif_transpose(eight_bits(image))
        has_alpha = turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info
        return np.asarray(turned.convert("RGBA" if has_alpha else "RGB"))
    except Image.DecompressionBombError:  # found by Pillow when it reads the header
        raise PictureError(f"the picture is over {MAX_PIXELS // 10**6} megapixels") from None
    except UnidentifiedImageError:
        raise PictureError("the file is not a picture that can be read") from None
    except (OSError, ValueError, SyntaxError, EOFError):
        raise PictureError("the picture file is truncated or broken") from None


def thumb(pixels: Pixels, side_px: int = 256) -> Pixels:
    """A smaller picture whose longer side is at most ``side_px``; smaller ones are left alone."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return np.asarray(image)


def flatten(pixels: Pixels) -> Pixels:
    """(H, W, 3): a fourth channel is laid on white."""
    from PIL import Image

    return np.asarray(_on_white(Image.fromarray(np.ascontiguousarray(pixels))))


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that is whole or not there; an older one of that name stays until then.

    Raises :class:`NoSpaceError` or :class:`OutputError`; nothing partial is left by either.
    """
    draft = path.parent / f".{secrets.token_hex(8)}"
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # A crash before this line leaves a draft with a random name, and the old file as it was.
        draft.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoSpaceError("there is no space left for the picture") from None
        raise OutputError("the output file cannot be written") from None
    finally:
        draft.unlink(missing_ok=True)


def _on_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode != "RGBA":
        return image.convert("RGB")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=image.getchannel("A"))
    return white
