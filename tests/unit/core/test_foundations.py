"""Ids, secrets, errors, records and the clock."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight import errors, ids
from safelight.errors import RequestError, SafelightError, StateError, all_errors
from safelight.records import JOB_ENDED, JOB_STEPS, check_job_step
from safelight.secret import Secret


@given(st.binary(min_size=16, max_size=16), st.sampled_from(sorted(ids.KINDS)))
def test_an_id_has_its_kind_and_reads_back(random: bytes, kind: str) -> None:
    value = ids.new_id(kind, random=lambda n: random[:n])
    assert ids.check_id(kind, value) == value
    assert value.startswith(f"{kind}_")
    assert len(value) == 30


def test_ids_do_not_repeat() -> None:
    assert len({ids.new_id("job") for _ in range(1000)}) == 1000


def test_an_id_of_no_kind_is_a_bug() -> None:
    with pytest.raises(ValueError, match="kind"):
        ids.new_id("foo")


@pytest.mark.parametrize(
    "value", ["", "job_", "ast_" + "0" * 26, "job_" + "u" * 26, "job_" + "0" * 25, "zebracanary"]
)
def test_what_is_no_id_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(RequestError) as caught:
        ids.check_id("job", value)
    assert not value or value not in str(caught.value)


@given(st.binary(max_size=40))
def test_crockford_keeps_order_and_length(data: bytes) -> None:
    assert len(ids.crockford32(data)) == (len(data) * 8 + 4) // 5
    assert not set(ids.crockford32(data)) & set("ilou")


@given(st.binary(max_size=80))
def test_base64_goes_both_ways(data: bytes) -> None:
    assert ids.unb64(ids.b64(data)) == data
    assert ids.b64(data) == base64.b64encode(data).decode()


@pytest.mark.parametrize("text", ["a", "a b=", "é===", "YQ", "YQ==\n", "-_=="])
def test_what_is_not_base64_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        ids.unb64(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(
            st.characters(codec="utf-8"), max_size=8
        ),
        lambda v: st.lists(v, max_size=3) | st.dictionaries(
            st.text(st.characters(codec="utf-8"), max_size=6), v, max_size=3
        ),
        max_leaves=8,
    )
)  # fmt: skip
def test_canonical_json_is_json_and_one_form(value: object) -> None:
    raw = ids.canonical_json(value)
    assert json.loads(raw) == value
    assert ids.canonical_json(json.loads(raw)) == raw


def test_canonical_json_of_the_standard() -> None:
    # RFC 8785, section 3.2.2 and 3.2.3.
    value = {"\u20ac": "Euro Sign", "\r": "Carriage Return", "1": "One", "n": 4.50, "e": 1e30}
    expected = '{"\\r":"Carriage Return","1":"One","e":1e+30,"n":4.5,"€":"Euro Sign"}'
    assert ids.canonical_json(value) == expected.encode()


def test_days_are_utc() -> None:
    late = datetime(2026, 11, 28, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert ids.utc_day(late) == "2026-11-29"
    assert ids.SystemClock().now().tzinfo is UTC
    assert ids.FixedClock(late).now() is late


def test_tokens_are_long_and_safe_in_urls() -> None:
    token = ids.new_token()
    assert len(token) == 43
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret("zebracanary")
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>20}",
        f"{[secret]}",
    ]
    assert not any("zebra" in text for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)
    with pytest.raises(TypeError):
        json.dumps({"prompt": secret})
    assert not hasattr(secret, "__dict__")


def test_a_secret_compares_by_value_and_is_read_by_name_only() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a").reveal() == "a"


def test_every_error_has_its_own_code_and_a_line_to_help() -> None:
    found = all_errors()
    codes = [error.code for error in found]
    assert len(set(codes)) == len(codes)
    exits = {"RequestError": 2, "TransientError": 3, "IntegrityError": 4}
    for error in found:
        assert error.__doc__
        assert error.default_hint
        assert not error.default_hint.endswith(".")
        assert error.code == error.code.lower()
        for branch, code in exits.items():
            if issubclass(error, getattr(errors, branch)):
                assert error.exit_code == code
                assert 400 <= error.http_status < 600
    assert SafelightError.exit_code == 1


def test_a_refusal_names_its_category_only() -> None:
    error = errors.RefusedError("minors")
    assert (error.category, error.exit_code) == ("minors", 2)
    assert "minors" in error.message


def test_a_rate_limit_says_when_to_come_back() -> None:
    assert errors.RateLimitError("slow down", retry_after_seconds=7).retry_after_seconds == 7


def test_job_steps_end_where_they_should() -> None:
    for state, after in JOB_STEPS.items():
        assert (state in JOB_ENDED) == (not after)
        for to in JOB_STEPS:
            if to in after:
                check_job_step(state, to)
            else:
                with pytest.raises(StateError):
                    check_job_step(state, to)
