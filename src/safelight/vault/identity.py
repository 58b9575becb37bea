"""Identities and the keys derived from secrets (protocol section 2; bytes in docs/spec/keys.md)."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal

import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from safelight.errors import RequestError, SealError
from safelight.ids import crockford32, sha256_hex
from safelight.vault import bech32

Method = Literal["password", "passkey", "recovery"]
METHODS: tuple[Method, ...] = ("password", "passkey", "recovery")

RECOVERY_BYTES = 20
API_KEY_PREFIX = "sl_"
_SIGN_LINE = "# safelight-sign: "
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOK_ALIKES = str.maketrans({"O": "0", "I": "1", "L": "1"})
_SECRET_HRP = "age-secret-key-"  # noqa: S105 - a prefix of the format, not a secret


class Identity:
    """An age X25519 identity: the secret half of a key. Its repr never shows it."""

    __slots__ = ("__dict__", "_text")

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def generate(cls, *, random: Callable[[int], bytes] = os.urandom) -> Identity:
        """A fresh random identity."""
        return cls.from_seed(random(32))

    @classmethod
    def from_seed(cls, seed: bytes) -> Identity:
        """The identity whose scalar is these 32 bytes."""
        if len(seed) != 32:
            raise SealError(f"an identity needs 32 bytes, not {len(seed)}")
        return cls(bech32.encode(_SECRET_HRP, seed).upper())

    @classmethod
    def parse(cls, text: str) -> Identity:
        """Read ``AGE-SECRET-KEY-1...``; blank lines and ``#`` lines around it are skipped.

        Raises :class:`SealError` without repeating the text.
        """
        lines = [s for line in text.splitlines() if (s := line.strip()) and s[0] != "#"]
        if len(lines) != 1:
            raise SealError("an identity file holds exactly one identity")
        return cls.from_seed(bech32.decode(_SECRET_HRP, lines[0]))

    def text(self) -> str:
        """``AGE-SECRET-KEY-1...``, upper case, without a line end."""
        return self._text

    def seed(self) -> bytes:
        """The 32 bytes of the scalar."""
        return bech32.decode(_SECRET_HRP, self._text)

    @cached_property
    def recipient(self) -> str:
        """The public half, ``age1...``."""
        public = X25519PrivateKey.from_private_bytes(self.seed()).public_key()
        return bech32.encode("age", public.public_bytes_raw())

    @cached_property
    def opener(self) -> Any:
        """The same identity in pyrage's form; for ``vault.age`` only."""
        return pyrage.x25519.Identity.from_str(self._text)

    def __repr__(self) -> str:
        return "<identity>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("an identity does not pickle")


def check_recipient(text: str) -> str:
    """Return ``text`` if it is an X25519 recipient in lower case; raise :class:`SealError`."""
    if text != text.lower() or len(bech32.decode("age", text)) != 32:
        raise SealError("not an age X25519 recipient")
    return text


class OwnerKeys:
    """Everything an owner owns: the identity O that opens, and the Ed25519 key that signs.

    ``former`` are the identities that were O before, the newest first: what was sealed to one of
    them still opens, and what names one of them as its owner is still this owner's.
    """

    __slots__ = ("_seed", "former", "identity")

    def __init__(
        self, identity: Identity, signing_seed: bytes, former: tuple[Identity, ...] = ()
    ) -> None:
        if len(signing_seed) != 32:
            raise SealError("a signing seed has 32 bytes")
        self.identity = identity
        self.former = former
        self._seed = signing_seed

    @classmethod
    def generate(cls, *, random: Callable[[int], bytes] = os.urandom) -> OwnerKeys:
        """Fresh random keys."""
        return cls(Identity.generate(random=random), random(32))

    @classmethod
    def parse(cls, text: str) -> OwnerKeys:
        """Read ``owner.txt``. Raises :class:`SealError` without repeating any of it."""
        seeds = [s[len(_SIGN_LINE) :] for s in text.splitlines() if s.startswith(_SIGN_LINE)]
        if len(seeds) != 1:
            raise SealError("an owner file has one safelight-sign line")
        try:
            seed = bytes.fromhex(seeds[0].strip())
        except ValueError:
            raise SealError("the safelight-sign line is not hexadecimal") from None
        lines = [s for line in text.splitlines() if (s := line.strip()) and s[0] != "#"]
        identity, *former = map(Identity.parse, lines or [""])
        return cls(identity, seed, tuple(former))

    def text(self) -> str:
        """``owner.txt``: an age identity file that also carries the signing seed as a comment."""
        former = "".join(f"{identity.text()}\n" for identity in self.former)
        return f"{self.identity.text()}\n{_SIGN_LINE}{self._seed.hex()}\n{former}"

    def rotated(self, *, random: Callable[[int], bytes] = os.urandom) -> OwnerKeys:
        """The same owner with a fresh O; the one until now becomes a former one."""
        return OwnerKeys(Identity.generate(random=random), self._seed, self.identities)

    @property
    def identities(self) -> tuple[Identity, ...]:
        """O, and then the former ones: all that may open something of this owner's."""
        return (self.identity, *self.former)

    @property
    def recipients(self) -> frozenset[str]:
        """Every recipient that manifests of this owner may name."""
        return frozenset(identity.recipient for identity in self.identities)

    @property
    def recipient(self) -> str:
        """O's public half: all that a darkroom or an API key needs."""
        return self.identity.recipient

    @property
    def signing_public_hex(self) -> str:
        """The Ed25519 public key, 64 hexadecimal digits."""
        return public_hex(self._seed)

    @property
    def signing_seed(self) -> bytes:
        """The Ed25519 seed, 32 bytes; for signing manifests of things the owner makes."""
        return self._seed

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes."""
        return sign_bytes(self._seed, message)

    def __repr__(self) -> str:
        return "<owner keys>"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("owner keys do not pickle")


def public_hex(seed: bytes) -> str:
    """Ed25519 public key of a seed, 64 hexadecimal digits."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()


def sign_bytes(seed: bytes, message: bytes) -> bytes:
    """Ed25519 signature (RFC 8032), 64 bytes."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def signature_ok(public: str, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` over ``message`` was made by the key with this hexadecimal form."""
    from cryptography.exceptions import InvalidSignature

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


# --- derived keys --------------------------------------------------------------------------------


def derive(secret: bytes, label: str, length: int = 32) -> bytes:
    """HKDF-SHA256 (RFC 5869) with an empty salt and ``label`` as info."""
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=label.encode()).derive(secret)


def unlock_identity(method: Method, secret: bytes) -> Identity:
    """The identity U that opens ``vault/<method>.age``.

    ``secret`` is the OPAQUE export key (64 bytes), the passkey's PRF output (32 bytes) or the
    recovery code's 20 bytes.
    """
    if method not in METHODS:
        raise SealError("unknown unlock method")
    return Identity.from_seed(derive(secret, f"safelight/unlock/{method}/v1"))


def key_identity(api_secret: str) -> Identity:
    """K, the identity of an API key, from its whole text ``sl_...``: opens what the key made."""
    return Identity.from_seed(derive(api_secret.encode(), "safelight/api-key/v1"))


def new_api_secret(*, random: Callable[[int], bytes] = os.urandom) -> str:
    """A fresh API key: ``sl_`` and 43 characters of base64url (32 random bytes)."""
    import base64

    return API_KEY_PREFIX + base64.urlsafe_b64encode(random(32)).decode().rstrip("=")


def recovery_token(code: bytes) -> bytes:
    """32 bytes that prove the recovery code to the server, which keeps only their SHA-256."""
    return derive(code, "safelight/recovery-token/v1")


def new_recovery_code(*, random: Callable[[int], bytes] = os.urandom) -> bytes:
    """20 fresh random bytes."""
    return random(RECOVERY_BYTES)


def recovery_text(code: bytes) -> str:
    """The code as people see it: eight groups of four Crockford letters, upper case."""
    if len(code) != RECOVERY_BYTES:
        raise SealError(f"a recovery code has {RECOVERY_BYTES} bytes")
    letters = crockford32(code).upper()
    return "-".join(letters[i : i + 4] for i in range(0, 32, 4))


def parse_recovery(text: str) -> bytes:
    """Read a typed recovery code: case, spaces and dashes do not matter; O is 0, I and L are 1.

    Raises :class:`RequestError` saying which group is wrong, never what was typed.
    """
    letters = "".join(text.upper().split()).replace("-", "").translate(_LOOK_ALIKES)
    for i, letter in enumerate(letters):
        if letter not in _CROCKFORD:
            raise RequestError(
                f"group {i // 4 + 1} of the recovery code has a character that is never in one",
                hint="codes use the digits and the letters A to Z without I, L, O and U",
            )
    if len(letters) != 32:
        raise RequestError(
            f"a recovery code has 32 characters, this one has {len(letters)}",
            hint="type all eight groups of four",
        )
    bits = 0
    for letter in letters:
        bits = bits << 5 | _CROCKFORD.index(letter)
    return bits.to_bytes(RECOVERY_BYTES, "big")


def verification_code(recipient: str, signing_key: str) -> str:
    """Six groups of four letters by which two people check that they hold the same keys."""
    digest = bytes.fromhex(sha256_hex(f"safelight-keys/v1\n{recipient}\n{signing_key}\n".encode()))
    letters = crockford32(digest[:15]).upper()
    return "-".join(letters[i : i + 4] for i in range(0, 24, 4))
