"""The fleet key: an Ed25519 key that signs darkroom key notes, and that clients pin.

It proves that a darkroom key was announced by this server's operator; it opens nothing. It lives in
one file of the home folder, readable by its owner only.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from safelight.errors import IntegrityError
from safelight.vault.identity import public_hex

FILE_NAME = "fleet.key"
_FIRST_LINE = "# safelight fleet key: signs darkroom key notes, opens nothing. Keep it to yourself."
_PREFIX = "SAFELIGHT-FLEET-KEY-1 "


class FleetKey:
    """The seed and the public half. Its repr shows the public half only."""

    __slots__ = ("public", "seed")

    def __init__(self, seed: bytes) -> None:
        self.seed = seed
        self.public = public_hex(seed)
        """64 hexadecimal digits."""

    def __repr__(self) -> str:
        return f"<fleet key {self.public}>"


def load_or_make(home: Path) -> FleetKey:
    """Read ``fleet.key`` from the home folder, or make it at the first start.

    Raises :class:`IntegrityError` if the file is not one of ours: a new key would break every pin,
    so none is made in its place.
    """
    path = home / FILE_NAME
    if not path.exists():
        _make(path)
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    seeds = [line.removeprefix(_PREFIX) for line in lines if line.startswith(_PREFIX)]
    try:
        seed = bytes.fromhex(seeds[0]) if len(seeds) == 1 else b""
    except ValueError:
        seed = b""
    if len(seed) != 32:
        raise IntegrityError(
            "fleet.key in the home folder does not hold a fleet key",
            hint="put the file back from a backup; without it every client must pin a new key",
        )
    return FleetKey(seed)


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    text = f"{_FIRST_LINE}\n{_PREFIX}{secrets.token_bytes(32).hex()}\n"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    # A crash before the link leaves a hidden draft that nothing reads. Link fails if another
    # process was first; its key is then the key.
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
