"""What this product says out loud, and the version of its policy."""

from __future__ import annotations

from functools import cache
from importlib import resources

from safelight.ids import canonical_json, sha256_hex

SENTENCES: tuple[str, ...] = (
    "Your image exists unencrypted in the worker's memory while it is made.",
    (
        "If the operator of this server changes the worker's code, "
        "it can copy what you make from then on."
    ),
    "This web page is code from this server; the command-line client removes that dependency.",
    "The ledger proves what was declared. It cannot prove that nothing else was done.",
    "Unpublishing stops us and our caches; it cannot recall copies or untrain a released model.",
    "If you lose your password, passkeys and recovery code, your private images are gone.",
    "Standard API clients use transit protection.",
    "Files are sealed with X25519; a future quantum computer could read recorded ciphertext.",
)
"""Protocol section 8. A test holds them on the Trust page and in the README."""

OPERATED_BY = "Operated by ..., under the law of ..., hosted in ..."
"""The last sentence of section 8, before :func:`operated_by` fills it in."""

POLICY_VERSION = "2026-11-28"


def operated_by(operator: str, law: str, hosted_in: str) -> str:
    """The last sentence, made from the settings."""
    unknown = "(not stated)"
    return (
        f"Operated by {operator or unknown}, under the law of {law or unknown}, "
        f"hosted in {hosted_in or unknown}."
    )


@cache
def policy_digest() -> str:
    """SHA-256 of the policy's canonical form: what a grant or receipt is bound to.

    Covers the version, the sentences and every word list of the content rules.
    """
    folder = resources.files("safelight.policy") / "lists"
    lists = {
        entry.name: sha256_hex(entry.read_bytes())
        for entry in folder.iterdir()
        if entry.name.endswith(".txt")
    }
    return sha256_hex(
        canonical_json({"version": POLICY_VERSION, "sentences": list(SENTENCES), "lists": lists})
    )
