"""Finds a canary in bytes, however it was encoded, to depth 4.

All canary texts of a run start with one random prefix, so one small set of needles (the prefix in
every encoding) finds all of them. Pictures are found by slices of their encoded file, by slices of
their raw pixels in several number formats, and by decoding every picture that can be carved out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import re
import secrets
import tarfile
import urllib.parse
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

MAX_DEPTH = 4
MAX_DECODED_BYTES = 64 * 1024 * 1024
MAX_CARVED = 20_000
INFLATE_STEP = 32 * 1024
LOOK_SIDE = 16
LOOK_DISTANCE = 9.0

_LETTERS = "bcdfghjkmnpqrstvwxz"  # no vowels: never a word, never hexadecimal by chance
_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")
_BASE64URL_RUN = re.compile(rb"[A-Za-z0-9_-]{24,}={0,2}")
_HEX_RUN = re.compile(rb"(?:[0-9a-fA-F]{2}){16,}")
_DECIMALS = re.compile(rb"(?:\d{1,3}[,\s]{1,2}){12,}\d{1,3}")
_GZIP = re.compile(rb"\x1f\x8b\x08")
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_ZIP = re.compile(rb"PK\x03\x04")
_TAR = re.compile(rb"ustar[\x00 ]")
_PICTURE = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff[\xdb\xe0\xe1\xee]|RIFF....WEBP", re.DOTALL)


def new_prefix() -> str:
    """The random start of every canary text of a run: 14 letters, about 59 bits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(14))


@dataclass(frozen=True)
class Hit:
    """What was found and on which path of decodings."""

    canary: str
    where: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.canary} in {self.where} by {' > '.join(self.path) or 'plain'}"


@dataclass
class Scanner:
    """Needles and pictures to look for. ``scan`` reports at most one hit a canary and place."""

    needles: dict[bytes, str] = field(default_factory=dict)
    looks: list[tuple[str, np.ndarray]] = field(default_factory=list)

    # --- what to look for ---

    def add_text(self, name: str, text: str) -> None:
        """Look for a text of at least 12 characters in every encoding and pair of encodings."""
        forms = {
            "utf-8": text.encode(),
            "upper": text.upper().encode(),
            "utf-16-le": text.encode("utf-16-le"),
            "utf-16-be": text.encode("utf-16-be"),
            "utf-32-le": text.encode("utf-32-le"),
            "reversed": text[::-1].encode(),
            "json escapes": "".join(f"\\u{ord(c):04x}" for c in text).encode(),
            "percent": "".join(f"%{ord(c):02X}" for c in text).encode(),
            "decimals": ", ".join(str(b) for b in text.encode()).encode(),
            "decimals tight": ",".join(str(b) for b in text.encode()).encode(),
        }
        for form, raw in forms.items():
            self._add(f"{name} ({form})", raw)
            for outer, encoded in _encodings(raw):
                self._add(f"{name} ({form}, {outer})", encoded)

    def add_bytes(self, name: str, raw: bytes) -> None:
        """Look for raw secret bytes, also as base64 and hexadecimal."""
        self._add(name, raw)
        for outer, encoded in _encodings(raw):
            self._add(f"{name} ({outer})", encoded)

    def add_file(self, name: str, data: bytes) -> None:
        """Look for an encoded picture: three slices of the file, and what it looks like."""
        for at in (len(data) // 4, len(data) // 2, 3 * len(data) // 4):
            piece = data[at : at + 24]
            if len(set(piece)) > 12:
                self.add_bytes(f"{name} (file slice)", piece)
        self.add_pixels(name, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))

    def add_pixels(self, name: str, pixels: np.ndarray) -> None:
        """Look for raw pixels (uint8, float32, float16; interleaved and planar) and for a look."""
        height = pixels.shape[0]
        for row in (height // 3, height // 2):
            line = pixels[row, :16]
            if len(np.unique(line)) < 12:
                continue
            unit = line.astype(np.float32) / np.float32(255)
            forms = {
                "uint8": line,
                "planar": line[:, 0],
                "float32": unit[:8],
                "float32 signed": (unit * 2 - 1)[:8],
                "float16": unit.astype(np.float16),
                "bgr": line[:, ::-1],
            }
            for form, array in forms.items():
                self.add_bytes(f"{name} (pixels {form})", np.ascontiguousarray(array).tobytes())
        self.looks.append((name, look_of(Image.fromarray(pixels))))

    def add_look(self, name: str, data: bytes) -> None:
        """Look for pictures that look like this one."""
        self.looks.append((name, look_of(Image.open(io.BytesIO(data)))))

    def _add(self, name: str, raw: bytes) -> None:
        self.needles.setdefault(raw, name)

    # --- looking ---

    def scan(self, data: bytes, where: str) -> list[Hit]:
        """Every canary found in ``data``."""
        found: dict[str, Hit] = {}
        seen: set[bytes] = set()
        stack: list[tuple[bytes, tuple[str, ...]]] = [(data, ())]
        while stack:
            blob, path = stack.pop()
            digest = hashlib.blake2b(blob, digest_size=16).digest()
            if digest in seen:
                continue
            seen.add(digest)
            for needle, name in self.needles.items():
                if (at := blob.find(needle)) >= 0 and not _is_only_mention(needle, blob):
                    # What follows the common start of all canaries says which one it is.
                    rest = re.match(rb"[a-z0-9]*", blob[at + len(needle) : at + 40])
                    full = f"{name} {rest.group().decode()}" if rest and rest.group() else name
                    found.setdefault(name, Hit(full, where, path))
            for name in self._looks_like(path, blob):
                found.setdefault(name, Hit(name, where, path))
            if len(path) < MAX_DEPTH:
                # A carved picture was part of a blob that has been through the other decoders.
                steps = ("png",) if path and path[-1] == "picture" else tuple(_DECODERS)
                stack += [(inner, (*path, step)) for step, inner in decoded(blob, steps)]
        return list(found.values())

    def scan_plain(self, data: bytes, where: str) -> list[Hit]:
        """Texts as UTF-8, UTF-16 or base64, and pictures as bytes or pixels; nothing is decoded.

        For memory dumps, which are large.
        """
        forms = ("(utf-8)", "(utf-16-le)", "(utf-8, base64)", "(file slice)", "(pixels uint8)")
        chosen = [(raw, name) for raw, name in self.needles.items() if name.endswith(forms)]
        return [
            Hit(name, where, ())
            for raw, name in chosen
            if raw in data and not _is_only_mention(raw, data)
        ]

    def _looks_like(self, path: tuple[str, ...], blob: bytes) -> list[str]:
        if not self.looks or not path or path[-1] != "picture":
            return []
        try:
            picture = Image.open(io.BytesIO(blob))
            if picture.width * picture.height > 64_000_000:
                return []
            seen = look_of(picture)
        except Exception:  # carved bytes are mostly not pictures
            return []
        near = [name for name, look in self.looks if np.abs(seen - look).mean() < LOOK_DISTANCE]
        return [f"{name} (look)" for name in near]


def _is_only_mention(needle: bytes, blob: bytes) -> bool:
    """Whether this is the start of every age identity without a key after it, as in a README."""
    return needle == b"AGE-SECRET-KEY-1" and not re.search(rb"AGE-SECRET-KEY-1[0-9A-Z]{20}", blob)


def look_of(picture: Image.Image) -> np.ndarray:
    """A 16 x 16 brightness reduction, to compare pictures after scaling and re-encoding."""
    small = picture.convert("L").resize((LOOK_SIDE, LOOK_SIDE), Image.Resampling.BOX)
    return np.asarray(small).astype(np.float32)


def _encodings(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Base64 at its three alignments, without the characters that neighbours change; hex."""
    for shift in range(3):
        padded = b"\0" * shift + raw
        cut = len(padded) - len(padded) % 3
        core = base64.b64encode(padded[:cut])[4 * bool(shift) :]
        if len(core) >= 12:
            yield "base64", core
            if (url := core.replace(b"+", b"-").replace(b"/", b"_")) != core:
                yield "base64url", url
    yield "hex", binascii.hexlify(raw)
    yield "HEX", binascii.hexlify(raw).upper()


# --- decoders: each yields (step, inner bytes) ---


def decoded(blob: bytes, steps: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Everything that can be read out of ``blob`` by one of these steps of decoding."""
    text = text_of(blob)
    for step in steps:
        source = text if step in _TEXT_STEPS else blob
        for count, inner in enumerate(_DECODERS[step](source)):
            if count >= MAX_CARVED:
                break
            if len(inner) >= 8 and inner != blob:
                yield step, inner


def text_of(blob: bytes) -> bytes:
    """The runs of at least 16 printable ASCII characters, zero bytes between them."""
    codes = np.frombuffer(blob, np.uint8)
    printable = ((codes >= 32) & (codes < 127)) | (codes == 9) | (codes == 10) | (codes == 13)
    edges = np.flatnonzero(np.diff(printable.astype(np.int8), prepend=0, append=0))
    starts, ends = edges[::2], edges[1::2]
    long = ends - starts >= 16
    return b"\0".join(blob[a:b] for a, b in zip(starts[long], ends[long], strict=True))


def _inflated(blob: bytes, start: int, window: int) -> bytes:
    """What a deflate stream at ``start`` gives, as far as it goes; empty if it is none."""
    inflater, out, size = zlib.decompressobj(window), [], 0
    view = memoryview(blob)
    for at in range(start, len(blob), INFLATE_STEP):
        try:
            piece = inflater.decompress(view[at : at + INFLATE_STEP])
        except zlib.error:
            break
        out.append(piece)
        size += len(piece)
        if inflater.eof or size > MAX_DECODED_BYTES:
            break
    return b"".join(out)


def _inflate(blob: bytes, pattern: re.Pattern[bytes], window: int) -> Iterator[bytes]:
    for match in pattern.finditer(blob):
        yield _inflated(blob, match.start(), window)


def _gzip(blob: bytes) -> Iterator[bytes]:
    yield from _inflate(blob, _GZIP, 31)


def _zlib(blob: bytes) -> Iterator[bytes]:
    yield from _inflate(blob, _ZLIB, 15)


def _zip(blob: bytes) -> Iterator[bytes]:
    for match in _ZIP.finditer(blob):
        head = blob[match.start() : match.start() + 30]
        if len(head) < 30:
            continue
        start = match.start() + 30 + int.from_bytes(head[26:28], "little")
        start += int.from_bytes(head[28:30], "little")
        if head[8:10] == b"\x08\x00":
            yield _inflated(blob, start, -15)


def _tar(blob: bytes) -> Iterator[bytes]:
    for match in _TAR.finditer(blob):
        start = match.start() - 257
        if start < 0:
            continue
        try:
            with tarfile.open(fileobj=io.BytesIO(blob[start:])) as archive:
                for member in archive:
                    if (file := archive.extractfile(member)) is not None:
                        yield file.read()
        except tarfile.TarError:
            continue


def _base64(blob: bytes) -> Iterator[bytes]:
    for pattern, table in ((_BASE64_RUN, None), (_BASE64URL_RUN, b"-_")):
        for match in pattern.finditer(blob):
            run = match.group().rstrip(b"=")
            if table and not set(run) & set(table):
                continue
            for shift in range(4):  # letters before it may have joined the run
                piece = run[shift:]
                piece = piece[: len(piece) - (len(piece) % 4 == 1)]
                yield base64.b64decode(piece + b"=" * (-len(piece) % 4), altchars=table)


def _hex(blob: bytes) -> Iterator[bytes]:
    for match in _HEX_RUN.finditer(blob):
        run = match.group()
        yield binascii.unhexlify(run)
        yield binascii.unhexlify(run[1:-1])


def _escapes(blob: bytes) -> Iterator[bytes]:
    if b"\\u" in blob or b"\\x" in blob or b"\\n" in blob:
        for match in re.finditer(rb'"((?:[^"\\\x00-\x1f]|\\.){8,})"', blob):
            try:
                text = json.loads(match.group())
            except ValueError:
                continue
            yield text.encode("utf-8", "surrogatepass")
            if max(map(ord, text), default=256) < 256:
                yield text.encode("latin-1")
        yield re.sub(
            rb"\\x([0-9a-fA-F]{2})|\\u00([0-9a-fA-F]{2})",
            lambda m: bytes([int(m.group(1) or m.group(2), 16)]),
            blob,
        )


def _percent(blob: bytes) -> Iterator[bytes]:
    if len(re.findall(rb"%[0-9a-fA-F]{2}", blob)) > 3:
        yield urllib.parse.unquote_to_bytes(blob)


def _decimals(blob: bytes) -> Iterator[bytes]:
    for match in _DECIMALS.finditer(blob):
        numbers = [int(n) for n in re.findall(rb"\d+", match.group())]
        if max(numbers) < 256:
            yield bytes(numbers)


def _utf16(blob: bytes) -> Iterator[bytes]:
    if blob.count(b"\0") * 3 > len(blob) and len(blob) < MAX_DECODED_BYTES:
        for codec in ("utf-16-le", "utf-16-be"):
            yield blob.decode(codec, "ignore").encode("utf-8", "ignore")


def _pictures(blob: bytes) -> Iterator[bytes]:
    """Carved pictures, with one byte more so that they differ from a blob that is a picture."""
    for match in _PICTURE.finditer(blob):
        start = match.start()
        if match.group().startswith(b"RIFF"):
            end = start + 8 + int.from_bytes(blob[start + 4 : start + 8], "little")
        elif match.group().startswith(b"\x89PNG"):
            end = blob.find(b"IEND", start) + 8
        else:
            end = blob.find(b"\xff\xd9", start) + 2
        if start + 40 < end <= start + MAX_DECODED_BYTES:
            yield blob[start:end] + b"\0"


def _png_inside(blob: bytes) -> Iterator[bytes]:
    """Text chunks and raw pixels of a PNG that starts here."""
    if not blob.startswith(b"\x89PNG\r\n\x1a\n"):
        return
    at, pixels = 8, b""
    while at + 12 <= len(blob):
        length = int.from_bytes(blob[at : at + 4], "big")
        kind, body = blob[at + 4 : at + 8], blob[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            pixels += body
        elif kind in (b"tEXt", b"iTXt", b"zTXt", b"eXIf"):
            yield body
        at += 12 + length
        if kind == b"IEND":
            break
    try:
        with Image.open(io.BytesIO(blob)) as picture:
            if picture.width * picture.height < 16_000_000:
                yield np.asarray(picture.convert("RGB")).tobytes()
    except Exception:  # carved bytes may be cut
        return


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": _gzip,
    "zlib": _zlib,
    "zip": _zip,
    "tar": _tar,
    "base64": _base64,
    "hex": _hex,
    "escapes": _escapes,
    "percent": _percent,
    "decimals": _decimals,
    "utf-16": _utf16,
    "picture": _pictures,
    "png": _png_inside,
}

_TEXT_STEPS = frozenset({"base64", "hex", "escapes", "percent", "decimals"})
