"""The promises of the blob store, in memory, on files and on S3."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from safelight.errors import NotFoundError
from safelight.store.blobs import Blobs, new_name


async def names_in(blobs: Blobs) -> set[str]:
    return {blob.name async for blob in blobs.list()}


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_000])
async def test_what_was_put_is_got(blobs: Blobs, size: int) -> None:
    name, data = new_name(), bytes(i % 251 for i in range(size))
    await blobs.put(name, data)
    assert await blobs.get(name) == data


async def test_a_missing_blob_is_not_found(blobs: Blobs) -> None:
    with pytest.raises(NotFoundError):
        await blobs.get(new_name())


async def test_a_second_put_replaces(blobs: Blobs) -> None:
    name = new_name()
    await blobs.put(name, b"before")
    await blobs.put(name, b"after")
    assert await blobs.get(name) == b"after"
    assert await names_in(blobs) == {name}


async def test_deleted_is_gone_and_deleting_twice_is_no_error(blobs: Blobs) -> None:
    one, two = new_name(), new_name()
    await blobs.put(one, b"1")
    await blobs.put(two, b"2")
    await blobs.delete([one, new_name()])
    await blobs.delete([one])
    assert await names_in(blobs) == {two}
    with pytest.raises(NotFoundError):
        await blobs.get(one)


async def test_a_list_has_every_blob_with_its_size(blobs: Blobs) -> None:
    sizes = {f"{new_name()}-full": n for n in range(30)}
    await asyncio.gather(*(blobs.put(name, bytes(n)) for name, n in sizes.items()))
    assert {b.name: b.size_bytes async for b in blobs.list()} == sizes


async def test_an_empty_store_lists_nothing(blobs: Blobs) -> None:
    assert await names_in(blobs) == set()


async def test_a_file_that_was_being_written_is_no_blob(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path.as_uri())
    name = new_name()
    await blobs.put(name, b"whole")
    stump = tmp_path / name[:2] / f"{new_name()}#1"
    stump.write_bytes(b"par")
    assert await names_in(blobs) == {name}
    assert await blobs.remove_stumps() == 1
    assert not stump.exists()
    assert await blobs.get(name) == b"whole"


def test_names_are_random_and_say_nothing() -> None:
    names = {new_name() for _ in range(1_000)}
    assert len(names) == 1_000
    assert all(len(name) == 26 and name.isalnum() for name in names)
