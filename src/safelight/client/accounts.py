"""Making an account, unlocking, recovering, changing the password. The server sees no secret.

Note [one password]
    OPAQUE proves the password and gives the export key, which opens ``password.age``, which holds
    the owner's keys. There is no other way in with a password, so no server can steer to one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from safelight.client.link import Link, check_account, need_session, take_bytes, take_text
from safelight.errors import AuthenticationError, RequestError, TransientError
from safelight.ids import b64, sha256_hex
from safelight.secret import Secret
from safelight.vault import age, identity
from safelight.vault.head import NO_HEAD
from safelight.vault.identity import Identity, OwnerKeys
from safelight.vault.notes import make_owner_note
from safelight.vault.opaque import OpaqueClientSide, account_name

DEVICE = "command line"
MIN_PASSWORD_CHARS = 10


def check_password(password: Secret[str]) -> None:
    """Raise :class:`RequestError` for a password that is too short. The server cannot check it."""
    if len(password.reveal()) < MIN_PASSWORD_CHARS:
        raise RequestError(
            f"the password is shorter than {MIN_PASSWORD_CHARS} characters",
            hint="four or more unrelated words make a good one",
        )


def create(
    link: Link,
    name: str,
    password: Secret[str],
    *,
    keep_code: Callable[[Secret[str]], str],
    stay_unlocked: bool = True,
) -> dict[str, Any]:
    """Make an account; returns it.

    ``keep_code`` gets the recovery code, keeps it for the person, and gives back what was kept or
    typed: only if that reads as the same code is the account made. Raises :class:`RequestError`
    otherwise, and :class:`ConflictError` if the name is taken.
    """
    check_password(password)
    kept_name = account_name(name)
    keys, code = OwnerKeys.generate(), identity.new_recovery_code()
    check_kept(code, keep_code)
    client = OpaqueClientSide()
    start, state = client.registration_start(kept_name, password)
    answer = link.wire.post_anonymously(
        "/api/v1/accounts/register/start", {"name": kept_name, "request": b64(start)}
    )
    upload, export_key = client.registration_finish(state, take_bytes(answer, "response"))
    body = {
        "name": kept_name,
        "upload": b64(upload),
        "owner_recipient": keys.recipient,
        "signing_key": keys.signing_public_hex,
        "password_file": b64(unlock_file(keys, identity.unlock_identity("password", export_key))),
        "recovery_file": b64(unlock_file(keys, identity.unlock_identity("recovery", code))),
        "recovery_token_sha256": sha256_hex(identity.recovery_token(code)),
        "delivery": "token",
        "device": DEVICE,
    }
    signed = link.wire.post_anonymously("/api/v1/accounts/register/finish", body)
    return _keep(link, signed, keys, stay_unlocked=stay_unlocked)


def unlock(
    link: Link, name: str, password: Secret[str], *, stay_unlocked: bool = True
) -> dict[str, Any]:
    """Sign in and open the vault with the password; returns the account.

    Raises :class:`AuthenticationError` for a wrong name or password, :class:`IntegrityError` if
    the server names other keys than the vault holds or this device has seen.
    """
    signed, export_key = _log_in(link, account_name(name), password)
    files = signed.get("files")
    sealed = take_bytes(files if isinstance(files, dict) else {}, "password")
    keys = open_unlock_file(sealed, identity.unlock_identity("password", export_key))
    return _keep(link, signed, keys, stay_unlocked=stay_unlocked)


def recover(
    link: Link,
    name: str,
    code: Secret[str],
    new_password: Secret[str],
    *,
    stay_unlocked: bool = True,
) -> dict[str, Any]:
    """Open the vault with the recovery code and set a new password; returns the account."""
    check_password(new_password)
    kept_name, raw = account_name(name), identity.parse_recovery(code.reveal())
    client = OpaqueClientSide()
    start, state = client.registration_start(kept_name, new_password)
    answer = link.wire.post_anonymously(
        "/api/v1/recovery/start",
        {"name": kept_name, "token": b64(identity.recovery_token(raw)), "request": b64(start)},
    )
    sealed = take_bytes(answer, "recovery_file")
    keys = open_unlock_file(sealed, identity.unlock_identity("recovery", raw))
    upload, export_key = client.registration_finish(state, take_bytes(answer, "response"))
    signed = link.wire.post_anonymously(
        "/api/v1/recovery/finish",
        {
            "login": take_text(answer, "login"),
            "upload": b64(upload),
            "password_file": b64(
                unlock_file(keys, identity.unlock_identity("password", export_key))
            ),
            "delivery": "token",
            "device": DEVICE,
        },
    )
    return _keep(link, signed, keys, stay_unlocked=stay_unlocked)


def change_password(link: Link, old: Secret[str], new: Secret[str]) -> None:
    """Rewrap one file under a new password. No blob changes; every other session ends.

    Raises :class:`AuthenticationError` if the old password is wrong.
    """
    check_password(new)
    need_session(link)
    name = own_name(link)
    proof, export_key = prove(link, name, old)
    files = link.wire.get("/api/v1/vault/files/password")
    keys = open_unlock_file(
        take_bytes(files, "file"), identity.unlock_identity("password", export_key)
    )
    client = OpaqueClientSide()
    start, state = client.registration_start(name, new)
    answer = link.wire.post("/api/v1/account/password/start", {"request": b64(start)})
    upload, new_export = client.registration_finish(state, take_bytes(answer, "response"))
    sealed = unlock_file(keys, identity.unlock_identity("password", new_export))
    link.wire.post(
        "/api/v1/account/password/finish",
        {"upload": b64(upload), "password_file": b64(sealed), "proof": proof},
    )


def leave(link: Link, password: Secret[str]) -> None:
    """Delete the account and everything in it. Cannot be undone."""
    need_session(link)
    proof, _ = prove(link, own_name(link), password)
    link.wire.call("DELETE", "/api/v1/account", body={"proof": proof})
    link.profile.lock(link.origin)
    link.wire.token = None


def status(link: Link) -> dict[str, Any]:
    """The account as the server names it, checked against the vault while it is unlocked."""
    need_session(link)
    account = link.wire.get("/api/v1/account")
    pins = link.pins()
    until = link.profile.unlocked_until(pins)
    unlocked = until is not None and until > link.clock.now()
    if unlocked:
        check_account(account, link.keys())
    return account | {"unlocked_until": pins.unlocked_until if unlocked else None}


def sign_out(link: Link) -> None:
    """End the session on the server and lock this device."""
    if link.wire.token is not None:
        # The session has ended, or nobody answers: the device locks all the same.
        with contextlib.suppress(AuthenticationError, TransientError):
            link.wire.call("DELETE", "/api/v1/sessions/current")
    link.profile.lock(link.origin)
    link.wire.token = None


def _log_in(link: Link, name: str, password: Secret[str]) -> tuple[dict[str, Any], bytes]:
    client = OpaqueClientSide()
    start, state = client.login_start(name, password)
    answer = link.wire.post_anonymously(
        "/api/v1/sessions/start", {"name": name, "request": b64(start)}
    )
    finish, export_key, _ = client.login_finish(state, take_bytes(answer, "response"))
    signed = link.wire.post_anonymously(
        "/api/v1/sessions/finish",
        {
            "login": take_text(answer, "login"),
            "finish": b64(finish),
            "delivery": "token",
            "device": DEVICE,
        },
    )
    return signed, export_key


def prove(link: Link, name: str, password: Secret[str]) -> tuple[dict[str, str], bytes]:
    """A finished OPAQUE login as proof that the password is known now, and the export key."""
    client = OpaqueClientSide()
    start, state = client.login_start(name, password)
    answer = link.wire.post("/api/v1/sessions/start", {"name": name, "request": b64(start)})
    finish, export_key, _ = client.login_finish(state, take_bytes(answer, "response"))
    return {"login": take_text(answer, "login"), "finish": b64(finish)}, export_key


def own_name(link: Link) -> str:
    """The name of the account that this device is signed in to."""
    name = link.pins().name
    if name is None:
        raise AuthenticationError("this device does not know the account's name")
    return name


def check_kept(code: bytes, keep_code: Callable[[Secret[str]], str]) -> None:
    """Hand over a new recovery code; raise :class:`RequestError` unless it comes back the same."""
    given_back = keep_code(Secret(identity.recovery_text(code)))
    if identity.parse_recovery(given_back) != code:
        raise RequestError(
            "the recovery code was not given back as it was shown",
            hint="nothing was changed; begin again",
        )


def announce(link: Link, keys: OwnerKeys, account: dict[str, Any]) -> dict[str, Any]:
    """Tell a server that still names a former recipient the present one; the account as it then is.

    The third step of Note [rotation]; it ends the API keys and all other sessions.
    """
    body = {"owner_recipient": keys.recipient, "note": make_owner_note(keys)}
    link.wire.call("PUT", "/api/v1/vault/owner", body=body)
    return account | {"owner_recipient": keys.recipient}


def unlock_file(keys: OwnerKeys, opener: Identity) -> bytes:
    """``owner.txt`` sealed to one way to unlock."""
    return age.seal(keys.text().encode(), [opener.recipient])


def open_unlock_file(sealed: bytes, opener: Identity) -> OwnerKeys:
    """The owner's keys in an unlock file. Raises :class:`SealError` for another way to unlock."""
    return OwnerKeys.parse(age.open_sealed(sealed, [opener]).decode("ascii"))


def _keep(
    link: Link, signed: dict[str, Any], keys: OwnerKeys, *, stay_unlocked: bool
) -> dict[str, Any]:
    """Check the answer against the vault and what this device has seen, then keep the session."""
    account = signed.get("account")
    if not isinstance(account, dict):
        raise TransientError("the server's answer lacks the account")
    token = take_text(signed, "token")
    if account.get("owner_recipient") in keys.recipients - {keys.recipient}:
        link.wire.token = token
        account = announce(link, keys, account)
    check_account(account, keys)
    link.wire.token = token
    with link.profile.alone:
        pins = link.pins()
        if pins.account != account.get("id"):
            # Another account: what was seen of the former one's library says nothing about this.
            pins = replace(pins, head_seq=0, head_digest=NO_HEAD, people=())
        link.profile.save(
            replace(
                pins,
                account=take_text(account, "id"),
                name=take_text(account, "name"),
                owner_recipient=keys.recipient,
                signing_key=keys.signing_public_hex,
                token=token,
            )
        )
    if not pins.fleet_keys:
        # First sight: from here on this device seals to darkrooms of this fleet only.
        answer = link.wire.get("/api/v1/darkrooms")
        link.profile.pin_fleet(link.origin, take_text(answer, "fleet_key"))
    if stay_unlocked:
        link.profile.unlock(link.origin, keys)
    link.profile.use(link.origin)
    return account
