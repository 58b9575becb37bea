"""C2SP's age vectors (CCTV), as committed in tests/vectors, and which of them the vault opens."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

from safelight.vault.identity import Identity

VECTORS: dict[str, str] = json.loads(
    (Path(__file__).parent / "vectors" / "cctv-age.json").read_text()
)["vectors"]

STRICTER = {
    "stanza_empty_body",
    "stanza_empty_last_line",
    "stanza_valid_characters",
    "x25519_grease",
    "x25519_multiple_recipients",
}
"""Valid age files whose header says more than "one X25519 reader": refused on purpose."""

Fields = dict[str, list[str]]


def parse(name: str) -> tuple[Fields, bytes]:
    """What a vector says about itself, and its age file."""
    head, _, body = base64.b64decode(VECTORS[name]).partition(b"\n\n")
    fields: Fields = {}
    for line in head.decode().split("\n"):
        key, _, value = line.partition(": ")
        fields.setdefault(key, []).append(value)
    return fields, zlib.decompress(body) if "compressed" in fields else body


def identities(fields: Fields) -> list[Identity]:
    """The vector's X25519 identities, or a stranger's if it has none."""
    texts = [t for t in fields.get("identity", []) if t.startswith("AGE-SECRET-KEY-1")]
    return [Identity.parse(t) for t in texts] or [Identity.from_seed(bytes(range(32)))]


def should_open(name: str, fields: Fields) -> bool:
    """Whether the vault must open it: valid, X25519, one reader; no armor, no passphrase."""
    keys = fields.get("identity", [])
    plain = "armored" not in fields and "passphrase" not in fields
    x25519 = all(k.startswith("AGE-SECRET-KEY-1") for k in keys)
    return fields["expect"] == ["success"] and plain and x25519 and name not in STRICTER
