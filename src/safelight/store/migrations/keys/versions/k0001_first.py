"""The first tables of the keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "k0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "bundles",
        sa.Column("share", sa.String(length=40), nullable=False),
        sa.Column("account", sa.String(length=40), nullable=False),
        sa.Column("bundle", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("share"),
    )
    op.create_index(op.f("ix_bundles_account"), "bundles", ["account"], unique=False)
    op.create_table(
        "credentials",
        sa.Column("account", sa.String(length=40), nullable=False),
        sa.Column("opaque_record", sa.LargeBinary(), nullable=False),
        sa.Column("recovery_token_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account"),
    )
    op.create_table(
        "envelopes",
        sa.Column("blob", sa.String(length=40), nullable=False),
        sa.Column("account", sa.String(length=40), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("blob"),
    )
    op.create_index(op.f("ix_envelopes_account"), "envelopes", ["account"], unique=False)
    op.create_table(
        "replies",
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("account", sa.String(length=40), nullable=False),
        sa.Column("reply", sa.LargeBinary(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job"),
    )
    op.create_index(op.f("ix_replies_account"), "replies", ["account"], unique=False)
    op.create_index(op.f("ix_replies_until"), "replies", ["until"], unique=False)
    op.create_table(
        "vault_files",
        sa.Column("account", sa.String(length=40), nullable=False),
        sa.Column("method", sa.String(length=64), nullable=False),
        sa.Column("file", sa.LargeBinary(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("account", "method"),
    )
