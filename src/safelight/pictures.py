"""The door for pictures that people bring: what comes in is decoded, and only its pixels go on.

The server cleans public copies here, and the client what it seals into a library.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from safelight.errors import PictureError

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 64_000_000
MAX_SIDE_PX = 16_384
MAX_FILE_BYTES = 64 * 1024 * 1024
THUMB_SIDE_PX = 256
MAX_THUMB_BYTES = 28 * 1024
"""So that every sealed thumb has the same length (docs/spec/formats.md)."""
_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanPicture:
    """A freshly encoded picture: pixels, and nothing that came with them."""

    data: bytes
    media_type: str
    width_px: int
    height_px: int


def clean(data: bytes) -> CleanPicture:
    """Decode a PNG, JPEG or WebP and encode its pixels anew in the same form.

    EXIF orientation is applied; then EXIF, XMP, IPTC, ICC, comments, text chunks, trailing bytes
    and further frames are all left behind. Raises :class:`PictureError` for anything that is not
    one of the three, is over 64 megapixels, or does not decode.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=tuple(_TYPES)) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PX:
                    raise PictureError(f"a picture of {width} x {height} px is over the limit")
                form = picture.format or "PNG"
                picture.load()
                upright = ImageOps.exif_transpose(eight_bits(picture))
                alpha = "A" in upright.getbands() or "transparency" in upright.info
                plain = upright.convert("RGBA" if alpha and form != "JPEG" else "RGB")
    except PictureError:
        raise
    except Exception as error:
        raise PictureError("the picture cannot be read") from error
    bare = Image.frombytes(plain.mode, plain.size, plain.tobytes())
    out = io.BytesIO()
    if form == "JPEG":
        bare.save(out, "JPEG", quality=95, subsampling=0)
    elif form == "WEBP":
        bare.save(out, "WEBP", quality=95, method=4)
    else:
        bare.save(out, "PNG")
    return CleanPicture(
        data=out.getvalue(), media_type=_TYPES[form], width_px=bare.width, height_px=bare.height
    )


def thumbnail(picture: CleanPicture) -> bytes:
    """A WebP of at most 256 px on its longer side and at most 28 KiB; transparency stays.

    What does not fit at full quality is coarser, and at last smaller.
    """
    from PIL import Image

    data = picture.data
    with Image.open(io.BytesIO(data)) as image:
        for side, quality in ((THUMB_SIDE_PX, 80), (THUMB_SIDE_PX, 30), (THUMB_SIDE_PX // 2, 30)):
            image.thumbnail((side, side), Image.Resampling.LANCZOS)
            out = io.BytesIO()
            image.save(out, "WEBP", quality=quality, method=4)
            data = out.getvalue()
            if len(data) <= MAX_THUMB_BYTES:
                break
    return data


def eight_bits(image: Image.Image) -> Image.Image:
    """A grey picture of 16 bits at 8 bits; Pillow would cut it off at 255."""
    from PIL import Image

    if not image.mode.startswith("I"):
        return image
    grey = np.clip(np.asarray(image, np.int32) >> 8, 0, 255).astype(np.uint8)
    return Image.fromarray(grey)
