"""Accounts, assets, vaults, shares and publications, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import inspect, text

from deskwork import NOON, make_account, make_job, make_session
from safelight.errors import ConflictError, IntegrityError
from safelight.ids import new_id, sha256_hex
from safelight.records import Account, ApiKey, Publication, Share
from safelight.store import tables
from safelight.store.blobs import new_name
from safelight.store.records import NewAsset, Passkey, Records
from safelight.store.times import to_us

LATER = NOON + timedelta(hours=2)


async def add_account(records: Records, name: str = "anna") -> Account:
    account = make_account(name)
    return await records.accounts.add(account, make_session(account.id))


async def add_asset(records: Records, account: str, **changes: object) -> NewAsset:
    values: dict[str, object] = {
        "id": new_id("ast"),
        "account": account,
        "kind": "picture",
        "protection": "sealed",
        "retention": "owner",
        "size_bytes": 100,
        "made_on": "2026-11-28",
        "blob": new_name(),
        "job": None,
    }
    asset = NewAsset(**(values | changes))  # type: ignore[arg-type]
    await records.assets.add(asset)
    return asset


# --- the schema ---


async def shape_of(records: Records) -> object:
    def read(connection: object) -> object:
        found = inspect(connection)
        return {
            table: (
                sorted(
                    (c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)
                ),
                sorted((i["name"], tuple(i["column_names"])) for i in found.get_indexes(table)),
                found.get_pk_constraint(table)["constrained_columns"],
                sorted(tuple(u["column_names"]) for u in found.get_unique_constraints(table)),
            )
            for table in sorted(found.get_table_names())
        }

    async with records.database.read() as connection:
        return await connection.run_sync(read)


async def test_the_migrations_make_the_same_tables_as_a_fresh_start(records: Records) -> None:
    from alembic import command

    from safelight.store.migrations import config

    fresh = await shape_of(records)

    def from_nothing(connection: object) -> None:
        tables.metadata.drop_all(connection)  # type: ignore[arg-type]
        connection.execute(text("DELETE FROM alembic_version"))  # type: ignore[attr-defined]
        command.upgrade(config("records", connection), "head")  # type: ignore[arg-type]

    async with records.database.write("test") as connection:
        await connection.run_sync(from_nothing)
    assert await shape_of(records) == fresh


async def test_an_older_database_is_brought_up_to_date(records: Records, database_url: str) -> None:
    from alembic import command

    from safelight.store.migrations import config

    account = make_account()

    def as_it_was(connection: object) -> None:
        tables.metadata.drop_all(connection)  # type: ignore[arg-type]
        connection.execute(text("DELETE FROM alembic_version"))  # type: ignore[attr-defined]
        command.upgrade(config("records", connection), "r0001")  # type: ignore[arg-type]

    async with records.database.write("test") as connection:
        await connection.run_sync(as_it_was)
        await connection.execute(
            text(
                "INSERT INTO accounts VALUES (:id, :name, :role, :plan, :owner_recipient,"
                " :signing_key, :created_at, :disabled, :leaving)"
            ),
            {
                "id": account.id,
                "name": account.name,
                "role": account.role,
                "plan": account.plan,
                "owner_recipient": account.owner_recipient,
                "signing_key": account.signing_key,
                "created_at": to_us(account.created_at),
                "disabled": False,
                "leaving": False,
            },
        )
    newer = Records(database_url)
    await newer.open()
    try:
        assert await newer.accounts.by_id(account.id) == account
        assert account.owner_note is None
    finally:
        await newer.close()


async def test_the_newest_migration_is_the_version_that_is_looked_for() -> None:
    from alembic.script import ScriptDirectory

    from safelight.store import key_tables
    from safelight.store.migrations import config

    for kind, head in (("records", tables.HEAD), ("keys", key_tables.HEAD)):
        assert ScriptDirectory.from_config(config(kind)).get_current_head() == head


async def test_opening_again_changes_nothing(records: Records, database_url: str) -> None:
    account = await add_account(records)
    other = Records(database_url)
    await other.open()
    try:
        assert await other.accounts.by_id(account.id) == account
    finally:
        await other.close()


async def test_a_newer_database_is_refused(records: Records, database_url: str) -> None:
    async with records.database.write("test") as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'r9999'"))
    other = Records(database_url)
    with pytest.raises(IntegrityError):
        await other.open()
    await other.close()


# --- accounts and sessions ---


async def test_the_first_account_is_the_owner_and_no_other(records: Records) -> None:
    assert not await records.accounts.any()
    first, second = await add_account(records), await add_account(records, "bert")
    assert (first.role, second.role) == ("owner", "member")
    assert await records.accounts.by_name("anna") == first
    assert await records.accounts.by_id(second.id) == second
    assert await records.accounts.any()


async def test_of_many_first_accounts_at_once_one_is_the_owner(records: Records) -> None:
    made = await asyncio.gather(*(add_account(records, f"person{i}") for i in range(6)))
    assert [account.role for account in made].count("owner") == 1


async def test_a_name_is_taken_once(records: Records) -> None:
    await add_account(records)
    with pytest.raises(ConflictError):
        await add_account(records)
    assert len(await records.people.all()) == 1


async def test_a_session_is_found_by_its_tokens_hash_until_it_ends(records: Records) -> None:
    account = await add_account(records)
    session = make_session(account.id, "token")
    await records.accounts.add_session(session)
    digest = sha256_hex(b"token")
    assert await records.accounts.by_token(digest, NOON) == (account, session)
    assert await records.accounts.by_token(sha256_hex(b"other"), NOON) is None
    assert await records.accounts.by_token(digest, session.expires_at) is None
    assert not await records.accounts.end_session("acc_other", session.id)
    assert await records.accounts.end_session(account.id, session.id)
    assert await records.accounts.by_token(digest, NOON) is None


async def test_use_of_a_session_is_noted_every_ten_minutes(records: Records) -> None:
    account = await add_account(records)
    await records.accounts.add_session(make_session(account.id, "token"))
    await records.accounts.by_token(sha256_hex(b"token"), NOON + timedelta(minutes=5))
    await records.accounts.by_token(sha256_hex(b"token"), LATER)
    seen = {s.seen_at for s in await records.accounts.sessions(account.id, LATER)}
    assert seen == {NOON, LATER}


async def test_disabling_ends_every_session_and_key(records: Records) -> None:
    account = await add_account(records)
    await records.accounts.add_session(make_session(account.id, "token"))
    await records.credentials.add_key(make_key(account.id))
    assert await records.people.set_disabled(account.id, disabled=True)
    assert await records.accounts.by_token(sha256_hex(b"token"), NOON) is None
    assert await records.credentials.key_by_secret("cd" * 32, NOON) is None
    await records.people.set_disabled(account.id, disabled=False)
    assert await records.accounts.sessions(account.id, NOON) == []
    assert await records.credentials.key_by_secret("cd" * 32, NOON) is not None


async def test_all_sessions_but_one_end(records: Records) -> None:
    account = await add_account(records)
    kept = make_session(account.id, "kept")
    await records.accounts.add_session(kept)
    assert await records.accounts.end_sessions(account.id, but=kept.id) == 1
    assert await records.accounts.sessions(account.id, NOON) == [kept]
    assert await records.accounts.sweep_sessions(kept.expires_at) == 1


def make_key(account: str, **changes: object) -> ApiKey:
    values: dict[str, object] = {
        "id": new_id("key"),
        "account": account,
        "name": "robot",
        "secret_sha256": "cd" * 32,
        "scopes": ("generate", "library"),
        "owner_recipient": "age1q",
        "key_recipient": "age1k",
        "record": b"signed note",
        "created_at": NOON,
        "expires_at": LATER,
    }
    return ApiKey(**(values | changes))  # type: ignore[arg-type]


async def test_a_key_is_found_by_its_secrets_hash_until_it_ends(records: Records) -> None:
    account = await add_account(records)
    key = make_key(account.id)
    await records.credentials.add_key(key)
    assert await records.credentials.key_by_secret("cd" * 32, NOON) == (account, key)
    assert await records.credentials.keys(account.id) == [replace(key, used_at=NOON)]
    assert await records.credentials.key_by_secret("cd" * 32, LATER) is None
    with pytest.raises(ConflictError):
        await records.credentials.add_key(make_key(account.id))
    assert not await records.credentials.delete_key("acc_other", key.id)
    assert await records.credentials.delete_key(account.id, key.id)
    assert await records.credentials.key_by_secret("cd" * 32, NOON) is None


async def test_a_passkeys_count_moves_on_once(records: Records) -> None:
    account = await add_account(records)
    passkey = Passkey(
        id=new_id("psk"), account=account.id, name="key ring", credential_id=b"id",
        public_key=b"public", sign_count=4, created_at=NOON,
    )  # fmt: skip
    await records.credentials.add_passkey(passkey)
    assert await records.credentials.passkey_by_credential(b"id") == passkey
    assert await records.credentials.passkey(passkey.id) == passkey
    assert await records.credentials.count_signature(passkey.id, 4, 5)
    assert not await records.credentials.count_signature(passkey.id, 4, 5)
    with pytest.raises(ConflictError):
        await records.credentials.add_passkey(replace(passkey, id=new_id("psk")))
    assert await records.credentials.delete_passkey(account.id, passkey.id)
    assert await records.credentials.passkeys(account.id) == []


# --- assets ---


async def test_pages_go_through_everything_newest_first(records: Records) -> None:
    anna, bert = await add_account(records), await add_account(records, "bert")
    made: dict[str, list[str]] = {anna.id: [], bert.id: []}
    choose = random.Random(7)
    for _ in range(40):
        account = choose.choice([anna.id, bert.id])
        made[account].append((await add_asset(records, account)).id)
    for account, ids in made.items():
        seen: list[str] = []
        before = None
        while page := await records.assets.page(account, before=before, limit=7):
            assert len(page) <= 7
            seen += [kept.asset.id for kept in page]
            before = page[-1].asset.seq
        assert seen == ids[::-1]


async def test_an_asset_is_its_owners_only(records: Records) -> None:
    anna, bert = await add_account(records), await add_account(records, "bert")
    asset = await add_asset(records, anna.id)
    assert await records.assets.get(bert.id, asset.id) is None
    assert await records.assets.several(bert.id, [asset.id]) == []
    assert await records.assets.mark_erasing(bert.id, [asset.id]) == []
    kept = await records.assets.get(anna.id, asset.id)
    assert kept is not None
    assert (kept.blob, kept.asset.size_bytes) == (asset.blob, 100)
    with pytest.raises(ConflictError):
        await add_asset(records, bert.id, id=asset.id)


async def test_a_marked_asset_is_seen_by_nobody_but_the_sweeper(records: Records) -> None:
    account = await add_account(records)
    asset = await add_asset(records, account.id)
    [marked] = await records.assets.mark_erasing(account.id, [asset.id])
    assert await records.assets.mark_erasing(account.id, [asset.id]) == []
    assert await records.assets.get(account.id, asset.id) is None
    assert await records.assets.page(account.id) == []
    assert await records.assets.totals(account.id) == (0, 0)
    assert await records.assets.erasing(10) == [marked]
    await records.assets.erase([marked])
    assert await records.assets.erasing(10) == []
    assert await records.assets.known_blobs([asset.blob]) == set()


async def test_erasing_reaches_shares_publications_and_the_jobs_row(records: Records) -> None:
    account = await add_account(records)
    job = make_job(account.id, assets=(new_id("ast"), new_id("ast")))
    from safelight.store.records.submitting import Limits

    await records.jobs.submit(job, b"x", "x", Limits(queue=9, monthly_tokens=None))
    await records.jobs.claim(job.id, NOON, NOON)
    await records.jobs.finish(job.id, 1, state="done", now=NOON)
    one = await add_asset(records, account.id, id=job.assets[0], job=job.id)
    two = await add_asset(records, account.id, id=job.assets[1], job=job.id)
    await records.shares.add(make_share(account.id, one.id))
    await records.publications.add(make_publication(account.id, one.id), "public-blob")
    shares, public = await records.assets.links([one.id])
    assert (len(shares), public) == (1, ["public-blob"])
    await records.assets.erase(await records.assets.mark_erasing(account.id, [one.id]))
    assert await records.shares.of_account(account.id) == []
    assert await records.publications.of_account(account.id) == []
    assert await records.jobs.get(job.id) is not None  # its other asset is still there
    await records.assets.erase(await records.assets.mark_erasing(account.id, [two.id]))
    assert await records.jobs.get(job.id) is None


async def test_a_replaced_asset_points_to_the_new_blob_once(records: Records) -> None:
    account = await add_account(records)
    old = await add_asset(records, account.id, kind="project")
    new = replace(old, blob=new_name(), size_bytes=7)
    assert await records.assets.replace(new, old.blob)
    assert not await records.assets.replace(new, old.blob)
    kept = await records.assets.get(account.id, old.id)
    assert kept is not None
    assert (kept.blob, kept.asset.size_bytes) == (new.blob, 7)


# --- vault heads and segments ---


async def test_heads_follow_each_other_and_one_of_two_wins(records: Records) -> None:
    account = await add_account(records)
    assert await records.vaults.head(account.id) is None
    assert await records.vaults.put_head(account.id, 1, b"one")
    assert not await records.vaults.put_head(account.id, 1, b"one again")
    assert not await records.vaults.put_head(account.id, 3, b"three")
    answers = await asyncio.gather(
        *(records.vaults.put_head(account.id, 2, b"%d" % i) for i in range(5))
    )
    assert answers.count(True) == 1
    assert (await records.vaults.head(account.id) or (0, b""))[0] == 2


async def test_segments_go_when_no_head_names_them_and_they_are_old(records: Records) -> None:
    account = await add_account(records)
    assert await records.vaults.add_segment(account.id, "aa", "blob-a", NOON)
    assert not await records.vaults.add_segment(account.id, "aa", "blob-x", NOON)
    await records.vaults.add_segment(account.id, "bb", "blob-b", NOON)
    await records.vaults.add_segment(account.id, "cc", "blob-c", LATER)
    assert await records.vaults.segment(account.id, "aa") == "blob-a"
    assert await records.vaults.drop_segments(account.id, ["aa"], LATER) == ["blob-b"]
    assert sorted(await records.vaults.segments(account.id)) == [("aa", "blob-a"), ("cc", "blob-c")]


# --- shares and publications ---


def make_share(account: str, asset: str, **changes: object) -> Share:
    values: dict[str, object] = {
        "id": new_id("shr"),
        "account": account,
        "asset": asset,
        "access_sha256": "ef" * 32,
        "person": None,
        "bundle": b"",
        "passphrase_salt": b"salt",
        "created_at": NOON,
        "expires_at": LATER,
    }
    return Share(**(values | changes))  # type: ignore[arg-type]


def make_publication(account: str, asset: str | None, **changes: object) -> Publication:
    values: dict[str, object] = {
        "id": new_id("pub"),
        "account": account,
        "asset": asset,
        "media_type": "image/png",
        "size_bytes": 9,
        "width_px": 3,
        "height_px": 3,
        "published_at": NOON,
        "words": "shown to all",
        "show_name": True,
        "remix": False,
    }
    return Publication(**(values | changes))  # type: ignore[arg-type]


async def visibility(records: Records, asset: NewAsset) -> str:
    kept = await records.assets.get(asset.account, asset.id)
    assert kept is not None
    return kept.asset.visibility


async def test_a_share_lives_until_it_ends_or_is_revoked(records: Records) -> None:
    anna, bert = await add_account(records), await add_account(records, "bert")
    asset = await add_asset(records, anna.id)
    share = make_share(anna.id, asset.id)
    named = make_share(anna.id, asset.id, access_sha256=None, person=bert.id)
    assert not await records.shares.add(make_share(bert.id, asset.id))
    assert await records.shares.add(share)
    assert await records.shares.add(named)
    assert await visibility(records, asset) == "shared"
    assert await records.shares.live(share.id, NOON) == share
    assert await records.shares.received(bert.id, NOON) == [named]
    assert await records.shares.live(share.id, LATER) is None
    await records.shares.count_opened(share.id)
    assert not await records.shares.revoke(bert.id, share.id, NOON)
    assert await records.shares.revoke(anna.id, share.id, NOON)
    assert await records.shares.revoke(anna.id, share.id, NOON)
    assert await records.shares.live(share.id, NOON) is None
    assert await visibility(records, asset) == "shared"
    assert await records.assets.refresh_visibility(to_us(LATER)) == 1
    assert await visibility(records, asset) == "private"
    assert set(await records.shares.ended(LATER)) == {share.id, named.id}
    assert await records.shares.forget(LATER) == 2


async def test_a_publication_shows_and_is_taken_down(records: Records) -> None:
    anna, bert = await add_account(records), await add_account(records, "bert")
    asset = await add_asset(records, anna.id)
    publication = make_publication(anna.id, asset.id)
    assert not await records.publications.add(make_publication(bert.id, asset.id), new_name())
    assert await records.publications.add(publication, "public-blob")
    assert await visibility(records, asset) == "public"
    [(shown, seq, blob, name)] = await records.publications.feed()
    assert (shown, blob, name) == (publication, "public-blob", "anna")
    assert await records.publications.feed(before=seq) == []
    assert await records.publications.take_down(bert.id, publication.id, NOON) is None
    assert await records.publications.take_down(anna.id, publication.id, NOON) == "public-blob"
    assert await records.publications.get(publication.id) is None
    assert await visibility(records, asset) == "private"


async def test_a_disabled_persons_publications_and_shares_are_not_shown(records: Records) -> None:
    account = await add_account(records)
    asset = await add_asset(records, account.id)
    share, publication = make_share(account.id, asset.id), make_publication(account.id, None)
    await records.shares.add(share)
    await records.publications.add(publication, new_name())
    await records.people.set_disabled(account.id, disabled=True)
    assert await records.publications.feed() == []
    assert await records.shares.live(share.id, NOON) is None


# --- people ---


async def test_people_are_counted_and_leaving_leaves_no_row(records: Records) -> None:
    anna, bert = await add_account(records), await add_account(records, "bert")
    asset = await add_asset(records, anna.id)
    await add_asset(records, anna.id)
    await records.shares.add(make_share(anna.id, asset.id, person=bert.id, access_sha256=None))
    await records.vaults.put_head(anna.id, 1, b"head")
    await records.jobs.bill(anna.id, NOON, 1, 1)
    assert [(p.account.name, p.assets, p.size_bytes) for p in await records.people.all()] == [
        ("anna", 2, 200),
        ("bert", 0, 0),
    ]
    assert await records.people.mark_leaving(anna.id)
    assert not await records.people.mark_leaving(anna.id)
    assert await records.people.leaving() == [anna.id]
    assert await records.accounts.by_name("anna") is None
    names = await records.people.blobs(anna.id, 10)
    assert len(names) == 2
    await records.people.drop_blobs(names)
    await records.people.erase(anna.id)
    async with records.database.read() as connection:
        for table in tables.metadata.sorted_tables:
            rows = (await connection.execute(table.select())).all()
            assert not any(anna.id in [str(v) for v in row] for row in rows), table.name
    assert await records.people.known([anna.id, bert.id]) == {bert.id}
    assert await records.people.set_plan(bert.id, "small")
    assert not await records.people.set_plan(anna.id, "small")


# --- rotation ---


async def test_a_rotation_is_one_step_and_ends_keys_and_other_sessions(records: Records) -> None:
    anna, bert = await add_account(records), await add_account(records, "bert")
    own = make_session(anna.id, "own")
    await records.accounts.add_session(own)
    await records.credentials.add_key(make_key(anna.id))
    await records.credentials.add_key(make_key(bert.id, secret_sha256="ef" * 32))
    assert await records.accounts.rotate(anna, "age1new", "a note", keep=own.id)
    changed = replace(anna, owner_recipient="age1new", owner_note="a note")
    assert await records.accounts.by_id(anna.id) == changed
    assert await records.accounts.by_token(sha256_hex(b"own"), NOON) == (changed, own)
    assert [s.id for s in await records.accounts.sessions(anna.id, NOON)] == [own.id]
    assert await records.credentials.keys(anna.id) == []
    assert await records.accounts.by_id(bert.id) == bert
    assert len(await records.credentials.keys(bert.id)) == 1
    assert len(await records.accounts.sessions(bert.id, NOON)) == 1
    assert not await records.accounts.rotate(anna, "age1other", "late", keep=own.id)
    assert await records.accounts.by_id(anna.id) == changed


async def test_accounts_with_old_segments_are_found_with_their_heads(records: Records) -> None:
    anna, bert = await add_account(records), await add_account(records, "bert")
    for account, at in ((anna, NOON), (bert, LATER)):
        for digest in ("aa" * 32, "bb" * 32):
            assert await records.vaults.add_segment(account.id, digest, new_name(), at)
        assert await records.vaults.put_head(account.id, 1, account.name.encode())
    before = NOON + timedelta(hours=1)
    assert await records.vaults.with_old_segments(before) == [(anna.id, b"anna")]
    assert await records.vaults.with_old_segments(NOON) == []
    dropped = await records.vaults.drop_segments(anna.id, ["aa" * 32], before)
    assert len(dropped) == 1
    assert [digest for digest, _ in await records.vaults.segments(anna.id)] == ["aa" * 32]
    assert len(await records.vaults.segments(bert.id)) == 2
