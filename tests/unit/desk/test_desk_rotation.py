"""The desk's part in a change of owner keys: files, the owner's word, envelopes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deskwork import add_account, later, make_session, sealed_asset
from safelight.desk import Desk
from safelight.errors import ConflictError, NotFoundError, RequestError
from safelight.ids import FixedClock, new_id, sha256_hex
from safelight.records import Account
from safelight.vault.head import next_head
from safelight.vault.identity import OwnerKeys
from safelight.vault.notes import make_owner_note


async def join(desk: Desk, keys: OwnerKeys) -> Account:
    return await add_account(
        desk, "carl", owner_recipient=keys.recipient, signing_key=keys.signing_public_hex
    )


async def test_the_files_of_former_keys_are_erased(desk: Desk, anna: Account) -> None:
    for method in ("passkey-psk_1", "device-d1"):
        await desk.put_vault_file(anna.id, method, b"former")
    own = make_session(anna.id)
    await desk.records.accounts.add_session(own)
    new = {"password_file": b"new pw", "recovery_file": b"new rc"}
    await desk.rewrap_files(anna.id, **new, keep_session=own.id)
    assert [s.id for s in await desk.sessions(anna.id)] == [own.id]
    assert await desk.vault_files(anna.id) == {"password": b"new pw", "recovery": b"new rc"}
    for wrong in (b"", bytes(70_000)):
        with pytest.raises(RequestError):
            await desk.rewrap_files(
                anna.id, password_file=b"pw", recovery_file=wrong, keep_session=None
            )
    with pytest.raises(NotFoundError):
        await desk.rewrap_files(new_id("acc"), **new, keep_session=None)
    assert len(await desk.sessions(anna.id)) == 1
    assert await desk.vault_files(anna.id) == {"password": b"new pw", "recovery": b"new rc"}


async def test_an_owner_is_believed_by_their_signature_only(desk: Desk) -> None:
    keys = OwnerKeys.generate()
    carl, new = await join(desk, keys), keys.rotated()
    stranger = OwnerKeys(new.identity, bytes(32), new.former)
    unrelated = OwnerKeys(new.identity, keys.signing_seed)
    for recipient, note in (
        (new.recipient, make_owner_note(stranger)),
        (new.recipient, make_owner_note(unrelated)),
        (OwnerKeys.generate().recipient, make_owner_note(new)),
        (new.recipient, "no note"),
    ):
        with pytest.raises(RequestError):
            await desk.announce_owner(carl, recipient, note, keep_session=None)
    note = make_owner_note(new)
    for _ in range(2):
        await desk.announce_owner(carl, new.recipient, note, keep_session=None)
        carl = await desk.person("carl")
        assert (carl.owner_recipient, carl.owner_note) == (new.recipient, note)
    with pytest.raises(RequestError):  # back to the former one
        await desk.announce_owner(carl, keys.recipient, note, keep_session=None)
    newest = new.rotated()
    before = replace(carl, owner_recipient=keys.recipient)
    with pytest.raises(ConflictError):
        await desk.announce_owner(
            before, newest.recipient, make_owner_note(newest), keep_session=None
        )


async def test_former_segments_go_without_another_change(desk: Desk, clock: FixedClock) -> None:
    keys = OwnerKeys.generate()
    carl = await join(desk, keys)
    former, present, crashed = b"former", b"present", b"left by a crash"
    head = None
    for data in (former, present):
        await desk.put_segment(carl.id, sha256_hex(data), data)
        following = next_head(head, segments=[sha256_hex(data)], asset_count=1, keys=keys)
        seq = 0 if head is None else head.seq
        await desk.put_vault_head(carl.id, following.to_bytes(), expected_seq=seq)
        head = following
    await desk.put_segment(carl.id, sha256_hex(crashed), crashed)
    await desk.sweep()
    assert await desk.segment(carl.id, sha256_hex(former)) == former, "somebody may be reading it"
    later(clock, hours=2)
    await desk.sweep()
    assert await desk.segment(carl.id, sha256_hex(present)) == present
    for data in (former, crashed):
        with pytest.raises(NotFoundError):
            await desk.segment(carl.id, sha256_hex(data))
    assert len([blob async for blob in desk.blobs.list()]) == 1


async def test_an_envelope_is_replaced_only_while_it_is_the_same(
    desk: Desk, clock: FixedClock, anna: Account, bert: Account
) -> None:
    own = [sealed_asset(kind="upload") for _ in range(2)]
    foreign = sealed_asset(kind="upload")
    for asset in own:
        await desk.put_asset(anna.id, asset)
    await desk.put_asset(bert.id, foreign)
    changes = {
        own[0].id: (sha256_hex(own[0].envelope), b"anew"),
        own[1].id: ("0" * 64, b"never"),
        foreign.id: (sha256_hex(foreign.envelope), b"never"),
        new_id("ast"): ("0" * 64, b"never"),
    }
    assert await desk.rewrap_envelopes(anna.id, changes) == 1
    assert await desk.rewrap_envelopes(anna.id, changes) == 0
    assert (await desk.asset(anna.id, own[0].id))[1] == b"anew"
    assert (await desk.asset(anna.id, own[1].id))[1] == own[1].envelope
    assert (await desk.asset(bert.id, foreign.id))[1] == foreign.envelope
    later(clock, hours=2)
    await desk.sweep()
    assert (await desk.asset(anna.id, own[0].id))[1] == b"anew"
