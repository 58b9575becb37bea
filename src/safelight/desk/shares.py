"""Shares: by link or to a person, until a time, revocable at once."""

from __future__ import annotations

import hmac
from dataclasses import replace
from datetime import datetime

from safelight.desk.vaults import Vaults
from safelight.errors import NotFoundError, RequestError
from safelight.ids import new_id
from safelight.records import Account, Asset, Share
from safelight.vault.opaque import account_name

MAX_BUNDLE_BYTES = 64 * 1024
_GONE = "no such share, or it has ended"


class Shares(Vaults):
    """Lets others open one asset."""

    async def create_share(
        self,
        account: str,
        *,
        asset: str,
        access_sha256: str | None,
        person: str | None,
        bundle: bytes,
        passphrase_salt: bytes | None,
        expires_at: datetime,
    ) -> Share:
        """Share an asset by link (``access_sha256``) or with a person (name or account id)."""
        if (access_sha256 is None) == (person is None):
            raise RequestError("a share is by link or to a person")
        if not 0 < len(bundle) <= MAX_BUNDLE_BYTES:
            raise RequestError(f"a bundle has 1 to {MAX_BUNDLE_BYTES} bytes")
        named = None if person is None else await self._named(person)
        now = self.clock.now()
        share = Share(
            id=new_id("shr"),
            account=account,
            asset=asset,
            access_sha256=access_sha256,
            person=None if named is None else named.id,
            bundle=bundle,
            passphrase_salt=passphrase_salt,
            created_at=now,
            expires_at=expires_at,
        )
        # The bundle first: a crash leaves one that no row names, which is swept.
        await self.keys_store.put_bundle(share.id, account, bundle, now)
        if not await self.records.shares.add(share):
            await self.keys_store.erase(shares=[share.id])
            raise NotFoundError("no such asset")
        return share

    async def shares(self, account: str) -> list[Share]:
        """The shares that an account made and that have not ended, newest first."""
        now = self.clock.now()
        found = await self.records.shares.of_account(account)
        return [s for s in found if s.revoked_at is None and s.expires_at > now]

    async def name_of(self, account: str | None) -> str | None:
        """The name of an account; None if there is none."""
        found = None if account is None else await self.records.accounts.by_id(account)
        return None if found is None else found.name

    async def received_shares(self, account: str) -> list[tuple[Share, str]]:
        """The live shares to a person, with their bundles and their senders' names."""
        found = []
        for share in await self.records.shares.received(account, self.clock.now()):
            bundle = await self.keys_store.bundle(share.id)
            sender = await self.records.accounts.by_id(share.account)
            if bundle is not None and sender is not None:
                found.append((replace(share, bundle=bundle), sender.name))
        return found

    async def open_share(self, share: str, access_sha256: str) -> tuple[Share, Asset, bytes]:
        """The bundle, the asset and its sealed full picture, for whoever has the link.

        Raises :class:`NotFoundError` alike for a missing, ended or revoked share and a wrong token.
        """
        found = await self.records.shares.live(share, self.clock.now())
        wanted = "0" * 64 if found is None or found.access_sha256 is None else found.access_sha256
        fits = hmac.compare_digest(wanted, access_sha256)
        if found is None or found.access_sha256 is None or not fits:
            raise NotFoundError(_GONE)
        return await self._opened(found)

    async def open_received(self, account: str, share: str) -> tuple[Share, Asset, bytes]:
        """The same, for the person that a share names."""
        found = await self.records.shares.live(share, self.clock.now())
        if found is None or found.person != account:
            raise NotFoundError(_GONE)
        return await self._opened(found)

    async def revoke_share(self, account: str, share: str) -> None:
        """End a share, at once. Once more is no error; another's raises :class:`NotFoundError`."""
        if not await self.records.shares.revoke(account, share, self.clock.now()):
            raise NotFoundError(_GONE)
        # A crash before this leaves a bundle that nobody is handed, which is swept.
        await self.keys_store.erase(shares=[share])

    async def _opened(self, share: Share) -> tuple[Share, Asset, bytes]:
        bundle = await self.keys_store.bundle(share.id)
        kept = await self.records.assets.get(share.account, share.asset)
        if bundle is None or kept is None:
            raise NotFoundError(_GONE)
        full = await self.blobs.get(f"{kept.blob}-full")
        await self.records.shares.count_opened(share.id)
        return replace(share, bundle=bundle), kept.asset, full

    async def _named(self, person: str) -> Account:
        if person.startswith("acc_"):
            found = await self.records.accounts.by_id(person)
        else:
            found = await self.records.accounts.by_name(account_name(person))
        if found is None or found.disabled:
            raise NotFoundError("nobody has this name here")
        return found
