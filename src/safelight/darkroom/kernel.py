"""The few Linux calls that confinement needs and Python lacks: prctl, Landlock, seccomp, unshare.

Each function raises :class:`OSError` where the kernel lacks or refuses it, and on other systems.
Numbers and layouts are from the kernel's ``uapi`` headers (linux/landlock.h, linux/seccomp.h,
linux/bpf_common.h, linux/prctl.h).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_PR_SET_NO_NEW_PRIVS = 38

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION_FLAG, _LANDLOCK_PATH_BENEATH = 1, 1
_FS_WRITE_FILE, _FS_REFER, _FS_TRUNCATE = 1 << 1, 1 << 13, 1 << 14
_FS_CHANGES_V1 = _FS_WRITE_FILE | sum(
    1 << bit for bit in range(4, 13)
)  # remove and make, all kinds
_NET_ALL, _SCOPE_ALL = 0b11, 0b11

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000

# System calls that the darkroom never needs: ways out of the process other than its pipes.
# (AUDIT_ARCH, {name: number}); io_uring could open sockets without the socket call.
_REFUSED_CALLS: dict[str, tuple[int, tuple[int, ...]]] = {
    "x86_64": (
        0xC000003E,
        # socket connect bind listen accept accept4 ptrace process_vm_readv process_vm_writev
        # io_uring_setup bpf perf_event_open pidfd_getfd keyctl add_key
        (41, 42, 49, 50, 43, 288, 101, 310, 311, 425, 321, 298, 438, 250, 248),
    ),
    "aarch64": (
        0xC00000B7,
        (198, 203, 200, 201, 202, 242, 117, 270, 271, 425, 280, 241, 438, 219, 217),
    ),
}
_X32_BIT = 0x40000000


def _libc() -> ctypes.CDLL:
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "not Linux")
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _prctl(option: int, argument: int = 0) -> int:
    zero = ctypes.c_ulong(0)
    return _checked(int(_libc().prctl(option, ctypes.c_ulong(argument), zero, zero, zero)))


def forbid_dumps() -> None:
    """Make this process undumpable: no core file, and no ptrace or ``/proc/PID/mem`` by equals."""
    _prctl(_PR_SET_DUMPABLE, 0)


def is_dumpable() -> bool:
    """Whether a core dump or a ptrace by the same user is allowed."""
    return _prctl(_PR_GET_DUMPABLE) != 0


def forbid_new_rights() -> None:
    """Set ``no_new_privs``: Landlock and seccomp need it, and it is wanted anyway."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def landlock_version() -> int:
    """Version of Landlock that this kernel speaks. Raises :class:`OSError` where there is none."""
    return _checked(int(_libc().syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION_FLAG)))


def landlock_read_only(writable: Iterable[Path]) -> int:
    """Forbid this process and its children every change to the file system, for ever.

    Reading stays allowed everywhere. ``writable`` names device nodes that may still be opened for
    writing (``/dev/null``, a GPU). Where the kernel can, TCP, abstract sockets and signals to
    processes outside are forbidden too. Must be called before the first thread starts. Returns the
    version in force. Raises :class:`OSError`.
    """
    version = landlock_version()
    changes = _FS_CHANGES_V1
    changes |= _FS_REFER if version >= 2 else 0
    changes |= _FS_TRUNCATE if version >= 3 else 0
    # struct landlock_ruleset_attr grew: v1 handled_access_fs, v4 handled_access_net, v6 scoped.
    words = [changes]
    if version >= 4:
        words.append(_NET_ALL)
    if version >= 6:
        words.append(_SCOPE_ALL)
    attributes = struct.pack(f"={len(words)}Q", *words)
    libc = _libc()
    ruleset = _checked(int(libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)))
    try:
        for path in writable:
            node = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = struct.pack("=Qi", _FS_WRITE_FILE, node)
                _checked(int(libc.syscall(_LANDLOCK_ADD, ruleset, _LANDLOCK_PATH_BENEATH, rule, 0)))
            finally:
                os.close(node)
        forbid_new_rights()
        _checked(int(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0)))
    finally:
        os.close(ruleset)
    return version


def seccomp_no_sockets() -> None:
    """Refuse, with ``EPERM``, new sockets and every other way into or out of the process.

    Sockets that are already open and ``socketpair`` keep working. Must be called before the first
    thread starts. Raises :class:`OSError` where the kernel or the processor is not known.
    """
    known = _REFUSED_CALLS.get(platform.machine())
    if known is None:
        raise OSError(errno.ENOSYS, "unknown processor")
    arch, refused = known
    load, jump_equal, jump_ge, give = 0x20, 0x15, 0x35, 0x06
    allow, refuse, kill = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
    steps = [(load, 0, 0, 4), (jump_equal, 1, 0, arch), (give, 0, 0, kill), (load, 0, 0, 0)]
    # Jump distances count the steps in between; the last two steps are "allow" and "refuse".
    tests = [(jump_ge, _X32_BIT)] + [(jump_equal, number) for number in refused]
    for position, (kind, value) in enumerate(tests):
        steps.append((kind, len(tests) - position, 0, value))
    steps += [(give, 0, 0, allow), (give, 0, 0, refuse)]
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]

    program = Program(len(steps), ctypes.addressof(buffer))
    forbid_new_rights()
    _checked(
        int(
            _libc().prctl(
                _PR_SET_SECCOMP,
                ctypes.c_ulong(_SECCOMP_MODE_FILTER),
                ctypes.byref(program),
                ctypes.c_ulong(0),
                ctypes.c_ulong(0),
            )
        )
    )


def leave_network() -> None:
    """Move this process into a network namespace of its own that has no interface up.

    Needs either the right to do so or user namespaces for everybody. Must be called while the
    process has one thread. Raises :class:`OSError`.
    """
    libc = _libc()
    try:
        _checked(int(libc.unshare(_CLONE_NEWNET)))
    except OSError:
        uid, gid = os.getuid(), os.getgid()
        _checked(int(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)))
        # Inside, keep the same numbers. Without the maps files are still opened by the real owner.
        with contextlib.suppress(OSError):
            Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
            Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
            Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")
