"""Signing in and staying signed in: sessions, API keys, passkeys. Only hashes are kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from safelight.desk.parts import Parts
from safelight.errors import AuthenticationError, NotFoundError
from safelight.ids import new_id, new_token, sha256_hex
from safelight.records import Account, ApiKey, Session
from safelight.store.records import Passkey
from safelight.vault.opaque import account_name

_WRONG = "the name or the password is wrong"


class Sessions(Parts):
    """Who is signed in, and by what."""

    async def login_start(self, name: str, request: bytes) -> tuple[str, bytes]:
        """Begin a sign-in: the exchange's name and the OPAQUE answer.

        An unknown name gets the same kind of answer as a known one, after the same reads.
        """
        name = account_name(name)
        account = await self.records.accounts.by_name(name)
        kept = await self.keys_store.credentials("" if account is None else account.id)
        side = await self._door.side()
        response, state = side.login_start(name, None if kept is None else kept[0], request)
        known = account is not None and kept is not None and not account.disabled
        return self._door.begin(account.id if known and account else None, state), response

    async def check_login(self, login: str, finish: bytes) -> str:
        """The account whose password was proved by a begun sign-in. Raises
        :class:`AuthenticationError` in the same words whatever was wrong.
        """
        exchange = self._door.take(login)
        if exchange.state is None:
            raise AuthenticationError(_WRONG)
        (await self._door.side()).login_finish(exchange.state, finish)
        if exchange.account is None:
            raise AuthenticationError(_WRONG)
        return exchange.account

    async def login_finish(
        self, login: str, finish: bytes, *, device: str
    ) -> tuple[Account, Session, str]:
        """Sign in; returns the session's token, which is kept nowhere."""
        account = await self.records.accounts.by_id(await self.check_login(login, finish))
        if account is None or account.disabled:
            raise AuthenticationError(_WRONG)
        session, token = await self._sign_in(account.id, device)
        return account, session, token

    async def session_by_token(self, token: str) -> tuple[Account, Session] | None:
        """The live session with this token and its account; None if it has ended."""
        return await self.records.accounts.by_token(sha256_hex(token.encode()), self.clock.now())

    async def sessions(self, account: str) -> list[Session]:
        """The live sessions of an account, newest first."""
        return await self.records.accounts.sessions(account, self.clock.now())

    async def end_session(self, account: str, session: str) -> None:
        """Sign one device out, at once. Raises :class:`NotFoundError`."""
        if not await self.records.accounts.end_session(account, session):
            raise NotFoundError("no such session")

    def _new_session(self, account: str, device: str) -> tuple[Session, str]:
        token, now = new_token(), self.clock.now()
        session = Session(
            id=new_id("ses"),
            account=account,
            token_sha256=sha256_hex(token.encode()),
            device=device[:64],
            created_at=now,
            seen_at=now,
            expires_at=now + timedelta(days=self.settings.session_days),
        )
        return session, token

    async def _sign_in(self, account: str, device: str) -> tuple[Session, str]:
        session, token = self._new_session(account, device)
        await self.records.accounts.add_session(session)
        return session, token

    # --- API keys ---

    async def create_key(
        self,
        *,
        account: str,
        name: str,
        scopes: tuple[str, ...],
        secret_sha256: str,
        owner_recipient: str,
        key_recipient: str,
        record: bytes,
        expires_at: datetime | None,
    ) -> ApiKey:
        """Keep an API key that the client made: its hash and the owner's signed record."""
        key = ApiKey(
            id=new_id("key"),
            account=account,
            name=name,
            secret_sha256=secret_sha256,
            scopes=scopes,
            owner_recipient=owner_recipient,
            key_recipient=key_recipient,
            record=record,
            created_at=self.clock.now(),
            expires_at=expires_at,
        )
        await self.records.credentials.add_key(key)
        return key

    async def key_by_secret(self, secret: str) -> tuple[Account, ApiKey] | None:
        """The live API key with this secret and its account; None if it has ended."""
        digest = sha256_hex(secret.encode())
        return await self.records.credentials.key_by_secret(digest, self.clock.now())

    async def keys(self, account: str) -> list[ApiKey]:
        """The API keys of an account, newest first."""
        return await self.records.credentials.keys(account)

    async def delete_key(self, account: str, key: str) -> None:
        """End a key, at once. Raises :class:`NotFoundError`."""
        if not await self.records.credentials.delete_key(account, key):
            raise NotFoundError("no such key")

    # --- passkeys ---

    async def add_passkey(
        self,
        account: str,
        *,
        credential_id: bytes,
        public_key: bytes,
        sign_count: int,
        name: str,
        file: bytes | None,
    ) -> Passkey:
        """Keep a passkey that the server checked, and the vault file that its PRF opens."""
        passkey = Passkey(
            id=new_id("psk"),
            account=account,
            name=name,
            credential_id=credential_id,
            public_key=public_key,
            sign_count=sign_count,
            created_at=self.clock.now(),
            unlocks=file is not None,
        )
        await self.records.credentials.add_passkey(passkey)
        if file is not None:
            # A crash before leaves a passkey that signs in and does not unlock.
            await self.keys_store.put_file(account, f"passkey-{passkey.id}", file, None)
        return passkey

    async def passkeys(self, account: str) -> list[Passkey]:
        """The passkeys of an account, oldest first."""
        files = await self.keys_store.files(account, self.clock.now())
        found = await self.records.credentials.passkeys(account)
        return [replace(p, unlocks=f"passkey-{p.id}" in files) for p in found]

    async def passkey_by_credential(self, credential_id: bytes) -> Passkey | None:
        """The passkey with this credential id."""
        return await self.records.credentials.passkey_by_credential(credential_id)

    async def passkey_login(
        self, passkey: str, *, sign_count: int, device: str
    ) -> tuple[Account, Session, str]:
        """Sign in with a passkey whose signature the server checked."""
        kept = await self.records.credentials.passkey(passkey)
        account = None if kept is None else await self.records.accounts.by_id(kept.account)
        if kept is None or account is None or account.disabled:
            raise AuthenticationError("the passkey was not accepted")
        counted = await self.records.credentials.count_signature(
            passkey, kept.sign_count, sign_count
        )
        if not counted:
            raise AuthenticationError("the passkey was not accepted")
        session, token = await self._sign_in(account.id, device)
        return account, session, token

    async def delete_passkey(self, account: str, passkey: str) -> None:
        """Remove a passkey and its vault file. Raises :class:`NotFoundError`."""
        # The file first: a crash between leaves a passkey that signs in and does not unlock.
        await self.keys_store.delete_file(account, f"passkey-{passkey}")
        if not await self.records.credentials.delete_passkey(account, passkey):
            raise NotFoundError("no such passkey")
