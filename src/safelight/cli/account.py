"""``safelight account``: make an account, unlock it here, recover it, change its password."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from safelight.cli.bar import Bar
from safelight.cli.remote import add_server_options, open_studio, read_secret, show
from safelight.errors import OutputError, RequestError
from safelight.secret import Secret

if TYPE_CHECKING:
    from safelight.cli.remote import Subparsers

_CODE = re.compile(r"[0-9A-Za-z]{4}(?:[- ][0-9A-Za-z]{4}){7}")


def add_parser(subparsers: Subparsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("account", help="make, unlock, recover or change an account")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = verbs.add_parser("create", help="make a vault and an account on a server")
    create.add_argument("--name", required=True, help="1 to 32 of a-z, 0-9, dot, dash and _")
    create.add_argument("--password-file", type=Path, metavar="FILE", help="its first line counts")
    create.add_argument(
        "--recovery-out",
        type=Path,
        metavar="FILE",
        help="new file for the recovery code; without it, type the code back",
    )
    unlock = verbs.add_parser("unlock", help="sign in, and unlock this device for seven days")
    unlock.add_argument("--name", help="by default the account used last on that server")
    unlock.add_argument(
        "--password-file", type=Path, metavar="FILE", help="by default it is asked for"
    )
    recover = verbs.add_parser("recover", help="set a new password with the recovery code")
    recover.add_argument("--name", required=True, help="the account")
    recover.add_argument(
        "--code-file", type=Path, metavar="FILE", help="the file of --recovery-out"
    )
    recover.add_argument("--password-file", type=Path, metavar="FILE", help="the new password")
    passwd = verbs.add_parser("passwd", help="change the password")
    passwd.add_argument("--password-file", type=Path, metavar="FILE", help="the old password")
    passwd.add_argument("--new-password-file", type=Path, metavar="FILE", help="the new one")
    rotate = verbs.add_parser(
        "rotate", help="make new owner keys and wrap everything anew; no picture changes"
    )
    rotate.add_argument("--password-file", type=Path, metavar="FILE", help="the password")
    rotate.add_argument(
        "--code-file", type=Path, metavar="FILE", help="the recovery code, which then stays"
    )
    rotate.add_argument(
        "--recovery-out", type=Path, metavar="FILE", help="new file for a new recovery code"
    )
    key = verbs.add_parser("recovery-key", help="print the recovery code as an age identity")
    key.add_argument("--code-file", type=Path, metavar="FILE", help="by default it is asked for")
    verbs.add_parser("status", help="who is signed in here, and until when it stays unlocked")
    verbs.add_parser("lock", help="sign out and lock this device")
    trust = verbs.add_parser("trust", help="pin another fleet key, after asking the operator")
    trust.add_argument("fleet_key", metavar="FLEET-KEY", help="64 hexadecimal digits")
    leave = verbs.add_parser("leave", help="delete the account and everything in it")
    leave.add_argument("--password-file", type=Path, metavar="FILE", help="the password")
    leave.add_argument("--yes", action="store_true", help="really do it")
    for verb in verbs.choices.values():
        add_server_options(verb)
        verb.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what the verb says; 0 when done."""
    return {
        "create": _create,
        "unlock": _unlock,
        "recover": _recover,
        "passwd": _passwd,
        "rotate": _rotate,
        "recovery-key": _recovery_key,
        "status": _status,
        "lock": _lock,
        "trust": _trust,
        "leave": _leave,
    }[args.verb](args)


def _create(args: argparse.Namespace) -> int:
    password = read_secret(args.password_file, "password")
    keeper = RecoveryFile(args.recovery_out, args.name)
    with open_studio(args, by_key=False) as studio:
        try:
            account = studio.create_account(args.name, password, keep_code=keeper.keep)
        except BaseException:
            keeper.undo()
            raise
        code = studio.verification_code()
    value = {"id": account["id"], "name": account["name"], "verification_code": code}
    show(value, as_json=args.json, plain=f"made the account {account['name']}, keys {code}")
    return 0


def _unlock(args: argparse.Namespace) -> int:
    password = read_secret(args.password_file, "password")
    with open_studio(args, by_key=False) as studio:
        name = args.name or studio.link.pins().name
        if name is None:
            raise RequestError("no account is named", hint="give one with --name")
        account = studio.unlock(name, password)
        until = studio.link.pins().unlocked_until
    value = {"id": account["id"], "name": account["name"], "unlocked_until": until}
    show(value, as_json=args.json, plain=f"{account['name']} is unlocked here until {until}")
    return 0


def _recover(args: argparse.Namespace) -> int:
    code = read_code(args.code_file)
    password = read_secret(args.password_file, "new password")
    with open_studio(args, by_key=False) as studio:
        account = studio.recover(args.name, code, password)
    value = {"id": account["id"], "name": account["name"]}
    show(value, as_json=args.json, plain=f"{account['name']} has a new password")
    return 0


def _passwd(args: argparse.Namespace) -> int:
    old = read_secret(args.password_file, "old password")
    new = read_secret(args.new_password_file, "new password")
    with open_studio(args, by_key=False) as studio:
        studio.change_password(old, new)
    show({"changed": True}, as_json=args.json, plain="the password is changed")
    return 0


def _rotate(args: argparse.Namespace) -> int:
    if args.code_file is not None and args.recovery_out is not None:
        raise RequestError("the recovery code stays or is new", hint="leave one of the two out")
    password = read_secret(args.password_file, "password")
    code = None if args.code_file is None else read_code(args.code_file)
    with open_studio(args, by_key=False) as studio, Bar(args, "asset") as bar:
        name = studio.link.pins().name or ""
        keeper = None if code is not None else RecoveryFile(args.recovery_out, name)
        # A crash may leave the file of a new code that is not in force; the former one then is.

        def keep(code: Secret[str]) -> str:
            bar.clear()  # perhaps the code is shown and typed back
            assert keeper is not None
            return keeper.keep(code)

        keep_code = None if keeper is None else keep
        done = studio.rotate(password, code=code, keep_code=keep_code, progress=bar.show)
        made = studio.account()
    value = {
        "new_keys": done.new_keys,
        "rewrapped": done.rewrapped,
        "unlocked_until": made["unlocked_until"],
    }
    told = f"new keys; {done.rewrapped} wrapped anew; API keys and other sessions have ended"
    finished = f"finished a change that was cut off: {done.rewrapped} wrapped anew"
    show(value, as_json=args.json, plain=told if done.new_keys else finished)
    return 0


def _recovery_key(args: argparse.Namespace) -> int:
    from safelight.vault.identity import parse_recovery, unlock_identity

    code = read_code(args.code_file)
    text = unlock_identity("recovery", parse_recovery(code.reveal())).text()
    show({"identity": text}, as_json=args.json, plain=text)
    return 0


def _status(args: argparse.Namespace) -> int:
    with open_studio(args, by_key=False) as studio:
        account = studio.account()
        until = account["unlocked_until"]
        code = studio.verification_code() if until else None
        value = {
            "server": studio.link.origin,
            "id": account["id"],
            "name": account["name"],
            "role": account["role"],
            "plan": account["plan"],
            "unlocked_until": until,
            "verification_code": code,
            "fleet_key": next(reversed(studio.link.pins().fleet_keys), None),
        }
    state = f"unlocked until {until}, keys {code}" if until else "locked"
    show(value, as_json=args.json, plain=f"{value['name']} at {value['server']}: {state}")
    return 0


def _lock(args: argparse.Namespace) -> int:
    with open_studio(args, by_key=False) as studio:
        studio.sign_out()
    show({"locked": True}, as_json=args.json, plain="this device is locked")
    return 0


def _trust(args: argparse.Namespace) -> int:
    with open_studio(args, by_key=False) as studio:
        studio.link.profile.trust_fleet(studio.link.origin, args.fleet_key)
    show({"pinned": args.fleet_key}, as_json=args.json, plain="the fleet key is pinned")
    return 0


def _leave(args: argparse.Namespace) -> int:
    if not args.yes:
        raise RequestError("leaving deletes everything", hint="add --yes if you mean it")
    password = read_secret(args.password_file, "password")
    with open_studio(args, by_key=False) as studio:
        studio.leave(password)
    show({"left": True}, as_json=args.json, plain="the account and everything in it is deleted")
    return 0


class RecoveryFile:
    """Keeps the recovery code for the person, in a new file or on their screen."""

    def __init__(self, path: Path | None, name: str) -> None:
        self._path = path
        self._name = name
        self._made = False
        if path is not None and (path.exists() or not path.absolute().parent.is_dir()):
            raise OutputError(
                "the recovery file exists, or its folder does not", hint="name a new file"
            )
        if path is None and not sys.stdin.isatty():
            raise RequestError("nowhere to put the recovery code", hint="use --recovery-out FILE")

    def keep(self, code: Secret[str]) -> str:
        """Write the code and read it back, or show it and have it typed back."""
        if self._path is None:
            print("Your recovery code. Write it down: it is shown once.", file=sys.stderr)
            print(f"\n    {code.reveal()}\n", file=sys.stderr)
            return input("Type it back: ")
        from safelight.vault.identity import parse_recovery, unlock_identity

        opener = unlock_identity("recovery", parse_recovery(code.reveal()))
        text = (
            f"# Safelight recovery code of {self._name}: {code.reveal()}\n"
            "# The same as an age identity, so that `age -d -i THIS-FILE` takes it:\n"
            f"{opener.text()}\n"
        )
        # A crash here leaves a code that belongs to no account, or a part of one.
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._made = True
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return read_code(self._path).reveal()

    def undo(self) -> None:
        """Remove the file of an account that was not made."""
        if self._made and self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()


def read_code(path: Path | None) -> Secret[str]:
    """The recovery code in a file, with or without text around it, or as it is typed."""
    if path is None:
        return read_secret(None, "recovery code")
    try:
        text = path.read_bytes()[:4_096].decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise RequestError("the file with the recovery code cannot be read") from None
    found = _CODE.search(text)
    return Secret(found[0] if found else text.strip())
