"""Lives a desk's life and is killed in it; then looks at what is left.

Run as a program: it imports everything once, then forks a fresh process for each life and for each
look, because starting Python for each of hundreds of kills would take most of the time. It reads
lines of JSON from standard input and answers each with one.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from deskwork import (
    COST,
    ScriptedFleet,
    add_account,
    make_everything,
    open_test_desk,
    sealed_asset,
    until_end,
)
from safelight.desk import Desk
from safelight.ids import FixedClock, new_id, sha256_hex
from safelight.records import Account, Job
from safelight.store import durable
from safelight.store.blobs import PARTS
from safelight.vault.identity import Identity, OwnerKeys
from safelight.vault.notes import make_owner_note

JOBS = 3
KEYS = OwnerKeys(Identity.from_seed(bytes(range(32))), bytes(range(32)))
NEW_KEYS = OwnerKeys(Identity.from_seed(bytes(range(1, 33))), bytes(range(32)), KEYS.identities)
FILES = {"password": b"password file", "recovery": b"recovery file"}
NEW_FILES = {"password": b"new password file", "recovery": b"new recovery file"}
REWRAPPED = b"an envelope wrapped anew"
PICTURE = b"a plain picture"


class Diary:
    """What the caller was told, in a file that a kill does not lose."""

    def __init__(self, home: Path) -> None:
        self._file = os.open(home / "diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, what: str, name: str = "") -> None:
        os.write(self._file, f"{what} {name}\n".encode())


def read_diary(home: Path) -> dict[str, str]:
    path = home / "diary"
    lines = path.read_text().splitlines() if path.exists() else []
    return {line.split(" ")[0]: line.split(" ")[1] for line in lines}


async def open_now(home: Path) -> Desk:
    from datetime import UTC, datetime

    return await open_test_desk(home, FixedClock(datetime.now(UTC)))


async def prepare(home: Path) -> None:
    """A home with one account and two kept assets."""
    desk = await open_now(home)
    anna = await add_account(
        desk, owner_recipient=KEYS.recipient, signing_key=KEYS.signing_public_hex
    )
    for i in range(2):
        asset = await desk.put_asset(anna.id, sealed_asset(kind="upload"))
        Diary(home).note(f"kept{i}", asset.id)
    plan = {f"job{i}": new_id("ast") for i in range(JOBS + 1)} | {"project": new_id("ast")}
    (home / "plan.json").write_text(json.dumps(plan))
    await desk.close()


async def submit(desk: Desk, anna: Account, plan: dict[str, str], i: int) -> Job:
    """The same bytes under the same idempotency key, however often."""
    asset = plan[f"job{i}"]
    job, _ = await desk.submit(
        account=anna,
        sealed=f"sealed:{asset}:{i}".encode(),
        cost=COST,
        retention="owner",
        protection="sealed",
        assets=(asset,),
        idempotency_key=f"job-number-{i}",
    )
    return job


async def live(home: Path) -> None:
    """Submit, finish, publish, share, delete, put: every way to write. Notes what was promised."""
    plan, told = json.loads((home / "plan.json").read_text()), read_diary(home)
    diary = Diary(home)
    desk = await open_now(home)
    anna = (await desk.people())[0]
    fleet = ScriptedFleet(make_everything)
    desk.attach(fleet)
    for i in range(JOBS):
        job = await submit(desk, anna, plan, i)
        diary.note(f"submitted{i}", job.id)
        assert await until_end(desk, job.id) == "done"
        diary.note(f"done{i}", job.id)
    shown = await desk.publish(
        anna.id, asset=told["kept0"], picture=PICTURE, media_type="image/png", width_px=1,
        height_px=1, words="", show_name=False, remix=False,
    )  # fmt: skip
    diary.note("published", shown.id)
    share = await desk.create_share(
        anna.id, asset=told["kept0"], access_sha256="ab" * 32, person=None, bundle=b"bundle",
        passphrase_salt=None, expires_at=desk.clock.now() + timedelta(days=1),
    )  # fmt: skip
    diary.note("shared", share.id)
    diary.note("revoking")
    await desk.revoke_share(anna.id, share.id)
    diary.note("revoked")
    diary.note("unpublishing")
    await desk.unpublish(anna.id, shown.id)
    diary.note("unpublished")
    await rotate(desk, anna, told["kept0"], diary)
    for name, asset in (("kept1", told["kept1"]), ("job0", plan["job0"])):
        diary.note(f"deleting-{name}")
        await desk.delete_asset(anna.id, asset)
        diary.note(f"deleted-{name}")
    for version in (1, 2):
        project = sealed_asset(plan["project"], size=version * 100, kind="project")
        diary.note(f"putting{version}")
        await desk.put_asset(anna.id, project)
        diary.note(f"put{version}")
    fleet.gate.clear()
    job = await submit(desk, anna, plan, JOBS)
    diary.note("submitted-to-cancel", job.id)
    await desk.cancel(job.id)
    diary.note("cancelled")
    fleet.gate.set()
    hidden, _ = await desk.submit(
        account=anna, sealed=b"sealed::", cost=COST, retention="none", protection="sealed"
    )
    diary.note("off-the-record-begun")
    assert await until_end(desk, hidden.id) == "done"
    diary.note("off-the-record")
    await desk.close()


async def rotate(desk: Desk, anna: Account, asset: str, diary: Diary) -> None:
    """New owner keys, as a client brings them."""
    diary.note("rewrapping-files")
    await desk.rewrap_files(
        anna.id, password_file=NEW_FILES["password"], recovery_file=NEW_FILES["recovery"],
        keep_session=None,
    )  # fmt: skip
    diary.note("rewrapped-files")
    diary.note("announcing")
    note = make_owner_note(NEW_KEYS)
    await desk.announce_owner(anna, NEW_KEYS.recipient, note, keep_session=None)
    diary.note("announced")
    before = sha256_hex(sealed_asset(asset).envelope)
    diary.note("rewrapping")
    await desk.rewrap_envelopes(anna.id, {asset: (before, REWRAPPED)})
    diary.note("rewrapped")


class WrongError(Exception):
    """Something that was promised is not so."""


def check(what: str, *, holds: bool) -> None:
    if not holds:
        raise WrongError(what)


async def look(home: Path) -> dict[str, Any]:
    """Open the home as the next start does, go on as callers would, and check all promises."""
    plan, told = json.loads((home / "plan.json").read_text()), read_diary(home)
    began = time.monotonic()
    desk = await open_now(home)
    anna = (await desk.people())[0]
    desk.attach(ScriptedFleet(make_everything))
    done = JOBS
    for i in range(JOBS):
        if f"done{i}" not in told:
            job = await submit(desk, anna, plan, i)
            check(f"job {i} ends", holds=await until_end(desk, job.id) == "done")
            check(f"job {i} is one", holds=told.get(f"submitted{i}", job.id) == job.id)
    await desk.go_on()
    recovery = time.monotonic() - began
    if "submitted-to-cancel" in told:
        ended = await until_end(desk, told["submitted-to-cancel"])
        check("a cancelled job stays so", holds="cancelled" not in told or ended == "cancelled")
        done += ended == "done"
    await desk.drain()
    for job in await desk.jobs(anna.id):
        check("every job ended", holds=job.state in ("done", "cancelled"))
    extra = [j for j in await desk.jobs(anna.id) if j.assets == (plan[f"job{JOBS}"],)]
    if "submitted-to-cancel" not in told and extra:
        done += 1  # submitted, not told, made on the second life
    bills = await desk.records.jobs.bills(anna.id)
    billed = sum(pictures for _, pictures, _ in bills)
    least = done + ("off-the-record" in told)
    most = done + ("off-the-record-begun" in told)
    check(f"{billed} billed, {least} to {most} made", holds=least <= billed <= most)
    await check_library(desk, anna, plan, told)
    await check_rotation(desk, anna, told)
    await check_shown(desk, told)
    swept = await desk.sweep(orphan_age=timedelta(0))
    await check_no_orphans(desk, anna)
    await desk.close()
    return {"recovery": recovery, "orphans": swept.blobs + swept.envelopes}


async def check_library(
    desk: Desk, anna: Account, plan: dict[str, str], told: dict[str, str]
) -> None:
    listed = {asset.id: envelope for asset, envelope in (await desk.library(anna.id))[0]}
    wanted = {told["kept0"]} | {plan[f"job{i}"] for i in range(1, JOBS)}
    for name, asset in (("kept1", told["kept1"]), ("job0", plan["job0"])):
        if f"deleting-{name}" not in told:
            wanted.add(asset)
        check(f"{name} is gone", holds=f"deleted-{name}" not in told or asset not in listed)
    if "put1" in told:
        wanted.add(plan["project"])
    check("no kept asset is lost", holds=wanted <= listed.keys())
    for asset, envelope in listed.items():
        versions = [sealed_asset(asset)]
        if asset == told["kept0"]:
            anew = sealed_asset(asset, envelope=REWRAPPED)
            versions += [anew] if "rewrapping" in told else []
            versions = [anew] if "rewrapped" in told else versions
        if asset == plan["project"]:
            versions = [sealed_asset(asset, size=v * 100) for v in (1, 2)]
            if "put2" in told:
                versions = versions[1:]
        parts = {part: (await desk.asset_part(anna.id, asset, part))[1] for part in PARTS}
        whole = any(
            envelope == v.envelope and all(parts[part] == getattr(v, part) for part in PARTS)
            for v in versions
        )
        check("a listed asset is whole", holds=whole)


async def check_rotation(desk: Desk, anna: Account, told: dict[str, str]) -> None:
    """The former keys as a whole, or the new ones; whichever was promised."""
    files = await desk.vault_files(anna.id)
    check("unlock files go together", holds=files in (FILES, NEW_FILES))
    check("new files stay", holds="rewrapped-files" not in told or files == NEW_FILES)
    check("files change when told to", holds="rewrapping-files" in told or files == FILES)
    new = anna.owner_recipient == NEW_KEYS.recipient
    check("an account has its note", holds=new == (anna.owner_note is not None))
    check("a recipient stays", holds=new or "announced" not in told)
    check("a recipient changes when told to", holds=not new or "announcing" in told)


async def check_shown(desk: Desk, told: dict[str, str]) -> None:
    shown, _ = await desk.explore()
    if "unpublished" in told:
        check("an unpublished copy is gone", holds=not shown)
    if "published" in told and "unpublishing" not in told:
        check("a published copy is shown", holds=len(shown) == 1)
    for publication, _ in shown:
        _, picture = await desk.publication_picture(publication.id)
        check("a shown copy is whole", holds=picture == PICTURE)
    if "shared" in told:
        live = await desk.records.shares.live(told["shared"], desk.clock.now())
        check("a revoked share is over", holds="revoked" not in told or live is None)
        if "revoking" not in told:
            opened, *_ = await desk.open_share(told["shared"], "ab" * 32)
            check("a share has its bundle", holds=opened.bundle == b"bundle")


async def check_no_orphans(desk: Desk, anna: Account) -> None:
    listed = len((await desk.library(anna.id))[0])
    shown = len((await desk.explore())[0])
    blobs = len([blob async for blob in desk.blobs.list()])
    check("every blob has a row", holds=blobs == 3 * listed + shown)
    envelopes = await desk.keys_store.old_envelopes(desk.clock.now() + timedelta(1), "", 1_000)
    check("every envelope has a row", holds=len(envelopes) == listed)


# --- one process for each life ---


def in_child(work: Callable[[], Awaitable[Any]], answer: Path | None = None) -> int:
    """Run ``work`` in a forked process; return its exit status as of ``os.waitpid``."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            result = asyncio.run(work())  # type: ignore[arg-type]
            if answer is not None:
                answer.write_text(json.dumps(result))
            code = 0
        except WrongError as wrong:
            if answer is not None:
                answer.write_text(json.dumps({"wrong": str(wrong)}))
        except BaseException:
            if answer is not None:
                answer.write_text(json.dumps({"wrong": traceback.format_exc()}))
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def killing(point: int, names: list[str] | None = None) -> Callable[[str, str], None]:
    """A hook that kills this process at the ``point``-th moment (from 0), or only lists them."""
    seen = 0

    def hook(name: str, moment: str) -> None:
        nonlocal seen
        if names is not None:
            names.append(f"{name}:{moment}")
        if seen == point:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    return hook


async def live_killed(home: Path, point: int) -> None:
    durable.set_hook(killing(point))
    await live(home)


async def live_timed(home: Path, seconds: float) -> None:
    """Killed from outside the loop, at any instruction: by a real timer's signal."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # its default is to end the process at once
    signal.setitimer(signal.ITIMER_REAL, seconds)
    await live(home)
    signal.setitimer(signal.ITIMER_REAL, 0)


async def live_listed(home: Path) -> list[str]:
    names: list[str] = []
    durable.set_hook(killing(-1, names))
    began = time.monotonic()
    await live(home)
    return [*names, str(time.monotonic() - began)]


def one(base: Path, order: dict[str, Any]) -> dict[str, Any]:
    template = base / "template"
    home, answer = base / "home", base / "answer.json"
    if not template.exists() and in_child(lambda: prepare(template), answer):
        return dict(json.loads(answer.read_text()))
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(template, home)
    if order["kind"] == "list":
        in_child(lambda: live_listed(home), answer)
        found = json.loads(answer.read_text())
        return found if "wrong" in found else {"names": found[:-1], "seconds": float(found[-1])}
    answer.unlink(missing_ok=True)
    if order["kind"] == "point":
        status = in_child(lambda: live_killed(home, order["point"]), answer)
    else:
        pause = random.Random(order["seed"]).uniform(0.0, order["seconds"])
        status = in_child(lambda: live_timed(home, pause), answer)
    if answer.exists() and "wrong" in (json.loads(answer.read_text()) or {}):
        return dict(json.loads(answer.read_text()))
    in_child(lambda: look(home), answer)
    return dict(json.loads(answer.read_text())) | {"killed": os.WIFSIGNALED(status)}


def main() -> None:
    base = Path(sys.argv[1])
    for line in sys.stdin:
        sys.stdout.write(json.dumps(one(base, json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
