"""Seal and open: plain age v1 files with exactly the recipients that are meant.

The format is C2SP age (https://c2sp.org/age); pyrage does the cryptography. What this module adds
is :func:`check_header`: one X25519 stanza for each intended reader and nothing else, so that nobody
can slip in a second reader. Stanzas whose type ends in ``-grease`` are noise that age allows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyrage

from safelight.errors import SealError
from safelight.vault.identity import Identity, check_recipient

MAX_SEALED_BYTES = 80 * 1024 * 1024
MAX_HEADER_BYTES = 16 * 1024
_INTRO = b"age-encryption.org/v1\n"
_STANZA = re.compile(rb"-> [\x21-\x7e]+( [\x21-\x7e]+)*\n")
_BODY = re.compile(rb"([A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{0,63}\n")
_MAC = re.compile(rb"--- [A-Za-z0-9+/]{43}\n")


def seal(data: bytes, recipients: Sequence[str]) -> bytes:
    """An age file that each of ``recipients`` (``age1...``) opens and nobody else.

    Raises :class:`SealError` for no recipient, a repeated one, or one that is not X25519.
    """
    if not recipients or len(set(recipients)) != len(recipients):
        raise SealError("a file is sealed to one or more different recipients")
    keys = [pyrage.x25519.Recipient.from_str(check_recipient(r)) for r in recipients]
    sealed: bytes = pyrage.encrypt(data, keys)
    return sealed


def stanza_types(data: bytes) -> list[str]:
    """The types of all stanzas in the header, in order. Raises :class:`SealError`."""
    if not data.startswith(_INTRO):
        raise SealError("not an age v1 file")
    head, at, types = data[:MAX_HEADER_BYTES], len(_INTRO), list[str]()
    while stanza := _STANZA.match(head, at):
        types.append(stanza.group().split()[1].decode("ascii"))
        body = _BODY.match(head, stanza.end())
        if body is None:
            raise SealError("an age header has a broken stanza")
        at = body.end()
    if not _MAC.match(head, at):
        raise SealError("an age header is broken or too long")
    return types


def check_header(data: bytes, stanzas: int = 1) -> None:
    """Raise :class:`SealError` unless exactly ``stanzas`` readers can open ``data``.

    They are X25519 stanzas; any other must end in ``-grease``. A hidden recipient is so refused
    by name before anything is opened.
    """
    types = stanza_types(data)
    if any(t != "X25519" and not t.endswith("-grease") for t in types):
        raise SealError("a sealed file has a stanza that is not X25519")
    count = types.count("X25519")
    if count != stanzas:
        raise SealError(f"a sealed file has {count} recipients where {stanzas} are expected")


def opens(data: bytes, identity: Identity) -> bool:
    """Whether this one identity opens ``data``. Raises :class:`SealError` for no age file."""
    check_header(data)
    try:
        pyrage.decrypt(data, [identity.opener])
    except pyrage.DecryptError:
        return False
    return True


def open_sealed(
    data: bytes, identities: Sequence[Identity], *, recipients_expected: int | None = 1
) -> bytes:
    """What was sealed, if one of ``identities`` opens it.

    ``recipients_expected`` None accepts any number of X25519 stanzas from one to three. Raises
    :class:`SealError` for a wrong header, a wrong identity, or a body that was changed or cut.
    """
    if len(data) > MAX_SEALED_BYTES:
        raise SealError(f"a sealed file of {len(data)} bytes is over the limit")
    if recipients_expected is None:
        count = stanza_types(data).count("X25519")
        if not 1 <= count <= 3:
            raise SealError(f"a sealed file has {count} recipients")
        check_header(data, count)
    else:
        check_header(data, recipients_expected)
    try:
        opened: bytes = pyrage.decrypt(data, [identity.opener for identity in identities])
    except pyrage.DecryptError as error:
        raise SealError("no identity here opens this file, or it was changed") from error
    return opened
