"""C2SP's own age vectors (CCTV), all 143, through the vault's reader.

The vault reads less than age does: no armor, no passphrase, no hybrid keys, and a header with the
expected X25519 stanzas and grease only. So every file that opens must open to the right bytes, and
everything else must be a :class:`SealError` and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from pathlib import Path

import pytest

from safelight.errors import SealError
from safelight.vault import age
from safelight.vault.identity import Identity

FILE = Path(__file__).parents[2] / "vectors" / "cctv-age.json"
VECTORS: dict[str, str] = json.loads(FILE.read_text())["vectors"]

# Valid age files whose header says more than "one X25519 reader": refused on purpose.
STRICTER = {
    "stanza_empty_body",
    "stanza_empty_last_line",
    "stanza_valid_characters",
    "x25519_grease",
    "x25519_multiple_recipients",
}


def parse(name: str) -> tuple[dict[str, list[str]], bytes]:
    head, _, body = base64.b64decode(VECTORS[name]).partition(b"\n\n")
    fields: dict[str, list[str]] = {}
    for line in head.decode().split("\n"):
        key, _, value = line.partition(": ")
        fields.setdefault(key, []).append(value)
    return fields, zlib.decompress(body) if "compressed" in fields else body


def identities(fields: dict[str, list[str]]) -> list[Identity]:
    texts = [t for t in fields.get("identity", []) if t.startswith("AGE-SECRET-KEY-1")]
    return [Identity.parse(t) for t in texts] or [Identity.from_seed(bytes(range(32)))]


def plain(fields: dict[str, list[str]]) -> bool:
    """Whether the vector is about an X25519 file, not armor, a passphrase or a hybrid key."""
    keys = fields.get("identity", [])
    return (
        "armored" not in fields
        and "passphrase" not in fields
        and all(k.startswith("AGE-SECRET-KEY-1") for k in keys)
    )


def test_the_set_is_whole() -> None:
    assert len(VECTORS) == 143


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_cctv(name: str) -> None:
    fields, sealed = parse(name)
    should_open = fields["expect"] == ["success"] and plain(fields) and name not in STRICTER
    if not should_open:
        with pytest.raises(SealError):
            age.open_sealed(sealed, identities(fields))
        return
    opened = age.open_sealed(sealed, identities(fields))
    assert [hashlib.sha256(opened).hexdigest()] == fields["payload"]


def test_stricter_is_not_a_way_to_hide_failures() -> None:
    for name in STRICTER:
        fields, sealed = parse(name)
        assert fields["expect"] == ["success"]
        with pytest.raises(SealError, match=r"X25519|recipients"):
            age.check_header(sealed)
