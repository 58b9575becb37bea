"""The door for public pictures: what comes in is decoded, and only its pixels go on."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from safelight.errors import PictureError

MAX_PIXELS = 64_000_000
MAX_SIDE_PX = 16_384
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
                upright = ImageOps.exif_transpose(picture)
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
