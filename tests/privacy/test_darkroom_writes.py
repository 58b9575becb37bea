"""L5: what a darkroom's processes open for writing, and which sockets they make, by strace."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from caller import Caller, Hearing, make_recipe
from safelight.catalogue import Catalogue
from safelight.fleet.local import LocalFleet
from safelight.ids import new_id
from safelight.policy.plans import cost_header
from safelight.settings import Settings

KEEPER = Path(__file__).parent.parent / "faults" / "bad_keeper.py"
CALLS = (
    "open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,link,linkat,"
    "symlink,symlinkat,truncate,unlink,unlinkat,socket,connect,bind"
)
ALLOWED = re.compile(r'"(/dev/null|/dev/nvidia[^"]*|/proc/self/(setgroups|uid_map|gid_map))"')
_WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE")
_OTHER = re.compile(
    r"^(creat|mkdir|mkdirat|mknod|rename|link|symlink|truncate|unlink|socket|conn|bind)"
)


def calls(trace: Path) -> Iterator[tuple[str, bool]]:
    """Each call in a trace, whole, and whether it worked."""
    started: dict[str, str] = {}
    for line in trace.read_text(encoding="utf-8", errors="replace").splitlines():
        pid, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            started[pid] = text.removesuffix("<unfinished ...>")
            continue
        if (resumed := re.match(r"<\.\.\. \w+ resumed>", text)) is not None:
            text = started.pop(pid, "") + text[resumed.end() :]
        yield text, " = -1 " not in text


def unexpected(trace: Path) -> tuple[list[str], int]:
    """Writes and sockets that worked and are not allowed; and how many were refused."""
    worked, refused = [], 0
    for text, fine in calls(trace):
        writes = _WRITES.search(text) if text.startswith("open") else _OTHER.match(text)
        if writes is None:
            continue
        if not fine:
            refused += 1
        elif not ALLOWED.search(text):
            worked.append(text)
    return worked, refused


async def traced(settings: Settings, model: str, trace: Path, fault: str, jobs: int) -> None:
    strace = shutil.which("strace")
    assert strace is not None, "scripts/system-packages.sh installs it"
    command = [strace, "-f", "-qq", "-o", str(trace), "-e", f"trace={CALLS}"]
    command += [sys.executable, str(KEEPER), fault]
    fleet = LocalFleet(settings, keeper_command=command)
    await fleet.start()
    try:
        await fleet.wait_ready()
        assert fleet.status().confinement["complete"], fleet.status().confinement
        caller = Caller(fleet.public_key)
        for i in range(jobs):
            recipe = make_recipe(model, seed=i)
            request = caller.request(recipe, keep=i % 2 == 0, previews=True)
            sealed = caller.seal(request, fleet.notes())
            outcome = await fleet.develop(new_id("job"), sealed, cost_header(recipe), Hearing())
            assert outcome.state == "done", outcome.code
    finally:
        await fleet.stop()


@pytest.mark.proof
def test_l5_no_write_in_50_jobs(tmp_path: Path, proof: Callable[[str, str, str], None]) -> None:
    refused = 0
    for fault, jobs in (("any", 48), ("diffusers:any", 2)):
        home, trace = tmp_path / f"home-{jobs}", tmp_path / f"{jobs}.trace"
        home.mkdir()
        model = Catalogue(home).models()[0].digest
        asyncio.run(traced(Settings(home=home), model, trace, fault, jobs))
        worked, missed = unexpected(trace)
        assert worked == []
        assert missed > 0, "the trace saw the probes of confinement being refused"
        refused += missed
    proof("L5", "files opened for writing and sockets made by the darkroom's processes (strace)",
          f"0 unexpected in 50 jobs; {refused} tries were refused by the kernel")  # fmt: skip


def test_the_trace_reader_sees_writes(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text(
        '1 openat(AT_FDCWD, "/etc/x", O_RDONLY|O_CLOEXEC) = 3\n'
        '1 openat(AT_FDCWD, "/dev/null", O_RDWR) = 4\n'
        '1 openat(AT_FDCWD, "/tmp/a", O_WRONLY|O_CREAT, 0600) = -1 EACCES (Permission denied)\n'
        '2 openat(AT_FDCWD, "/tmp/b", O_WRONLY|O_CREAT <unfinished ...>\n'
        "1 socket(AF_INET, SOCK_STREAM, 0) = 5\n"
        "2 <... openat resumed>, 0600) = 6\n"
        '1 mkdir("/tmp/c", 0777) = 0\n',
        encoding="utf-8",
    )
    worked, refused = unexpected(trace)
    assert refused == 1
    assert [text.split("(")[0] for text in worked] == ["socket", "openat", "mkdir"]
