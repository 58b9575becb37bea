"""Making guesses expensive: Argon2id over what a person types, before anything else sees it.

The parameters are RFC 9106's second recommended option and are fixed here: no server chooses them,
so no server can lower them.
"""

from __future__ import annotations

import unicodedata

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from safelight.secret import Secret

MEMORY_KIB = 64 * 1024
PASSES = 3
LANES = 4
OUTPUT_BYTES = 32


def stretch(typed: Secret[str], salt: bytes) -> bytes:
    """32 bytes from a password or passphrase, in Unicode form NFC. ``salt`` has 16 bytes."""
    text = unicodedata.normalize("NFC", typed.reveal()).encode()
    kdf = Argon2id(
        salt=salt, length=OUTPUT_BYTES, iterations=PASSES, lanes=LANES, memory_cost=MEMORY_KIB
    )
    return kdf.derive(text)
