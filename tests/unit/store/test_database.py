"""What the database says when it cannot work, and how little it does when nothing is to do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import Text, text

from deskwork import NOON, make_account, make_job, make_session
from safelight.errors import NoSpaceError, SafelightError, TransientError
from safelight.store import key_tables, tables
from safelight.store.records import Records
from safelight.store.records.submitting import Limits
from safelight.store.sqlite import sqlite_url
from safelight.store.times import from_us, to_us


async def open_records(home: Path) -> Records:
    records = Records(sqlite_url(home / "records.db"))
    await records.open()
    return records


async def test_a_full_disk_is_no_space_and_undoes_the_whole_transaction(tmp_path: Path) -> None:
    records = await open_records(tmp_path)
    account = make_account()
    await records.accounts.add(account, make_session(account.id))
    async with records.database._writer.connect() as connection:
        pages = (await connection.execute(text("PRAGMA page_count"))).scalar_one()
        await connection.execute(text(f"PRAGMA max_page_count={pages + 2}"))
    limits = Limits(queue=10, monthly_tokens=None)
    with pytest.raises(NoSpaceError) as error:
        await records.jobs.submit(make_job(account.id), bytes(100_000), "0" * 64, limits)
    assert "INSERT" not in str(error.value)
    assert await records.jobs.queued() == []
    await records.close()


async def test_a_server_that_is_away_is_a_transient_error() -> None:
    records = Records("postgresql+asyncpg://nobody@127.0.0.1:9/nothing")
    with pytest.raises(TransientError):
        await records.open()
    await records.close()


async def insert_and_fail(records: Records, account: str) -> None:
    async with records.database.write("test") as connection:
        await connection.execute(
            text("INSERT INTO heads (account, seq, head) VALUES (:a, 1, :h)"),
            {"a": account, "h": b"x"},
        )
        raise SafelightError("on purpose")


async def test_an_error_in_a_transaction_undoes_it(tmp_path: Path) -> None:
    records = await open_records(tmp_path)
    account = make_account()
    with pytest.raises(SafelightError):
        await insert_and_fail(records, account.id)
    assert await records.vaults.head(account.id) is None
    await records.close()


async def test_reads_go_on_while_a_write_is_under_way(tmp_path: Path) -> None:
    records = await open_records(tmp_path)
    account = make_account()
    await records.accounts.add(account, make_session(account.id))
    async with records.database.write("test") as connection:
        await connection.execute(text("UPDATE accounts SET plan = 'small'"))
        before = await asyncio.wait_for(records.accounts.by_id(account.id), 10)
    after = await records.accounts.by_id(account.id)
    assert before is not None
    assert after is not None
    assert (before.plan, after.plan) == ("home", "small")
    await records.close()


async def select_nowhere(records: Records, value: str) -> None:
    async with records.database.read() as connection:
        await connection.execute(text("SELECT :value FROM nowhere"), {"value": value})


async def test_what_fails_shows_no_value_in_its_words(tmp_path: Path) -> None:
    records = await open_records(tmp_path)
    with pytest.raises(TransientError) as error:
        await select_nowhere(records, "CANARY")
    seen, words = error.value, ""
    while seen is not None:
        words += f"{seen} {seen!r}"
        seen = seen.__cause__ or seen.__context__  # type: ignore[assignment]
    assert "no such table" in words
    assert "CANARY" not in words
    await records.close()


def test_opening_a_current_database_loads_no_migrations(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, pathlib\n"
        "from safelight.store.sqlite import sqlite_url\n"
        "from safelight.store.records import Records\n"
        "async def go():\n"
        "    for _ in range(2):\n"
        "        records = Records(sqlite_url(pathlib.Path(sys.argv[1]) / 'records.db'))\n"
        "        await records.open(); await records.close()\n"
        "asyncio.run(go())\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'alembic', 'mako', 'asyncpg', 'torch', 'obstore'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_no_table_has_a_column_for_what_a_person_wrote_in_private() -> None:
    """Free text is where words would go: each such column is named here, with what it holds."""
    free_text = {
        ("api_keys", "scopes"),  # names of scopes, as JSON
        ("jobs", "cost"),  # the cost header: digests and numbers
        ("jobs", "assets"),  # ids, as JSON
        ("publications", "words"),  # written to be shown to everyone
    }
    found = set()
    for metadata in (tables.metadata, key_tables.metadata):
        for table in metadata.sorted_tables:
            for column in table.columns:
                if isinstance(column.type, Text):
                    found.add((table.name, column.name))
                assert column.name not in ("prompt", "negative_prompt", "file_name", "password")
    assert found == free_text


def test_times_keep_their_microseconds() -> None:
    at = NOON.replace(microsecond=123_457)
    assert from_us(to_us(at)) == at


async def test_a_statement_and_its_rows_are_one_turn_of_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = await open_records(tmp_path)
    account = make_account()
    await records.accounts.add(account, make_session(account.id))
    await records.accounts.by_id(account.id)  # connects
    turns = []
    put = aiosqlite.Connection._execute

    async def counting(self: aiosqlite.Connection, *what: Any) -> Any:
        turns.append(what)
        return await put(self, *what)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counting)
    found = await records.accounts.by_id(account.id)
    assert found is not None
    assert found.name == account.name
    assert len(turns) == 1
    async with records.database.write("test") as connection:
        counted = await connection.execute(
            text("INSERT INTO heads (account, seq, head) VALUES (:a, 1, :h) RETURNING seq"),
            [{"a": account.id, "h": b"x"}],
        )
        assert counted.scalar_one() == 1
        changed = await connection.execute(text("UPDATE heads SET seq = 2"))
        assert changed.rowcount == 1
    assert len(turns) == 1 + 4  # BEGIN, INSERT, UPDATE, COMMIT
    await records.close()


async def test_a_write_that_is_cancelled_while_it_waits_leaves_nothing_locked(
    tmp_path: Path,
) -> None:
    records, other = await open_records(tmp_path), await open_records(tmp_path)
    account = make_account()
    await records.accounts.add(account, make_session(account.id))

    async def wait_for_the_lock() -> None:
        async with other.database.write("test"):
            raise AssertionError("nobody gets in")

    async with records.database.write("test"):
        waiting = asyncio.create_task(wait_for_the_lock())
        await asyncio.sleep(0.2)  # its BEGIN is in the thread now
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    for one in (records, other, records):
        async with asyncio.timeout(5), one.database.write("test") as connection:
            await connection.execute(text("UPDATE accounts SET disabled = 0"))
    await records.close()
    await other.close()
