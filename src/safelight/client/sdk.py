"""``Studio``: everything a program does with a Safelight server, sealed.

::

    from pathlib import Path
    from safelight.client.sdk import Studio

    with Studio("http://127.0.0.1:7788", Path("profile")) as studio:
        studio.unlock("alice", Secret(password))
        made = studio.generate(studio.recipe("a red kite"), retention="owner")
        made.pictures[0].data
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from safelight.client import (
    accounts,
    index,
    keys,
    library,
    making,
    publishing,
    recipes,
    rotation,
    sharing,
    uploading,
)
from safelight.client.exchange import Wish
from safelight.client.library import Listed, Opened
from safelight.client.link import Link
from safelight.client.making import Made, Watcher
from safelight.client.profile import Profile
from safelight.client.recipes import ModelInfo
from safelight.client.rotation import Rotated
from safelight.client.sharing import MadeShare
from safelight.client.wire import Wire
from safelight.ids import Clock
from safelight.recipe import Recipe
from safelight.records import Retention
from safelight.secret import Secret
from safelight.vault import identity
from safelight.vault.head import IndexEntry


class Studio:
    """One server, one profile.

    Words and pictures leave this process sealed to a darkroom whose key note was checked against
    the pinned fleet key, or not at all; there is no fall back. Not safe to use from several
    threads at once. Raises the errors of :mod:`safelight.errors`.

    With an ``api_key`` it acts for the key alone, whatever account the profile holds: the key makes
    pictures and keeps them sealed to its owner, and opens nothing that is kept. ``owner_code`` is
    the owner's verification code, to be sure at first sight to whom the key keeps.
    """

    def __init__(
        self,
        server: str,
        profile: Profile | Path,
        *,
        api_key: Secret[str] | None = None,
        owner_code: str | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        kept = Profile(profile, clock=clock) if isinstance(profile, Path) else profile
        self.link = Link.open(Wire(server, transport=transport), kept, clock, api_key)
        if owner_code is not None:
            keys.pin_owner(self.link, owner_code)

    # --- the account ---

    def create_account(
        self, name: str, password: Secret[str], *, keep_code: Callable[[Secret[str]], str]
    ) -> dict[str, Any]:
        """Make an account; see :func:`safelight.client.accounts.create`."""
        return accounts.create(self.link, name, password, keep_code=keep_code)

    def unlock(self, name: str, password: Secret[str]) -> dict[str, Any]:
        """Sign in and open the vault."""
        return accounts.unlock(self.link, name, password)

    def recover(self, name: str, code: Secret[str], new_password: Secret[str]) -> dict[str, Any]:
        """Open the vault with the recovery code and set a new password."""
        return accounts.recover(self.link, name, code, new_password)

    def change_password(self, old: Secret[str], new: Secret[str]) -> None:
        """Change the password; nothing else changes."""
        accounts.change_password(self.link, old, new)

    def rotate(
        self,
        password: Secret[str],
        *,
        code: Secret[str] | None = None,
        keep_code: Callable[[Secret[str]], str] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Rotated:
        """Make new owner keys and wrap everything anew, or finish that after a crash."""
        return rotation.rotate(
            self.link, password, code=code, keep_code=keep_code, progress=progress
        )

    def account(self) -> dict[str, Any]:
        """The caller's account, checked against the vault."""
        return accounts.status(self.link)

    def verification_code(self) -> str:
        """Six groups of letters by which others know the caller's keys; a key tells its owner's."""
        if self.link.api_key is not None:
            return keys.pinned_owner(self.link) or keys.owner_code(keys.own_record(self.link)[1])
        own = self.link.keys()
        return identity.verification_code(own.recipient, own.signing_public_hex)

    def sign_out(self) -> None:
        """End the session and lock this device."""
        accounts.sign_out(self.link)

    def leave(self, password: Secret[str]) -> None:
        """Delete the account and everything in it."""
        accounts.leave(self.link, password)

    # --- making ---

    def models(self) -> list[ModelInfo]:
        """The server's models."""
        return recipes.models(self.link)

    def recipe(
        self,
        prompt: str | Secret[str],
        *,
        model: str | None = None,
        size: tuple[int, int] | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        seed: int | None = None,
        **more: Any,
    ) -> Recipe:
        """A recipe with the model's defaults; ``more`` are further fields of :class:`Recipe`."""
        return recipes.build(
            recipes.find_model(self.link, model),
            prompt if isinstance(prompt, Secret) else Secret(prompt),
            size=size,
            steps=steps,
            guidance=guidance,
            seed=seed,
            more=more,
        )

    def input(self, asset: str) -> tuple[str, bytes]:
        """A picture of the library to start from: its digest for the recipe, and its bytes.

        Opened and verified here; it travels inside the sealed request like any other input, so
        the server does not learn which asset it was. Raises :class:`NotFoundError`,
        :class:`IntegrityError`, or :class:`PictureError` for an asset that is no picture.
        """
        return library.open_input(self.link, self.link.keys(), asset)

    def generate(
        self,
        recipe: Recipe,
        *,
        inputs: Mapping[str, bytes] | None = None,
        retention: Retention = "none",
        media_type: str = "image/png",
        watcher: Watcher | None = None,
        idempotency_key: str | None = None,
    ) -> Made:
        """Make pictures, sealed; opened and checked when they come back.

        ``retention`` is ``none`` (off the record), ``owner`` (kept) or ``public`` (kept; publish
        the pictures afterwards). Previews are asked for if ``watcher`` takes them.
        """
        wish = Wish(
            recipe=recipe,
            inputs=inputs or {},
            retention=retention,
            media_type=media_type,
            previews=watcher is not None and watcher.preview is not None,
        )
        return making.generate(self.link, wish, watcher, idempotency_key=idempotency_key)

    # --- the library ---

    def assets(self) -> Iterator[Listed]:
        """The caller's assets, newest first, with their index entries while unlocked."""
        return library.listing(self.link, self.link.keys_or_none())

    def search(self, words: str) -> list[IndexEntry]:
        """Index entries with all of these words, newest first. Nothing is sent."""
        return index.load(self.link, self.link.keys()).search(words)

    def similar(self, asset: str, *, limit: int = 24) -> Sequence[IndexEntry]:
        """Other pictures that look most like this one. Nothing is sent."""
        return index.load(self.link, self.link.keys()).similar(asset, limit=limit)

    def open(self, asset: str, *, with_meta: bool = False) -> Opened:
        """Fetch, verify and open one asset."""
        return library.open_asset(self.link, self.link.keys(), asset, with_meta=with_meta)

    def upload(self, data: bytes, *, words: str = "") -> str:
        """Keep a picture file of one's own, without its metadata; returns the asset's id."""
        return uploading.upload(self.link, self.link.keys(), data, words=words)

    def delete(self, assets: Sequence[str]) -> dict[str, str]:
        """Erase assets; ``deleted`` or ``not-found`` by id."""
        return library.delete(self.link, self.link.keys_or_none(), assets)

    def missing(self, listed: Iterable[Listed] | None = None) -> Sequence[str]:
        """Assets of the index that the server does not list; ``listed`` saves asking again."""
        return library.missing(self.link, self.link.keys(), listed)

    def adopt(self, progress: Callable[[int], None] | None = None) -> int:
        """Take pictures into the index that never reached it."""
        return library.adopt(self.link, self.link.keys(), progress)

    def export(self, path: Path, progress: Callable[[int], None] | None = None) -> int:
        """Write everything as a zip of age files; returns its size."""
        return library.export(self.link, path, progress)

    # --- others ---

    def share(
        self,
        asset: str,
        *,
        days: float = 7,
        passphrase: Secret[str] | None = None,
        person: str | None = None,
    ) -> MadeShare:
        """Let somebody else open one asset."""
        return sharing.create_share(
            self.link, self.link.keys(), asset, days=days, passphrase=passphrase, person=person
        )

    def revoke_share(self, share: str) -> None:
        """Revoke a share, at once."""
        sharing.revoke_share(self.link, share)

    def open_received(self, share: str) -> Opened:
        """Open a share that names the caller."""
        return sharing.open_received(self.link, self.link.keys(), share)

    def publish(self, asset: str, *, words: str = "", show_name: bool = False) -> dict[str, Any]:
        """Send a separate public copy."""
        return publishing.publish(
            self.link, self.link.keys(), asset, words=words, show_name=show_name
        )

    def publications(self) -> list[dict[str, Any]]:
        """The caller's own publications, newest first."""
        return publishing.own(self.link)

    def unpublish(self, publication: str) -> None:
        """Take a public copy back."""
        publishing.unpublish(self.link, publication)

    def create_key(
        self, name: str, *, scopes: Sequence[str] = ("generate",), days: float | None = None
    ) -> tuple[dict[str, Any], Secret[str]]:
        """Make an API key; its secret is in the answer and nowhere else."""
        return keys.create_key(self.link, self.link.keys(), name, scopes=scopes, days=days)

    def list_keys(self) -> Sequence[dict[str, Any]]:
        """The caller's API keys."""
        return keys.list_keys(self.link)

    def revoke_key(self, key: str) -> None:
        """End an API key, at once."""
        keys.revoke_key(self.link, key)

    def close(self) -> None:
        """Close the connections."""
        self.link.wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_share_link(
    url: str,
    passphrase: Secret[str] | None = None,
    *,
    transport: httpx.BaseTransport | None = None,
) -> Opened:
    """Open a share by its link; needs no account and leaves no trace in a profile."""
    server, share_id, secret = sharing.parse_link(url)
    with Wire(server, transport=transport) as wire:
        return sharing.open_link(wire, share_id, secret, passphrase)
