"""Write the vectors that Python and the studio share: ``python tests/vectors/generate.py``.

All inputs are fixed. Only sealed files differ from run to run, because sealing is random; so the
committed files change rarely and on purpose. ``tests/unit/vault/test_vectors.py`` reads them.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage

from safelight.ids import b64
from safelight.policy.plans import cost_header
from safelight.recipe import Recipe
from safelight.secret import Secret
from safelight.vault import (
    age,
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
    tar,
)

HERE = Path(__file__).parent
NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


def seed(name: str) -> bytes:
    """32 bytes that depend on a name only."""
    return hashlib.sha256(f"safelight test vector {name}".encode()).digest()


def ident(name: str) -> identity.Identity:
    return identity.Identity.from_seed(seed(name))


OWNER = identity.OwnerKeys(ident("owner"), seed("owner signing"))
ROTATED = identity.OwnerKeys(ident("new owner"), OWNER.signing_seed, (OWNER.identity,))
ASSET = ident("asset")
DARKROOM = ident("darkroom")
DARKROOM_SEED = seed("darkroom signing")
FLEET_SEED = seed("fleet signing")
ASSET_ID = "ast_" + "0123456789abcdefghjkmnpqrs"
NONCE = "00112233445566778899aabbccddeeff"
RECIPE = Recipe(
    prompt=Secret("a red kite over the sea, Zürich at dusk \U0001f3a8"),
    negative_prompt=Secret("blur"),
    model="ab" * 32,
    width_px=256,
    height_px=256,
    steps=20,
    guidance=7.5,
    seed=4294967295,
)


def write(name: str, value: Any) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=True, sort_keys=True) + "\n"
    (HERE / f"{name}.json").write_text(text, encoding="utf-8")


def keys() -> dict[str, Any]:
    code = bytes(range(20))
    password = "correct horse Zu\u0308rich"  # combining form: NFC must join it
    salt = bytes(range(16))
    secret = seed("link")
    return {
        "identities": [
            {
                "seed": s.hex(),
                "identity": identity.Identity.from_seed(s).text(),
                "recipient": identity.Identity.from_seed(s).recipient,
            }
            for s in (bytes(range(32)), seed("owner"), b"\xff" * 32)
        ],
        "refused_identities": [
            "",
            "AGE-SECRET-KEY-1",
            OWNER.identity.text()[:-1] + "Q",
            OWNER.recipient,
            OWNER.identity.text().replace("AGE", "age"),
        ],
        "signing": {
            "seed": OWNER.signing_seed.hex(),
            "public": OWNER.signing_public_hex,
            "message": b64(b"abc"),
            "signature": OWNER.sign(b"abc").hex(),
        },
        "owner_txt": OWNER.text(),
        "rotated_owner_txt": ROTATED.text(),
        "rotated_recipients": [i.recipient for i in ROTATED.identities],
        "verification_code": identity.verification_code(OWNER.recipient, OWNER.signing_public_hex),
        "unlock": [
            {
                "method": m,
                "secret": s.hex(),
                "recipient": identity.unlock_identity(m, s).recipient,
                "identity": identity.unlock_identity(m, s).text(),
            }
            for m, s in (
                ("password", bytes(range(64))),
                ("passkey", bytes(range(32))),
                ("recovery", code),
            )
        ],
        "api_key": {
            "random": seed("api key").hex(),
            "key": identity.new_api_secret(random=lambda n: seed("api key")[:n]),
            "key_sha256": hashlib.sha256(
                identity.new_api_secret(random=lambda n: seed("api key")[:n]).encode()
            ).hexdigest(),
            "identity": identity.key_identity(
                identity.new_api_secret(random=lambda n: seed("api key")[:n])
            ).text(),
        },
        "recovery": {
            "code": code.hex(),
            "text": identity.recovery_text(code),
            "token": identity.recovery_token(code).hex(),
            "token_sha256": hashlib.sha256(identity.recovery_token(code)).hexdigest(),
            "also_accepted": [
                identity.recovery_text(code).lower(),
                identity.recovery_text(code).replace("-", " "),
                identity.recovery_text(code).replace("0", "O").replace("1", "l"),
            ],
            "refused": [
                "",
                identity.recovery_text(code)[:-1],
                "U" + identity.recovery_text(code)[1:],
            ],
        },
        "stretch": {
            "memory_kib": stretch.MEMORY_KIB,
            "passes": stretch.PASSES,
            "lanes": stretch.LANES,
            "password": password,
            "salt": salt.hex(),
            "output": stretch.stretch(Secret(password), salt).hex(),
        },
        "opaque_password": {
            "name": "Alice.B",
            "kept_name": opaque.account_name("Alice.B"),
            "password": password,
            "stretched": opaque.stretched_password("Alice.B", Secret(password)),
        },
        "names": {
            "accepted": {"Bob": "bob", " a ": "a", "x_1-2.z": "x_1-2.z"},
            "refused": ["", "-a", "a-", "a b", "ä", "a" * 33, "a/b"],
        },
        "share": {
            "secret": secret.hex(),
            "text": share.secret_text(secret),
            "access_token": share.access_token(secret).hex(),
            "identity": share.link_identity(secret).text(),
            "passphrase": "open sesame",
            "salt": salt.hex(),
            "identity_with_passphrase": share.link_identity(
                secret, Secret("open sesame"), salt
            ).text(),
        },
    }


def opaque_vectors() -> dict[str, Any]:
    server, client = opaque.OpaqueServerSide(), opaque.OpaqueClientSide()
    start, state = client.registration_start("alice", Secret("correct horse"))
    upload, export = client.registration_finish(state, server.registration_response("alice", start))
    return {
        "inner_argon2id": opaque.INNER_ARGON2ID,
        "name": "alice",
        "password": "correct horse",
        "stretched": opaque.stretched_password("alice", Secret("correct horse")),
        "server_setup": b64(server.setup),
        "record": b64(server.registration_finish(upload)),
        "export_key": b64(export),
        "unlock_recipient": identity.unlock_identity("password", export).recipient,
    }


def meta_payload() -> bytes:
    return reply.Meta(
        asset=ASSET_ID,
        recipe=RECIPE,
        words=reply.words_of(RECIPE.prompt.reveal()),
        tags=("kite",),
        made_on="2026-11-28",
        model_name="pocket",
        width_px=256,
        height_px=256,
        media_type="image/png",
        seconds=1.25,
        device="cpu",
        note=note_text(),
    ).to_payload()


def upload_payload() -> bytes:
    return reply.Meta(
        asset=ASSET_ID,
        recipe=None,
        words=("my", "cat"),
        tags=(),
        made_on="2026-11-28",
        model_name="",
        width_px=640,
        height_px=480,
        media_type="image/jpeg",
        seconds=0.0,
        device="",
        note=None,
    ).to_payload()


def note_key() -> notes.DarkroomKey:
    return notes.DarkroomKey(
        darkroom="drk_" + "0123456789abcdefghjkmnpqrs",
        recipient=DARKROOM.recipient,
        signing_key=identity.public_hex(DARKROOM_SEED),
        not_before=NOW,
        announced_until=NOW + timedelta(minutes=10),
        keeps_until=NOW + timedelta(hours=2),
    )


def note_text() -> str:
    return notes.make_note(note_key(), FLEET_SEED)


def described(payload: bytes, **changes: Any) -> manifest.Manifest:
    values: dict[str, Any] = {
        "asset": ASSET_ID,
        "kind": "meta",
        "owner": OWNER.recipient,
        "request_nonce": NONCE,
        "made_on": "2026-11-28",
        "media_type": "application/json",
        "model": "ab" * 32,
    }
    return manifest.describe(payload, **(values | changes))


def containers() -> dict[str, Any]:
    payload = b'{"hello":"w\xc3\xb6rld"}'
    signed = manifest.sign(described(payload), DARKROOM_SEED)
    raw = container.pack(signed, payload)
    sizes = sorted(
        {0, 1, 2, 511, 2560, 3072, 4096, 4097, 16384, 16385, 32768, 32769, 65536, 65537}
        | {100_000, 1_000_000, 2_999_999, 3_000_000, 3_000_001, 67_108_864}
    )
    return {
        "payload": b64(payload),
        "manifest": signed.to_dict(),
        "manifest_canonical": signed.canonical().decode(),
        "signed_bytes": signed.signed_bytes().decode(),
        "signing_seed": DARKROOM_SEED.hex(),
        "container": b64(raw),
        "container_sha256": hashlib.sha256(raw).hexdigest(),
        "expected": {
            "asset": ASSET_ID,
            "kind": "meta",
            "owner": OWNER.recipient,
            "request_nonce": NONCE,
            "darkroom_key": identity.public_hex(DARKROOM_SEED),
        },
        "padding": [
            {"n": n, "padme": container.padme(n)}
            | {k: container.padded_length(k, n) for k in ("request", "thumb", "full")}
            for n in sizes
        ],
        "refused_containers": refused_containers(signed, payload),
        "refused_manifests": refused_manifests(signed),
    }


def refused_containers(signed: manifest.Manifest, payload: bytes) -> list[dict[str, str]]:
    one, two = ("manifest.json", signed.canonical()), ("payload.json", payload)
    good = container.pack(signed, payload)
    gnu = io.BytesIO()
    with tarfile.open(fileobj=gnu, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in (one, two, ("pad", b"")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    cases = {
        "no padding entry": tar.write_tar([one, two]),
        "entries in another order": container.add_pad("meta", [two, one]),
        "a fourth entry": container.add_pad("meta", [one, two, ("payload.txt", b"x")]),
        "another name": container.add_pad("meta", [one, ("readme.txt", payload)]),
        "another payload": container.add_pad("meta", [one, ("payload.json", payload + b" ")]),
        "the same size but another hash": container.add_pad(
            "meta", [one, ("payload.json", payload[:-1] + b" ")]
        ),
        "padding that is not zero": tar.write_tar([one, two, ("pad", b"x" * 1024)]),
        "padding of another length": tar.write_tar([one, two, ("pad", bytes(512 * 31))]),
        "a GNU archive": gnu.getvalue(),
        "cut short": good[:-512],
        "bytes after the end": good + bytes(512),
        "an empty file": b"",
        "a changed header": good[:100] + b"0000644\0" + good[108:],
    }
    return [{"why": why, "container": b64(raw)} for why, raw in cases.items()]


def refused_manifests(signed: manifest.Manifest) -> list[dict[str, str]]:
    text = signed.canonical().decode()
    value = signed.to_dict()
    cases = {
        "spaces between fields": text.replace(",", ", "),
        "an extra field": text[:-1] + ',"zzz":1}',
        "a missing field": text.replace('"model":"' + "ab" * 32 + '",', ""),
        "a wrong version": text.replace('"v":1', '"v":2'),
        "an unknown kind": text.replace('"kind":"meta"', '"kind":"note"'),
        "a size that is text": text.replace(
            f'"size_bytes":{value["size_bytes"]}', f'"size_bytes":"{value["size_bytes"]}"'
        ),
    }
    return [{"why": why, "manifest": m} for why, m in cases.items()]


def note_vectors() -> dict[str, Any]:
    text = note_text()
    late = note_key()
    other = notes.make_note(late, seed("another fleet"))
    body, _, tail = text.partition("\n\n")
    return {
        "fleet_seed": FLEET_SEED.hex(),
        "fleet_key": identity.public_hex(FLEET_SEED),
        "note": text,
        "key": {
            "darkroom": late.darkroom,
            "recipient": late.recipient,
            "signing_key": late.signing_key,
            "not_before": request.time_text(late.not_before),
            "announced_until": request.time_text(late.announced_until),
            "keeps_until": request.time_text(late.keeps_until),
        },
        "accepted_at": [
            "2026-11-28T11:58:00Z",
            "2026-11-28T12:00:00Z",
            "2026-11-28T12:10:00Z",
        ],
        "refused_at": ["2026-11-28T11:57:59Z", "2026-11-28T12:10:01Z"],
        "refused": [
            {"why": "signed by another fleet key", "note": other},
            {"why": "another recipient", "note": text.replace(DARKROOM.recipient, ASSET.recipient)},
            {"why": "a later end", "note": text.replace("12:10:00Z", "12:20:00Z")},
            {"why": "no signature", "note": body + "\n\n"},
            {"why": "no empty line", "note": body + "\n" + tail},
            {"why": "an extra line", "note": "hello\n" + text},
            {"why": "announced for an hour", "note": long_note()},
            {"why": "another kind of note", "note": key_record()},
        ],
        "key_record": key_record(),
        "owner_note": notes.make_owner_note(ROTATED),
        "owner_note_says": [ROTATED.recipient, [OWNER.recipient]],
        "key_record_owner_signing_key": OWNER.signing_public_hex,
    }


def long_note() -> str:
    lines = note_text().split("\n\n")[0].split("\n")
    lines[5] = "announced-until 2026-11-28T13:00:00Z"
    return notes.sign_note(notes.FLEET_NAME, FLEET_SEED, lines)


def key_record() -> str:
    key = identity.new_api_secret(random=lambda n: seed("api key")[:n])
    record = notes.KeyRecord(
        name="laptop",
        owner_recipient=OWNER.recipient,
        owner_signing_key=OWNER.signing_public_hex,
        key_recipient=identity.key_identity(key).recipient,
        secret_sha256=hashlib.sha256(key.encode()).hexdigest(),
        scopes=("generate",),
        expires_at=NOW + timedelta(days=30),
    )
    return notes.make_key_record(record, OWNER.signing_seed)


def head_vectors() -> dict[str, Any]:
    entry = head.IndexEntry(
        asset=ASSET_ID,
        kind="picture",
        words=("red", "kite"),
        tags=("kite",),
        made_on="2026-11-28",
        model="pocket",
        width_px=256,
        height_px=256,
        seed=7,
        darkroom_key=identity.public_hex(DARKROOM_SEED),
        request_nonce=NONCE,
    )
    sealed, digest = head.seal_segment([entry], OWNER, made_on="2026-11-28")
    first = head.next_head(None, segments=[], asset_count=0, keys=OWNER)
    second = head.next_head(first, segments=[digest], asset_count=1, keys=OWNER)
    other = head.next_head(first, segments=[], asset_count=0, keys=OWNER)
    stranger = identity.OwnerKeys(ident("stranger"), seed("stranger signing"))
    forged = head.next_head(first, segments=[digest], asset_count=1, keys=stranger)
    return {
        "owner_txt": OWNER.text(),
        "heads": [h.to_bytes().decode() for h in (first, second)],
        "digests": [h.digest() for h in (first, second)],
        "segment": b64(sealed),
        "segment_sha256": digest,
        "entries": [
            {
                name: list(v) if isinstance(v := getattr(entry, name), tuple) else v
                for name in entry.__slots__
            }
        ],
        "refused": [
            {"why": "signed by somebody else", "head": forged.to_bytes().decode()},
            {
                "why": "a dropped segment",
                "head": second.to_bytes().decode().replace(f'"{digest}"', ""),
            },
            {"why": "spaces", "head": second.to_bytes().decode().replace(",", ", ")},
        ],
        "rollback": {
            "seen_seq": 2,
            "seen_digest": second.digest(),
            "refused": [first.to_bytes().decode(), other.to_bytes().decode()],
            "accepted": [second.to_bytes().decode()],
        },
    }


def requests() -> dict[str, Any]:
    picture = b"not really a picture"
    digest = hashlib.sha256(picture).hexdigest()
    recipe = Recipe.from_dict(
        RECIPE.to_dict() | {"task": "image-to-image", "init_image": digest, "strength": 0.5}
    )
    asked = request.SealedRequest(
        request_nonce=NONCE,
        not_after="2026-11-28T13:00:00Z",
        account_tag="tag",
        owner_recipient=OWNER.recipient,
        owner_signing_key=OWNER.signing_public_hex,
        assets=(
            request.AssetSlot(
                id=ASSET_ID,
                recipient=ASSET.recipient,
                envelope=request.seal_envelope(ASSET, OWNER.recipient),
            ),
        ),
        reply_recipient=ident("reply").recipient,
        retention="owner",
        recipe=recipe,
        previews=True,
        darkroom_notes=(note_text(),),
    )
    second = ident("second darkroom")
    sealed = request.seal_request(asked, {digest: picture}, [DARKROOM.recipient, second.recipient])
    return {
        "darkroom_identities": [DARKROOM.text(), second.text()],
        "request": asked.to_dict(),
        "recipe_canonical": recipe.canonical().decode(),
        "recipe_digest": recipe.digest(),
        "cost_header": cost_header(recipe).to_dict(),
        "inputs": {digest: b64(picture)},
        "sealed": b64(sealed),
        "envelope_owner": OWNER.identity.text(),
        "envelope_identity": ASSET.text(),
    }


def sealed() -> dict[str, Any]:
    payload = meta_payload()
    expected = containers()["expected"]

    def whole(unsigned: manifest.Manifest, data: bytes, **kw: Any) -> bytes:
        given = {"signing_seed": DARKROOM_SEED, "recipients": [ASSET.recipient]} | kw
        return container.seal_object(unsigned, data, **given)

    good = whole(described(payload), payload)
    picture = b"picture bytes"
    answer = reply.Reply(
        job="job_" + "0123456789abcdefghjkmnpqrs",
        verdict="allowed",
        category=None,
        recipe_digest=RECIPE.digest(),
        model="pocket",
        seed=7,
        seconds=0.5,
        device="cpu",
        pictures=(
            reply.ReplyPicture(
                asset=None,
                seed=7,
                media_type="image/png",
                width_px=256,
                height_px=256,
                sha256=hashlib.sha256(picture).hexdigest(),
            ),
        ),
    )
    reply_payload = reply.pack_reply(answer, [picture])
    reply_form = {"asset": None, "kind": "reply", "media_type": "application/x-tar"}
    must_open = [
        {
            "why": "a meta",
            "identity": ASSET.text(),
            "sealed": b64(good),
            "expected": expected,
            "payload": b64(payload),
        },
        {
            "why": "a reply with a picture",
            "identity": ASSET.text(),
            "sealed": b64(whole(described(reply_payload, **reply_form), reply_payload)),
            "expected": expected | {"asset": None, "kind": "reply"},
            "payload": b64(reply_payload),
        },
    ]
    own = upload_payload()
    must_open.append(
        {
            "why": "the meta of an upload, signed by its owner",
            "identity": ASSET.text(),
            "sealed": b64(
                whole(
                    described(own, request_nonce=head.NO_NONCE, model=""),
                    own,
                    signing_seed=OWNER.signing_seed,
                )
            ),
            "expected": expected
            | {"request_nonce": head.NO_NONCE, "darkroom_key": OWNER.signing_public_hex},
            "payload": b64(own),
        }
    )
    scrypt = pyrage.passphrase.encrypt(b"x", "pass")
    flipped = bytearray(good)
    flipped[-100] ^= 1
    mac = bytearray(good)
    at = good.index(b"\n--- ") + 10
    mac[at] = ord("A") if mac[at] != ord("A") else ord("B")
    stranger = ident("stranger").recipient
    evil = identity.public_hex(seed("evil signing"))
    cases: list[tuple[str, bytes, dict[str, Any]]] = [
        ("a hidden second recipient", age.seal(b"x", [ASSET.recipient, stranger]), {}),
        ("a passphrase stanza", scrypt, {}),
        ("another recipient only", age.seal(b"x", [stranger]), {}),
        ("a changed byte", bytes(flipped), {}),
        ("a changed header", bytes(mac), {}),
        ("cut in its last chunk", good[:-50], {}),
        ("cut in its header", good[:60], {}),
        ("bytes after the end", good + b"x", {}),
        ("empty", b"", {}),
        ("not a container", age.seal(b"x" * 1024, [ASSET.recipient]), {}),
        ("another asset", whole(described(payload, asset="ast_" + "z" * 26), payload), {}),
        ("another kind", whole(described(payload, kind="full"), payload), {}),
        ("another owner", whole(described(payload, owner=stranger), payload), {}),
        ("another request", whole(described(payload, request_nonce="0" * 32), payload), {}),
        (
            "another signer",
            whole(described(payload), payload, signing_seed=seed("evil signing")),
            {},
        ),
        ("a signature by another key than named", forged(payload), {}),
        ("the key of an evil darkroom expected", good, {"darkroom_key": evil}),
    ]
    return {
        "must_open": must_open,
        "must_be_refused": [
            {
                "why": why,
                "identity": ASSET.text(),
                "sealed": b64(data),
                "expected": expected | changes,
            }
            for why, data, changes in cases
        ],
        "reply": {
            "identity": ASSET.text(),
            "sealed": must_open[1]["sealed"],
            "json": json.loads(tar.read_tar(reply_payload)[0][1]),
            "pictures": [b64(picture)],
        },
        "share": share_vector(),
    }


def forged(payload: bytes) -> bytes:
    named = manifest.sign(described(payload), DARKROOM_SEED)
    evil = manifest.sign(described(payload), seed("evil signing"))
    value = named.to_dict() | {"signature": evil.signature}
    raw = container.pack(manifest.Manifest.from_dict(value), payload)
    return age.seal(raw, [ASSET.recipient])


def share_vector() -> dict[str, Any]:
    link = share.link_identity(seed("link"))
    bundle = share.Bundle(
        asset=ASSET_ID,
        identity=Secret(ASSET.text()),
        kinds=("full", "thumb"),
        owner=OWNER.recipient,
        owner_signing_key="",
        request_nonce=NONCE,
        darkroom_key=identity.public_hex(DARKROOM_SEED),
    )
    sealed_bundle = share.seal_bundle(bundle, OWNER, link.recipient)
    opened = share.open_bundle(sealed_bundle, link)
    return {
        "secret": seed("link").hex(),
        "bundle": b64(sealed_bundle),
        "json": json.loads(opened.to_bytes()),
    }


def main() -> None:
    """Write all files."""
    write("keys", keys())
    write("opaque", opaque_vectors())
    write("containers", containers())
    write("notes", note_vectors())
    write("head", head_vectors())
    write("requests", requests())
    write("sealed", sealed())


if __name__ == "__main__":
    main()
