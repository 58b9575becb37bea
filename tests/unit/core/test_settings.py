"""Settings: the environment wins over the file, arguments over both; a wrong one is named."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from safelight.errors import RequestError
from safelight.settings import Settings, default_home, default_profile, load_settings


def test_defaults_need_no_file(tmp_path: Path) -> None:
    assert load_settings(tmp_path, {}) == Settings(home=tmp_path)


def test_who_wins(tmp_path: Path) -> None:
    (tmp_path / "safelight.toml").write_text('port = 1000\nhost = "::1"\nlaw = "of the sea"\n')
    environ = {"SAFELIGHT_PORT": "2000", "SAFELIGHT_HOST": "localhost"}
    found = load_settings(tmp_path, environ, port=3000, host=None)
    assert (found.port, found.host, found.law) == (3000, "localhost", "of the sea")


def test_every_setting_can_come_from_the_environment(tmp_path: Path) -> None:
    for field in fields(Settings):
        if field.name == "home":
            continue
        value = {"guests": "off", "sign_up": "open", "confine": "off", "log_level": "debug"}.get(
            field.name, "17"
        )
        found = load_settings(tmp_path, {f"SAFELIGHT_{field.name.upper()}": value})
        assert str(getattr(found, field.name)) == value


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("port = [", "not TOML"),
        ("colour = 1", "colour"),
        ('port = "many"', "port"),
        ("port = [1]", "port"),
        ("host = 5", "host"),
        ('guests = "maybe"', "guests"),
        ('sign_up = "maybe"', "sign_up"),
        ('confine = "maybe"', "confine"),
        ('log_level = "trace"', "log_level"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, names: str) -> None:
    (tmp_path / "safelight.toml").write_text(text)
    with pytest.raises(RequestError, match=names):
        load_settings(tmp_path, {})


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "safelight.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RequestError):
        load_settings(tmp_path, {})


def test_homes() -> None:
    assert default_home({"SAFELIGHT_HOME": "/srv/s"}) == Path("/srv/s")
    assert default_home({}) == Path.home() / ".safelight"
    assert default_profile({"SAFELIGHT_HOME": "/srv/s"}) == Path("/srv/s/profile")
    assert default_profile({"SAFELIGHT_PROFILE": "/p"}) == Path("/p")


def test_guests_are_allowed_where_only_this_machine_reaches() -> None:
    here, there = Path(), "0.0.0.0"
    assert Settings(home=here).guests_allowed
    assert not Settings(home=here, host=there).guests_allowed
    assert Settings(home=here, host=there, guests="on").guests_allowed
    assert not Settings(home=here, guests="off").guests_allowed
