"""Seal and open over many sizes, and what a changed file does."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.errors import ExpiredError, ManifestError, SealError
from safelight.recipe import Recipe
from safelight.secret import Secret
from safelight.vault import age, container, manifest, notes, reply, request, tar
from safelight.vault.identity import Identity, OwnerKeys, public_hex

A = Identity.from_seed(bytes(range(32)))
B = Identity.from_seed(bytes(range(1, 33)))
SEED = bytes(range(2, 34))
EXPECTED: dict[str, Any] = {
    "asset": None,
    "kind": "reply",
    "owner": A.recipient,
    "request_nonce": "0" * 32,
    "darkroom_key": public_hex(SEED),
}
sizes = st.one_of(
    st.integers(0, 600),
    st.sampled_from([65_535, 65_536, 65_537, 131_072, 3_000_000]),
)


def sealed_object(payload: bytes, kind: manifest.Kind = "reply") -> bytes:
    unsigned = manifest.describe(
        payload,
        asset=None,
        kind=kind,
        owner=A.recipient,
        request_nonce="0" * 32,
        made_on="2026-11-28",
        media_type="application/octet-stream",
    )
    return container.seal_object(unsigned, payload, signing_seed=SEED, recipients=[A.recipient])


@settings(max_examples=40, deadline=None)
@given(size=sizes, fill=st.binary(min_size=1, max_size=7), count=st.integers(1, 3))
def test_age_round_trip(size: int, fill: bytes, count: int) -> None:
    data = (fill * (size // len(fill) + 1))[:size]
    readers = [Identity.from_seed(bytes([n]) * 32) for n in range(1, count + 1)]
    sealed = age.seal(data, [r.recipient for r in readers])
    for reader in readers:
        assert age.open_sealed(sealed, [reader], recipients_expected=count) == data
    with pytest.raises(SealError):
        age.open_sealed(sealed, [B], recipients_expected=count)
    with pytest.raises(SealError, match="recipients"):
        age.check_header(sealed, count + 1)


@settings(max_examples=40, deadline=None)
@given(size=sizes)
def test_object_round_trip(size: int) -> None:
    payload = bytes(size)
    opened, data = container.open_object(sealed_object(payload), A, **EXPECTED)
    assert (data, opened.size_bytes) == (payload, size)


SEALED = sealed_object(b"the payload")


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, len(SEALED) - 1), bit=st.integers(0, 7))
def test_a_changed_bit_never_opens_to_something_else(at: int, bit: int) -> None:
    changed = bytearray(SEALED)
    changed[at] ^= 1 << bit
    try:
        _, payload = container.open_object(bytes(changed), A, **EXPECTED)
    except (SealError, ManifestError):
        return
    raise AssertionError(f"bit {bit} of byte {at} was changed and the file opened: {payload!r}")


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, len(SEALED) - 1))
def test_a_cut_file_never_opens(at: int) -> None:
    with pytest.raises((SealError, ManifestError)):
        container.open_object(SEALED[:at], A, **EXPECTED)


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=2048))
def test_readers_of_raw_bytes_refuse_by_name(raw: bytes) -> None:
    for reader in (
        container.unpack,
        reply.unpack_reply,
        reply.Meta.from_payload,
        manifest.Manifest.from_canonical,
        lambda data: age.open_sealed(data, [A]),
        lambda data: request.open_request(data, A),
    ):
        with pytest.raises((SealError, ManifestError)):
            reader(raw)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_changed_archive_is_refused_or_equal(data: st.DataObject) -> None:
    entries = [("manifest.json", b"{}"), ("payload", b"x" * 700), ("pad", bytes(512))]
    raw = bytearray(tar.write_tar(entries))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        found = tar.read_tar(bytes(raw))
    except SealError:
        return
    assert tar.write_tar(found) == bytes(raw), "what is read is what would be written"


@settings(max_examples=200, deadline=None)
@given(n=st.integers(0, 60_000_000))
def test_padding(n: int) -> None:
    for kind in ("request", "thumb", "full"):
        padded = container.padded_length(kind, n)
        assert padded >= n
        assert padded % 512 == 0
        assert container.padded_length(kind, padded) == padded
    assert container.padme(n) <= n * 1.12 + 1


def test_sizes_hide_the_words() -> None:
    lengths = set()
    for n in (1, 100, 1000, 2000):
        lengths.add(len(container.add_pad("request", [("request.json", b"x" * n)])))
    assert lengths == {4096}


def test_a_refusal_is_as_long_as_a_result() -> None:
    floor = container.typical_result_bytes(256, 256, 1)
    lengths = set()
    for payload in (b"refused", bytes(70_000), bytes(120_000)):
        unsigned = manifest.describe(
            payload,
            asset=None,
            kind="reply",
            owner=A.recipient,
            request_nonce="0" * 32,
            made_on="2026-11-28",
            media_type="application/x-tar",
        )
        signed = manifest.sign(unsigned, SEED)
        lengths.add(len(container.pack(signed, payload, at_least=floor)))
    assert len(lengths) == 1


def recipe(**changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "prompt": Secret("canary words"),
        "model": "0" * 64,
        "width_px": 64,
        "height_px": 64,
        "steps": 2,
        "guidance": 1.0,
        "seed": 1,
    }
    return Recipe(**(values | changes))


def asked(**changes: Any) -> request.SealedRequest:
    values: dict[str, Any] = {
        "request_nonce": "1" * 32,
        "not_after": "2026-11-28T13:00:00Z",
        "account_tag": "t",
        "owner_recipient": A.recipient,
        "owner_signing_key": public_hex(SEED),
        "assets": (),
        "reply_recipient": A.recipient,
        "retention": "none",
        "recipe": recipe(),
    }
    return request.SealedRequest(**(values | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"request_nonce": "1" * 31},
        {"not_after": "2026-11-28 13:00"},
        {"reply_recipient": "age1nobody"},
        {"retention": "forever"},
        {"format": "image/gif"},
        {"previews": 1},
        {"owner_signing_key": "zz"},
        {"retention": "owner"},
        {"assets": (request.AssetSlot(id="ast_" + "0" * 26),)},
        {"v": 2},
        {"input_identities": {"ast_" + "0" * 26: A.text()}},
        {
            "retention": "owner",
            "assets": (request.AssetSlot(id="ast_" + "0" * 26, recipient=A.recipient),),
        },
        {
            "retention": "owner",
            "owner_recipient": None,
            "assets": (request.AssetSlot(id="ast_" + "0" * 26),),
        },
    ],
)
def test_an_impossible_request_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SealError) as caught:
        asked(**changes)
    assert "canary" not in str(caught.value)


def test_a_request_names_its_inputs() -> None:
    with pytest.raises(SealError):
        request.seal_request(asked(), {"0" * 64: b"x"}, [B.recipient])
    digest = "5" * 64
    wants = asked(recipe=recipe(task="image-to-image", init_image=digest, strength=0.5))
    with pytest.raises(SealError):
        request.seal_request(wants, {digest: b"another file"}, [B.recipient])


def test_a_request_goes_to_three_darkrooms_at_most() -> None:
    four = [Identity.from_seed(bytes([n]) * 32).recipient for n in range(1, 5)]
    for recipients in ([], four, four[:1] * 2):
        with pytest.raises(SealError):
            request.seal_request(asked(), {}, recipients)
    assert request.open_request(
        request.seal_request(asked(), {}, four[:3]), Identity.from_seed(bytes([3]) * 32)
    ) == (asked(), {})


def test_freshness() -> None:
    ends = asked().expires_at()
    request.check_fresh(asked(), ends)
    request.check_fresh(asked(), ends - timedelta(hours=24))
    for now in (ends + timedelta(seconds=1), ends - timedelta(hours=25)):
        with pytest.raises(ExpiredError):
            request.check_fresh(asked(), now)


def test_transit_leaves_the_asset_identity_to_the_darkroom() -> None:
    slot = request.AssetSlot(id="ast_" + "0" * 26)
    wants = asked(retention="owner", assets=(slot,))
    assert request.open_request(request.seal_request(wants, {}, [B.recipient]), B)[0] == wants


def test_nothing_shows_what_is_secret() -> None:
    keys = OwnerKeys(A, SEED)
    shown = repr([A, keys, asked(), notes, keys.identity])
    for secret in (A.text(), SEED.hex(), "canary"):
        assert secret not in shown
    for thing in (A, keys):
        with pytest.raises(TypeError):
            pickle.dumps(thing)
