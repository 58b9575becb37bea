"""Rotation: a new owner identity O, and everything that was sealed to the former one wrapped anew.

Note [rotation]
    No blob changes. ``owner.txt`` keeps the former identities, so whoever has the new keys opens
    what is still sealed to a former O, and each step may be cut off and done again:

    1. both unlock files are replaced by ones with the new keys, all others are erased: one
       transaction, and the point of no return. Before it, nothing has changed. Other sessions end,
       so that no device with the former keys writes a file of its own.
    2. this device takes the new keys.
    3. the server is told the new recipient in a note that the owner signs. API keys end (their
       records name the former O), and once more all other sessions. Unlocking does this by itself
       where it is missing.
    4. index segments are sealed to the new O, under a new head.
    5. key envelopes are sealed to the new O, some hundreds at a time.

    :func:`rotate` finishes steps 3 to 5 of a rotation that was cut off before it makes new keys.
    What a job under way keeps during a rotation may be sealed to the former O: it opens, and the
    next call wraps it anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from safelight.client import accounts, index
from safelight.client.library import listing
from safelight.client.link import Link, check_account, need_session, take_bytes
from safelight.errors import RequestError
from safelight.ids import b64, sha256_hex
from safelight.secret import Secret
from safelight.vault import age, identity
from safelight.vault.identity import OwnerKeys, unlock_identity
from safelight.vault.request import open_envelope, seal_envelope

BATCH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """What a call did: ``new_keys`` False if it finished a rotation that was cut off."""

    new_keys: bool
    rewrapped: int
    """Envelopes and index segments that were sealed to the new O."""


def rotate(
    link: Link,
    password: Secret[str],
    *,
    code: Secret[str] | None = None,
    keep_code: Callable[[Secret[str]], str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Rotated:
    """Make a new O and wrap everything anew, or finish that; see Note [rotation].

    The recovery code stays if it is given as ``code``; otherwise a new one is made and handed to
    ``keep_code`` as when an account is made. Passkeys sign in and no longer unlock until they are
    added anew. ``progress`` hears how many assets were looked at. Raises
    :class:`AuthenticationError` for a wrong password, :class:`SealError` for a wrong code,
    :class:`RequestError`; nothing has changed then.
    """
    need_session(link)
    if (code is None) == (keep_code is None):
        raise RequestError("give the recovery code, or a way to keep a new one")
    with link.profile.alone:
        return _rotate_alone(link, password, code, keep_code, progress)


def _rotate_alone(
    link: Link,
    password: Secret[str],
    code: Secret[str] | None,
    keep_code: Callable[[Secret[str]], str] | None,
    progress: Callable[[int], None] | None,
) -> Rotated:
    proof, export_key = accounts.prove(link, accounts.own_name(link), password)
    opener = unlock_identity("password", export_key)
    keys = accounts.open_unlock_file(_file(link, "password"), opener)
    announced, left = finish(link, keys, progress)
    if announced or left:
        return Rotated(new_keys=False, rewrapped=left)
    new = keys.rotated()
    body: dict[str, Any] = {"proof": proof, "password_file": b64(accounts.unlock_file(new, opener))}
    raw = identity.new_recovery_code() if code is None else identity.parse_recovery(code.reveal())
    recovery = unlock_identity("recovery", raw)
    if keep_code is None:
        accounts.open_unlock_file(_file(link, "recovery"), recovery)
    else:
        accounts.check_kept(raw, keep_code)
        body["recovery_token_sha256"] = sha256_hex(identity.recovery_token(raw))
    body["recovery_file"] = b64(accounts.unlock_file(new, recovery))
    # Before this nothing has changed; after it every way to unlock gives the new keys.
    link.wire.post("/api/v1/vault/rewrap", body)
    return Rotated(new_keys=True, rewrapped=finish(link, new, progress)[1])


def finish(
    link: Link, keys: OwnerKeys, progress: Callable[[int], None] | None = None
) -> tuple[bool, int]:
    """Steps 2 to 5 with the keys that the vault holds.

    Returns whether the server had to be told, and how many things were wrapped anew.

    Does nothing where nothing is left to do. Raises :class:`IntegrityError` if the server names
    keys that never were this owner's.
    """
    if link.keys_or_none() is not None:
        link.profile.unlock(link.origin, keys)
    link.profile.save(replace(link.pins(), owner_recipient=keys.recipient))
    account = link.wire.get("/api/v1/account")
    announced = account.get("owner_recipient") in keys.recipients - {keys.recipient}
    if announced:
        account = accounts.announce(link, keys, account)
    check_account(account, keys)
    return announced, index.reseal(link, keys) + _rewrap(link, keys, progress)


def _rewrap(link: Link, keys: OwnerKeys, progress: Callable[[int], None] | None) -> int:
    changes, count = list[dict[str, str]](), 0

    def send() -> int:
        # A crash leaves envelopes of which each opens with the keys, present or former.
        answer = link.wire.post("/api/v1/vault/envelopes", {"envelopes": changes})
        changes.clear()
        return int(answer.get("rewrapped", 0))

    for asset in listing(link, progress=progress):
        if asset.envelope is None or age.opens(asset.envelope, keys.identity):
            continue
        anew = seal_envelope(open_envelope(asset.envelope, *keys.former), keys.recipient)
        before = sha256_hex(asset.envelope)
        changes.append({"asset": asset.id, "before_sha256": before, "envelope": b64(anew)})
        if len(changes) >= BATCH:
            count += send()
    return count + (send() if changes else 0)


def _file(link: Link, method: str) -> bytes:
    return take_bytes(link.wire.get(f"/api/v1/vault/files/{method}"), "file")
