"""Vault files, the vault head and the index segments: kept for the owner, opened by nobody here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from safelight.desk.library import Library
from safelight.errors import (
    ConflictError,
    KeyNoteError,
    NotFoundError,
    RequestError,
    RollbackError,
)
from safelight.ids import sha256_hex
from safelight.records import Account
from safelight.store.blobs import new_name
from safelight.vault.head import NO_HEAD, read_head
from safelight.vault.notes import read_owner_note

DEVICE_DAYS = 7
"""Longest time that a device may stay unlocked."""
SEGMENT_GRACE = timedelta(hours=1)
MAX_FILE_BYTES = 64 * 1024
_METHOD = re.compile(r"password|recovery|passkey-[a-z0-9_]{1,40}|device-[a-z0-9_-]{1,40}")


class Vaults(Library):
    """What an account needs to open its own library."""

    async def vault_files(self, account: str) -> dict[str, bytes]:
        """Every vault file in force, by method."""
        return await self.keys_store.files(account, self.clock.now())

    async def vault_file(self, account: str, method: str) -> bytes:
        """One vault file. Raises :class:`NotFoundError`."""
        found = (await self.vault_files(account)).get(method)
        if found is None:
            raise NotFoundError("no such vault file")
        return found

    async def put_vault_file(self, account: str, method: str, file: bytes) -> None:
        """Keep or replace a vault file; a device's for seven days, then it is erased."""
        if not _METHOD.fullmatch(method):
            raise RequestError("not a way to unlock")
        if not 0 < len(file) <= MAX_FILE_BYTES:
            raise RequestError(f"a vault file has 1 to {MAX_FILE_BYTES} bytes")
        until = None
        if method.startswith("device-"):
            until = self.clock.now() + timedelta(days=DEVICE_DAYS)
        await self.keys_store.put_file(account, method, file, until)

    async def delete_vault_file(self, account: str, method: str) -> None:
        """Erase a vault file. The password's and the recovery code's cannot be erased alone."""
        if method in ("password", "recovery"):
            raise RequestError("this vault file cannot be removed", hint="replace it instead")
        if not await self.keys_store.delete_file(account, method):
            raise NotFoundError("no such vault file")

    async def rewrap_files(
        self,
        account: str,
        *,
        password_file: bytes,
        recovery_file: bytes,
        recovery_token_sha256: str | None = None,
        keep_session: str | None,
    ) -> None:
        """Replace the unlock files of an owner whose keys changed; every other one is erased.

        A passkey still signs in, and unlocks again when it is added anew. Other sessions end: their
        devices hold the former keys, and would put those into a new file.
        """
        files = {"password": password_file, "recovery": recovery_file}
        if not all(0 < len(file) <= MAX_FILE_BYTES for file in files.values()):
            raise RequestError(f"a vault file has 1 to {MAX_FILE_BYTES} bytes")
        # The point of no return of a rotation: Note [rotation] in the client.
        if not await self.keys_store.rewrap_files(account, files, recovery_token_sha256):
            raise NotFoundError("no such account")
        # A crash before this leaves other sessions signed in until the owner's word comes.
        await self.records.accounts.end_sessions(account, but=keep_session)

    async def announce_owner(
        self, account: Account, recipient: str, note: str, *, keep_session: str | None
    ) -> None:
        """Take an owner's word for their new recipient; end their API keys and other sessions.

        Once more is no error. Raises :class:`RequestError` for a note that the account's signing
        key did not sign, or that does not lead from the present recipient to the new one.
        """
        try:
            named, former = read_owner_note(note, account.signing_key)
        except KeyNoteError:
            raise RequestError("the note is not signed by this account's owner") from None
        if recipient == account.owner_recipient == named:
            return
        if named != recipient or account.owner_recipient not in former:
            raise RequestError("the note does not lead to this recipient")
        if not await self.records.accounts.rotate(account, recipient, note, keep=keep_session):
            raise ConflictError("the account's recipient changed meanwhile")

    async def rewrap_envelopes(self, account: str, changes: Mapping[str, tuple[str, bytes]]) -> int:
        """Replace key envelopes, by asset: the SHA-256 of the one until now, and the new one.

        Returns how many were replaced; one that is gone or another by now is left alone.
        """
        found = await self.records.assets.several(account, list(changes))
        current = await self.keys_store.envelopes([kept.blob for kept in found])
        rows = []
        for kept in found:
            digest, after = changes[kept.asset.id]
            before = current.get(kept.blob)
            if before is not None and sha256_hex(before) == digest:
                rows.append((kept.blob, before, after))
        return await self.keys_store.rewrap(rows) if rows else 0

    async def vault_head(self, account: str) -> tuple[int, bytes | None]:
        """The newest head and its number; 0 and None before the first."""
        found = await self.records.vaults.head(account)
        return (0, None) if found is None else found

    async def put_vault_head(self, account: str, head: bytes, *, expected_seq: int) -> int:
        """Replace head ``expected_seq`` by the one that follows it; return its number.

        Raises :class:`ConflictError` if it is not the newest any more, or the new one does not
        follow it or names a segment that is not here; :class:`RequestError` if it is not signed
        by the account's owner.
        """
        owner = await self.records.accounts.by_id(account)
        if owner is None:
            raise NotFoundError("no such account")
        try:
            read = read_head(head, owner.signing_key)
        except RollbackError:
            raise RequestError("not a vault head of this account") from None
        seq, current = await self.vault_head(account)
        follows = NO_HEAD if current is None else sha256_hex(current)
        if seq != expected_seq or read.seq != seq + 1 or read.prev != follows:
            raise ConflictError("the vault head is another one by now")
        known = {digest for digest, _ in await self.records.vaults.segments(account)}
        if not known.issuperset(read.segments):
            raise ConflictError("the vault head names a segment that is not here")
        if not await self.records.vaults.put_head(account, read.seq, head):
            raise ConflictError("the vault head is another one by now")
        # A crash before leaves old segments, which go with the next head.
        dropped = await self.records.vaults.drop_segments(
            account, read.segments, self.clock.now() - SEGMENT_GRACE
        )
        await self.blobs.delete(dropped)
        return read.seq

    async def segment(self, account: str, digest: str) -> bytes:
        """A sealed index segment. Raises :class:`NotFoundError`."""
        blob = await self.records.vaults.segment(account, digest)
        if blob is None:
            raise NotFoundError("no such segment")
        return await self.blobs.get(blob)

    async def put_segment(self, account: str, digest: str, data: bytes) -> None:
        """Keep a sealed index segment under its SHA-256. Once more is no error."""
        if sha256_hex(data) != digest:
            raise RequestError("the segment does not have this digest")
        if await self.records.vaults.segment(account, digest) is not None:
            return
        name = new_name()
        await self.blobs.put(name, data)
        if not await self.records.vaults.add_segment(account, digest, name, self.clock.now()):
            await self.blobs.delete([name])
