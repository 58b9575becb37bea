"""A real fleet with real keeper processes; the engine is the tests' painter."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from caller import Caller, Hearing, make_recipe
from safelight.catalogue import Catalogue
from safelight.errors import TransientError
from safelight.fleet.local import LocalFleet
from safelight.ids import new_id
from safelight.policy.plans import cost_header
from safelight.server.logs import Journal
from safelight.server.wiring import fleet_events
from safelight.settings import Settings
from safelight.vault.notes import verify_note

KEEPER = [
    sys.executable,
    str(Path(__file__).parents[2] / "faults" / "bad_keeper.py"),
    "none",
]


async def test_start_announce_develop_cancel_stop(tmp_path: Path) -> None:
    """One life of a fleet of two darkrooms: most of the time is their start, so it is one test."""
    fleet = LocalFleet(Settings(home=tmp_path), devices=["cpu", "cpu"], keeper_command=KEEPER)
    assert fleet.status().state == "stopped"
    assert fleet.notes() == []
    await fleet.start()
    try:
        notes = fleet.notes()
        keys = [verify_note(note, fleet.public_key, datetime.now(UTC)) for note in notes]
        assert len({key.recipient for key in keys}) == fleet.slots == 2
        await fleet.wait_ready()
        status = fleet.status()
        assert (status.state, status.device, status.error) == ("ready", "cpu", None)
        assert status.confinement["complete"] is True, status.confinement
        json.dumps(status.confinement)
        model = Catalogue(tmp_path).models()[0].digest

        caller = Caller(fleet.public_key)
        # Only the second darkroom can open this one, whichever is asked first.
        recipe = make_recipe(model, count=2)
        request, hearing = caller.request(recipe, previews=True), Hearing()
        sealed = caller.seal(request, notes[1:])
        outcome = await fleet.develop(new_id("job"), sealed, cost_header(recipe), hearing)
        opened = caller.open(request, notes[1:], outcome)
        assert [p.seed for p in opened.reply.pictures] == [7, 8]
        assert [m.recipe.seed for m in opened.metas] == [7, 8]
        assert opened.metas[0].words == ("a", "lamp", "in", "darkroom")
        assert opened.metas[0].model_name == "pocket"
        assert hearing.steps[-1] == (1, 2, 2)
        previews = [caller.open_preview(request, notes[1:], p) for p in hearing.previews]
        assert previews
        assert all(p[8:12] == b"WEBP" for p in previews)

        # Public copies leave a darkroom only if the seal says so twice.
        for retention, publish, copies in (
            ("owner", True, 0),
            ("public", False, 0),
            ("public", True, 2),
        ):
            request = caller.request(recipe, retention=retention, publish=publish)
            sealed = caller.seal(request, notes[1:])
            outcome = await fleet.develop(new_id("job"), sealed, cost_header(recipe), Hearing())
            opened = caller.open(request, notes[1:], outcome)
            assert len(outcome.public) == copies
        assert opened.pictures[:2] == [*outcome.public]

        slow = make_recipe(model, steps=100)
        hearing, job = Hearing(), new_id("job")
        sealed = caller.seal(caller.request(slow), notes)
        working = asyncio.create_task(fleet.develop(job, sealed, cost_header(slow), hearing))
        await hearing.heard.wait()
        await fleet.cancel(job)
        assert (await working).state == "cancelled"

        # A cancel that comes right behind its job, or while another one is drawn, is heard too.
        blocked = []
        for _ in range(8):
            job, sealed = new_id("job"), caller.seal(caller.request(slow), notes[:1])
            blocked.append(
                asyncio.create_task(fleet.develop(job, sealed, cost_header(slow), Hearing()))
            )
            await asyncio.sleep(0)
            await fleet.cancel(job)
        async with asyncio.timeout(60):
            assert {(await task).state for task in blocked} == {"cancelled"}

        # Dropping the task cancels the job too: the darkroom is free at once.
        hearing = Hearing()
        sealed = caller.seal(caller.request(slow), notes)
        working = asyncio.create_task(
            fleet.develop(new_id("job"), sealed, cost_header(slow), hearing)
        )
        await hearing.heard.wait()
        working.cancel()
        sealed = caller.seal(caller.request(recipe), notes)
        outcome = await fleet.develop(new_id("job"), sealed, cost_header(recipe), Hearing())
        assert outcome.state == "done"
    finally:
        await fleet.stop()
    assert fleet.notes() == []
    assert fleet.status().state == "stopped"
    outcome = await fleet.develop(new_id("job"), b"", cost_header(recipe), Hearing())
    assert outcome.code == "darkroom-key-lost"


async def test_required_confinement_that_cannot_be_had_refuses_to_start(tmp_path: Path) -> None:
    script = tmp_path / "keeper.py"
    script.write_text(
        "import sys\n"
        "from safelight.darkroom import kernel\n"
        "def absent(*args):\n    raise OSError(38, 'not here')\n"
        "kernel.landlock_read_only = absent\n"
        "from safelight.darkroom.__main__ import main\n"
        "sys.exit(main())\n",
        encoding="utf-8",
    )
    settings = Settings(home=tmp_path / "home", confine="require")
    fleet = LocalFleet(settings, keeper_command=[sys.executable, str(script)])
    with pytest.raises(TransientError, match="disk_writes"):
        await fleet.start()
    assert fleet.status().error == "darkroom-stopped"
    assert fleet.notes() == []


CHANGES_KEYS = """
import json, socket, sys
from safelight import frames
from safelight.darkroom.keyring import KeyRing
from safelight.ids import SystemClock, new_id
from safelight.vault.request import time_text

ours = socket.socket(fileno=int(sys.argv[sys.argv.index("--fd") + 1]))
keys = KeyRing(new_id("drk"), SystemClock(), announced_seconds=600, kept_seconds=600)

def announce():
    key = keys.make()
    until = ("not_before", "announced_until", "keeps_until")
    times = {n: time_text(getattr(key, n)) for n in until}
    names = {n: getattr(key, n) for n in ("darkroom", "recipient", "signing_key")}
    ours.sendall(frames.encode_frame({"op": "announce", **names, **times}))

def ready(warm):
    ours.sendall(frames.encode_frame({
        "op": "ready" if warm else "not-ready", "darkroom": "d", "device": "cpu",
        "confinement": {}, "code": None, "where": None}))

announce()
ready(True)
announce()
announce()
ready(False)
announce()
ready(True)
frames.read_frame(frames.exact_reader(ours.makefile("rb").read))  # until it is told to stop
"""


async def test_a_new_key_is_no_new_start(tmp_path: Path) -> None:
    """The log says how the darkroom stands, and a darkroom that changes its key stays ready."""
    stream, told = io.StringIO(), asyncio.Event()
    tell = fleet_events(Journal(stream))
    states: list[str] = []

    def hear(name: str, fields: dict[str, Any]) -> None:
        tell(name, fields)
        states.append(fleet.status().state)
        told.set()

    command = [sys.executable, "-c", CHANGES_KEYS]
    fleet = LocalFleet(Settings(home=tmp_path), keeper_command=command, on_event=hear)
    await fleet.start()
    try:
        while len(states) < 4:
            told.clear()
            await told.wait()
    finally:
        await fleet.stop()
    logged = [json.loads(line)["state"] for line in stream.getvalue().splitlines()]
    assert logged == states == ["warming", "ready", "warming", "ready"]
