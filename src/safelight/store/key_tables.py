"""The tables of the keys store: what opens things, itself sealed. Deleting a row here erases.

Kept apart from the records so that it can be small, overwrite what it deletes, and have backups
that live only as long as the erasure horizon.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, String, Table

HEAD = "k0001"
metadata = MetaData()

_ID = String(40)

envelopes = Table(
    "envelopes",
    metadata,
    # The name that the asset's row gives: a replaced asset gets a new one (Note [crash order]).
    Column("blob", _ID, primary_key=True),
    Column("account", _ID, nullable=False, index=True),
    Column("envelope", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

credentials = Table(
    "credentials",
    metadata,
    Column("account", _ID, primary_key=True),
    Column("opaque_record", LargeBinary, nullable=False),
    Column("recovery_token_sha256", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

vault_files = Table(
    "vault_files",
    metadata,
    Column("account", _ID, primary_key=True),
    # password, recovery, passkey-ID, device-ID
    Column("method", String(64), primary_key=True),
    Column("file", LargeBinary, nullable=False),
    Column("until", BigInteger),
)

bundles = Table(
    "bundles",
    metadata,
    Column("share", _ID, primary_key=True),
    Column("account", _ID, nullable=False, index=True),
    Column("bundle", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

replies = Table(
    "replies",
    metadata,
    # Sealed to the caller, and to K for an API key's job: so it is erased like a key.
    Column("job", _ID, primary_key=True),
    Column("account", _ID, nullable=False, index=True),
    Column("reply", LargeBinary, nullable=False),
    Column("until", BigInteger, nullable=False, index=True),
)
