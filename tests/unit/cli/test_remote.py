"""What the commands that speak to a server share: times, secrets from files, names of files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from safelight.cli.account import RecoveryFile, read_code
from safelight.cli.bar import Bar
from safelight.cli.generate_remote import retention_of
from safelight.cli.pictures import media_type_of, numbered, parse_size, starting_from
from safelight.cli.remote import check_output, parse_days, read_secret
from safelight.errors import OutputError, RecipeError, RequestError
from safelight.secret import Secret
from safelight.vault.identity import parse_recovery, recovery_text, unlock_identity

CODE = recovery_text(bytes(range(20)))


@pytest.mark.parametrize(
    ("text", "days"), [("7d", 7), ("12h", 0.5), ("36m", 0.025), ("86400s", 1), (" 1.5d ", 1.5)]
)
def test_times(text: str, days: float) -> None:
    assert parse_days(text) == pytest.approx(days)


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "7 d", "7w", "1e9d", "\u0667d"])
def test_refused_times(text: str) -> None:
    with pytest.raises(RequestError):
        parse_days(text)


def test_the_first_line_counts(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes(b" with spaces \r\nsecond line\n")
    assert read_secret(path, "password").reveal() == " with spaces "


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_an_empty_or_broken_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    with pytest.raises(RequestError) as caught:
        read_secret(path, "password")
    assert str(path) not in str(caught.value)
    with pytest.raises(RequestError):
        read_secret(tmp_path / "missing", "password")


def test_the_recovery_file(tmp_path: Path) -> None:
    path = tmp_path / "code"
    keeper = RecoveryFile(path, "anna")
    assert keeper.keep(Secret(CODE)) == CODE
    assert path.stat().st_mode & 0o777 == 0o600
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert lines == [unlock_identity("recovery", parse_recovery(CODE)).text()]
    assert read_code(path).reveal() == CODE
    with pytest.raises(OutputError):
        RecoveryFile(path, "anna")
    keeper.undo()
    assert not path.exists()


@pytest.mark.parametrize("text", [CODE, CODE.lower() + "\n", f"my code: {CODE} (keep it)"])
def test_codes_are_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "code").write_text(text)
    assert parse_recovery(read_code(tmp_path / "code").reveal()) == bytes(range(20))


def test_a_file_without_a_code_is_refused_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "code").write_text("no code here !")
    with pytest.raises(RequestError) as caught:
        parse_recovery(read_code(tmp_path / "code").reveal())
    assert "here" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "output", "media_type"),
    [
        (None, "a.png", "image/png"),
        (None, "a.JPG", "image/jpeg"),
        (None, "a.webp", "image/webp"),
        ("webp", "a.png", "image/webp"),
        (None, None, "image/png"),
        (None, "a", "image/png"),
    ],
)
def test_formats(name: str | None, output: str | None, media_type: str) -> None:
    assert media_type_of(name, None if output is None else Path(output)) == media_type


def test_a_format_that_is_not_written() -> None:
    with pytest.raises(RequestError):
        media_type_of(None, Path("a.gif"))


def test_names_of_several_files() -> None:
    assert numbered(Path("d/a.png"), 0, 1) == Path("d/a.png")
    assert numbered(Path("d/a.b.png"), 1, 2) == Path("d/a.b-2.png")


def test_sizes() -> None:
    assert parse_size(None, 128) == (128, 128)
    assert parse_size("256x512", 128) == (256, 512)
    assert parse_size("256X512", 128) == (256, 512)
    for text in ("", "x", "256", "256x", "x256", "axb", "-1x8", "8x-1", "1e3x8", "٣x٣"):
        with pytest.raises(RecipeError):
            parse_size(text, 128)


def test_an_init_picture_and_its_strength() -> None:
    assert starting_from(None, None) == {}
    assert starting_from("d", None) == {
        "task": "image-to-image", "init_image": "d", "strength": 0.6}  # fmt: skip
    assert starting_from("d", 0.0)["strength"] == 0.0
    with pytest.raises(RecipeError):
        starting_from(None, 0.5)


@pytest.mark.parametrize("asked", [False, True])
def test_the_bar_is_for_those_who_look_or_ask(
    capsys: pytest.CaptureFixture[str], asked: bool
) -> None:
    args = argparse.Namespace(quiet=True, json=False, progress=asked)
    with Bar(args) as bar:
        bar.show(1, 8)
        bar.show(3, 8)
    assert ("3/8" in capsys.readouterr().err) == asked


def test_the_bar_goes_away_when_something_else_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    args = argparse.Namespace(quiet=True, json=False, progress=True)
    with Bar(args) as bar:
        bar.show(1, 8)
        bar.clear()
        print("a line", file=sys.stderr)
        bar.show(2, 8)
    said = capsys.readouterr().err
    assert "\ra line\n" in said
    assert not said.split("\r")[-2].strip(), "and it is wiped at the end"
    assert "2/8" in said.partition("a line")[2]


def test_retention() -> None:
    def chosen(**given: bool) -> str:
        none = {"private": False, "off_the_record": False, "public": False}
        return retention_of(argparse.Namespace(**(none | given)))

    assert chosen() == "none"
    assert chosen(off_the_record=True) == "none"
    assert chosen(private=True) == "owner"
    assert chosen(public=True) == "public"
    with pytest.raises(RequestError):
        chosen(private=True, public=True)


def test_outputs_are_checked_before_any_work(tmp_path: Path) -> None:
    check_output(tmp_path / "a.png")
    for wrong in (tmp_path, tmp_path / "no folder" / "a.png"):
        with pytest.raises(OutputError):
            check_output(wrong)
