"""Confinement of a darkroom process (protocol section 6a).

No network, no writable disk, no core dumps, no ptrace; swap is warned about. What holds on this
machine is *found out by trying*, after everything was asked for, and reported; what cannot be had
is said. Call :func:`confine` first thing in a process, before any thread and any heavy import.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import secrets
import signal
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safelight.darkroom import kernel
from safelight.errors import DarkroomError

GUARDS = ("core_dumps", "ptrace", "disk_writes", "network")
"""What a report has a line for; each is ``refused`` when it holds."""

_DEVICE_NODES = ("null", "nvidia*", "dri/renderD*", "kfd")


def confine(mode: str, *, probe_folders: Iterable[Path] = ()) -> dict[str, Any]:
    """Give up every way out of this process but the pipes it already has; return what holds.

    ``mode`` is the setting ``confine``: ``auto`` takes what the kernel allows, ``require`` raises
    :class:`DarkroomError` when something is missing, ``off`` only forbids dumps. The report has a
    line for each of :data:`GUARDS` (``refused``, ``empty-files-only`` or ``possible``), ``by`` (the
    means in force), ``swap`` (``none``, ``present``, ``unknown``), ``missing`` and ``complete``.
    """
    # The network first: a new user namespace writes its map under /proc, which an undumpable
    # process and one under Landlock may not.
    by = _leave_network() if mode != "off" else []
    by += _forbid_dumps()
    if mode != "off":
        by += _forbid_ways_out()
    report = find_out(probe_folders)
    report["mode"] = mode
    report["by"] = by
    if mode == "require" and report["missing"]:
        raise DarkroomError(
            f"confinement is required and this machine lacks: {', '.join(report['missing'])}",
            hint="set confine to auto to run with what the kernel allows; Trust then says so",
        )
    return report


def _leave_network() -> list[str]:
    try:
        kernel.leave_network()
    except OSError:
        return []
    return ["network-namespace"]


def _forbid_dumps() -> list[str]:
    by = []
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        by.append("core-limit")
    with contextlib.suppress(OSError):
        kernel.forbid_dumps()
        by.append("undumpable")
    return by


def _forbid_ways_out() -> list[str]:
    by = []
    with contextlib.suppress(OSError, ValueError):
        # A write past the limit must be an error, not a signal.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        by.append("file-size-limit")
    with contextlib.suppress(OSError):
        by.append(f"landlock-{kernel.landlock_read_only(_device_nodes())}")
    with contextlib.suppress(OSError):
        kernel.seccomp_no_sockets()
        by.append("seccomp")
    return by


def _device_nodes() -> list[Path]:
    found = [node for pattern in _DEVICE_NODES for node in Path("/dev").glob(pattern)]
    return [node for node in found if node.exists()]


def find_out(probe_folders: Iterable[Path] = ()) -> dict[str, Any]:
    """Try each way out once and say which are refused. Leaves nothing behind."""
    folders = [*probe_folders, *map(Path, ("/tmp", "/var/tmp", "/dev/shm")), Path.cwd()]  # noqa: S108
    core = resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
    report: dict[str, Any] = {
        "core_dumps": "refused" if core or not _dumpable() else "possible",
        "ptrace": "possible" if _dumpable() else "refused",
        "disk_writes": _worst(_try_write(folder) for folder in folders),
        "network": "refused" if _network_refused() else "possible",
        "swap": _swap(),
    }
    report["missing"] = [guard for guard in GUARDS if report[guard] != "refused"]
    report["complete"] = not report["missing"]
    return report


def _dumpable() -> bool:
    try:
        return kernel.is_dumpable()
    except OSError:
        return True


def _worst(results: Iterable[str]) -> str:
    found = set(results)
    for result in ("possible", "empty-files-only"):
        if result in found:
            return result
    return "refused"


def _try_write(folder: Path) -> str:
    """Whether a file with bytes in it, or an empty one, can be made in ``folder``."""
    path = folder / f".safelight-probe-{secrets.token_hex(8)}"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return "refused"
    # A crash here leaves one empty or one-byte file with a random name.
    try:
        os.write(handle, b"x")
    except OSError as error:
        return "empty-files-only" if error.errno == errno.EFBIG else "refused"
    else:
        return "possible"
    finally:
        os.close(handle)
        path.unlink(missing_ok=True)


def _network_refused() -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.settimeout(0.2)
                # Port 9 (discard) on loopback: refused by the peer means that the network works.
                if probe.connect_ex(("127.0.0.1", 9)) in (0, errno.ECONNREFUSED, errno.EINPROGRESS):
                    return False
        except OSError:
            continue
    return True


def _swap() -> str:
    if sys.platform != "linux":
        return "unknown"
    try:
        lines = Path("/proc/swaps").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    return "present" if len(lines) > 1 else "none"


def worse_of(keeper: dict[str, Any], engine: dict[str, Any]) -> dict[str, Any]:
    """The report of the keeper process with every guard that the engine process lacks."""
    if not engine:
        return keeper
    missing = sorted({*keeper["missing"], *engine["missing"]})
    merged = dict(keeper)
    for guard in missing:
        merged[guard] = engine[guard] if guard in engine["missing"] else keeper[guard]
    merged["by"] = [means for means in keeper["by"] if means in engine["by"]]
    merged["missing"] = missing
    merged["complete"] = not missing
    return merged
