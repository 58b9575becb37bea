"""The tables of the records. No column holds a prompt, a file name or a key in the clear.

Times are microseconds since 1970 (:mod:`safelight.store.times`). Sealed things are bytes.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

HEAD = "r0002"
metadata = MetaData()

_ID = String(40)
_HASH = String(64)
# SQLite numbers rows by itself only when the key is spelt INTEGER.
_SEQ = BigInteger().with_variant(Integer, "sqlite")

accounts = Table(
    "accounts",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("plan", String(32), nullable=False),
    Column("owner_recipient", String(128), nullable=False),
    Column("signing_key", _HASH, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("leaving", Boolean, nullable=False),
    # Signed by the owner: their present recipient follows the former ones.
    Column("owner_note", LargeBinary),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("account", _ID, nullable=False, index=True),
    Column("token_sha256", _HASH, nullable=False, unique=True),
    Column("device", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("account", _ID, nullable=False, index=True),
    Column("name", String(64), nullable=False),
    Column("secret_sha256", _HASH, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("owner_recipient", String(128), nullable=False),
    Column("key_recipient", String(128), nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("used_at", BigInteger),
)

passkeys = Table(
    "passkeys",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("account", _ID, nullable=False, index=True),
    Column("name", String(64), nullable=False),
    Column("credential_id", LargeBinary, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("account", _ID, nullable=False),
    Column("state", String(16), nullable=False),
    Column("retention", String(16), nullable=False),
    Column("protection", String(16), nullable=False),
    Column("cost", Text, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("idempotency_key", String(128)),
    Column("body_sha256", _HASH, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_until", BigInteger),
    Column("darkroom", _ID),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("error_code", String(64)),
    Column("assets", Text, nullable=False),
    # The sealed request; NULL once the job has ended.
    Column("sealed", LargeBinary),
    UniqueConstraint("account", "idempotency_key", name="jobs_once"),
    Index("jobs_of_account", "account", "created_at"),
    # Only what has not ended: small however many jobs were ever done.
    Index(
        "jobs_active",
        "account",
        "state",
        "tokens",
        sqlite_where=text("state IN ('queued', 'running')"),
        postgresql_where=text("state IN ('queued', 'running')"),
    ),
)

day_bills = Table(
    "day_bills",
    metadata,
    # Empty for guests.
    Column("account", _ID, primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("pictures", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
)

assets = Table(
    "assets",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("id", _ID, nullable=False, unique=True),
    Column("account", _ID, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("protection", String(16), nullable=False),
    Column("retention", String(16), nullable=False),
    Column("visibility", String(16), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("made_on", String(10), nullable=False),
    # The random name under which the blobs and the envelope are kept.
    Column("blob", _ID, nullable=False, unique=True),
    Column("job", _ID, index=True),
    # Set first when it is deleted: hidden from then on, and finished by the sweeper after a crash.
    Column("erasing", Boolean, nullable=False),
    Index("assets_page", "account", "erasing", "seq"),
    Index("assets_page_by_visibility", "account", "erasing", "visibility", "seq"),
    Index(
        "assets_erasing",
        "seq",
        sqlite_where=text("erasing = 1"),
        postgresql_where=text("erasing"),
    ),
    Index(
        "assets_shared",
        "id",
        sqlite_where=text("visibility = 'shared'"),
        postgresql_where=text("visibility = 'shared'"),
    ),
    sqlite_autoincrement=True,
)

heads = Table(
    "heads",
    metadata,
    Column("account", _ID, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("head", LargeBinary, nullable=False),
)

segments = Table(
    "segments",
    metadata,
    Column("account", _ID, primary_key=True),
    Column("sha256", _HASH, primary_key=True),
    Column("blob", _ID, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
)

shares = Table(
    "shares",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("account", _ID, nullable=False, index=True),
    Column("asset", _ID, nullable=False, index=True),
    Column("access_sha256", _HASH),
    Column("person", _ID, index=True),
    Column("passphrase_salt", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("opened", Integer, nullable=False),
    Column("revoked_at", BigInteger),
)

publications = Table(
    "publications",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("id", _ID, nullable=False, unique=True),
    Column("account", _ID, nullable=False, index=True),
    Column("asset", _ID, index=True),
    Column("media_type", String(32), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("width_px", Integer, nullable=False),
    Column("height_px", Integer, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    # Written to be shown to everyone.
    Column("words", Text, nullable=False),
    Column("show_name", Boolean, nullable=False),
    Column("remix", Boolean, nullable=False),
    Column("blob", _ID, nullable=False, unique=True),
    sqlite_autoincrement=True,
)
