"""Two commands on one profile at once: each waits its turn, and one that waits too long says so."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from running import Running
from shell import SAFELIGHT, Shell

AT_ONCE, EACH = 3, 4
HOLDER = """
import sys, pathlib
from safelight.client.profile import Profile
with Profile(pathlib.Path(sys.argv[1])).alone:
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("server") / "home", sign_up="open") as running:
        yield running


def test_commands_at_once_lose_no_entry_and_see_no_rollback(shell: Shell, tmp_path: Path) -> None:
    files = []
    for i in range(EACH):
        out = io.BytesIO()
        Image.new("RGB", (8, 8), (i, 0, 0)).save(out, "PNG")
        files.append(tmp_path / f"{i}.png")
        files[-1].write_bytes(out.getvalue())
    adds = ["library", "add", *files, "--words", "several", "--profile", shell.folder / "profile"]
    commands = [
        subprocess.Popen(
            [SAFELIGHT, *adds], env=shell.environment, stderr=subprocess.PIPE, text=True
        )
        for _ in range(AT_ONCE)
    ]
    for command in commands:
        _, said = command.communicate(timeout=240)
        assert command.returncode == 0, said
    listed = {asset["id"] for asset in shell.json("library", "list")}
    found = {entry["id"] for entry in shell.json("library", "search", "several")}
    assert found == listed
    assert len(found) == AT_ONCE * EACH
    shell.run("library", "delete", *found)


def test_a_profile_that_stays_in_use_is_busy_until_its_user_ends(shell: Shell) -> None:
    """Also one that is killed with -9: nothing is left that would have to be cleaned up."""
    for kill in (False, True):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(shell.folder / "profile")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        shell.run("library", "search", "kite", status=3)
        assert "another command works on this profile" in shell.said
        if kill:
            holder.kill()
        holder.stdin.close()
        holder.wait(60)
        holder.stdout.close()
        shell.run("library", "search", "kite")
