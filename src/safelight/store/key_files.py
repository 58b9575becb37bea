"""Credentials and vault files: what each way to unlock needs. A part of the keys store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError as SqlIntegrityError

from safelight.errors import ConflictError
from safelight.store.database import Database
from safelight.store.key_tables import credentials, vault_files
from safelight.store.times import maybe_us, to_us

_PUT_FILE = text(
    "INSERT INTO vault_files (account, method, file, until)"
    " VALUES (:account, :method, :file, :until)"
    " ON CONFLICT (account, method) DO UPDATE SET file = excluded.file, until = excluded.until"
)


class KeyFiles:
    """Rows of ``credentials`` and ``vault_files``."""

    def __init__(self, database: Database) -> None:
        self.database = self._db = database

    async def register(
        self,
        account: str,
        opaque_record: bytes,
        recovery_token_sha256: str,
        files: Mapping[str, bytes],
        now: datetime,
    ) -> None:
        """Keep a new account's credentials and files, in one transaction.

        A crash after it and before the account's row leaves rows of no account; they are swept.
        """
        try:
            async with self._db.write("register") as connection:
                await connection.execute(
                    insert(credentials).values(
                        account=account,
                        opaque_record=opaque_record,
                        recovery_token_sha256=recovery_token_sha256,
                        created_at=to_us(now),
                    )
                )
                for method, file in files.items():
                    await connection.execute(
                        _PUT_FILE,
                        {"account": account, "method": method, "file": file, "until": None},
                    )
        except SqlIntegrityError:
            raise ConflictError("this account has credentials already") from None

    async def credentials(self, account: str) -> tuple[bytes, str] | None:
        """The OPAQUE record and the recovery token's hash."""
        async with self._db.read() as connection:
            row = (
                await connection.execute(
                    select(credentials.c.opaque_record, credentials.c.recovery_token_sha256).where(
                        credentials.c.account == account
                    )
                )
            ).first()
        return None if row is None else (bytes(row[0]), str(row[1]))

    async def change_password(
        self,
        account: str,
        opaque_record: bytes,
        files: Mapping[str, bytes],
        recovery_token_sha256: str | None = None,
    ) -> bool:
        """Replace the OPAQUE record and these files together; False for an unknown account.

        A crash leaves the old password with the old file, or the new with the new.
        """
        values: dict[str, Any] = {"opaque_record": opaque_record}
        if recovery_token_sha256 is not None:
            values["recovery_token_sha256"] = recovery_token_sha256
        async with self._db.write("password") as connection:
            found = await connection.execute(
                update(credentials).where(credentials.c.account == account).values(**values)
            )
            if not found.rowcount:
                return False
            for method, file in files.items():
                await connection.execute(
                    _PUT_FILE, {"account": account, "method": method, "file": file, "until": None}
                )
        self._db.scrub_soon()
        return True

    async def put_file(
        self, account: str, method: str, file: bytes, until: datetime | None
    ) -> None:
        """Keep or replace one vault file, until a time if one is given."""
        async with self._db.write("vault-file") as connection:
            await connection.execute(
                _PUT_FILE,
                {"account": account, "method": method, "file": file, "until": maybe_us(until)},
            )
        self._db.scrub_soon()

    async def files(self, account: str, now: datetime) -> dict[str, bytes]:
        """Every vault file of an account that is in force, by method."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(vault_files.c.method, vault_files.c.file)
                .where(
                    vault_files.c.account == account,
                    or_(vault_files.c.until.is_(None), vault_files.c.until > to_us(now)),
                )
                .order_by(vault_files.c.method)
            )
            return {row[0]: bytes(row[1]) for row in rows}

    async def delete_file(self, account: str, method: str) -> bool:
        """Erase one vault file; say whether it was there."""
        async with self._db.write("vault-file-delete") as connection:
            found = await connection.execute(
                delete(vault_files).where(
                    vault_files.c.account == account, vault_files.c.method == method
                )
            )
        self._db.scrub_soon()
        return bool(found.rowcount)

    async def rewrap_files(
        self,
        account: str,
        files: Mapping[str, bytes],
        recovery_token_sha256: str | None = None,
    ) -> bool:
        """Replace every vault file by these, in one transaction; False for an unknown account.

        A crash leaves all of the former files or all of the new.
        """
        async with self._db.write("rewrap-files") as connection:
            values = {"recovery_token_sha256": recovery_token_sha256}
            known = credentials.c.account == account
            if recovery_token_sha256 is not None:
                await connection.execute(update(credentials).where(known).values(**values))
            if (
                await connection.execute(select(credentials.c.account).where(known))
            ).first() is None:
                return False
            await connection.execute(delete(vault_files).where(vault_files.c.account == account))
            for method, file in files.items():
                await connection.execute(
                    _PUT_FILE, {"account": account, "method": method, "file": file, "until": None}
                )
        self._db.scrub_soon()
        return True
