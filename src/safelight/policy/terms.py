"""What we say out loud, and the digest of the policy that this version stands for.

The sentences are those of section 8 of the privacy protocol. They appear on Trust and in the README;
``tests/unit/policy/test_terms.py`` holds them.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from safelight.ids import canonical_json, sha256_hex

POLICY_VERSION = 1

SENTENCES: tuple[str, ...] = (
    "Your image exists unencrypted in the worker's memory while it is made.",
    "If the operator of this server changes the worker's code, it can copy what you make from "
    "then on.",
    "This web page is code from this server; the command-line client removes that dependency.",
    "The ledger proves what was declared. It cannot prove that nothing else was done.",
    "Unpublishing stops us and our caches; it cannot recall copies or untrain a released model.",
    "If you lose your password, passkeys and recovery code, your private images are gone.",
    "Standard API clients use transit protection.",
    "Files are sealed with X25519; a future quantum computer could read recorded ciphertext.",
    "Operated by ..., under the law of ..., hosted in ...",
)
"""Said as they are; the last one is filled in with the operator's settings."""


@cache
def policy_digest() -> str:
    """SHA-256 of the sentences, the categories and every word list: 64 hexadecimal digits.

    It changes whenever anything changes that decides what is refused or promised.
    """
    lists = {
        entry.name: sha256_hex(entry.read_bytes())
        for entry in sorted(
            (resources.files("safelight.policy") / "lists").iterdir(), key=lambda e: e.name
        )
        if entry.name.endswith(".txt")
    }
    return sha256_hex(
        canonical_json({"v": POLICY_VERSION, "sentences": list(SENTENCES), "lists": lists})
    )
