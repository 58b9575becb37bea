"""C2SP's own age vectors (CCTV), all 143, through the vault's reader.

The vault reads less than age does: no armor, no passphrase, no hybrid keys, and a header with the
expected X25519 stanzas and grease only. So every file that opens must open to the right bytes, and
everything else must be a :class:`SealError` and nothing else.
"""

from __future__ import annotations

import hashlib

import pytest

from cctv import STRICTER, VECTORS, identities, parse, should_open
from safelight.errors import SealError
from safelight.vault import age


def test_the_set_is_whole() -> None:
    assert len(VECTORS) == 143
    assert sum(should_open(name, parse(name)[0]) for name in VECTORS) == 9


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_cctv(name: str) -> None:
    fields, sealed = parse(name)
    if not should_open(name, fields):
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
