"""The library: paging, erasing, putting, exporting, the vault head; and the sweeper behind it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deskwork import (
    ScriptedFleet,
    add_account,
    files_with,
    later,
    make_account,
    sealed_asset,
    submit_kept,
    until_end,
)
from safelight.desk import Desk
from safelight.errors import ConflictError, NotFoundError, RequestError
from safelight.ids import FixedClock, new_id, sha256_hex
from safelight.records import Account
from safelight.vault.head import next_head
from safelight.vault.identity import OwnerKeys


async def keep(desk: Desk, account: Account, count: int = 1) -> list[str]:
    """Put assets straight into the library."""
    return [
        (await desk.put_asset(account.id, sealed_asset(kind="upload"))).id for _ in range(count)
    ]


async def blob_count(desk: Desk) -> int:
    return len([blob async for blob in desk.blobs.list()])


async def test_pages_by_cursor_and_visibility(desk: Desk, anna: Account, bert: Account) -> None:
    made = await keep(desk, anna, 7)
    await keep(desk, bert, 2)
    seen, cursor = [], None
    while True:
        page, cursor = await desk.library(anna.id, cursor=cursor, limit=3)
        seen += [asset.id for asset, envelope in page]
        assert all(envelope is not None for _, envelope in page)
        if cursor is None:
            break
    assert seen == made[::-1]
    await desk.publish(
        anna.id, asset=made[0], picture=b"png", media_type="image/png", width_px=1, height_px=1,
        words="", show_name=False, remix=False,
    )  # fmt: skip
    public, _ = await desk.library(anna.id, visibility="public")
    assert [(a.id, a.visibility) for a, _ in public] == [(made[0], "public")]
    for wrong in ("x", "-1", "1.0", "9" * 30, ""):
        with pytest.raises(RequestError):
            await desk.library(anna.id, cursor=wrong)


async def test_nobody_else_reads_or_deletes(desk: Desk, anna: Account, bert: Account) -> None:
    [asset] = await keep(desk, anna)
    for read in (desk.asset(bert.id, asset), desk.asset_part(bert.id, asset, "full")):
        with pytest.raises(NotFoundError):
            await read
    assert await desk.thumbs(bert.id, [asset]) == []
    assert not await desk.delete_asset(bert.id, asset)
    [(found, thumb)] = await desk.thumbs(anna.id, [asset, "ast_none"])
    assert (found.id, thumb) == (asset, sealed_asset(asset).thumb)
    with pytest.raises(RequestError):
        await desk.asset_part(anna.id, asset, "envelope")


async def test_erasing_reaches_everything(
    desk: Desk, fleet: ScriptedFleet, anna: Account, bert: Account, tmp_path: Path
) -> None:
    job = await submit_kept(desk, anna)
    await until_end(desk, job.id)
    [asset] = job.assets
    share = await desk.create_share(
        anna.id, asset=asset, access_sha256="ab" * 32, person=None, bundle=b"bundle",
        passphrase_salt=None, expires_at=desk.clock.now() + timedelta(days=7),
    )  # fmt: skip
    publication = await desk.publish(
        anna.id, asset=asset, picture=b"plain png", media_type="image/png", width_px=1,
        height_px=1, words="", show_name=True, remix=False,
    )  # fmt: skip
    assert await desk.delete_asset(anna.id, asset)
    assert not await desk.delete_asset(anna.id, asset)
    assert await desk.library(anna.id) == ([], None)
    assert await blob_count(desk) == 0
    assert await desk.reply(job.id) is None
    assert await desk.keys_store.bundle(share.id) is None
    for gone in (
        desk.asset(anna.id, asset),
        desk.open_share(share.id, "ab" * 32),
        desk.publication(publication.id),
        desk.publication_picture(publication.id),
        desk.job(job.id, account=anna.id),
    ):
        with pytest.raises(NotFoundError):
            await gone
    await desk.close()
    envelope = sealed_asset(asset).envelope
    assert files_with(tmp_path, "keys*", envelope) == []


async def test_a_project_may_be_put_again_and_nothing_else(
    desk: Desk, anna: Account, bert: Account
) -> None:
    project, upload = sealed_asset(kind="project"), sealed_asset(kind="upload")
    first = await desk.put_asset(anna.id, project)
    changed = sealed_asset(project.id, size=900, kind="project", envelope=b"a new envelope")
    second = await desk.put_asset(anna.id, changed)
    assert (second.id, second.seq) == (first.id, first.seq)
    assert (await desk.asset(anna.id, project.id))[1] == b"a new envelope"
    assert (await desk.asset_part(anna.id, project.id, "full"))[1] == changed.full
    assert await blob_count(desk) == 3
    await desk.put_asset(anna.id, upload)
    for who, again in ((anna, upload), (bert, upload), (bert, project)):
        with pytest.raises(ConflictError):
            await desk.put_asset(who.id, again)
    assert await blob_count(desk) == 6


async def test_export_has_all_of_an_account_and_nothing_else(
    desk: Desk, anna: Account, bert: Account
) -> None:
    made = await keep(desk, anna, 3)
    await keep(desk, bert, 1)
    found = {name: data async for name, data in desk.export(anna.id)}
    assert found.keys() == {"vault/password.age", "vault/recovery.age"} | {
        f"assets/{asset}/{part}.age" for asset in made for part in ("key", "full", "thumb", "meta")
    }
    assert found[f"assets/{made[0]}/key.age"] == sealed_asset(made[0]).envelope


async def test_heads_follow_each_other_and_name_segments_that_are_here(
    desk: Desk, clock: FixedClock
) -> None:
    owner, other = OwnerKeys.generate(), OwnerKeys.generate()
    anna = await add_account(desk, "owner", signing_key=owner.signing_public_hex)
    assert await desk.vault_head(anna.id) == (0, None)
    old, new = b"sealed segment one", b"sealed segment two"
    for segment in (old, old, new):
        await desk.put_segment(anna.id, sha256_hex(segment), segment)
    with pytest.raises(RequestError):
        await desk.put_segment(anna.id, sha256_hex(old), new)
    first = next_head(None, segments=[sha256_hex(old)], asset_count=1, keys=owner)
    assert await desk.put_vault_head(anna.id, first.to_bytes(), expected_seq=0) == 1
    forged = next_head(first, segments=[], asset_count=0, keys=other)
    with pytest.raises(RequestError):
        await desk.put_vault_head(anna.id, forged.to_bytes(), expected_seq=1)
    absent = next_head(first, segments=["ab" * 32], asset_count=1, keys=owner)
    second = next_head(first, segments=[sha256_hex(new)], asset_count=1, keys=owner)
    skipped = next_head(second, segments=[], asset_count=0, keys=owner)
    for head, expected in ((absent, 1), (second, 0), (skipped, 1), (first, 1)):
        with pytest.raises(ConflictError):
            await desk.put_vault_head(anna.id, head.to_bytes(), expected_seq=expected)
    later(clock, hours=2)
    assert await desk.put_vault_head(anna.id, second.to_bytes(), expected_seq=1) == 2
    assert await desk.vault_head(anna.id) == (2, second.to_bytes())
    assert await desk.segment(anna.id, sha256_hex(new)) == new
    with pytest.raises(NotFoundError):
        await desk.segment(anna.id, sha256_hex(old))
    assert await blob_count(desk) == 1
    found = {name async for name, _ in desk.export(anna.id)}
    assert {"vault/head.json", f"vault/index/{sha256_hex(new)}.age"} <= found


async def test_shares_by_link_and_by_person(
    desk: Desk, anna: Account, bert: Account, clock: FixedClock
) -> None:
    [asset] = await keep(desk, anna)
    until = clock.now() + timedelta(days=7)

    async def share(**how: object) -> str:
        made = await desk.create_share(
            anna.id, asset=asset, bundle=b"bundle", passphrase_salt=b"salt", expires_at=until,
            **({"access_sha256": None, "person": None} | how),  # type: ignore[arg-type]
        )  # fmt: skip
        return made.id

    link, named = await share(access_sha256="ab" * 32), await share(person="bert")
    opened, about, full = await desk.open_share(link, "ab" * 32)
    assert (about.id, about.protection) == (asset, "sealed")
    assert (opened.bundle, opened.passphrase_salt) == (b"bundle", b"salt")
    assert full == sealed_asset(asset).full
    for wrong in (desk.open_share(link, "cd" * 32), desk.open_share(named, "0" * 64)):
        with pytest.raises(NotFoundError):
            await wrong
    [(received, sender)] = await desk.received_shares(bert.id)
    assert (received.id, received.bundle, sender) == (named, b"bundle", "anna")
    assert (await desk.open_received(bert.id, named))[2] == full
    for wrong in (desk.open_received(anna.id, named), desk.open_received(bert.id, link)):
        with pytest.raises(NotFoundError):
            await wrong
    assert {s.id: s.opened for s in await desk.shares(anna.id)} == {link: 1, named: 1}
    assert (await desk.asset(anna.id, asset))[0].visibility == "shared"
    with pytest.raises(NotFoundError):
        await desk.revoke_share(bert.id, link)
    await desk.revoke_share(anna.id, link)
    await desk.revoke_share(anna.id, link)
    with pytest.raises(NotFoundError):
        await desk.open_share(link, "ab" * 32)
    later(clock, days=7)
    assert await desk.received_shares(bert.id) == []
    await desk.sweep()
    assert (await desk.asset(anna.id, asset))[0].visibility == "private"
    assert await desk.keys_store.bundle(named) is None
    with pytest.raises(NotFoundError):
        await share(person="nobody")
    with pytest.raises(NotFoundError):
        await desk.create_share(
            bert.id, asset=asset, access_sha256="ab" * 32, person=None, bundle=b"b",
            passphrase_salt=None, expires_at=until,
        )  # fmt: skip
    for how in ({}, {"access_sha256": "ab" * 32, "person": "bert"}):
        with pytest.raises(RequestError):
            await share(**how)


async def test_a_publication_is_a_copy_that_goes_at_once(
    desk: Desk, anna: Account, bert: Account
) -> None:
    [asset] = await keep(desk, anna)

    async def publish(account: Account, **changes: object) -> str:
        values: dict[str, object] = {
            "asset": asset, "picture": b"plain", "media_type": "image/png", "width_px": 4,
            "height_px": 4, "words": "a lamp", "show_name": False, "remix": True,
        }  # fmt: skip
        return (await desk.publish(account.id, **(values | changes))).id  # type: ignore[arg-type]

    one, two = await publish(anna), await publish(anna, asset=None, show_name=True)
    with pytest.raises(NotFoundError):
        await publish(bert)
    assert await blob_count(desk) == 5
    page, cursor = await desk.explore(limit=1)
    assert [(p.id, name) for p, name in page] == [(two, "anna")]
    page, cursor = await desk.explore(cursor=cursor, limit=1)
    assert ([(p.id, name) for p, name in page], cursor) == ([(one, None)], None)
    assert asset[4:] not in one
    assert (await desk.publication_picture(one))[1] == b"plain"
    with pytest.raises(NotFoundError):
        await desk.unpublish(bert.id, one)
    await desk.unpublish(anna.id, one)
    for gone in (
        desk.publication(one),
        desk.publication_picture(one),
        desk.unpublish(anna.id, one),
    ):
        with pytest.raises(NotFoundError):
            await gone
    assert (await desk.asset(anna.id, asset))[0].visibility == "private"
    assert [p.id for p in await desk.publications(anna.id)] == [two]


async def test_leaving_leaves_nothing(
    desk: Desk, fleet: ScriptedFleet, anna: Account, bert: Account, tmp_path: Path
) -> None:
    job = await submit_kept(desk, anna)
    await until_end(desk, job.id)
    await keep(desk, anna, 2)
    await keep(desk, bert)
    await desk.put_segment(anna.id, sha256_hex(b"segment"), b"segment")
    fleet.gate.clear()
    waiting = await submit_kept(desk, anna)
    await desk.leave(anna.id)
    with pytest.raises(NotFoundError):
        await desk.leave(anna.id)
    assert await until_end_or_gone(desk, waiting.id) in ("cancelled", "gone")
    assert await blob_count(desk) == 3
    assert [p.name for p in await desk.people()] == ["bert"]
    await desk.close()
    assert files_with(tmp_path, "*", anna.id.encode()) == []


async def until_end_or_gone(desk: Desk, job: str) -> str:
    try:
        return await until_end(desk, job)
    except NotFoundError:
        return "gone"


async def test_the_sweeper_takes_old_orphans_and_leaves_young_ones(
    desk: Desk, anna: Account, clock: FixedClock
) -> None:
    clock.at = datetime.now(UTC)  # blobs have the machine's time
    [asset] = await keep(desk, anna)
    await desk._put(anna.id, [sealed_asset()], ["orphan0"], None)
    await desk.blobs.put("orphan1", b"as after a crash while publishing")
    await desk.keys_store.register("acc_lost", b"r", "0" * 64, {}, clock.now())
    await desk.keys_store.put_bundle("shr_lost", anna.id, b"b", clock.now())
    assert (await desk.sweep()).blobs == 0
    assert await blob_count(desk) == 7
    later(clock, hours=2)
    swept = await desk.sweep()
    assert (swept.blobs, swept.envelopes) == (4, 1)
    assert await blob_count(desk) == 3
    assert (await desk.asset(anna.id, asset))[1] is not None
    assert await desk.keys_store.credentials("acc_lost") is None
    assert await desk.keys_store.bundle("shr_lost") is None
    assert await desk.keys_store.credentials(anna.id) is not None


async def test_the_sweeper_never_takes_a_row_that_is_not_marked(
    desk: Desk, anna: Account, clock: FixedClock
) -> None:
    [asset] = await keep(desk, anna)
    kept = await desk.records.assets.get(anna.id, asset)
    assert kept is not None
    await desk.keys_store.erase(blobs=[kept.blob])  # as after an old backup was restored
    later(clock, days=400)
    await desk.sweep()
    assert (await desk.asset(anna.id, asset)) == (kept.asset, None)
    assert await blob_count(desk) == 3


async def test_the_sweeper_goes_on_with_what_was_begun(
    desk: Desk, anna: Account, bert: Account
) -> None:
    made = await keep(desk, anna, 3)
    await keep(desk, bert)
    await desk.records.assets.mark_erasing(anna.id, made[:2])
    await desk.records.people.mark_leaving(bert.id)
    assert await desk.go_on() == (2, 1)
    assert await blob_count(desk) == 3
    assert [p.name for p in await desk.people()] == ["anna"]
    assert await desk.go_on() == (0, 0)


async def test_an_account_that_is_not_there_has_an_empty_library(desk: Desk) -> None:
    nobody = make_account()
    assert await desk.library(nobody.id) == ([], None)
    with pytest.raises(NotFoundError):
        await desk.asset(nobody.id, new_id("ast"))
