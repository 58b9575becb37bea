"""Pictures to files and back: whole, without metadata, within limits, or not at all."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from safelight.engine.output import MEDIA_TYPES, decode, encode, flatten, thumb, write_atomically
from safelight.errors import NoSpaceError, OutputError, PictureError

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)
CLEAR = RNG.integers(0, 256, (40, 60, 4), dtype=np.uint8)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def test_png_is_lossless_with_and_without_transparency() -> None:
    assert np.array_equal(decode(encode(PICTURE, "image/png")), PICTURE)
    assert np.array_equal(decode(encode(CLEAR, "image/png")), CLEAR)


def test_jpeg_and_webp_are_near_and_jpeg_lies_on_white() -> None:
    smooth = np.tile(np.linspace(0, 255, 60, dtype=np.uint8)[None, :, None], (40, 1, 3))
    for media_type in ("image/jpeg", "image/webp"):
        assert np.abs(decode(encode(smooth, media_type)).astype(int) - smooth).max() < 12
    nothing = np.zeros((40, 60, 4), np.uint8)
    assert decode(encode(nothing, "image/jpeg")).min() > 250
    assert decode(encode(nothing, "image/webp")).shape == (40, 60, 4)


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_files_carry_no_metadata(media_type: str) -> None:
    data = encode(PICTURE, media_type)
    with Image.open(io.BytesIO(data)) as image:
        assert not set(image.info) & {"exif", "icc_profile", "xmp", "comment", "Software", "text"}
        assert not image.getexif()
    if media_type == "image/png":
        kinds, at = [], 8
        while at < len(data):
            length = int.from_bytes(data[at : at + 4], "big")
            kinds.append(data[at + 4 : at + 8])
            at += 12 + length
        assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}


def test_another_media_type_is_refused() -> None:
    with pytest.raises(OutputError):
        encode(PICTURE, "image/gif")


def test_orientation_is_applied_and_metadata_dropped() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    exif[0x010E] = "a secret place"
    pixels = decode(saved(Image.fromarray(PICTURE), "JPEG", exif=exif, quality=95))
    assert pixels.shape == (60, 40, 3)
    text = PngImagePlugin.PngInfo()
    text.add_text("prompt", "a secret")
    again = encode(decode(saved(Image.fromarray(PICTURE), "PNG", pnginfo=text)), "image/png")
    assert b"secret" not in again


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "I;16"])
def test_other_kinds_of_picture_are_read(mode: str) -> None:
    if mode == "I;16":
        grey = np.linspace(0, 65535, 60).astype(np.uint16)[None, :] * np.ones((40, 1), np.uint16)
        pixels = decode(saved(Image.fromarray(grey), "PNG"))
        assert abs(int(pixels[0, 30, 0]) - 130) < 4  # the middle is grey, not cut off at white
    else:
        form = "JPEG" if mode == "CMYK" else "PNG"
        pixels = decode(saved(Image.fromarray(PICTURE).convert(mode), form))
    assert pixels.shape[:2] == (40, 60)
    assert pixels.shape[2] == (4 if mode == "LA" else 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_a_truncated_picture_is_refused(media_type: str) -> None:
    data = encode(PICTURE, media_type)
    for part in (data[: len(data) // 2], data[:30], b"", b"not a picture at all"):
        with pytest.raises(PictureError):
            decode(part)


def test_other_formats_are_refused() -> None:
    for form in ("GIF", "TIFF", "BMP"):
        with pytest.raises(PictureError):
            decode(saved(Image.fromarray(PICTURE), form))


def test_a_huge_picture_is_refused_before_it_is_decoded() -> None:
    """9000 x 9000 black pixels are a small file and 243 MB of pixels."""
    data = saved(Image.new("1", (9_000, 9_000)), "PNG")
    code = (
        "import sys, resource; from safelight.engine.output import decode\n"
        "from safelight.errors import PictureError\n"
        "resource.setrlimit(resource.RLIMIT_AS, (700 * 2**20,) * 2)\n"
        "try: decode(sys.stdin.buffer.read())\n"
        "except PictureError as error: print(error.message)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        input=data,
        capture_output=True,
        check=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert b"64 megapixels" in answer.stdout
    bomb = saved(Image.new("1", (20_000, 20_000)), "PNG")
    with pytest.raises(PictureError, match="64 megapixels"):
        decode(bomb)


def test_a_thumb_keeps_its_shape_and_is_never_larger() -> None:
    assert thumb(np.zeros((512, 1024, 3), np.uint8)).shape == (128, 256, 3)
    assert thumb(PICTURE).shape == PICTURE.shape
    assert thumb(np.zeros((512, 512, 4), np.uint8), 64).shape == (64, 64, 4)


def test_flatten_lays_transparency_on_white() -> None:
    clear = np.zeros((2, 2, 4), np.uint8)
    assert (flatten(clear) == 255).all()


def test_a_file_is_whole_and_alone(tmp_path: Path) -> None:
    target = tmp_path / "picture.png"
    write_atomically(target, b"first")
    write_atomically(target, b"second")
    assert target.read_bytes() == b"second"
    assert [f.name for f in tmp_path.iterdir()] == ["picture.png"]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_atomically(tmp_path / "missing" / "picture.png", b"x")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OutputError):
        write_atomically(folder, b"x")
    assert [f.name for f in tmp_path.iterdir()] == ["folder"]


def test_a_full_disk_leaves_the_old_file_and_nothing_partial(tmp_path: Path) -> None:
    """A real limit on file size stands in for a full disk: the kernel cuts the write short."""
    target = tmp_path / "picture.png"
    target.write_bytes(b"old")
    code = (
        "import sys, resource, signal; from pathlib import Path\n"
        "from safelight.engine.output import write_atomically\n"
        "from safelight.errors import NoSpaceError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try: write_atomically(Path(sys.argv[1]), b'x' * 50_000)\n"
        "except NoSpaceError as error: print(error.code)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(target)], capture_output=True, check=True
    )
    assert answer.stdout.strip() == NoSpaceError.code.encode()
    assert target.read_bytes() == b"old"
    assert [f.name for f in tmp_path.iterdir()] == ["picture.png"]
