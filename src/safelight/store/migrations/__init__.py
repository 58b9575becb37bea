"""Brings an older database up to date. Imported only when one is found: alembic is slow to load."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection


def config(kind: str, connection: Connection | None = None) -> Config:
    """Alembic's settings for ``records`` or ``keys``."""
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent / kind))
    found.attributes["connection"] = connection
    return found


def migrate(connection: Connection, kind: str, found: str) -> bool:
    """Upgrade from version ``found`` inside the caller's transaction.

    Returns False for a version that this program does not know: the database is newer.
    """
    settings = config(kind, connection)
    try:
        ScriptDirectory.from_config(settings).get_revision(found)
    except CommandError:
        return False
    command.upgrade(settings, "head")
    return True
