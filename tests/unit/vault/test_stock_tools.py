"""Stock ``age`` and ``tar`` (Debian packages) open everything the vault makes, and the reverse."""

from __future__ import annotations

import subprocess
from pathlib import Path

from safelight.secret import Secret
from safelight.vault import age, container, head, manifest, request, share
from safelight.vault.identity import Identity, OwnerKeys, unlock_identity

OWNER = OwnerKeys(Identity.from_seed(bytes(range(32))), bytes(range(1, 33)))
ASSET = Identity.from_seed(bytes(range(2, 34)))
CODE = bytes(range(20))
PICTURE = bytes(range(256)) * 400


def run(*command: str | Path, stdin: bytes = b"") -> bytes:
    return subprocess.run(command, input=stdin, check=True, capture_output=True).stdout


def full_object() -> bytes:
    unsigned = manifest.describe(
        PICTURE,
        asset="ast_" + "0" * 26,
        kind="full",
        owner=OWNER.recipient,
        request_nonce="0" * 32,
        made_on="2026-11-28",
        media_type="image/png",
    )
    return container.seal_object(
        unsigned, PICTURE, signing_seed=bytes(32), recipients=[ASSET.recipient]
    )


def test_from_recovery_code_to_picture_in_three_commands(tmp_path: Path) -> None:
    unlock = unlock_identity("recovery", CODE)
    (tmp_path / "kit.txt").write_text(unlock.text() + "\n")
    (tmp_path / "recovery.age").write_bytes(age.seal(OWNER.text().encode(), [unlock.recipient]))
    (tmp_path / "key.age").write_bytes(request.seal_envelope(ASSET, OWNER.recipient))
    (tmp_path / "full.age").write_bytes(full_object())
    owner = run("age", "-d", "-i", tmp_path / "kit.txt", tmp_path / "recovery.age")
    (tmp_path / "owner.txt").write_bytes(owner)
    asset = run("age", "-d", "-i", tmp_path / "owner.txt", tmp_path / "key.age")
    (tmp_path / "asset.txt").write_bytes(asset)
    archive = run("age", "-d", "-i", tmp_path / "asset.txt", tmp_path / "full.age")
    out = tmp_path / "out"
    out.mkdir()
    run("tar", "-x", "-C", out, stdin=archive)
    assert owner.decode() == OWNER.text()
    assert sorted(p.name for p in out.iterdir()) == ["manifest.json", "pad", "payload.png"]
    assert (out / "payload.png").read_bytes() == PICTURE


def test_stock_age_opens_segments_bundles_and_requests(tmp_path: Path) -> None:
    segment, _ = head.seal_segment([], OWNER, made_on="2026-11-28")
    link = share.link_identity(bytes(32))
    bundle = share.seal_bundle(
        share.Bundle(
            asset="ast_" + "0" * 26,
            identity=Secret(ASSET.text()),
            kinds=("full",),
            owner=OWNER.recipient,
            owner_signing_key="",
            request_nonce="0" * 32,
            darkroom_key="0" * 64,
        ),
        OWNER,
        link.recipient,
    )
    for sealed, reader in ((segment, OWNER.identity), (bundle, link)):
        (tmp_path / "i.txt").write_text(reader.text() + "\n")
        assert run("age", "-d", "-i", tmp_path / "i.txt", stdin=sealed)


def test_the_vault_opens_what_stock_age_seals() -> None:
    for size in (0, 1, 65_535, 65_536, 65_537):
        sealed = run("age", "-r", ASSET.recipient, stdin=bytes(size))
        assert age.open_sealed(sealed, [ASSET]) == bytes(size)


def test_stock_tar_archives_are_listed_the_same(tmp_path: Path) -> None:
    raw = container.add_pad("request", [("request.json", b"{}"), ("input-0", PICTURE)])
    (tmp_path / "a.tar").write_bytes(raw)
    listed = run("tar", "-tf", tmp_path / "a.tar").decode().split()
    assert listed == ["request.json", "input-0", "pad"]
