"""The records: everything the desk remembers about accounts, jobs and assets. Nothing that opens.

Every method is one transaction. Names of methods say what they do; each that writes says what a
crash leaves.
"""

from __future__ import annotations

from safelight.store import tables
from safelight.store.database import Database
from safelight.store.records.accounts import AccountRows
from safelight.store.records.assets import AssetRows, NewAsset
from safelight.store.records.credentials import CredentialRows, Passkey
from safelight.store.records.jobs import Claimed, JobRows
from safelight.store.records.people import PeopleRows, PersonRow
from safelight.store.records.shares import ShareRows
from safelight.store.records.showing import PublicationRows
from safelight.store.records.vaults import VaultRows

__all__ = ["Claimed", "NewAsset", "Passkey", "PersonRow", "Records"]


class Records:
    """``url`` is a SQLAlchemy URL: ``sqlite+aiosqlite:///...`` or ``postgresql+asyncpg://...``."""

    def __init__(self, url: str) -> None:
        self.database = Database(url, tables.metadata, head=tables.HEAD, migrations="records")
        self.accounts = AccountRows(self.database)
        self.credentials = CredentialRows(self.database)
        self.jobs = JobRows(self.database)
        self.assets = AssetRows(self.database)
        self.vaults = VaultRows(self.database)
        self.shares = ShareRows(self.database)
        self.publications = PublicationRows(self.database)
        self.people = PeopleRows(self.database)

    async def open(self) -> None:
        """Make the tables or bring them up to date."""
        await self.database.open()

    async def close(self) -> None:
        """Close every connection."""
        await self.database.close()
