"""Accounts: registration, password, recovery, leaving.

The server never sees a password or a recovery code, and an unknown name answers like a known one.
"""

from __future__ import annotations

import hmac

from safelight.desk.parts import Parts
from safelight.desk.sessions import Sessions
from safelight.errors import AuthenticationError, ConflictError, ForbiddenError, NotFoundError
from safelight.ids import new_id, sha256_hex
from safelight.policy.plans import DEFAULT_PLAN, PLANS
from safelight.records import Account, Session
from safelight.vault.opaque import account_name

_WRONG = "the name or the recovery code is wrong"


class Accounts(Sessions, Parts):
    """Makes, changes and ends accounts."""

    async def sign_up_open(self) -> bool:
        """Whether a new account may be made now; the first one may unless sign-up is closed."""
        match self.settings.sign_up:
            case "open":
                return True
            case "closed":
                return False
            case _:
                return self.settings.is_loopback or not await self.records.accounts.any()

    async def registration_start(self, name: str, request: bytes) -> bytes:
        """Answer the first OPAQUE message of a registration or a change of password.

        Says nothing about which names exist.
        """
        return (await self._door.side()).registration_response(account_name(name), request)

    async def registration_finish(
        self,
        *,
        name: str,
        upload: bytes,
        owner_recipient: str,
        signing_key: str,
        password_file: bytes,
        recovery_file: bytes,
        recovery_token_sha256: str,
        device: str,
    ) -> tuple[Account, Session, str]:
        """Make an account and sign in; returns the session's token.

        The first account of an instance gets the role ``owner``. Raises :class:`ForbiddenError`
        when sign-up is closed and :class:`ConflictError` for a name that is taken.
        """
        if not await self.sign_up_open():
            raise ForbiddenError("sign-up is closed here", hint="ask the operator")
        name = account_name(name)
        if await self.records.accounts.by_name(name) is not None:
            raise ConflictError("this name is taken", hint="choose another name")
        now = self.clock.now()
        account = Account(
            id=new_id("acc"),
            name=name,
            role="member",
            plan=DEFAULT_PLAN,
            owner_recipient=owner_recipient,
            signing_key=signing_key,
            created_at=now,
        )
        record = (await self._door.side()).registration_finish(upload)
        files = {"password": password_file, "recovery": recovery_file}
        # Keys first: a crash between the two leaves credentials of no account, which are swept.
        # The other way round, it would leave an account that nobody can sign in to.
        await self.keys_store.register(account.id, record, recovery_token_sha256, files, now)
        session, token = self._new_session(account.id, device)
        try:
            account = await self.records.accounts.add(account, session)
        except ConflictError:
            await self.keys_store.erase_account(account.id)
            raise
        return account, session, token

    async def change_password(
        self,
        account: str,
        *,
        upload: bytes,
        password_file: bytes,
        keep_session: str | None,
        recovery_file: bytes | None = None,
        recovery_token_sha256: str | None = None,
    ) -> None:
        """Replace the OPAQUE record and the password's vault file; end all other sessions.

        With a new recovery file and its token's hash, the recovery code changes too.
        """
        record = (await self._door.side()).registration_finish(upload)
        files = {"password": password_file}
        if recovery_file is not None:
            files["recovery"] = recovery_file
        # One transaction in the keys store. A crash after it leaves other sessions signed in.
        if not await self.keys_store.change_password(account, record, files, recovery_token_sha256):
            raise NotFoundError("no such account")
        await self.records.accounts.end_sessions(account, but=keep_session)

    async def recovery_start(
        self, name: str, token: bytes, request: bytes
    ) -> tuple[str, bytes, bytes]:
        """Begin a recovery with the token that the code gives.

        Returns the exchange's name, the OPAQUE answer for a new password, and the recovery file.
        An unknown name and a wrong code fail in the same words (:class:`AuthenticationError`).
        """
        name = account_name(name)
        account = await self.records.accounts.by_name(name)
        kept = None if account is None else await self.keys_store.credentials(account.id)
        wanted = "0" * 64 if kept is None else kept[1]
        fits = hmac.compare_digest(wanted, sha256_hex(token))
        response = (await self._door.side()).registration_response(name, request)
        if account is None or kept is None or not fits or account.disabled:
            raise AuthenticationError(_WRONG)
        files = await self.keys_store.files(account.id, self.clock.now())
        return self._door.begin(account.id, None), response, files["recovery"]

    async def recovery_finish(
        self,
        login: str,
        *,
        upload: bytes,
        password_file: bytes,
        recovery_file: bytes | None = None,
        recovery_token_sha256: str | None = None,
        device: str,
    ) -> tuple[Account, Session, str]:
        """Set the new password (and a new recovery code, if given), end every session, sign in."""
        exchange = self._door.take(login)
        if exchange.account is None or exchange.state is not None:
            raise AuthenticationError(_WRONG)
        account = await self.records.accounts.by_id(exchange.account)
        if account is None or account.disabled:
            raise AuthenticationError(_WRONG)
        record = (await self._door.side()).registration_finish(upload)
        files = {"password": password_file}
        if recovery_file is not None:
            files["recovery"] = recovery_file
        await self.keys_store.change_password(account.id, record, files, recovery_token_sha256)
        await self.records.accounts.end_sessions(account.id)
        session, token = await self._sign_in(account.id, device)
        return account, session, token

    async def person(self, name: str) -> Account:
        """The account with this name. Raises :class:`NotFoundError`."""
        account = await self.records.accounts.by_name(account_name(name))
        if account is None or account.disabled:
            raise NotFoundError("nobody has this name here")
        return account

    async def tokens(self, account: str) -> tuple[int, int | None]:
        """Tokens spent or held in this month, and how many the plan gives (None: not counted)."""
        found = await self.records.accounts.by_id(account)
        month = self.clock.now().strftime("%Y-%m-01")
        used, held = await self.records.jobs.usage(account, month)
        plan = PLANS.get(found.plan if found else DEFAULT_PLAN, PLANS[DEFAULT_PLAN])
        return used + held + self._off_record.held_tokens(account), plan.monthly_tokens

    async def people(self) -> list[Account]:
        """Every account, for the operator."""
        return [row.account for row in await self.records.people.all()]

    async def people_usage(self) -> dict[str, tuple[int, int]]:
        """For the operator: how many assets and sealed bytes each account has."""
        return {r.account.id: (r.assets, r.size_bytes) for r in await self.records.people.all()}

    async def change_person(
        self, account: str, *, plan: str | None = None, disabled: bool | None = None
    ) -> Account:
        """Set a plan; shut an account out or let it in again. Raises :class:`NotFoundError`."""
        if plan is not None:
            await self.records.people.set_plan(account, plan)
        if disabled is not None:
            await self.records.people.set_disabled(account, disabled=disabled)
        found = await self.records.accounts.by_id(account)
        if found is None:
            raise NotFoundError("no such account")
        return found
