"""Each promise of confinement, tried from inside a confined process of our own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from safelight.darkroom.confine import worse_of

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="other systems confine by code only"
)


def run_confined(
    folder: Path, body: str, *, mode: str = "auto", before: str = ""
) -> dict[str, object]:
    """Run ``body`` in a fresh confined process; it fills ``out``."""
    script = "\n".join(
        [
            "import json, os, sys",
            "from pathlib import Path",
            "from safelight.darkroom.confine import confine",
            f"folder = Path({str(folder)!r})",
            textwrap.dedent(before),
            f"report = confine({mode!r}, probe_folders=[folder])",
            "out = {'report': report}",
            textwrap.dedent(body),
            "print(json.dumps(out))",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@linux_only
def test_everything_is_refused_here(tmp_path: Path) -> None:
    (tmp_path / "there.txt").write_text("old", encoding="utf-8")
    out = run_confined(
        tmp_path,
        """
        import ctypes, resource, socket
        def tried(act):
            try:
                act()
            except OSError as error:
                return type(error).__name__
            return "worked"
        out["read"] = (folder / "there.txt").read_text()
        out["new file"] = tried(lambda: (folder / "new.txt").touch())
        out["change"] = tried(lambda: (folder / "there.txt").write_text("new"))
        out["truncate"] = tried(lambda: os.truncate(folder / "there.txt", 0))
        out["rename"] = tried(lambda: (folder / "there.txt").rename(folder / "gone.txt"))
        out["delete"] = tried(lambda: (folder / "there.txt").unlink())
        out["folder"] = tried(lambda: (folder / "sub").mkdir())
        out["link"] = tried(lambda: (folder / "link").symlink_to("there.txt"))
        out["shm"] = tried(lambda: Path("/dev/shm/safelight-test").touch())
        for family in ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"):
            out[family] = tried(lambda f=family: socket.socket(getattr(socket, f)))
        out["pair"] = tried(lambda: socket.socketpair())
        out["null"] = tried(lambda: Path("/dev/null").write_bytes(b"x"))
        out["core"] = resource.getrlimit(resource.RLIMIT_CORE)
        """,
    )
    report = out.pop("report")
    assert report["complete"] is True, report
    assert report["missing"] == []
    allowed = {"read": "old", "pair": "worked", "null": "worked", "core": [0, 0]}
    for name, value in allowed.items():
        assert out.pop(name) == value, name
    assert "worked" not in out.values(), out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["there.txt"]
    assert (tmp_path / "there.txt").read_text(encoding="utf-8") == "old"


@linux_only
def test_children_are_confined_too(tmp_path: Path) -> None:
    out = run_confined(
        tmp_path,
        """
        import subprocess
        code = "import socket; from pathlib import Path; Path(%r).touch()" % str(folder / "child")
        null = subprocess.DEVNULL
        out["rc"] = subprocess.run([sys.executable, "-B", "-c", code],
            stdin=null, stdout=null, stderr=null).returncode
        """,
    )
    assert out["rc"] != 0
    assert list(tmp_path.iterdir()) == []


@linux_only
def test_off_says_what_is_possible(tmp_path: Path) -> None:
    report = run_confined(tmp_path, "", mode="off")["report"]
    assert report["disk_writes"] == "possible"
    assert report["core_dumps"] == "refused", "dumps are forbidden in every mode"
    assert report["complete"] is False
    assert list(tmp_path.iterdir()) == [], "the probe cleans up"


@linux_only
@pytest.mark.parametrize(
    ("lacking", "missing"),
    [
        ("landlock_read_only", "disk_writes"),
        ("forbid_dumps", "ptrace"),
    ],
)
def test_what_cannot_be_had_is_said_and_require_refuses(
    tmp_path: Path, lacking: str, missing: str
) -> None:
    before = f"""
        from safelight.darkroom import kernel
        def absent(*args):
            raise OSError(38, "not here")
        kernel.{lacking} = absent
        """
    report = run_confined(tmp_path, "", before=before)["report"]
    assert report["missing"] == [missing]
    refused = run_confined(
        tmp_path,
        "",
        before=before
        + """
        from safelight.errors import DarkroomError
        import safelight.darkroom.confine as module
        real = module.confine
        def confine(*args, **more):
            try:
                return real(*args, **more)
            except DarkroomError as error:
                return {"refused": error.message}
        """,
        mode="require",
    )["report"]
    assert missing.replace("_", " ") in str(refused["refused"]).replace("_", " ")


@linux_only
def test_without_seccomp_the_namespace_still_closes_the_network(tmp_path: Path) -> None:
    before = """
        from safelight.darkroom import kernel
        def absent(*args):
            raise OSError(38, "not here")
        kernel.seccomp_no_sockets = absent
        """
    report = run_confined(tmp_path, "", before=before)["report"]
    if "network-namespace" in report["by"]:
        assert report["network"] == "refused"
    else:
        assert report["missing"] == ["network"]


def test_what_one_process_lacks_the_darkroom_lacks() -> None:
    held = dict.fromkeys(("core_dumps", "ptrace", "disk_writes", "network"), "refused")
    keeper = held | {
        "by": ["namespace", "landlock"],
        "missing": [],
        "complete": True,
        "swap": "none",
    }
    engine = keeper | {"network": "possible", "by": ["landlock"], "missing": ["network"]}
    both = worse_of(keeper, engine)
    assert both["network"] == "possible"
    assert both["disk_writes"] == "refused"
    assert (both["by"], both["missing"], both["complete"]) == (["landlock"], ["network"], False)
    assert worse_of(keeper, {}) == keeper  # the engine process has not said anything yet
    assert worse_of(keeper, keeper) == keeper
