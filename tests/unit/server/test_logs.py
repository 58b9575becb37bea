"""The log is an allow-list: nothing that a caller or a library wrote gets in."""

from __future__ import annotations

import io
import json
import logging
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safelight.server.logs import SCHEMA, Event, Journal, LibraryHandler, place_of

CANARY = "violet-canary-8812"


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_with_its_fields_is_written():
    stream = io.StringIO()
    journal = Journal(stream)
    journal.know_routes({"/api/v1/jobs"})
    journal.write(Event.REQUEST, method="POST", route="/api/v1/jobs", status=202, ms=1.5, bytes=9)
    (record,) = lines(stream)
    assert record["event"] == "http.request"
    assert record["route"] == "/api/v1/jobs"
    assert journal.fits(record)


def test_a_value_that_does_not_fit_takes_the_whole_record_with_it():
    stream = io.StringIO()
    journal = Journal(stream)
    journal.write(Event.REQUEST, method="POST", route=f"/{CANARY}", status=202, ms=1, bytes=0)
    journal.write(Event.FLEET, state=CANARY, code="none")
    journal.write(Event.FLEET, state="ready")
    journal.write(Event.CRASH, kind="ValueError", place=CANARY.upper())
    assert [r["event"] for r in lines(stream)] == ["log.misfit"] * 4
    assert CANARY not in stream.getvalue().lower()


def test_every_event_has_a_schema():
    assert set(SCHEMA) == set(Event)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["method", "route", "status", "ms", "bytes", "kind"]),
        st.one_of(st.text(alphabet=string.printable), st.integers(), st.floats()),
    )
)
def test_whatever_is_written_fits(fields):  # fmt: skip
    stream = io.StringIO()
    journal = Journal(stream)
    journal.write(Event.REQUEST, **fields)
    assert all(journal.fits(record) for record in lines(stream))


def test_a_library_record_loses_its_text():
    stream = io.StringIO()
    journal = Journal(stream)
    handler = LibraryHandler(journal)
    logger, stranger = logging.getLogger("uvicorn.test"), logging.getLogger(CANARY)
    for one in (logger, stranger):
        one.addHandler(handler)
        one.propagate = False
    logger.warning("prompt was %s", CANARY)
    stranger.error(CANARY)
    try:
        raise ValueError(CANARY)
    except ValueError:
        logger.exception(CANARY)
    found = lines(stream)
    assert [r["event"] for r in found] == ["library.record"] * 3 + ["crash"]
    assert [r.get("library") for r in found[:3]] == ["uvicorn", "other", "uvicorn"]
    assert found[3]["kind"] == "ValueError"
    assert CANARY not in stream.getvalue()


def test_a_crash_names_the_class_and_our_line_only():
    from safelight.ids import check_id

    stream = io.StringIO()
    journal = Journal(stream)
    with pytest.raises(AttributeError) as caught:
        check_id(CANARY, 7)  # type: ignore[arg-type]
    assert place_of(caught.value).startswith("ids.py:")
    journal.crash(caught.value)
    kind = type(f"E{CANARY}", (Exception,), {})
    journal.crash(kind(CANARY))
    assert [r["event"] for r in lines(stream)] == ["crash", "crash"]
    assert lines(stream)[1]["kind"] == "Exception"
    assert CANARY not in stream.getvalue()


def test_a_broken_stream_does_not_stop_the_server():
    stream = io.StringIO()
    journal = Journal(stream)
    stream.close()
    journal.write(Event.STOP, seconds=1)


def test_take_over_hides_warnings_and_thread_crashes():
    import subprocess
    import sys

    script = (
        "import io, logging, sys, threading, warnings\n"
        "from safelight.server.logs import Journal, take_over\n"
        "logging.getLogger('httpx').addHandler(logging.StreamHandler())\n"
        "take_over(Journal(), level='debug')\n"
        f"warnings.warn('{CANARY}')\n"
        f"logging.getLogger('httpx').warning('{CANARY}')\n"
        f"t = threading.Thread(target=lambda: int('{CANARY}')); t.start(); t.join()\n"
        f"raise RuntimeError('{CANARY}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert CANARY not in done.stderr + done.stdout
    records = [json.loads(line) for line in done.stderr.splitlines()]
    assert [r["event"] for r in records] == ["library.record"] * 2 + ["crash"] * 2
