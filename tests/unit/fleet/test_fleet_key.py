"""The fleet key file: made once, 0600, never replaced."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from safelight.errors import IntegrityError
from safelight.fleet.key import FILE_NAME, load_or_make


def test_made_once_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    key = load_or_make(home)
    assert load_or_make(home).public == key.public
    path = home / FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in home.iterdir()] == [FILE_NAME], "no draft is left"
    assert key.seed.hex() in path.read_text(encoding="ascii")
    assert key.seed.hex() not in repr(key)


def test_first_start_from_many_at_once_gives_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = {key.public for key in pool.map(load_or_make, [tmp_path] * 16)}
    assert len(keys) == 1
    assert [p.name for p in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("text", ["", "SAFELIGHT-FLEET-KEY-1 abcd\n", "SAFELIGHT-FLEET-KEY-1 zz\n"])
def test_a_broken_file_is_an_error_and_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(text, encoding="ascii")
    with pytest.raises(IntegrityError):
        load_or_make(tmp_path)
    assert path.read_text(encoding="ascii") == text
