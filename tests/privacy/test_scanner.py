"""The scanner finds what is hidden: without this, a green leak rig means nothing."""

from __future__ import annotations

import base64
import gzip
import io
import itertools
import json
import pickle
import tarfile
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from scanner import Scanner, new_prefix

NOISE = np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes()


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", data)
    return out.getvalue()


def tarred(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("a")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zip": zipped,
    "tar": tarred,
    "base64": base64.b64encode,
    "base64url": base64.urlsafe_b64encode,
    "hex": lambda data: data.hex().encode(),
    "json": lambda data: json.dumps({"value": data.decode("latin-1")}).encode(),
    "percent": lambda data: urllib.parse.quote_from_bytes(data, safe="").encode(),
    "pickle": lambda data: pickle.dumps({"value": data}),
    "buried": lambda data: NOISE + data + NOISE,
}


@pytest.fixture(scope="module")
def prefix() -> str:
    return new_prefix()


@pytest.fixture(scope="module")
def scanner(prefix: str) -> Scanner:
    scanner = Scanner()
    scanner.add_text("prompt", prefix)
    return scanner


@pytest.mark.parametrize("shift", range(5))
def test_plain_forms_at_every_alignment(scanner: Scanner, prefix: str, shift: int) -> None:
    text = "x" * shift + prefix + "0042 and more"
    for codec in ("utf-8", "utf-16-le", "utf-16-be"):
        assert scanner.scan(text.encode(codec), "here"), codec
        assert scanner.scan(base64.b64encode(text.encode(codec)), "here"), codec
    assert scanner.scan(text.upper().encode(), "here")
    assert scanner.scan(str(list(text.encode())).encode(), "here")
    assert scanner.scan("".join(f"\\u{ord(c):04x}" for c in text).encode(), "here")


@pytest.mark.parametrize("names", list(itertools.product(ENCODERS, repeat=2)), ids="-".join)
def test_two_layers(scanner: Scanner, prefix: str, names: tuple[str, str]) -> None:
    data = f"the words {prefix}0042 of a prompt".encode()
    for name in names:
        data = ENCODERS[name](data)
    assert scanner.scan(data, "here")


def test_four_layers(scanner: Scanner, prefix: str) -> None:
    names = list(ENCODERS)
    rng = np.random.default_rng(3)
    for _ in range(40):
        chosen = [names[i] for i in rng.integers(0, len(names), 4)]
        data = f"the words {prefix}0042 of a prompt".encode()
        for name in chosen:
            data = ENCODERS[name](data)
        assert scanner.scan(data, "here"), chosen


def test_noise_is_no_hit(scanner: Scanner) -> None:
    data = np.random.default_rng(5).integers(0, 256, 2_000_000, np.uint8).tobytes()
    assert scanner.scan(data, "here") == []
    assert scanner.scan(base64.b64encode(data[:200_000]), "here") == []


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    pixels = np.random.default_rng(9).integers(0, 256, (16, 16, 3)).repeat(8, 0).repeat(8, 1)
    noise = np.random.default_rng(10).integers(-6, 7, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def saved(picture: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


PICTURE_LEAKS: dict[str, Callable[[Image.Image], bytes]] = {
    "png again": lambda p: saved(p, "PNG", compress_level=1),
    "jpeg": lambda p: saved(p, "JPEG", quality=85),
    "webp": lambda p: saved(p, "WEBP", quality=80),
    "thumb": lambda p: saved(p.resize((64, 64)), "WEBP"),
    "buried png": lambda p: NOISE + saved(p, "PNG") + NOISE,
    "npy": lambda p: np.asarray(p).tobytes(),
    "float32": lambda p: (np.asarray(p).astype(np.float32) / np.float32(255)).tobytes(),
    "planar": lambda p: np.ascontiguousarray(np.asarray(p).transpose(2, 0, 1)).tobytes(),
    "data url": lambda p: b"data:image/png;base64," + base64.b64encode(saved(p, "PNG")),
}


@pytest.mark.parametrize("leak", PICTURE_LEAKS)
def test_pictures_are_found(picture: Image.Image, leak: str) -> None:
    scanner = Scanner()
    scanner.add_file("picture", saved(picture, "PNG"))
    assert scanner.scan(PICTURE_LEAKS[leak](picture), "here")
    other = Image.fromarray(np.random.default_rng(77).integers(0, 256, (128, 128, 3), np.uint8))
    assert scanner.scan(PICTURE_LEAKS[leak](other), "here") == []


def test_words_in_a_png_chunk(scanner: Scanner, prefix: str, picture: Image.Image) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", f"{prefix}0042", zip=True)
    assert scanner.scan(saved(picture, "PNG", pnginfo=info), "here")
