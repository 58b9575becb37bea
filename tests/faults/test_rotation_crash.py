"""A change of owner keys that is killed with -9 at each of its writes: nothing is ever lost."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from people import PASSWORD, Person, join
from running import Running
from safelight.client import index
from safelight.client.sdk import Studio
from safelight.errors import AuthenticationError
from safelight.ids import sha256_hex, unb64
from safelight.vault import age
from safelight.vault.identity import OwnerKeys, parse_recovery, unlock_identity

PICTURES = 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with Running(tmp_path / "home", sign_up="open") as running:
        yield running


@pytest.fixture
def anna(server: Running, tmp_path: Path) -> Iterator[Person]:
    person = join(server.url, "anna", tmp_path)
    yield person
    person.studio.close()


@pytest.fixture
def pictures(anna: Person) -> dict[str, bytes]:
    found = {}
    for i in range(PICTURES):
        out = io.BytesIO()
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(out, "PNG")
        asset = anna.studio.upload(out.getvalue(), words=f"picture {i}")
        found[asset] = anna.studio.open(asset).data
    return found


def killed_at(point: int, device: Studio, code: Path) -> subprocess.CompletedProcess[str]:
    """Rotate on this device in a process of its own; from an address of its own, as the server
    counts sign-ins by address."""
    here = Path(__file__).parent
    command = [sys.executable, str(here / "rotation_victim.py"), device.link.origin]
    command += [str(device.link.profile.folder), str(code), str(point)]
    environment = os.environ | {"PYTHONPATH": str(here.parent)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def check_whole(studio: Studio, pictures: dict[str, bytes]) -> None:
    assert {asset.id for asset in studio.assets()} == set(pictures)
    assert {asset: studio.open(asset).data for asset in pictures} == pictures
    assert len(studio.search("picture")) == PICTURES


def signed_in(studio: Studio) -> bool:
    try:
        studio.account()
    except AuthenticationError:
        return False
    return True


def vault_file(studio: Studio, method: str) -> bytes:
    return unb64(str(studio.link.wire.get(f"/api/v1/vault/files/{method}")["file"]))


def check_recovery(studio: Studio, anna: Person) -> None:
    """The recovery code opens keys of this owner's that open every asset."""
    opener = unlock_identity("recovery", parse_recovery(anna.code.reveal()))
    sealed = vault_file(studio, "recovery")
    found = OwnerKeys.parse(age.open_sealed(sealed, [opener]).decode("ascii"))
    own = studio.link.keys()
    assert found.recipient in own.recipients or own.recipient in found.recipients
    for asset in studio.assets():
        assert asset.envelope is not None
        age.open_sealed(asset.envelope, found.identities)


def sealed_to_former(studio: Studio) -> int:
    """How much is not sealed to the present O."""
    identity = studio.link.keys().identity
    sealed = [asset.envelope for asset in studio.assets()]
    head = index.load(studio.link, studio.link.keys()).head
    assert head is not None
    for digest in head.segments:
        sealed.append(studio.link.wire.blob(f"/api/v1/vault/segments/{digest}"))
        assert sha256_hex(sealed[-1] or b"") == digest
    return sum(data is None or not age.opens(data, identity) for data in sealed)


Proof = Callable[[str, str, str], None]


def kill_at(points: list[int], anna: Person, pictures: dict[str, bytes], folder: Path) -> int:
    """Kill a rotation at each of these moments, look at what is left, and finish it from another
    device; how often the kill came after the point of no return."""
    code = folder / "code"
    code.write_text(anna.code.reveal())
    device, changed = anna.studio, 0
    for point in points:
        before = device.link.keys().recipient
        done = killed_at(point, device, code)
        assert done.returncode == -signal.SIGKILL, (point, done.stderr)
        check_whole(device, pictures)  # as it is, in the middle of it
        check_recovery(device, anna)
        address = httpx.HTTPTransport(local_address=f"127.0.1.{point}")
        fresh = Studio(device.link.origin, folder / f"device {point}", transport=address)
        fresh.unlock("anna", PASSWORD)
        check_whole(fresh, pictures)
        assert before in fresh.link.keys().recipients
        changed += before != fresh.link.keys().recipient
        fresh.rotate(PASSWORD, code=anna.code)
        assert sealed_to_former(fresh) == 0
        assert fresh.account()["owner_recipient"] == fresh.link.keys().recipient
        check_whole(fresh, pictures)
        check_recovery(fresh, anna)
        if signed_in(
            device
        ):  # it had announced the new keys itself; else another did, and ended it
            check_whole(device, pictures)
        device.close()
        device = fresh
    device.close()
    return changed


def moments_of(anna: Person, folder: Path) -> list[str]:
    code = folder / "whole"
    code.write_text(anna.code.reveal())
    whole = killed_at(-1, anna.studio, code)
    assert whole.returncode == 0, whole.stderr
    names = list[str](json.loads(whole.stdout))
    wanted = ("rewrap", "owner", "head", "envelopes")
    assert {f"/api/v1/vault/{name} after" for name in wanted} | {"segment after"} < set(names)
    return names


def test_a_kill_after_each_step_of_a_rotation_loses_nothing(
    anna: Person, pictures: dict[str, bytes], tmp_path: Path, proof: Proof
) -> None:
    names = moments_of(anna, tmp_path)
    steps = [names.index(n) for n in dict.fromkeys(names) if "after" in n and n != "profile after"]
    assert len(steps) == 5
    assert kill_at(steps, anna, pictures, tmp_path) == 5
    proof("R1", "kill -9 after each step of a rotation of O", "5 kills, 0 assets lost")


@pytest.mark.proof
def test_a_kill_at_every_write_of_a_rotation_loses_nothing(
    anna: Person, pictures: dict[str, bytes], tmp_path: Path, proof: Proof
) -> None:
    points = list(range(len(moments_of(anna, tmp_path))))
    assert 0 < kill_at(points, anna, pictures, tmp_path) < len(points)
    what = "kill -9 before and after every write of a rotation of O, by client and profile"
    proof("R1", what, f"{len(points)} kills, 0 assets lost")
