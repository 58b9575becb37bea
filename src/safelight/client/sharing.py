"""Shares: by link, with or without a passphrase, and to a named person."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import httpx

from safelight.client import index
from safelight.client.library import Opened
from safelight.client.link import Link, need_session, take_bytes, take_text
from safelight.client.opening import Expected, Opener, open_expected
from safelight.client.wire import Wire
from safelight.errors import KeyNoteError, ManifestError, RequestError
from safelight.ids import b64, check_id, sha256_hex, unb64
from safelight.secret import Secret
from safelight.vault import identity, share
from safelight.vault.identity import Identity, OwnerKeys
from safelight.vault.notes import read_owner_note
from safelight.vault.opaque import account_name

MAX_SHARE_DAYS = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeShare:
    """A new share. ``url`` opens it and is shown once; None for a share to a person."""

    id: str
    url: Secret[str] | None
    expires_at: str
    verification_code: str | None = None
    """Of the named person: to be compared with them."""


def create_share(
    link: Link,
    keys: OwnerKeys,
    asset: str,
    *,
    days: float = 7,
    passphrase: Secret[str] | None = None,
    person: str | None = None,
) -> MadeShare:
    """Let somebody else open one asset, until it ends or is revoked.

    By link, with or without a passphrase, or to a named person, whose keys are pinned at first
    sight. Raises :class:`IntegrityError` if the server shows other keys for them later.
    """
    need_session(link)
    if not 0 < days <= MAX_SHARE_DAYS:
        raise RequestError(f"a share lasts up to {MAX_SHARE_DAYS} days")
    if person is not None and passphrase is not None:
        raise RequestError("a share to a person takes no passphrase")
    opener = Opener(link, keys, index.load(link, keys).entries)
    kept = opener.locate(asset)
    about, _ = opener.open(kept, "meta")
    bundle = share.Bundle(
        asset=asset,
        identity=Secret(kept.identity.text()),
        kinds=("full",),
        owner=about.owner,  # whom its manifests name: after a rotation, a former recipient
        owner_signing_key=keys.signing_public_hex,
        request_nonce=kept.nonce,
        darkroom_key=kept.signer,
    )
    body: dict[str, Any] = {"asset": asset, "expires_days": days}
    if person is not None:
        name, recipient, code = find_person(link, person)
        body |= {"person": name, "bundle": b64(share.seal_bundle(bundle, keys, recipient))}
        made = link.wire.post("/api/v1/shares", body)
        return MadeShare(
            id=take_text(made, "id"),
            url=None,
            expires_at=take_text(made, "expires_at"),
            verification_code=code,
        )
    secret = share.new_link_secret()
    salt = None if passphrase is None else os.urandom(share.SALT_BYTES)
    reader = share.link_identity(secret, passphrase, salt)
    body |= {
        "bundle": b64(share.seal_bundle(bundle, keys, reader.recipient)),
        "access_sha256": sha256_hex(share.access_token(secret)),
    }
    if salt is not None:
        body["passphrase_salt"] = b64(salt)
    made = link.wire.post("/api/v1/shares", body)
    url = f"{link.origin}/s/{take_text(made, 'id')}#{share.secret_text(secret)}"
    return MadeShare(
        id=take_text(made, "id"), url=Secret(url), expires_at=take_text(made, "expires_at")
    )


def parse_link(url: str) -> tuple[str, str, bytes]:
    """Server, share id and secret of a link. Raises :class:`RequestError`, repeating nothing."""
    address, _, fragment = url.strip().partition("#")
    try:
        parsed = httpx.URL(address)
    except httpx.InvalidURL:
        raise RequestError("not a share link") from None
    parts = parsed.path.strip("/").split("/")
    if len(parts) != 2 or parts[0] != "s" or parsed.query:
        raise RequestError("not a share link", hint="it looks like https://studio.example/s/ID#...")
    server = f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"
    return server, check_id("shr", parts[1]), share.parse_secret(fragment)


def open_link(wire: Wire, share_id: str, secret: bytes, passphrase: Secret[str] | None) -> Opened:
    """Open a share by its link; needs no account.

    Raises :class:`NotFoundError` if it ended, was revoked or never was, :class:`SealError` for a
    wrong passphrase, :class:`ManifestError` for a picture that is not the one shared.
    """
    token = b64(share.access_token(secret))
    answer = wire.post(f"/api/v1/shares/{share_id}/open", {"access_token": token})
    salt_text = answer.get("passphrase_salt")
    if (salt_text is None) != (passphrase is None):
        raise RequestError(
            "this link needs a passphrase" if passphrase is None else "this link has no passphrase",
            hint="give the passphrase with --passphrase-file" if passphrase is None else None,
        )
    salt = unb64(salt_text) if isinstance(salt_text, str) else None
    reader = share.link_identity(secret, passphrase, salt)
    bundle = share.open_bundle(take_bytes(answer, "bundle"), reader)
    return _open_shared(bundle, take_bytes(answer, "full"), str(answer.get("asset")))


def open_received(link: Link, keys: OwnerKeys, share_id: str) -> Opened:
    """Open a share that names the caller. The sender's keys are pinned at first sight."""
    need_session(link)
    check_id("shr", share_id)
    for value in link.wire.get("/api/v1/shares/received").get("shares", []):
        if value.get("id") == share_id:
            sender = _person(link, take_text(value, "sender"))
            bundle = share.open_bundle(
                take_bytes(value, "bundle"), *keys.identities, owner_signing_key=sender.signing_key
            )
            if bundle.owner not in (sender.recipient, *sender.former):
                raise ManifestError("a share names another owner than its sender")
            answer = link.wire.get(f"/api/v1/shares/received/{share_id}")
            return _open_shared(bundle, take_bytes(answer, "full"), take_text(value, "asset"))
    raise RequestError("no such share names this account", hint="see `safelight share received`")


def _open_shared(bundle: share.Bundle, sealed: bytes, asset: str) -> Opened:
    if bundle.asset != asset or "full" not in bundle.kinds:
        raise ManifestError("a share hands over another asset than it says")
    expected = Expected(
        asset=asset,
        kind="full",
        owners=frozenset({bundle.owner}),
        nonces=frozenset({bundle.request_nonce}),
        signers=frozenset({bundle.darkroom_key}),
    )
    found, data = open_expected(sealed, Identity.parse(bundle.identity.reveal()), expected)
    return Opened(asset=asset, data=data, media_type=found.media_type, meta=None)


def find_person(link: Link, name: str) -> tuple[str, str, str]:
    """Name, recipient and verification code of another person, pinned at first sight."""
    person = _person(link, name)
    code = identity.verification_code(person.recipient, person.signing_key)
    return person.name, person.recipient, code


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    name: str
    recipient: str
    signing_key: str
    former: tuple[str, ...]


def _person(link: Link, name: str) -> _Person:
    """Another person's keys, pinned at first sight.

    Their recipient may change if they themselves say so in a signed note.
    """
    kept_name = account_name(name)
    answer = link.wire.get(f"/api/v1/people/{kept_name}")
    recipient = identity.check_recipient(take_text(answer, "recipient"))
    signing_key, note = take_text(answer, "signing_key"), answer.get("owner_note")
    former: tuple[str, ...] = ()
    if isinstance(note, str):
        named, former = read_owner_note(note, signing_key)
        if named != recipient:
            raise KeyNoteError("a person's note names another recipient than the server")
    link.profile.pin_person(link.origin, kept_name, recipient, signing_key, former)
    return _Person(name=kept_name, recipient=recipient, signing_key=signing_key, former=former)


def revoke_share(link: Link, share_id: str) -> None:
    """Revoke a share, at once."""
    need_session(link)
    link.wire.call("DELETE", f"/api/v1/shares/{check_id('shr', share_id)}")
