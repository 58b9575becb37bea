"""Bech32 (BIP 173) without its length limit: how age writes recipients and identities as text."""

from __future__ import annotations

from collections.abc import Iterable

from safelight.errors import SealError

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def encode(prefix: str, data: bytes) -> str:
    """Lower-case Bech32 text of ``data`` under the human-readable ``prefix``."""
    values = _regroup(data, 8, 5, pad=True)
    mod = _polymod([*_expand(prefix), *values, *([0] * 6)]) ^ 1
    check = [(mod >> 5 * (5 - i)) & 31 for i in range(6)]
    return prefix + "1" + "".join(_CHARSET[v] for v in [*values, *check])


def decode(prefix: str, text: str) -> bytes:
    """Undo :func:`encode`; all upper case is accepted too.

    Raises :class:`SealError` for mixed case, another prefix or a wrong check sum; never repeats
    the text.
    """
    if text not in (text.lower(), text.upper()):
        raise SealError("a key mixes upper and lower case")
    head, _, tail = text.lower().rpartition("1")
    if head != prefix or len(tail) < 6 or any(c not in _CHARSET for c in tail):
        raise SealError("a key is not in the age format")
    values = [_CHARSET.index(c) for c in tail]
    if _polymod([*_expand(prefix), *values]) != 1:
        raise SealError("a key has a wrong check sum")
    return bytes(_regroup(values[:-6], 5, 8, pad=False))


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate(_GENERATOR):
            if (top >> i) & 1:
                check ^= generator
    return check


def _expand(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _regroup(data: Iterable[int], from_bits: int, to_bits: int, *, pad: bool) -> list[int]:
    acc = bits = 0
    out: list[int] = []
    for value in data:
        acc = (acc << from_bits) | value
        bits += from_bits
        while bits >= to_bits:
            bits -= to_bits
            out.append((acc >> bits) & ((1 << to_bits) - 1))
    left = (acc << (to_bits - bits)) & ((1 << to_bits) - 1)
    if pad and bits:
        out.append(left)
    elif not pad and (bits >= from_bits or left):
        raise SealError("a key has stray bits at its end")
    return out
