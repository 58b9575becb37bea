"""A real fleet with real keeper processes; the engine is the tests' painter."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from caller import Caller, Hearing, make_recipe
from safelight.catalogue import Catalogue
from safelight.errors import TransientError
from safelight.fleet.local import LocalFleet
from safelight.ids import new_id
from safelight.policy.plans import cost_header
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
        assert model in status.models

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
