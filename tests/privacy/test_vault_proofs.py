"""Proofs C1 to C4 of the protocol: age and OPAQUE, against other programs and an attacker."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cctv import VECTORS, identities, parse, should_open
from safelight.errors import AuthenticationError, SealError
from safelight.secret import Secret
from safelight.vault import age, container, manifest, opaque, request
from safelight.vault.identity import Identity, OwnerKeys, unlock_identity

STUDIO = Path(__file__).parents[2] / "studio"
Proof = Callable[[str, str, str], None]

NODE = """
import { Encrypter, Decrypter } from 'age-encryption';
import { createInterface } from 'node:readline';
const out = (value) => console.log(JSON.stringify(value));
for await (const line of createInterface({ input: process.stdin })) {
  const { op, key, data } = JSON.parse(line);
  try {
    const bytes = new Uint8Array(Buffer.from(data, 'base64'));
    const worker = op === 'seal' ? new Encrypter() : new Decrypter();
    if (op === 'seal') worker.addRecipient(key); else worker.addIdentity(key);
    const done = await (op === 'seal' ? worker.encrypt(bytes) : worker.decrypt(bytes));
    out({ data: Buffer.from(done).toString('base64') });
  } catch { out({ refused: true }); }
}
"""


class Node:
    """The studio's age library in a Node process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def __call__(self, op: str, key: str, data: bytes) -> bytes | None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        value = {"op": op, "key": key, "data": base64.b64encode(data).decode()}
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return base64.b64decode(answer["data"]) if "data" in answer else None


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    command = ["node", "--input-type=module", "-e", NODE]
    with subprocess.Popen(
        command, cwd=STUDIO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Node(process)
        assert process.stdin is not None
        process.stdin.close()


def sizes(count: int) -> list[int]:
    """Around 0, 64 KiB and 3 MB, and random ones between."""
    random = Random(3)
    edges = [0, 1, 15, 16, 17, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 3_000_000]
    return (edges + [random.randrange(200_000) for _ in range(count)])[:count]


def test_c1_vectors_in_both_languages(node: Node, proof: Proof) -> None:
    """The vault is stricter than age; the studio's library is age as it is."""
    both = 0
    for name in VECTORS:
        fields, sealed = parse(name)
        payload = fields.get("payload", [""])
        try:
            opened = age.open_sealed(sealed, identities(fields))
        except SealError:
            opened = None
        assert (opened is not None) == should_open(name, fields), name
        if opened is not None:
            assert [hashlib.sha256(opened).hexdigest()] == payload
            theirs = node("open", fields["identity"][0], sealed)
            assert theirs == opened, name
            both += 1
        elif fields["expect"] != ["success"] and "armored" not in fields:
            for key in fields.get("identity", []):
                theirs = node("open", key, sealed)
                assert theirs is None, name
    proof(
        "C1",
        "C2SP's age vectors through Python, and what it opens through the studio's library",
        f"{len(VECTORS)} of {len(VECTORS)} as they must, {both} opened by both to the same bytes",
    )


@pytest.mark.parametrize("count", [20, pytest.param(500, marks=pytest.mark.proof)])
def test_c1_each_opens_the_others_files(node: Node, proof: Proof, count: int) -> None:
    key = Identity.from_seed(bytes(range(32)))
    stranger = Identity.from_seed(bytes(range(1, 33)))
    for size in sizes(count):
        data = Random(size).randbytes(size)
        assert node("open", key.text(), age.seal(data, [key.recipient])) == data
        sealed = node("seal", key.recipient, data)
        assert sealed is not None
        assert age.open_sealed(sealed, [key]) == data
        with pytest.raises(SealError):
            age.open_sealed(sealed, [stranger])
    what = (
        "files sealed in Python opened in TypeScript and the reverse, sizes around 0, 64 KiB, 3 MB"
    )
    proof("C1", what, f"{count} of {count}")


def test_c2_stock_tools_open_twenty_pictures(tmp_path: Path, proof: Proof) -> None:
    owner, code = OwnerKeys.generate(), bytes(range(20))
    unlock = unlock_identity("recovery", code)
    (tmp_path / "kit.txt").write_text(unlock.text() + "\n")
    (tmp_path / "recovery.age").write_bytes(age.seal(owner.text().encode(), [unlock.recipient]))
    command = "age -d -i kit.txt recovery.age > owner.txt"
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    for i in range(20):
        picture, made = Random(i).randbytes(10_000 * i), Identity.generate()
        unsigned = manifest.describe(
            picture,
            asset="ast_" + "0" * 26,
            kind="full",
            owner=owner.recipient,
            request_nonce="0" * 32,
            made_on="2026-11-28",
            media_type="image/png",
        )
        sealed = container.seal_object(
            unsigned, picture, signing_seed=bytes(32), recipients=[made.recipient]
        )
        (tmp_path / "full.age").write_bytes(sealed)
        (tmp_path / "key.age").write_bytes(request.seal_envelope(made, owner.recipient))
        for command in (
            "age -d -i owner.txt key.age > a.txt",
            "age -d -i a.txt full.age | tar x",
        ):
            full = ["bash", "-o", "pipefail", "-c", command]
            subprocess.run(full, cwd=tmp_path, check=True)
        assert (tmp_path / "payload.png").read_bytes() == picture
    proof(
        "C2", "stock age and tar, from the recovery code to the picture", "20 of 20 byte-identical"
    )


def test_c3_unknown_name_and_wrong_password_look_alike(proof: Proof) -> None:
    server, client = opaque.OpaqueServerSide(), opaque.OpaqueClientSide()
    start, state = client.registration_start("anna", Secret("the right words"))
    upload, _ = client.registration_finish(state, server.registration_response("anna", start))
    record = server.registration_finish(upload)
    start, _ = client.login_start("anna", Secret("the wrong words"))
    answers = {
        kept is None: [server.login_start("anna", kept, start)[0] for _ in range(50)]
        for kept in (record, None)
    }
    shapes = {known: {len(a) for a in found} for known, found in answers.items()}
    assert shapes[True] == shapes[False] == {320}
    # The first 32 bytes depend on name and request only; all the rest is masked with a fresh nonce.
    assert {a[:32] for found in answers.values() for a in found} == {answers[True][0][:32]}
    rest = [a[32:64] for found in answers.values() for a in found]
    assert len(set(rest)) == len(rest)
    proof(
        "C3",
        "OPAQUE answers for a known and an unknown name",
        "100 of 100 of one length, the same evaluation, all else fresh",
    )


def guess(setup: bytes | None, record: bytes, words: list[str]) -> list[str]:
    """The attacker's script: try each word against a stolen record with this server setup."""
    server, client, found = opaque.OpaqueServerSide(setup), opaque.OpaqueClientSide(), []
    for word in words:
        start, state = client.login_start("anna", Secret(word))
        response, _ = server.login_start("anna", record, start)
        try:
            client.login_finish(state, response)
        except AuthenticationError:
            continue
        found.append(word)
    return found


def test_c4_a_stolen_database_cannot_be_guessed(proof: Proof) -> None:
    """With the right password as the only guess: fails without the OPRF seed, works with it."""
    server, client = opaque.OpaqueServerSide(), opaque.OpaqueClientSide()
    start, state = client.registration_start("anna", Secret("password1"))
    upload, _ = client.registration_finish(state, server.registration_response("anna", start))
    record = server.registration_finish(upload)
    assert guess(None, record, ["password1"]) == []
    assert guess(server.setup, record, ["wrong", "password1"]) == ["password1"], "the control"
    proof(
        "C4",
        "guessing against a stolen record with the right password in the list",
        "fails without the OPRF seed; the control, with the seed, succeeds",
    )
