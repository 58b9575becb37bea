"""The committed vectors, read by Python. The studio's tests read the same files."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from safelight.errors import KeyNoteError, ManifestError, RequestError, RollbackError, SealError
from safelight.ids import unb64
from safelight.policy.plans import cost_header
from safelight.secret import Secret
from safelight.vault import (
    container,
    head,
    identity,
    manifest,
    notes,
    opaque,
    reply,
    request,
    share,
    stretch,
)

VECTORS = Path(__file__).parents[2] / "vectors"


def load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


KEYS, SEALED, CONTAINERS, NOTES, HEAD, REQUESTS = (
    load(n) for n in ("keys", "sealed", "containers", "notes", "head", "requests")
)


def by_why(cases: list[Any]) -> list[Any]:
    return [pytest.param(case, id=case["why"].replace(" ", "-")) for case in cases]


@pytest.mark.parametrize("case", KEYS["identities"])
def test_identities(case: Any) -> None:
    made = identity.Identity.from_seed(bytes.fromhex(case["seed"]))
    assert (made.text(), made.recipient) == (case["identity"], case["recipient"])
    assert identity.Identity.parse(case["identity"]).seed().hex() == case["seed"]
    assert str(made.opener.to_public()) == case["recipient"], "age agrees"


@pytest.mark.parametrize("text", KEYS["refused_identities"])
def test_refused_identities(text: str) -> None:
    with pytest.raises(SealError) as caught:
        identity.Identity.parse(text)
    assert not text or text not in str(caught.value)


def test_owner_and_signing() -> None:
    keys = identity.OwnerKeys.parse(KEYS["owner_txt"])
    case = KEYS["signing"]
    assert keys.text() == KEYS["owner_txt"]
    assert keys.signing_public_hex == case["public"]
    assert keys.sign(unb64(case["message"])).hex() == case["signature"]
    code = identity.verification_code(keys.recipient, keys.signing_public_hex)
    assert code == KEYS["verification_code"]


@pytest.mark.parametrize("case", KEYS["unlock"], ids=lambda c: c["method"])
def test_unlock(case: Any) -> None:
    made = identity.unlock_identity(case["method"], bytes.fromhex(case["secret"]))
    assert (made.text(), made.recipient) == (case["identity"], case["recipient"])


def test_api_key() -> None:
    case = KEYS["api_key"]
    key = identity.new_api_secret(random=lambda n: bytes.fromhex(case["random"])[:n])
    assert key == case["key"]
    assert identity.key_identity(key).text() == case["identity"]


def test_recovery_code() -> None:
    case = KEYS["recovery"]
    code = bytes.fromhex(case["code"])
    assert identity.recovery_text(code) == case["text"]
    assert identity.recovery_token(code).hex() == case["token"]
    for text in [case["text"], *case["also_accepted"]]:
        assert identity.parse_recovery(text) == code
    for text in case["refused"]:
        with pytest.raises(RequestError):
            identity.parse_recovery(text)


def test_stretch_and_names() -> None:
    case = KEYS["stretch"]
    made = stretch.stretch(Secret(case["password"]), bytes.fromhex(case["salt"]))
    assert made.hex() == case["output"]
    for text, kept in KEYS["names"]["accepted"].items():
        assert opaque.account_name(text) == kept
    for text in KEYS["names"]["refused"]:
        with pytest.raises(RequestError):
            opaque.account_name(text)


def test_opaque_record_opens_with_the_password() -> None:
    case = load("opaque")
    server, client = opaque.OpaqueServerSide(unb64(case["server_setup"])), opaque.OpaqueClientSide()
    start, state = client.login_start(case["name"], Secret(case["password"]))
    assert state.stretched == case["stretched"]
    response, held = server.login_start(case["name"], unb64(case["record"]), start)
    finish, export, session = client.login_finish(state, response)
    assert export == unb64(case["export_key"])
    assert server.login_finish(held, finish) == session
    assert identity.unlock_identity("password", export).recipient == case["unlock_recipient"]


def test_share_derivations() -> None:
    case = KEYS["share"]
    secret = bytes.fromhex(case["secret"])
    assert share.secret_text(secret) == case["text"]
    assert share.parse_secret(case["text"]) == secret
    assert share.access_token(secret).hex() == case["access_token"]
    assert share.link_identity(secret).text() == case["identity"]
    made = share.link_identity(secret, Secret(case["passphrase"]), bytes.fromhex(case["salt"]))
    assert made.text() == case["identity_with_passphrase"]


def test_share_bundle() -> None:
    case = SEALED["share"]
    link = share.link_identity(bytes.fromhex(case["secret"]))
    assert json.loads(share.open_bundle(unb64(case["bundle"]), link).to_bytes()) == case["json"]


def test_container_bytes() -> None:
    payload, seed = unb64(CONTAINERS["payload"]), bytes.fromhex(CONTAINERS["signing_seed"])
    value = CONTAINERS["manifest"]
    unsigned = manifest.Manifest.from_dict(value | {"signature": "", "darkroom_key": ""})
    signed = manifest.sign(unsigned, seed)
    assert signed.to_dict() == value
    assert signed.canonical().decode() == CONTAINERS["manifest_canonical"]
    assert signed.signed_bytes().decode() == CONTAINERS["signed_bytes"]
    assert container.pack(signed, payload) == unb64(CONTAINERS["container"])
    assert container.unpack(unb64(CONTAINERS["container"])) == (signed, payload)


@pytest.mark.parametrize("row", CONTAINERS["padding"], ids=lambda r: str(r["n"]))
def test_padding(row: Any) -> None:
    n = row["n"]
    assert container.padme(n) == row["padme"]
    for kind in ("request", "thumb", "full"):
        assert container.padded_length(kind, n) == row[kind]


@pytest.mark.parametrize("case", by_why(CONTAINERS["refused_containers"]))
def test_refused_containers(case: Any) -> None:
    with pytest.raises((SealError, ManifestError)):
        container.unpack(unb64(case["container"]))


@pytest.mark.parametrize("case", by_why(CONTAINERS["refused_manifests"]))
def test_refused_manifests(case: Any) -> None:
    with pytest.raises(ManifestError):
        manifest.Manifest.from_canonical(case["manifest"].encode())


def test_note() -> None:
    key = notes.read_note(NOTES["note"], NOTES["fleet_key"])
    assert notes.make_note(key, bytes.fromhex(NOTES["fleet_seed"])) == NOTES["note"]
    for at in NOTES["accepted_at"]:
        assert notes.verify_note(NOTES["note"], NOTES["fleet_key"], request.parse_time(at)) == key
    for at in NOTES["refused_at"]:
        with pytest.raises(KeyNoteError):
            notes.verify_note(NOTES["note"], NOTES["fleet_key"], request.parse_time(at))
    shown = {f: getattr(key, f) for f in key.__slots__}
    shown = {k: request.time_text(v) if isinstance(v, datetime) else v for k, v in shown.items()}
    assert shown == NOTES["key"]


@pytest.mark.parametrize("case", by_why(NOTES["refused"]))
def test_refused_notes(case: Any) -> None:
    with pytest.raises(KeyNoteError):
        notes.read_note(case["note"], NOTES["fleet_key"])


def test_owner_note() -> None:
    note, public = NOTES["owner_note"], NOTES["key_record_owner_signing_key"]
    owner, former = notes.read_owner_note(note, public)
    assert [owner, list(former)] == NOTES["owner_note_says"]
    with pytest.raises(KeyNoteError):
        notes.read_owner_note(note, NOTES["fleet_key"])
    with pytest.raises(KeyNoteError):
        notes.read_owner_note(NOTES["key_record"], public)
    with pytest.raises(KeyNoteError):
        notes.read_owner_note(note.replace("owner age1", "owner age2", 1), public)


def test_a_rotated_owner_file() -> None:
    keys = identity.OwnerKeys.parse(KEYS["rotated_owner_txt"])
    assert keys.text() == KEYS["rotated_owner_txt"]
    assert [i.recipient for i in keys.identities] == KEYS["rotated_recipients"]
    before = identity.OwnerKeys.parse(KEYS["owner_txt"])
    assert before.former == ()
    assert keys.former == (before.identity,)
    assert keys.signing_public_hex == before.signing_public_hex
    twice = keys.rotated()
    assert identity.OwnerKeys.parse(twice.text()).identities == twice.identities
    assert len(twice.recipients) == 3


def test_key_record() -> None:
    record = notes.verify_key_record(NOTES["key_record"], NOTES["key_record_owner_signing_key"])
    assert record.key_recipient == identity.key_identity(KEYS["api_key"]["key"]).recipient
    with pytest.raises(KeyNoteError):
        notes.verify_key_record(NOTES["key_record"], NOTES["fleet_key"])


def test_head_and_segment() -> None:
    keys = identity.OwnerKeys.parse(HEAD["owner_txt"])
    before = None
    for text, digest in zip(HEAD["heads"], HEAD["digests"], strict=True):
        read = head.read_head(text.encode(), keys.signing_public_hex)
        made = head.next_head(
            before, segments=read.segments, asset_count=read.asset_count, keys=keys
        )
        assert (made, made.digest()) == (read, digest)
        before = read
    entries = head.open_segment(unb64(HEAD["segment"]), HEAD["segment_sha256"], keys)
    assert [e.asset for e in entries] == [e["asset"] for e in HEAD["entries"]]
    with pytest.raises(RollbackError):
        head.open_segment(unb64(HEAD["segment"]) + b"x", HEAD["segment_sha256"], keys)


@pytest.mark.parametrize("case", by_why(HEAD["refused"]))
def test_refused_heads(case: Any) -> None:
    keys = identity.OwnerKeys.parse(HEAD["owner_txt"])
    with pytest.raises(RollbackError):
        head.read_head(case["head"].encode(), keys.signing_public_hex)


def test_rollback() -> None:
    case = HEAD["rollback"]
    public = identity.OwnerKeys.parse(HEAD["owner_txt"]).signing_public_hex
    for text in case["accepted"]:
        read = head.read_head(text.encode(), public)
        head.check_not_older(read, case["seen_seq"], case["seen_digest"])
    for read in (None, *(head.read_head(t.encode(), public) for t in case["refused"])):
        with pytest.raises(RollbackError):
            head.check_not_older(read, case["seen_seq"], case["seen_digest"])


def test_sealed_request() -> None:
    sealed = unb64(REQUESTS["sealed"])
    for text in REQUESTS["darkroom_identities"]:
        opened, inputs = request.open_request(sealed, identity.Identity.parse(text))
        assert opened.to_dict() == REQUESTS["request"]
        assert inputs == {k: unb64(v) for k, v in REQUESTS["inputs"].items()}
    assert opened.recipe.canonical().decode() == REQUESTS["recipe_canonical"]
    assert opened.recipe.digest() == REQUESTS["recipe_digest"]
    assert cost_header(opened.recipe).to_dict() == REQUESTS["cost_header"]
    envelope = opened.assets[0].envelope
    assert envelope is not None
    owner = identity.Identity.parse(REQUESTS["envelope_owner"])
    assert request.open_envelope(envelope, owner).text() == REQUESTS["envelope_identity"]


@pytest.mark.parametrize("case", by_why(SEALED["must_open"]))
def test_must_open(case: Any) -> None:
    opener = identity.Identity.parse(case["identity"])
    _, payload = container.open_object(unb64(case["sealed"]), opener, **case["expected"])
    assert payload == unb64(case["payload"])


def test_the_meta_of_an_upload_has_no_recipe() -> None:
    payload = unb64(SEALED["must_open"][2]["payload"])
    read = reply.Meta.from_payload(payload)
    assert (read.recipe, read.words) == (None, ("my", "cat"))
    assert read.to_payload() == payload


@pytest.mark.parametrize("case", by_why(SEALED["must_be_refused"]))
def test_must_be_refused(case: Any) -> None:
    opener = identity.Identity.parse(case["identity"])
    with pytest.raises((SealError, ManifestError)):
        container.open_object(unb64(case["sealed"]), opener, **case["expected"])


def test_reply() -> None:
    case = SEALED["must_open"][1]
    opened, pictures = reply.unpack_reply(unb64(case["payload"]))
    assert opened.v == 1
    assert pictures == [unb64(p) for p in SEALED["reply"]["pictures"]]
