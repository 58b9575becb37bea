"""The export as a zip that is written while it is sent: no file on disk, little in memory."""

from __future__ import annotations

import zipfile
from collections.abc import AsyncIterator

from safelight.records import Account
from safelight.server.context import Context

README = """Everything of yours on this server, as it was kept: sealed.

Open it with two programs that have nothing to do with Safelight: age (https://age-encryption.org)
and tar. You need your recovery code as an identity file, kit.txt (one line, AGE-SECRET-KEY-1...;
`safelight account recovery-key` prints it from the code), and the names of folders in assets/.

    age -d -i kit.txt vault/recovery.age > owner.txt
    age -d -i owner.txt assets/ID/key.age > a.txt
    age -d -i a.txt assets/ID/full.age | tar x

The first makes owner.txt, which opens everything: keep it as safe as the pictures. The other two
open one picture; thumb.age and meta.age open the same way. payload.* is the picture.
"""
_DAY = (1980, 1, 1, 0, 0, 0)


class _Pipe:
    """A file that is only written to; what was written is taken out in between."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        return None

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


async def export_stream(ctx: Context, account: Account) -> AsyncIterator[bytes]:
    """The zip, piece by piece. Sealed bytes do not compress, so nothing is compressed."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]

        def add(name: str, data: bytes) -> bytes:
            archive.writestr(zipfile.ZipInfo(name, _DAY), data)
            return pipe.take()

        yield add("README.txt", README.encode())
        async for name, data in ctx.desk.export(account.id):
            yield add(name, data)
    yield pipe.take()
