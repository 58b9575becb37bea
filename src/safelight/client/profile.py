"""A client's own folder: device identity, pins, sessions, and the highest library version seen.

Files are 0600 in a 0700 folder and are replaced whole. What is in it opens the library while the
device is unlocked, so it belongs to one person; ``lock`` takes that away.

Note [profile files]
    ``device.txt``        the device's own age identity, made once
    ``current``           the origin of the server used last
    ``servers/X.json``    pins and session of one server; X is the start of its origin's SHA-256
    ``servers/X.age``     owner.txt sealed to the device: there only while it is unlocked
    ``segments/D.age``    sealed index segments by their SHA-256, so that each is fetched once
    ``lock``              held while something above is changed: one change at a time
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from safelight.client.alone import Alone
from safelight.errors import AuthenticationError, IntegrityError, KeyNoteError, RequestError
from safelight.ids import Clock, SystemClock, canonical_json, sha256_hex
from safelight.vault import age
from safelight.vault.head import NO_HEAD, VaultHead, check_not_older
from safelight.vault.identity import Identity, OwnerKeys
from safelight.vault.request import parse_time, time_text

UNLOCKED_DAYS = 7
MAX_PINS = 8
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What this device knows of one server. ``token`` is the session's; its repr hides it."""

    origin: str
    fleet_keys: tuple[str, ...] = ()
    """Keys that this device trusts, the one in force last."""
    account: str | None = None
    name: str | None = None
    owner_recipient: str | None = None
    signing_key: str | None = None
    token: str | None = None
    unlocked_until: str | None = None
    head_seq: int = 0
    head_digest: str = NO_HEAD
    people: tuple[tuple[str, str, str], ...] = ()
    """Name, recipient and signing key of the people shared with, as first seen."""
    key_owners: tuple[tuple[str, str], ...] = ()
    """Recipient of each API key used here, and its owner's verification code as first seen."""

    def __repr__(self) -> str:
        return f"<pins of {self.origin}>"


def _alone(
    method: Callable[Concatenate[Profile, Given], Answer],
) -> Callable[Concatenate[Profile, Given], Answer]:
    """What this method reads and then writes, nobody changes in between."""

    @wraps(method)
    def held(profile: Profile, /, *args: Given.args, **named: Given.kwargs) -> Answer:
        with profile.alone:
            return method(profile, *args, **named)

    return held


class Profile:
    """One profile folder. Reads on every call, so two commands may use it in turn.

    ``alone`` is held around whatever reads and then writes; who changes the library's index holds
    it too. Raises :class:`BusyError` after ten seconds.
    """

    def __init__(self, folder: Path, *, clock: Clock | None = None) -> None:
        self.folder = folder
        self.alone = Alone(folder / "lock")
        self._clock = clock or SystemClock()

    # --- the device ---

    def device(self) -> Identity:
        """The device's own identity, made at first use."""
        path = self.folder / "device.txt"
        if not path.is_file():
            with self.alone:
                if not path.is_file():
                    # A crash here leaves either no device file or a whole one.
                    _write(path, Identity.generate().text().encode() + b"\n")
        return Identity.parse(path.read_text(encoding="ascii"))

    def current(self) -> str | None:
        """The origin of the server used last."""
        path = self.folder / "current"
        return path.read_text(encoding="utf-8").strip() if path.is_file() else None

    @_alone
    def use(self, origin: str) -> None:
        """Make this the server that commands without ``--server`` speak to."""
        if self.current() != origin:
            _write(self.folder / "current", origin.encode() + b"\n")

    # --- pins ---

    def pins(self, origin: str) -> Pins:
        """What is known of this server; empty pins for a new one.

        Raises :class:`IntegrityError` for a damaged file rather than forgetting a pin.
        """
        path = self._path(origin, "json")
        if not path.is_file():
            return Pins(origin=origin)
        try:
            value: dict[str, Any] = json.loads(path.read_bytes())
            known = {k: value[k] for k in (f.name for f in fields(Pins)) if k in value}
            people = tuple((str(a), str(b), str(c)) for a, b, c in value.get("people", ()))
            owners = tuple((str(a), str(b)) for a, b in value.get("key_owners", ()))
            known |= {"fleet_keys": tuple(value["fleet_keys"]), "people": people}
            known |= {"key_owners": owners}
            pins = Pins(**known)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise IntegrityError(
                "this profile's pins are damaged",
                hint="restore the profile folder, or remove it and check the fleet key again",
            ) from None
        if pins.origin != origin:
            raise IntegrityError("this profile's pins belong to another server")
        return pins

    def save(self, pins: Pins) -> None:
        """Keep the pins of a server. A crash leaves the old pins or the new ones."""
        _write(self._path(pins.origin, "json"), canonical_json(asdict(pins)))

    @_alone
    def pin_fleet(self, origin: str, fleet_key: str) -> Pins:
        """Pin the fleet key at first sight; raise :class:`KeyNoteError` when it is another later.

        An operator who has made a new fleet key says so elsewhere, and the person pins it with
        :meth:`trust_fleet`.
        """
        pins = self.pins(origin)
        if fleet_key in pins.fleet_keys[-1:]:
            return pins
        if pins.fleet_keys:
            raise KeyNoteError(
                "the server shows another fleet key than the one this device has pinned",
                hint="ask the operator; if it is meant, pin it with `safelight account trust`",
            )
        return self.trust_fleet(origin, fleet_key)

    @_alone
    def trust_fleet(self, origin: str, fleet_key: str) -> Pins:
        """Pin this fleet key from now on; older pictures still verify by the older keys."""
        if len(fleet_key) != 64 or any(c not in "0123456789abcdef" for c in fleet_key):
            raise RequestError("a fleet key is 64 hexadecimal digits")
        pins = self.pins(origin)
        kept = tuple(k for k in pins.fleet_keys if k != fleet_key)
        pins = replace(pins, fleet_keys=(*kept, fleet_key)[-MAX_PINS:])
        self.save(pins)
        return pins

    @_alone
    def pin_person(
        self,
        origin: str,
        name: str,
        recipient: str,
        signing_key: str,
        former: Collection[str] = (),
    ) -> None:
        """Pin a person's keys at first sight; raise :class:`IntegrityError` for others later.

        ``former`` are recipients that the same signing key says this one follows: a pinned one
        among them is replaced.
        """
        pins = self.pins(origin)
        others = tuple(known for known in pins.people if known[0] != name)
        for known in set(pins.people) - set(others):
            if known[1:] == (recipient, signing_key):
                return
            if known[2] != signing_key or known[1] not in former:
                raise IntegrityError(
                    "the server shows other keys for this person than it did before",
                    hint="compare the verification code with the person themselves",
                )
        self.save(replace(pins, people=(*others, (name, recipient, signing_key))))

    @_alone
    def pin_key_owner(self, origin: str, key: str, code: str) -> None:
        """Pin the owner of an API key at first sight; raise :class:`KeyNoteError` for another."""
        pins = self.pins(origin)
        known = dict(pins.key_owners).get(key)
        if known is None:
            self.save(replace(pins, key_owners=(*pins.key_owners, (key, code))))
        elif known != code:
            raise KeyNoteError(
                "the server shows another owner for this API key than is pinned here",
                hint="compare the code with `safelight account status` of the owner",
            )

    # --- the owner's keys ---

    @_alone
    def unlock(self, origin: str, keys: OwnerKeys, *, days: int = UNLOCKED_DAYS) -> None:
        """Stay unlocked on this device, for seven days at most."""
        if not 0 < days <= UNLOCKED_DAYS:
            raise RequestError(f"a device stays unlocked for 1 to {UNLOCKED_DAYS} days")
        sealed = age.seal(keys.text().encode(), [self.device().recipient])
        until = self._clock.now() + timedelta(days=days)
        # The keys first: a crash between the two leaves keys without a date, which open nothing.
        _write(self._path(origin, "age"), sealed)
        self.save(replace(self.pins(origin), unlocked_until=time_text(until)))

    def keys(self, origin: str) -> OwnerKeys:
        """The owner's keys, while the device is unlocked. Raises :class:`AuthenticationError`."""
        pins, path = self.pins(origin), self._path(origin, "age")
        until = self.unlocked_until(pins)
        if until is None or until < self._clock.now() or not path.is_file():
            self._drop(path)
            raise AuthenticationError(
                "the vault is locked on this device", hint="run `safelight account unlock`"
            )
        return OwnerKeys.parse(age.open_sealed(path.read_bytes(), [self.device()]).decode("ascii"))

    @staticmethod
    def unlocked_until(pins: Pins) -> datetime | None:
        """When the device locks itself."""
        return None if pins.unlocked_until is None else parse_time(pins.unlocked_until)

    @_alone
    def lock(self, origin: str) -> None:
        """Forget the owner's keys and the session; keep every pin."""
        self._drop(self._path(origin, "age"))
        pins = self.pins(origin)
        if pins.token is not None or pins.unlocked_until is not None:
            self.save(replace(pins, token=None, unlocked_until=None))

    # --- rollback ---

    @_alone
    def check_head(self, origin: str, head: VaultHead | None) -> None:
        """Raise :class:`RollbackError` for an older library than seen; remember a newer one."""
        pins = self.pins(origin)
        check_not_older(head, pins.head_seq, pins.head_digest)
        if head is not None and head.seq > pins.head_seq:
            self.save(replace(pins, head_seq=head.seq, head_digest=head.digest()))

    def segment(self, digest: str) -> bytes | None:
        """A sealed index segment fetched before. The caller checks its digest."""
        path = self.folder / "segments" / f"{digest}.age"
        return path.read_bytes() if path.is_file() else None

    def keep_segment(self, digest: str, sealed: bytes) -> None:
        """Keep a sealed segment; losing one costs a fetch."""
        _write(self.folder / "segments" / f"{digest}.age", sealed, durable=False)

    def drop_segments(self, digests: Iterable[str]) -> None:
        """Forget segments that no head names any more."""
        for digest in digests:
            self._drop(self.folder / "segments" / f"{digest}.age")

    def _path(self, origin: str, suffix: str) -> Path:
        return self.folder / "servers" / f"{sha256_hex(origin.encode())[:16]}.{suffix}"

    @staticmethod
    def _drop(path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _write(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace ``path`` whole, 0600. A crash leaves the old content or the new, never a part."""
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
