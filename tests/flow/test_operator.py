"""What an operator does from the command line, against a real server and its home folder."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from running import Running
from safelight.store.times import to_us
from shell import Shell


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("server") / "home"
    with Running(home, sign_up="open", erasure_days=5) as running:
        yield running


@pytest.fixture(scope="module")
def operator(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The first account of the instance."""
    made = Shell(tmp_path_factory.mktemp("operator"), server.url, SAFELIGHT_ERASURE_DAYS="5")
    made.join("olga")
    return made


@pytest.fixture(scope="module")
def member(operator: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    made = Shell(tmp_path_factory.mktemp("member"), operator.server)
    made.join("max")
    return made


def test_people_plans_and_health(operator: Shell, member: Shell) -> None:
    people = {p["name"]: p for p in operator.json("admin", "people")}
    assert {name: p["role"] for name, p in people.items()} == {"olga": "owner", "max": "member"}
    assert "max" in operator.run("admin", "people")
    operator.run("admin", "set-plan", "max", "small")
    assert member.json("account", "status")["plan"] == "small"
    operator.run("admin", "set-plan", "max", "none", status=2)
    operator.run("admin", "set-plan", "nobody", "small", status=2)
    health = operator.json("admin", "health")
    assert health["queued"] == health["running"] == 0
    assert health["memory_bytes"] > 1_000_000
    assert "darkroom" in operator.run("admin", "health")


def test_who_is_shut_out_is_out_until_let_in_again(operator: Shell, member: Shell) -> None:
    operator.run("admin", "disable", "Max")
    member.run("library", "list", status=2)
    unlock = ["account", "unlock", "--password-file", member.folder / "password"]
    member.run(*unlock, status=2)
    operator.run("admin", "enable", "max")
    member.run(*unlock)
    member.run("library", "list")
    operator.run("admin", "disable", "olga", status=2)


def test_nobody_else_administers(member: Shell) -> None:
    for words in (
        ["people"], ["health"], ["set-plan", "max", "studio"], ["disable", "olga"],
    ):  # fmt: skip
        member.run("admin", *words, status=2)


def test_a_copy_of_the_keys_store_opens_what_was_kept(
    server: Running, operator: Shell, member: Shell, tmp_path: Path
) -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (9, 0, 0)).save(out, "PNG")
    (tmp_path / "own.png").write_bytes(out.getvalue())
    (asset,) = member.json("library", "add", tmp_path / "own.png")["added"]

    copies = tmp_path / "copies"
    copies.mkdir()
    now = datetime.now(UTC)
    old, young = (copies / f"keys-{to_us(now - timedelta(days=d))}.db" for d in (6, 4))
    for path in (old, young):
        path.write_bytes(b"an earlier copy")
    words = ["admin", "backup-keys", "-o", copies, "--home", server.home]
    made = json.loads(operator.bare(*words, "--json"))
    assert "the erasure horizon is 5 days" in operator.bare(*words)
    assert made["erasure_days"] == 5
    assert made["delete_by"] in {(now + timedelta(days=d)).date().isoformat() for d in (5, 6)}
    copy = Path(made["file"])
    assert old not in copies.iterdir()
    assert {young, copy} < set(copies.iterdir())
    assert copy.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(copy) as opened:
        assert opened.execute("SELECT count(*) FROM envelopes").fetchone() == (1,)
    opened.close()

    assert server.stop() == 0
    home = tmp_path / "home"
    shutil.copytree(server.home, home)
    for name in ("keys.db", "keys.db-wal", "keys.db-shm"):
        (home / name).unlink(missing_ok=True)
    shutil.copy(copy, home / "keys.db")
    port = int(server.url.rsplit(":", 1)[1])
    with Running(home, port=port, sign_up="open"):
        fresh = Shell(tmp_path / "fresh", server.url)
        unlock = ["account", "unlock", "--server", server.url, "--name", "max"]
        fresh.run(*unlock, "--password-file", member.folder / "password")
        fresh.run("open", asset, "-o", tmp_path / "opened.png")
        with Image.open(tmp_path / "opened.png") as picture:
            assert picture.getpixel((0, 0)) == (9, 0, 0)


def test_a_wrong_home_or_folder_is_named(operator: Shell, tmp_path: Path) -> None:
    operator.bare(
        "admin", "backup-keys", "-o", tmp_path / "x", "--home", tmp_path / "none", status=2
    )
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_bytes(b"")
    home = tmp_path / "home"
    home.mkdir()
    (home / "keys.db").touch()
    operator.bare("admin", "backup-keys", "-o", tmp_path / "file" / "x", "--home", home, status=2)
