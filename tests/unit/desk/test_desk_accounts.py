"""Accounts over the real OPAQUE: one password signs in and unlocks, and the desk never has it."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from deskwork import NOON, add_account, files_with, later, open_test_desk
from safelight.desk import Desk
from safelight.errors import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RequestError,
)
from safelight.ids import FixedClock, sha256_hex
from safelight.records import Account, Session
from safelight.secret import Secret
from safelight.vault.opaque import OpaqueClientSide

TOKEN = b"token from the recovery code"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def opaque_setup(home: Path) -> tuple[int, bytes]:
    return mode_of(home / "opaque.setup"), (home / "opaque.setup").read_bytes()[:32]


class Person:
    """A client that registers and signs in, without the slow stretching of a real one."""

    def __init__(self, desk: Desk, name: str, password: str, monkeypatch: pytest.MonkeyPatch):
        from safelight.vault import opaque

        monkeypatch.setattr(opaque, "stretched_password", lambda n, p: f"{n.lower()}:{p.reveal()}")
        self.desk, self.name, self.password = desk, name, password
        self.client = OpaqueClientSide()

    async def upload(self, password: str | None = None) -> tuple[bytes, bytes]:
        request, state = self.client.registration_start(
            self.name, Secret(password or self.password)
        )
        response = await self.desk.registration_start(self.name, request)
        return self.client.registration_finish(state, response)

    async def register(self) -> tuple[Account, Session, str]:
        upload, self.export_key = await self.upload()
        return await self.desk.registration_finish(
            name=self.name,
            upload=upload,
            owner_recipient="age1owner",
            signing_key="0" * 64,
            password_file=b"password file",
            recovery_file=b"recovery file",
            recovery_token_sha256=sha256_hex(TOKEN),
            device="browser",
        )

    async def prove(self, password: str | None = None) -> tuple[str, bytes, bytes]:
        request, state = self.client.login_start(self.name, Secret(password or self.password))
        login, response = await self.desk.login_start(self.name, request)
        finish, export_key, _ = self.client.login_finish(state, response)
        return login, finish, export_key

    async def sign_in(self, password: str | None = None) -> tuple[Account, Session, str]:
        login, finish, _ = await self.prove(password)
        return await self.desk.login_finish(login, finish, device="command line")


@pytest.fixture
def person(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Person:
    return Person(desk, "Anna", "correct horse", monkeypatch)


async def test_register_and_sign_in_with_one_password(desk: Desk, person: Person) -> None:
    account, session, token = await person.register()
    assert (account.name, account.role, account.plan) == ("anna", "owner", "home")
    assert await desk.session_by_token(token) == (account, session)
    _, _, export_key = await person.prove()
    assert export_key == person.export_key
    again, other, second = await person.sign_in()
    assert again == account
    assert {s.id for s in await desk.sessions(account.id)} == {session.id, other.id}
    assert token != second
    await desk.end_session(account.id, session.id)
    assert await desk.session_by_token(token) is None
    with pytest.raises(NotFoundError):
        await desk.end_session(account.id, session.id)


async def test_a_wrong_password_and_an_unknown_name_answer_alike(
    desk: Desk, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await person.register()
    nobody = Person(desk, "nobody", "correct horse", monkeypatch)
    answers = []
    for who, password in ((person, "wrong"), (nobody, "correct horse")):
        request, state = who.client.login_start(who.name, Secret(password))
        login, response = await desk.login_start(who.name, request)
        answers.append((len(login), len(response)))
        with pytest.raises(AuthenticationError) as wrong:
            who.client.login_finish(state, response)
        with pytest.raises(AuthenticationError) as refused:
            await desk.check_login(login, bytes(64))
        answers.append((str(wrong.value), str(refused.value)))
    assert answers[:2] == answers[2:]


async def test_a_sign_in_is_finished_once_and_soon(
    desk: Desk, person: Person, clock: FixedClock
) -> None:
    account, _, _ = await person.register()
    login, finish, _ = await person.prove()
    assert await desk.check_login(login, finish) == account.id
    with pytest.raises(AuthenticationError):
        await desk.check_login(login, finish)
    login, finish, _ = await person.prove()
    later(clock, minutes=6)
    with pytest.raises(AuthenticationError):
        await desk.login_finish(login, finish, device="x")


async def test_a_name_is_taken_once_and_leaves_no_keys_behind(
    desk: Desk, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, _, _ = await person.register()
    with pytest.raises(ConflictError):
        await Person(desk, "anna", "other", monkeypatch).register()
    assert await desk.keys_store.old_accounts(NOON + timedelta(days=1)) == [account.id]
    with pytest.raises(RequestError):
        await desk.registration_start("not a name!", b"")


async def test_a_change_of_password_swaps_record_and_file_and_ends_other_sessions(
    desk: Desk, person: Person
) -> None:
    account, session, token = await person.register()
    _, _, other = await person.sign_in()
    upload, export_key = await person.upload("new password")
    await desk.change_password(
        account.id, upload=upload, password_file=b"rewrapped", keep_session=session.id
    )
    assert await desk.session_by_token(token) is not None
    assert await desk.session_by_token(other) is None
    assert await desk.vault_file(account.id, "password") == b"rewrapped"
    with pytest.raises(AuthenticationError):
        await person.sign_in()
    _, _, now = await person.prove("new password")
    assert now == export_key


async def test_the_recovery_code_sets_a_new_password(desk: Desk, person: Person) -> None:
    account, _, token = await person.register()
    request, state = person.client.registration_start("anna", Secret("after"))
    login, response, file = await desk.recovery_start("anna", TOKEN, request)
    assert file == b"recovery file"
    upload, _ = person.client.registration_finish(state, response)
    found, _, fresh = await desk.recovery_finish(
        login,
        upload=upload,
        password_file=b"rewrapped",
        recovery_file=b"new recovery",
        recovery_token_sha256=sha256_hex(b"new token"),
        device="browser",
    )
    assert found == account
    assert await desk.session_by_token(token) is None
    assert await desk.session_by_token(fresh) is not None
    await person.sign_in("after")
    with pytest.raises(AuthenticationError):
        await desk.recovery_start("anna", TOKEN, request)
    assert (await desk.recovery_start("anna", b"new token", request))[2] == b"new recovery"


async def test_a_wrong_code_and_an_unknown_name_fail_in_the_same_words(
    desk: Desk, person: Person
) -> None:
    await person.register()
    request, _ = person.client.registration_start("anna", Secret("after"))
    said = set()
    for name, token in (("anna", b"wrong"), ("nobody", TOKEN)):
        with pytest.raises(AuthenticationError) as error:
            await desk.recovery_start(name, token, request)
        said.add((str(error.value), error.value.hint))
    assert len(said) == 1


async def test_a_login_exchange_is_no_recovery_and_the_other_way_round(
    desk: Desk, person: Person
) -> None:
    await person.register()
    login, _, _ = await person.prove()
    upload, _ = await person.upload("x")
    with pytest.raises(AuthenticationError):
        await desk.recovery_finish(login, upload=upload, password_file=b"p", device="x")
    request, _ = person.client.registration_start("anna", Secret("after"))
    recovery, _, _ = await desk.recovery_start("anna", TOKEN, request)
    with pytest.raises(AuthenticationError):
        await desk.check_login(recovery, bytes(64))


@pytest.mark.parametrize(
    ("sign_up", "host", "before", "after"),
    [
        ("auto", "127.0.0.1", True, True),
        ("auto", "0.0.0.0", True, False),
        ("open", "0.0.0.0", True, True),
        ("closed", "127.0.0.1", False, False),
    ],
)
async def test_who_may_sign_up(
    tmp_path: Path, sign_up: str, host: str, before: bool, after: bool
) -> None:
    desk = await open_test_desk(tmp_path, sign_up=sign_up, host=host)
    assert await desk.sign_up_open() is before
    await add_account(desk)
    assert await desk.sign_up_open() is after
    if not after:
        with pytest.raises(ForbiddenError):
            await desk.registration_finish(
                name="bert", upload=b"", owner_recipient="", signing_key="", password_file=b"",
                recovery_file=b"", recovery_token_sha256="", device="",
            )  # fmt: skip
    await desk.close()


async def test_the_opaque_setup_is_a_private_file_outside_the_databases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await open_test_desk(tmp_path)
    person = Person(desk, "anna", "pw", monkeypatch)
    await person.register()
    await desk.close()
    mode, seed = opaque_setup(tmp_path)
    assert mode == 0o600
    assert files_with(tmp_path, "*.db*", seed) == []
    assert mode_of(tmp_path / "keys.db") == mode_of(tmp_path / "records.db") == 0o600
    person.desk = await open_test_desk(tmp_path)
    await person.sign_in()
    await person.desk.close()
    assert opaque_setup(tmp_path) == (mode, seed)
    assert files_with(tmp_path, "opaque*", b"") == ["opaque.setup"]


async def test_the_databases_hold_no_token_or_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await open_test_desk(tmp_path)
    person = Person(desk, "anna", "canary password", monkeypatch)
    account, _, token = await person.register()
    secret = "sl_" + "k" * 43
    await desk.create_key(
        account=account.id, name="robot", scopes=("generate",),
        secret_sha256=sha256_hex(secret.encode()),
        owner_recipient="age1o", key_recipient="age1k", record=b"note", expires_at=None,
    )  # fmt: skip
    found = await desk.key_by_secret(secret)
    assert found is not None
    assert found[0] == account
    await desk.delete_key(account.id, found[1].id)
    assert await desk.key_by_secret(secret) is None
    await desk.close()
    for canary in (b"canary password", token.encode(), secret.encode(), TOKEN):
        assert files_with(tmp_path, "*", canary) == []


async def test_passkeys_sign_in_and_carry_their_vault_file(desk: Desk, anna: Account) -> None:
    plain = await desk.add_passkey(
        anna.id, credential_id=b"1", public_key=b"k", sign_count=0, name="a", file=None
    )
    kept = await desk.add_passkey(
        anna.id, credential_id=b"2", public_key=b"k", sign_count=3, name="b", file=b"wrapped"
    )
    assert [p.unlocks for p in await desk.passkeys(anna.id)] == [False, True]
    assert await desk.vault_file(anna.id, f"passkey-{kept.id}") == b"wrapped"
    account, _, token = await desk.passkey_login(kept.id, sign_count=4, device="phone")
    assert account == anna
    assert await desk.session_by_token(token) is not None
    assert (await desk.passkey_by_credential(b"2") or plain).sign_count == 4
    await desk.delete_passkey(anna.id, kept.id)
    with pytest.raises(NotFoundError):
        await desk.vault_file(anna.id, f"passkey-{kept.id}")
    with pytest.raises(AuthenticationError):
        await desk.passkey_login(kept.id, sign_count=5, device="phone")
    with pytest.raises(NotFoundError):
        await desk.delete_passkey(anna.id, kept.id)


async def test_a_device_stays_unlocked_seven_days_at_most(
    desk: Desk, anna: Account, clock: FixedClock
) -> None:
    await desk.put_vault_file(anna.id, "device-laptop", b"unlocked")
    later(clock, days=6, hours=23)
    assert await desk.vault_file(anna.id, "device-laptop") == b"unlocked"
    later(clock, hours=1)
    with pytest.raises(NotFoundError):
        await desk.vault_file(anna.id, "device-laptop")
    await desk.sweep()
    assert set(await desk.vault_files(anna.id)) == {"password", "recovery"}
    for method in ("password", "recovery"):
        with pytest.raises(RequestError):
            await desk.delete_vault_file(anna.id, method)
    for wrong in ("", "device-", "other", "passkey-../x", "password2"):
        with pytest.raises(RequestError):
            await desk.put_vault_file(anna.id, wrong, b"x")
    with pytest.raises(RequestError):
        await desk.put_vault_file(anna.id, "recovery", b"")


async def test_the_operator_sees_numbers_and_can_shut_people_out(
    desk: Desk, anna: Account, bert: Account
) -> None:
    assert [(p.name, p.role) for p in await desk.people()] == [
        ("anna", "owner"),
        ("bert", "member"),
    ]
    assert await desk.people_usage() == {anna.id: (0, 0), bert.id: (0, 0)}
    changed = await desk.change_person(bert.id, plan="small", disabled=True)
    assert (changed.plan, changed.disabled) == ("small", True)
    with pytest.raises(NotFoundError):
        await desk.person("bert")
    assert not (await desk.change_person(bert.id, disabled=False)).disabled
    assert (await desk.person("BERT")).id == bert.id
    with pytest.raises(NotFoundError):
        await desk.change_person("acc_none", plan="small")
