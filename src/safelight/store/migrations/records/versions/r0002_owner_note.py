"""A place for the note by which an owner says that a new recipient follows the former ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    """Add the column; no account has changed its keys before."""
    op.add_column("accounts", sa.Column("owner_note", sa.LargeBinary(), nullable=True))
