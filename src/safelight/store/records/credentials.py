"""API keys (hashes and signed records) and passkeys (public halves)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError as SqlIntegrityError

from safelight.errors import ConflictError
from safelight.records import Account, ApiKey
from safelight.store.database import Database
from safelight.store.records.accounts import _account
from safelight.store.tables import accounts, api_keys, passkeys
from safelight.store.times import from_us, maybe_from_us, maybe_us, to_us

USED_EVERY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """The public half of a passkey: enough to check a signature with."""

    id: str
    account: str
    name: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    created_at: datetime
    unlocks: bool = False
    """Whether the vault has an unlock file for it; set by the desk."""


class CredentialRows:
    """Rows of ``api_keys`` and ``passkeys``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add_key(self, key: ApiKey) -> None:
        """Add an API key. Raises :class:`ConflictError` for a secret that is in use."""
        try:
            async with self._db.write("key") as connection:
                await connection.execute(
                    insert(api_keys).values(
                        id=key.id,
                        account=key.account,
                        name=key.name,
                        secret_sha256=key.secret_sha256,
                        scopes=json.dumps(list(key.scopes)),
                        owner_recipient=key.owner_recipient,
                        key_recipient=key.key_recipient,
                        record=key.record,
                        created_at=to_us(key.created_at),
                        expires_at=maybe_us(key.expires_at),
                        used_at=None,
                    )
                )
        except SqlIntegrityError:
            raise ConflictError("this key's secret is in use") from None

    async def key_by_secret(
        self, secret_sha256: str, now: datetime
    ) -> tuple[Account, ApiKey] | None:
        """The live key with this secret's hash and its account, if neither ended nor disabled."""
        async with self._db.read() as connection:
            row = (
                await connection.execute(
                    select(api_keys, *(c.label(f"a_{c.name}") for c in accounts.c))
                    .join_from(api_keys, accounts, api_keys.c.account == accounts.c.id)
                    .where(
                        api_keys.c.secret_sha256 == secret_sha256,
                        or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > to_us(now)),
                        accounts.c.disabled.is_(False),
                        accounts.c.leaving.is_(False),
                    )
                )
            ).first()
        if row is None:
            return None
        key = _key(row)
        if key.used_at is None or now - key.used_at > USED_EVERY:
            async with self._db.write_lazily("key-used") as connection:
                await connection.execute(
                    update(api_keys).where(api_keys.c.id == key.id).values(used_at=to_us(now))
                )
        return _account(row, "a_"), key

    async def keys(self, account: str) -> list[ApiKey]:
        """The keys of an account, newest first."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(api_keys)
                .where(api_keys.c.account == account)
                .order_by(api_keys.c.created_at.desc())
            )
            return [_key(row) for row in rows]

    async def delete_key(self, account: str, key: str) -> bool:
        """Delete a key; it is refused from now on. Say whether it was there."""
        async with self._db.write("key-delete") as connection:
            found = await connection.execute(
                delete(api_keys).where(api_keys.c.account == account, api_keys.c.id == key)
            )
        return bool(found.rowcount)

    async def add_passkey(self, passkey: Passkey) -> None:
        """Add a passkey. Raises :class:`ConflictError` for one that is known already."""
        try:
            async with self._db.write("passkey") as connection:
                await connection.execute(
                    insert(passkeys).values(
                        id=passkey.id,
                        account=passkey.account,
                        name=passkey.name,
                        credential_id=passkey.credential_id,
                        public_key=passkey.public_key,
                        sign_count=passkey.sign_count,
                        created_at=to_us(passkey.created_at),
                    )
                )
        except SqlIntegrityError:
            raise ConflictError("this passkey is known already") from None

    async def passkeys(self, account: str) -> list[Passkey]:
        """The passkeys of an account, oldest first."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(passkeys)
                .where(passkeys.c.account == account)
                .order_by(passkeys.c.created_at)
            )
            return [_passkey(row) for row in rows]

    async def passkey(self, passkey: str) -> Passkey | None:
        """The passkey with this id."""
        async with self._db.read() as connection:
            row = (
                await connection.execute(select(passkeys).where(passkeys.c.id == passkey))
            ).first()
        return None if row is None else _passkey(row)

    async def passkey_by_credential(self, credential_id: bytes) -> Passkey | None:
        """The passkey with this credential id."""
        async with self._db.read() as connection:
            row = (
                await connection.execute(
                    select(passkeys).where(passkeys.c.credential_id == credential_id)
                )
            ).first()
        return None if row is None else _passkey(row)

    async def count_signature(self, passkey: str, before: int, after: int) -> bool:
        """Move a passkey's signature count on; False if somebody else did meanwhile."""
        async with self._db.write("passkey-count") as connection:
            found = await connection.execute(
                update(passkeys)
                .where(passkeys.c.id == passkey, passkeys.c.sign_count == before)
                .values(sign_count=after)
            )
        return bool(found.rowcount)

    async def delete_passkey(self, account: str, passkey: str) -> bool:
        """Delete a passkey; say whether it was there."""
        async with self._db.write("passkey-delete") as connection:
            found = await connection.execute(
                delete(passkeys).where(passkeys.c.account == account, passkeys.c.id == passkey)
            )
        return bool(found.rowcount)


def _key(row: Any) -> ApiKey:
    return ApiKey(
        id=row.id,
        account=row.account,
        name=row.name,
        secret_sha256=row.secret_sha256,
        scopes=tuple(json.loads(row.scopes)),
        owner_recipient=row.owner_recipient,
        key_recipient=row.key_recipient,
        record=bytes(row.record),
        created_at=from_us(row.created_at),
        expires_at=maybe_from_us(row.expires_at),
        used_at=maybe_from_us(row.used_at),
    )


def _passkey(row: Any) -> Passkey:
    return Passkey(
        id=row.id,
        account=row.account,
        name=row.name,
        credential_id=bytes(row.credential_id),
        public_key=bytes(row.public_key),
        sign_count=row.sign_count,
        created_at=from_us(row.created_at),
    )
