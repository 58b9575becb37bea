"""The one archive form inside a seal: POSIX ustar, regular files only, every byte fixed.

Entries have mode 0600, owner 0, no time and no owner names, so equal content has equal bytes in
Python and TypeScript. Stock ``tar`` reads it; the reader here accepts nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from safelight.errors import SealError

BLOCK = 512
END_BYTES = 2 * BLOCK
MAX_TAR_BYTES = 64 * 1024 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,98}")
_ZERO = bytes(BLOCK)


def entry_length(size: int) -> int:
    """How many bytes an entry with ``size`` bytes of content takes."""
    return BLOCK + -(-size // BLOCK) * BLOCK


def tar_header(name: str, size: int) -> bytes:
    """The 512 header bytes of one regular file."""
    if not _NAME.fullmatch(name):
        raise SealError("an archive entry has a name that is not ours")
    fields = b"".join(
        (
            name.encode("ascii").ljust(100, b"\0"),
            b"0000600\0",  # mode
            b"0000000\0",  # user
            b"0000000\0",  # group
            b"%011o\0" % size,
            b"00000000000\0",  # time
            b" " * 8,  # check sum, while it is computed
            b"0",  # a regular file
            bytes(100),
            b"ustar\00000",
            bytes(32 + 32 + 8 + 8 + 155 + 12),
        )
    )
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def write_tar(entries: Sequence[tuple[str, bytes]]) -> bytes:
    """An archive of these files in this order. Raises :class:`SealError` over 64 MiB."""
    out: list[bytes] = []
    for name, data in entries:
        out += [tar_header(name, len(data)), data, bytes(-len(data) % BLOCK)]
    out.append(bytes(END_BYTES))
    total = sum(map(len, out))
    if total > MAX_TAR_BYTES:
        raise SealError(f"a container of {total} bytes is over the limit")
    return b"".join(out)


def read_tar(raw: bytes) -> list[tuple[str, bytes]]:
    """The files of an archive that :func:`write_tar` could have made, byte for byte.

    Raises :class:`SealError` for anything else: another header, a link, trailing data.
    """
    if len(raw) > MAX_TAR_BYTES or len(raw) % BLOCK:
        raise SealError("a container has an impossible length")
    entries: list[tuple[str, bytes]] = []
    at = 0
    while raw[at : at + BLOCK] != _ZERO:
        name, size = _read_header(raw[at : at + BLOCK])
        start, at = at + BLOCK, at + entry_length(size)
        if at > len(raw) - END_BYTES or any(raw[start + size : at]):
            raise SealError("a container is cut short or has stray bytes")
        entries.append((name, raw[start : start + size]))
        if len(entries) > 64:
            raise SealError("a container has too many entries")
    if len(raw) != at + END_BYTES or any(raw[at:]):
        raise SealError("a container has bytes after its end")
    return entries


def _read_header(block: bytes) -> tuple[str, int]:
    try:
        name = block[:100].rstrip(b"\0").decode("ascii")
        size = int(block[124:135], 8)
    except ValueError:
        raise SealError("a container has a broken header") from None
    if size < 0 or size > MAX_TAR_BYTES or tar_header(name, size) != block:
        raise SealError("a container has a header that is not ours")
    return name, size
