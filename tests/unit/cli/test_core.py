"""The core of the command line: exit codes, two lines of error, and a quick start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from safelight import cli
from safelight.cli import build_parser, main, models
from safelight.errors import (
    NoSpaceError,
    RefusedError,
    RequestError,
    TamperedModelError,
)

CANARY = "zebracanary"


def python(code: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-c", code, *arguments], env=dict(os.environ) | more,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


RAN_WITHOUT = """
import sys
from safelight.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
heavy = {"torch", "diffusers", "transformers", "numpy", "PIL", "httpx", "pyrage", "fastapi",
         "sqlalchemy", "onnxruntime", "huggingface_hub", "cryptography"}
print("heavy:", sorted(heavy & set(sys.modules)), "code:", code)
"""


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["generate", "--help"], ["models", "--help"], ["x"]]
)
def test_help_version_and_mistakes_need_no_heavy_library(arguments: list[str]) -> None:
    done = python(RAN_WITHOUT, *arguments)
    code = 2 if arguments == ["x"] else 0
    assert done.stdout.splitlines()[-1] == f"heavy: [] code: {code}", done.stderr


def test_listing_models_needs_no_torch() -> None:
    done = python(RAN_WITHOUT, "models", "list", "--home", "/nonexistent/home")
    assert "torch" not in done.stdout.splitlines()[-1]
    assert done.stdout.startswith("name ")
    assert done.stdout.splitlines()[1].startswith("pocket ")


def test_the_version_is_printed() -> None:
    done = python("from safelight.cli import main; main(['--version'])")
    assert done.stdout == f"safelight {cli.__version__}\n"


def test_nothing_is_fetched_or_reported_whatever_the_user_has_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "ORT_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "0")
    assert main(["models", "list"]) == 0
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["TRANSFORMERS_OFFLINE"] == "1"
    assert os.environ["ORT_DISABLE_TELEMETRY"] == os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def failing(error: BaseException) -> Callable[..., int]:
    def run(_args: object) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RequestError("it is wrong"), 2),
        (RefusedError("minors"), 2),
        (NoSpaceError("it is full"), 3),
        (TamperedModelError("it is changed"), 4),
        (ValueError(CANARY), 1),
        (KeyError(CANARY), 1),
    ],
    ids=lambda v: v if isinstance(v, int) else type(v).__name__,
)
def test_exit_codes_and_two_lines(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
) -> None:
    monkeypatch.delenv("SAFELIGHT_DEBUG", raising=False)
    monkeypatch.setattr(models, "_list", failing(error))
    assert main(["models", "list"]) == code
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 2
    assert lines[0].startswith("safelight: error: ")
    assert lines[1].startswith("safelight: hint: ")
    assert CANARY not in err


def test_an_interrupt_is_130_and_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models, "_list", failing(KeyboardInterrupt()))
    assert main(["models", "list"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = (
        "import sys; from safelight.cli import main; sys.exit(main(['models', 'list', '--json']))"
    )
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        done = subprocess.run(
            [sys.executable, "-B", "-u", "-c", code], stdout=gone, stderr=subprocess.PIPE,
            text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [CANARY],
        ["generate"],
        ["generate", "x", "-o", "x.png", f"--{CANARY}"],
        ["generate", "x", "-o", "x.png", "--steps", CANARY],
        ["generate", "x", "-o", "x.png", "--format", CANARY],
        ["generate", "x", CANARY, "-o", "x.png"],
        ["models", CANARY],
        ["models"],
        ["generate", "x", "-o", "x.png", "--ste", "3"],
    ],
    ids=str,
)
def test_wrong_arguments_are_two_lines_that_repeat_nothing(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 2
    assert CANARY not in err


def test_every_verb_of_the_contract_is_there() -> None:
    helped = build_parser().format_help()
    for verb in ("generate", "serve", "account", "library", "open", "share", "publish",
                 "unpublish", "keys", "models", "admin"):  # fmt: skip
        assert re.search(rf"\n    {verb}\s", helped), verb


def test_an_output_that_cannot_be_is_said_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for output in (tmp_path, tmp_path / "none" / "x.png"):
        assert main(["generate", "a fox", "-o", str(output)]) == 2
        assert "the output is not a file" in capsys.readouterr().err
    assert main(["generate", "a fox"]) == 2


def test_a_model_is_listed_shown_added_and_removed_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(tmp_path)]
    assert main(["models", "show", "pocket", "--json", *home]) == 0
    assert '"name": "pocket"' in capsys.readouterr().out
    assert main(["models", "remove", "pocket", *home]) == 2
    assert main(["models", "show", CANARY, *home]) == 2
    assert main(["models", "add", str(tmp_path / CANARY), *home]) == 2
    assert CANARY not in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_pulling_is_refused_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["models", "pull", "someone/something", "--home", str(tmp_path)]) == 3
    assert len(capsys.readouterr().err.splitlines()) == 2
