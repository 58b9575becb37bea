"""D1 to D3: what was deleted, left or unpublished is in no file of the server's home any more.

Looked for in raw bytes: databases with their logs, blobs, everything. The control in each test is
that the same look finds what is still kept.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule

from deskwork import NOON, add_account, open_test_desk, sealed_asset
from people import PASSWORD, join, picture_bytes
from running import Running
from safelight.ids import unb64
from safelight.records import Account, SealedAsset

Proof = Callable[[str, str, str], None]
T = TypeVar("T")
HORIZON_SECONDS = 60
"""Within this the keys store's log is cleared (protocol, section 2)."""


def found_in(home: Path, canaries: dict[str, bytes]) -> dict[str, list[str]]:
    """Which files hold which canary, as raw bytes."""
    found: dict[str, list[str]] = {}
    for path in (p for p in home.rglob("*") if p.is_file()):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue  # deleted while this looks
        for name, canary in canaries.items():
            if canary in data:
                found.setdefault(name, []).append(str(path.relative_to(home)))
    return found


def gone_in_time(home: Path, canaries: dict[str, bytes]) -> dict[str, list[str]]:
    """What is left of these, looked for until nothing is or the horizon is over."""
    deadline = time.monotonic() + HORIZON_SECONDS
    while (found := found_in(home, canaries)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def piece(data: bytes) -> bytes:
    """The middle of a sealed file: 48 bytes that are nowhere else."""
    half = len(data) // 2
    return data[half : half + 48]


# --- over HTTP, on a real server -----------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("erasure") / "home", sign_up="open") as running:
        yield running


class Keeper:
    """Somebody with two uploads, one of which is shared and published."""

    def __init__(self, server: Running, folder: Path, name: str) -> None:
        self.person = join(server.url, name, folder)
        studio = self.person.studio
        self.url, self.headers = f"{server.url}/api/v1", self.person.headers
        self.kept, self.shown = (studio.upload(picture_bytes()) for _ in range(2))
        studio.share(self.shown)
        self.publication = studio.publish(self.shown, words="a public word")["id"]

    def get(self, path: str) -> httpx.Response:
        """As this person."""
        return httpx.get(f"{self.url}/{path}", headers=self.headers)

    def sealed(self, asset: str) -> dict[str, bytes]:
        """Pieces of an asset's sealed files and of its envelope."""
        parts = ("full", "thumb", "meta")
        found = {part: piece(self.get(f"assets/{asset}/{part}").content) for part in parts}
        about = self.get(f"assets/{asset}").json()
        return found | {"envelope": piece(unb64(about["envelope"]))}


@pytest.fixture
def keeper(server: Running, tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(server, tmp_path, f"keeper{secrets.token_hex(8)}")
    yield made
    made.person.studio.close()


def test_d1_a_deleted_asset_is_in_no_file(server: Running, keeper: Keeper, proof: Proof) -> None:
    gone, kept = keeper.sealed(keeper.shown), keeper.sealed(keeper.kept)
    assert set(found_in(server.home, gone)) == set(gone), "the look sees what is there"
    assert keeper.person.studio.delete([keeper.shown]) == {keeper.shown: "deleted"}
    assert gone_in_time(server.home, gone) == {}
    assert set(found_in(server.home, kept)) == set(kept), "the other one is untouched"
    about = [keeper.get(f"assets/{keeper.shown}{part}") for part in ("", "/full", "/thumb")]
    about.append(httpx.get(f"{server.url}/api/v1/publications/{keeper.publication}/picture"))
    assert {answer.status_code for answer in about} == {404}
    assert keeper.get("shares").json()["shares"] == []
    proof("D1", "a deleted asset, raw scan of all files: three sealed parts and the key envelope",
          "0 found within 60 s; its share, publication and rows are gone")  # fmt: skip


def test_d2_an_account_that_left_is_in_no_file(
    server: Running, keeper: Keeper, proof: Proof
) -> None:
    methods = ("password", "recovery")
    files = {method: keeper.get(f"vault/files/{method}").json()["file"] for method in methods}
    gone = {method: piece(unb64(file)) for method, file in files.items()}
    gone |= {f"kept {k}": v for k, v in keeper.sealed(keeper.kept).items()}
    gone |= {f"shown {k}": v for k, v in keeper.sealed(keeper.shown).items()}
    gone |= {
        "name": keeper.person.name.encode(),
        "id": keeper.person.studio.account()["id"].encode(),
    }
    assert set(found_in(server.home, gone)) == set(gone)
    keeper.person.studio.leave(PASSWORD)
    assert gone_in_time(server.home, gone) == {}
    assert keeper.get("account").status_code == 401
    proof("D2", "an account that left, raw scan of all files: name, id, vault files, two assets",
          "0 found within 60 s")  # fmt: skip


def test_d3_what_is_unpublished_is_gone_at_once(
    server: Running, keeper: Keeper, proof: Proof
) -> None:
    address = f"{server.url}/api/v1/publications/{keeper.publication}"
    public = httpx.get(f"{address}/picture").content
    words = secrets.token_hex(12)
    second = keeper.person.studio.publish(keeper.kept, words=words)["id"]
    before = found_in(server.home, {"picture": public, "words": words.encode()})
    assert set(before) == {"picture", "words"}
    for publication in (keeper.publication, second):
        keeper.person.studio.unpublish(publication)
    # No waiting here: the file is deleted before the answer.
    assert found_in(server.home / "blobs", {"picture": public}) == {}
    assert httpx.get(address).status_code == httpx.get(f"{address}/picture").status_code == 404
    assert gone_in_time(server.home, {"picture": public, "words": words.encode()}) == {}
    opened = keeper.person.studio.open(keeper.shown)
    assert opened.data.startswith(b"\x89PNG"), "the private original is untouched"
    proof("D3", "two publications taken back: the address, the file, the words",
          "404 and no file when the call returns; 0 found in any file within 60 s")  # fmt: skip


# --- any order of things, at the desk ------------------------------------------------------------


class ErasureMachine(RuleBasedStateMachine):
    """Keeps, shares, publishes, takes back, deletes and leaves in any order.

    ``living`` and ``gone`` say by name which canary must be in the files, and which must not.
    """

    accounts: Bundle[Account] = Bundle("accounts")
    assets: Bundle[tuple[Account, str]] = Bundle("assets")
    shares: Bundle[tuple[Account, str]] = Bundle("shares")
    publications: Bundle[tuple[Account, str]] = Bundle("publications")

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.home = Path(tempfile.mkdtemp(prefix="safelight-erasure-"))
        self.desk = self.run(open_test_desk(self.home))
        self.living: dict[str, bytes] = {}
        self.gone: dict[str, bytes] = {}
        self.owns: dict[str, str] = {}
        """What goes with what: a share and a publication with their asset, all with the account."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.look()
            self.run(self.desk.close())
            self.loop.close()
            shutil.rmtree(self.home)

    def canary(self, of: str, part: str, owner: str | None = None) -> bytes:
        made = secrets.token_hex(12).encode()
        self.living[f"{of} {part}"] = made
        if owner is not None:
            self.owns[of] = owner
        return made

    def end(self, thing: str) -> None:
        """Count a thing as gone, and all that goes with it."""
        for name in [n for n in self.living if n.partition(" ")[0] == thing]:
            self.gone[name] = self.living.pop(name)
        for child in [c for c, owner in self.owns.items() if owner == thing]:
            self.end(child)

    def lives(self, thing: str) -> bool:
        return any(name.partition(" ")[0] == thing for name in self.living)

    @rule(target=accounts)
    def join(self) -> Account:
        name = f"n{secrets.token_hex(8)}"
        account = self.run(add_account(self.desk, name))
        self.living[f"{account.id} name"] = name.encode()
        return account

    @rule(target=assets, account=accounts)
    def keep(self, account: Account) -> tuple[Account, str]:
        made = sealed_asset(kind="upload")
        if self.lives(account.id):
            parts = {
                part: self.canary(made.id, part, account.id) + bytes(80)
                for part in ("full", "thumb", "meta", "envelope")
            }
            asset = SealedAsset(id=made.id, kind="upload", **parts)
            self.run(self.desk.put_asset(account.id, asset))
        return account, made.id

    @rule(target=shares, asset=assets)
    def share(self, asset: tuple[Account, str]) -> tuple[Account, str]:
        account, name = asset
        if not self.lives(name):
            return account, ""
        bundle = secrets.token_hex(12).encode()
        made = self.run(
            self.desk.create_share(
                account.id, asset=name, access_sha256=secrets.token_hex(32), person=None,
                bundle=bundle, passphrase_salt=None, expires_at=NOON + timedelta(days=7),
            )
        )  # fmt: skip
        self.living[f"{made.id} bundle"] = bundle
        self.owns[made.id] = name
        return account, made.id

    @rule(target=publications, asset=assets)
    def publish(self, asset: tuple[Account, str]) -> tuple[Account, str]:
        account, name = asset
        if not self.lives(name):
            return account, ""
        picture, words = secrets.token_hex(12).encode(), secrets.token_hex(12)
        made = self.run(
            self.desk.publish(
                account.id, asset=name, picture=picture, media_type="image/png", width_px=8,
                height_px=8, words=words, show_name=False, remix=False,
            )
        )  # fmt: skip
        self.living |= {f"{made.id} picture": picture, f"{made.id} words": words.encode()}
        self.owns[made.id] = name
        return account, made.id

    @rule(share=consumes(shares))
    def revoke(self, share: tuple[Account, str]) -> None:
        if self.lives(share[1]):
            self.run(self.desk.revoke_share(share[0].id, share[1]))
            self.end(share[1])

    @rule(publication=consumes(publications))
    def unpublish(self, publication: tuple[Account, str]) -> None:
        if self.lives(publication[1]):
            self.run(self.desk.unpublish(publication[0].id, publication[1]))
            self.end(publication[1])

    @rule(asset=assets)
    def delete(self, asset: tuple[Account, str]) -> None:
        assert self.run(self.desk.delete_asset(asset[0].id, asset[1])) == self.lives(asset[1])
        self.end(asset[1])

    @rule(account=consumes(accounts))
    def leave(self, account: Account) -> None:
        self.run(self.desk.leave(account.id))
        self.end(account.id)

    @rule(again=st.booleans())
    def restart(self, again: bool) -> None:
        if again:
            self.run(self.desk.close())
            self.desk = self.run(open_test_desk(self.home))

    @rule()
    def look(self) -> None:
        for database in (self.desk.records.database, self.desk.keys_store.database):
            assert self.run(database.scrub()), "nobody else reads"
        found = found_in(self.home, self.living | self.gone)
        assert set(found) == set(self.living), {n: found[n] for n in self.gone if n in found}


def machine(runs: int) -> Any:
    """The machine as a test of so many runs."""
    case = ErasureMachine.TestCase
    case.settings = settings(
        max_examples=runs,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    return case


def test_d_any_order_of_keeping_and_erasing_leaves_nothing() -> None:
    machine(8)("runTest").runTest()


@pytest.mark.proof
def test_d_a_hundred_orders_of_keeping_and_erasing_leave_nothing(proof: Proof) -> None:
    machine(100)("runTest").runTest()
    proof("D1-3", "100 random orders of keep, share, publish, take back, delete, leave, restart; "
          "raw scan of all files", "all that lives was found, nothing that is gone")  # fmt: skip
