"""Accounts and sessions."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, exists, func, insert, literal, select, text, update
from sqlalchemy.exc import IntegrityError as SqlIntegrityError

from safelight.errors import ConflictError
from safelight.records import Account, Session
from safelight.store.database import Database
from safelight.store.tables import accounts, api_keys, sessions
from safelight.store.times import from_us, to_us

SEEN_EVERY = timedelta(minutes=10)

_BY_TOKEN = (
    select(
        *(c.label(f"a_{c.name}") for c in accounts.c), *(c.label(f"s_{c.name}") for c in sessions.c)
    )
    .join_from(sessions, accounts, sessions.c.account == accounts.c.id)
    .where(
        sessions.c.token_sha256 == bindparam("token"),
        sessions.c.expires_at > bindparam("now"),
        accounts.c.disabled.is_(False),
        accounts.c.leaving.is_(False),
    )
)
_LIVE = (accounts.c.leaving.is_(False),)


class AccountRows:
    """Rows of ``accounts`` and ``sessions``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def any(self) -> bool:
        """Whether there is an account at all."""
        async with self._db.read() as connection:
            return bool((await connection.execute(select(exists(select(accounts.c.id))))).scalar())

    async def add(self, account: Account, session: Session) -> Account:
        """Add an account and its first session; the very first account becomes role ``owner``.

        Raises :class:`ConflictError` if the name is taken. A crash leaves both or neither.
        """
        try:
            async with self._db.write("account") as connection:
                if not self._db.is_sqlite:  # so that of two at once, one is the first
                    await connection.execute(text("LOCK TABLE accounts IN EXCLUSIVE MODE"))
                await connection.execute(insert(accounts).values(**_account_values(account)), None)
                others = await connection.execute(
                    select(func.count()).select_from(accounts).where(accounts.c.id != account.id)
                )
                role = "owner" if others.scalar_one() == 0 else "member"
                await connection.execute(
                    update(accounts).where(accounts.c.id == account.id).values(role=role)
                )
                await connection.execute(insert(sessions).values(**_session_values(session)))
        except SqlIntegrityError:
            raise ConflictError("this name is taken", hint="choose another name") from None
        return replace(account, role="owner" if role == "owner" else "member")

    async def by_name(self, name: str) -> Account | None:
        """The account with this name, also a disabled one."""
        return await self._one(accounts.c.name == name)

    async def by_id(self, account: str) -> Account | None:
        """The account with this id, also a disabled one."""
        return await self._one(accounts.c.id == account)

    async def _one(self, condition: Any) -> Account | None:
        async with self._db.read() as connection:
            row = (await connection.execute(select(accounts).where(condition, *_LIVE))).first()
        return None if row is None else _account(row, "")

    async def add_session(self, session: Session) -> None:
        """Add a session. A crash before leaves the caller signed out."""
        async with self._db.write("session") as connection:
            await connection.execute(insert(sessions).values(**_session_values(session)))

    async def by_token(self, token_sha256: str, now: datetime) -> tuple[Account, Session] | None:
        """The live session with this token and its account, if neither ended nor disabled."""
        async with self._db.read() as connection:
            row = (
                await connection.execute(_BY_TOKEN, {"token": token_sha256, "now": to_us(now)})
            ).first()
        if row is None:
            return None
        session = _session(row, "s_")
        if now - session.seen_at > SEEN_EVERY:
            async with self._db.write_lazily("session-seen") as connection:
                await connection.execute(
                    update(sessions).where(sessions.c.id == session.id).values(seen_at=to_us(now))
                )
        return _account(row, "a_"), session

    async def sessions(self, account: str, now: datetime) -> list[Session]:
        """The live sessions of an account, newest first."""
        async with self._db.read() as connection:
            rows = await connection.execute(
                select(sessions)
                .where(sessions.c.account == account, sessions.c.expires_at > to_us(now))
                .order_by(sessions.c.created_at.desc())
            )
            return [_session(row, "") for row in rows]

    async def rotate(
        self, account: Account, recipient: str, note: str, *, keep: str | None
    ) -> bool:
        """Give an account its new recipient; end its API keys and every session but ``keep``.

        False if the account's recipient is not what ``account`` says any more. A crash leaves
        all of it undone or done.
        """
        async with self._db.write("rotate") as connection:
            found = await connection.execute(
                update(accounts)
                .where(
                    accounts.c.id == account.id,
                    accounts.c.owner_recipient == account.owner_recipient,
                )
                .values(owner_recipient=recipient, owner_note=note.encode())
            )
            if not found.rowcount:
                return False
            await connection.execute(delete(api_keys).where(api_keys.c.account == account.id))
            await connection.execute(
                delete(sessions).where(
                    sessions.c.account == account.id, sessions.c.id != (keep or "")
                )
            )
        return True

    async def end_session(self, account: str, session: str) -> bool:
        """End one session now; say whether it was there."""
        async with self._db.write("session-end") as connection:
            found = await connection.execute(
                delete(sessions).where(sessions.c.account == account, sessions.c.id == session)
            )
        return bool(found.rowcount)

    async def end_sessions(self, account: str, *, but: str | None = None) -> int:
        """End every session of an account, but one."""
        async with self._db.write("session-end") as connection:
            found = await connection.execute(
                delete(sessions).where(sessions.c.account == account, sessions.c.id != (but or ""))
            )
        return int(found.rowcount)

    async def sweep_sessions(self, now: datetime) -> int:
        """Delete sessions that have ended."""
        async with self._db.write_lazily("session-sweep") as connection:
            found = await connection.execute(
                delete(sessions).where(sessions.c.expires_at <= literal(to_us(now)))
            )
        return int(found.rowcount)


def _account_values(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "role": account.role,
        "plan": account.plan,
        "owner_recipient": account.owner_recipient,
        "signing_key": account.signing_key,
        "created_at": to_us(account.created_at),
        "disabled": account.disabled,
        "leaving": False,
        "owner_note": None if account.owner_note is None else account.owner_note.encode(),
    }


def _account(row: Any, prefix: str) -> Account:
    value = row._mapping
    note = value[f"{prefix}owner_note"]
    return Account(
        id=value[f"{prefix}id"],
        name=value[f"{prefix}name"],
        role=value[f"{prefix}role"],
        plan=value[f"{prefix}plan"],
        owner_recipient=value[f"{prefix}owner_recipient"],
        signing_key=value[f"{prefix}signing_key"],
        created_at=from_us(value[f"{prefix}created_at"]),
        disabled=bool(value[f"{prefix}disabled"]),
        owner_note=None if note is None else bytes(note).decode("utf-8"),
    )


def _session_values(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "account": session.account,
        "token_sha256": session.token_sha256,
        "device": session.device,
        "created_at": to_us(session.created_at),
        "seen_at": to_us(session.seen_at),
        "expires_at": to_us(session.expires_at),
    }


def _session(row: Any, prefix: str) -> Session:
    value = row._mapping
    return Session(
        id=value[f"{prefix}id"],
        account=value[f"{prefix}account"],
        token_sha256=value[f"{prefix}token_sha256"],
        device=value[f"{prefix}device"],
        created_at=from_us(value[f"{prefix}created_at"]),
        seen_at=from_us(value[f"{prefix}seen_at"]),
        expires_at=from_us(value[f"{prefix}expires_at"]),
    )
