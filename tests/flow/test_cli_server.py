"""The command line against a real server: from an account to an export that stock age opens."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

import tiny_models
from running import Running
from shell import PASSWORD, SAFELIGHT, Shell

SMALL = ["--size", "64x64", "--steps", "2", "--seed", "7"]


@pytest.fixture(scope="module")
def kept(shell: Shell) -> dict[str, Any]:
    """A private picture, also written to a file."""
    file = shell.folder / "kite.png"
    words = ["generate", "a red kite", "--server", shell.server, "--private", *SMALL, "-o", file]
    made: dict[str, Any] = shell.json(*words)
    assert made["files"] == [str(file)]
    return made


def test_generate_private(shell: Shell, kept: dict[str, Any]) -> None:
    assert kept["verdict"] == "allowed"
    assert (kept["protection"], kept["retention"]) == ("sealed", "owner")
    assert kept["seed"] == 7
    assert kept["device"] == "cpu"
    listed = {asset["id"]: asset for asset in shell.json("library", "list")}
    assert set(listed[kept["asset"]]) >= {
        "id", "kind", "visibility", "retention", "size_bytes", "made_on",
    }  # fmt: skip
    found = shell.json("library", "search", "kite")
    assert [entry["id"] for entry in found] == [kept["asset"]]


def test_generate_off_the_record(shell: Shell, kept: dict[str, Any]) -> None:
    file = shell.folder / "otr.png"
    made = shell.json(
        "generate", "a red kite", "--server", shell.server, "--off-the-record", *SMALL, "-o", file
    )
    assert (made["asset"], made["retention"]) == (None, "none")
    assert file.read_bytes() == Path(kept["files"][0]).read_bytes()


def test_generate_public(shell: Shell) -> None:
    made = shell.json("generate", "a kite", "--server", shell.server, "--public", *SMALL)
    (published,) = made["publications"]
    feed = httpx.get(f"{shell.server}/api/v1/explore").json()["publications"]
    assert [p["id"] for p in feed] == [published["id"]], "one copy, not two"
    shell.run("unpublish", published["id"])
    shell.run("unpublish", published["id"], status=2)
    shell.run("library", "delete", made["asset"])


def test_several_files(shell: Shell) -> None:
    file = shell.folder / "many.webp"
    words = ["generate", "a kite", "--server", shell.server, *SMALL, "--count", "2", "-o", file]
    made = shell.json(*words)
    assert made["files"] == [str(shell.folder / f"many-{i}.webp") for i in (1, 2)]
    assert all(Path(f).read_bytes()[:4] == b"RIFF" for f in made["files"])


def test_open(shell: Shell, kept: dict[str, Any]) -> None:
    file = shell.folder / "opened.png"
    shell.run("open", kept["asset"], "-o", file)
    assert file.read_bytes() == Path(kept["files"][0]).read_bytes()
    shell.run("open", "ast_" + "0" * 26, "-o", shell.folder / "none.png", status=2)
    assert not (shell.folder / "none.png").exists()


def test_share(shell: Shell, kept: dict[str, Any], tmp_path: Path) -> None:
    url = shell.run("share", "create", kept["asset"], "--expires", "1d").strip()
    other = Shell(tmp_path / "other", shell.server)
    other.run("share", "open", url, "-o", tmp_path / "shared.png")
    assert (tmp_path / "shared.png").read_bytes() == Path(kept["files"][0]).read_bytes()
    made = shell.json("share", "create", kept["asset"], "--passphrase-file", shell.folder / "code")
    other.run("share", "open", made["url"], "-o", tmp_path / "x.png", status=2)
    shell.run("share", "revoke", made["id"])
    other.run(
        "share", "open", made["url"], "--passphrase-file", shell.folder / "code",
        "-o", tmp_path / "x.png", status=2,
    )  # fmt: skip
    assert not (tmp_path / "x.png").exists()


def test_publish(shell: Shell, kept: dict[str, Any]) -> None:
    made = shell.json("publish", kept["asset"], "--words", "a kite")
    assert made["url"].startswith(shell.server)
    shell.run("unpublish", made["id"])


def test_keys(shell: Shell) -> None:
    made = shell.json(
        "keys", "create", "--name", "script", "--scope", "generate", "--expires", "30d"
    )
    assert made["key"].startswith("sl_")
    assert made["id"] in {key["id"] for key in shell.json("keys", "list")}
    assert made["key"] not in json.dumps(shell.json("keys", "list"))
    shell.run("keys", "revoke", made["id"])
    assert made["id"] not in {key["id"] for key in shell.json("keys", "list")}


def test_passwd_lock_unlock_recover(server: Running, tmp_path: Path) -> None:
    shell = Shell(tmp_path / "one", server.url)
    shell.join("emil")
    (shell.folder / "new").write_text("another five words for emil\n")
    shell.run(
        "account", "passwd", "--password-file", shell.folder / "password",
        "--new-password-file", shell.folder / "new",
    )  # fmt: skip
    shell.run("account", "lock")
    shell.run("library", "list", status=2)
    shell.run("account", "unlock", "--password-file", shell.folder / "password", status=2)
    shell.run("account", "unlock", "--password-file", shell.folder / "new")
    status = shell.json("account", "status")
    assert status["unlocked_until"] is not None

    other = Shell(tmp_path / "two", server.url)
    other.run(
        "account", "recover", "--server", server.url, "--name", "emil",
        "--code-file", shell.folder / "code", "--password-file", other.folder / "password",
    )  # fmt: skip
    assert other.json("account", "status")["verification_code"] == status["verification_code"]
    shell.run("library", "list", status=2)


def test_the_recovery_file_is_private_and_never_overwritten(shell: Shell) -> None:
    code = shell.folder / "code"
    assert code.stat().st_mode & 0o777 == 0o600
    before = code.read_text()
    shell.run(
        "account", "create", "--server", shell.server, "--name", "frida",
        "--password-file", shell.folder / "password", "--recovery-out", code, status=2,
    )  # fmt: skip
    assert code.read_text() == before


def test_a_taken_name_leaves_no_recovery_file(shell: Shell) -> None:
    shell.run(
        "account", "create", "--server", shell.server, "--name", "dora",
        "--password-file", shell.folder / "password", "--recovery-out", shell.folder / "code2",
        status=2,
    )  # fmt: skip
    assert not (shell.folder / "code2").exists()


def test_models_come_and_go_while_the_server_runs(
    server: Running, shell: Shell, tmp_path: Path
) -> None:
    home, file = ["--home", server.home], tmp_path / "tiny.png"

    def listed() -> dict[str, str]:
        models = httpx.get(f"{shell.server}/api/v1/models").json()["models"]
        return {model["name"]: model["digest"] for model in models}

    def plain(model: str) -> httpx.Response:
        recipe = {"prompt": "a kite", "model": model, "width_px": 64, "height_px": 64, "steps": 1}
        body = {"recipe": recipe, "wait": True}
        return httpx.post(f"{shell.server}/api/v1/jobs", json=body, timeout=240)

    saved = tiny_models.save("sd1", tmp_path / "saved")
    subprocess.run([SAFELIGHT, "models", "add", saved, "--name", "tiny", *home], check=True)
    digest = listed()["tiny"]
    words = ["generate", "a kite", "--server", shell.server, *SMALL, "-o", file, "--model", "tiny"]
    assert shell.json(*words)["model"] == "tiny"
    assert plain(digest).json()["model"] == digest
    subprocess.run([SAFELIGHT, "models", "remove", "tiny", *home], check=True)
    assert set(listed()) == {"pocket"}
    shell.run(*words, status=2)
    assert plain(digest).json()["code"] == "unknown-model"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["generate", "x", "--server", "http://studio.example", *SMALL, "-o", "x.png"], 2),
        (["generate", "x", "--server", "http://127.0.0.1:9", *SMALL, "-o", "x.png"], 3),
        (["generate", "x", "--private", "--public", *SMALL, "--server", "SERVER"], 2),
        (["generate", "x", *SMALL, "--server", "SERVER"], 2),
        (["generate", "x", "--model", "none", *SMALL, "--server", "SERVER", "-o", "x.png"], 2),
        (["generate", "a nude child", *SMALL, "--server", "SERVER", "-o", "x.png"], 2),
        (["share", "create", "ast_" + "0" * 26, "--expires", "soon"], 2),
        (["library", "delete", "nonsense"], 2),
        (["keys", "revoke", "key_" + "0" * 26], 2),
    ],
)
def test_errors(shell: Shell, words: list[str], status: int, tmp_path: Path) -> None:
    filled = [shell.server if w == "SERVER" else w for w in words]
    filled = [str(tmp_path / w) if w == "x.png" else w for w in filled]
    shell.run(*filled, status=status)
    assert list(tmp_path.iterdir()) == []


def test_an_export_opens_with_stock_tools_and_the_server_off(
    server: Running, shell: Shell, kept: dict[str, Any], tmp_path: Path
) -> None:
    """Protocol C2: three commands from the README inside, byte-identical, nothing of ours runs."""
    file = tmp_path / "second.png"
    words = ["generate", "a second kite", "--server", server.url, "--private", *SMALL]
    second = shell.json(*words, "-o", file)
    wanted = {
        kept["asset"]: Path(kept["files"][0]).read_bytes(),
        second["asset"]: file.read_bytes(),
    }
    shell.run("library", "export", "-o", tmp_path / "export.zip")
    assert server.stop() == 0
    out = tmp_path / "export"
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        archive.extractall(out)
    readme = (out / "README.txt").read_text()
    commands = [line.strip() for line in readme.splitlines() if line.startswith("    ")]
    assert len(commands) == 3
    (out / "kit.txt").write_bytes((shell.folder / "code").read_bytes())
    for asset, picture in wanted.items():
        for command in commands:
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", command.replace("ID", asset)],
                cwd=out, capture_output=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, (command, done.stderr)
        assert (out / "payload.png").read_bytes() == picture


def test_nothing_said_holds_a_secret(shell: Shell) -> None:
    """Over everything this module's main shell printed: no password, no code, no words."""
    from safelight.cli.account import read_code

    assert PASSWORD not in shell.said
    assert read_code(shell.folder / "code").reveal() not in shell.said
