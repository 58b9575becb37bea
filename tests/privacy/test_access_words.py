"""L6 and A2: whatever is sent, no part of it comes back in an error or stays in the log."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from people import Person, join
from running import Running
from safelight.server.logs import Journal

ROOT = Path(__file__).parents[2]
DESCRIPTION = json.loads((ROOT / "docs/reference/openapi.json").read_text())
OPERATIONS = [
    (method.upper(), path)
    for path, operations in DESCRIPTION["paths"].items()
    for method in operations
    if path not in ("/api/v1/export", "/readyz")
]
LETTERS = "qwzxvkjbQWZXVKJB0123456789"
NAMES = (
    *("name", "request", "recipe", "prompt", "inputs", "ids", "asset", "bundle", "file"),
    *("ticket", "credential", "login", "finish", "scopes", "record", "token"),
)
WINDOW = 8
QUICK, LONG = 300, 5_000
HOOKS = """
import schemathesis

@schemathesis.serializer("application/age")
def sealed(context, value):
    return value if isinstance(value, bytes) else str(value).encode()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("words") / "home", log_level="debug") as running:
        yield running


@pytest.fixture(scope="module")
def anna(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    person = join(server.url, "anna", tmp_path_factory.mktemp("anna"))
    yield person
    person.studio.close()


class Fuzzer:
    """Makes wrong requests full of words that occur nowhere else."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.words: list[str] = []

    def word(self) -> str:
        text = "".join(self.random.choice(LETTERS) for _ in range(self.random.randint(12, 40)))
        self.words.append(text)
        return text

    def value(self, depth: int = 0) -> Any:
        kinds = ["word", "word", "number", "none", "list", "dict", "known"]
        match self.random.choice(kinds[: 4 if depth > 2 else 7]):
            case "number":
                return self.random.choice([0, -1, 2**40, 1.5, float(10**9)])
            case "none":
                return None
            case "list":
                return [self.value(depth + 1) for _ in range(self.random.randint(0, 3))]
            case "dict":
                return {self.word(): self.value(depth + 1) for _ in range(2)}
            case "known":
                return {self.known(): self.value(depth + 1) for _ in range(2)}
            case _:
                return self.word()

    def known(self) -> str:
        return self.random.choice(NAMES)

    def body(self, path: str, method: str) -> tuple[bytes, str]:
        described = DESCRIPTION["paths"][path][method.lower()].get("requestBody", {})
        kinds = list(described.get("content", {})) or ["application/json"]
        kind = self.random.choice([*kinds, "application/json", "text/plain"])
        match self.random.choice(["filled", "value", "torn", "raw"]):
            case "filled":
                raw = json.dumps(self.filled(described, kind))
            case "value":
                raw = json.dumps(self.value())
            case "torn":
                raw = json.dumps({self.known(): self.word()})[:-3]
            case _:
                raw = self.word() + "\x00\ud7ff" + self.word()
        if kind.startswith("multipart"):
            edge = self.word()
            kind = f"multipart/form-data; boundary={edge}"
            part = (
                f'Content-Disposition: form-data; name="{self.known()}"; filename="{self.word()}"'
            )
            raw = f"--{edge}\r\n{part}\r\n\r\n{raw}\r\n--{edge}--\r\n"
        return raw.encode(), kind

    def filled(self, described: dict[str, Any], kind: str) -> dict[str, Any]:
        """The right fields with words in them."""
        schema = described.get("content", {}).get(kind, {}).get("schema", {})
        name = schema.get("$ref", "").rsplit("/", 1)[-1]
        fields = DESCRIPTION["components"]["schemas"].get(name, {}).get("properties", {})
        return {field: self.value() if self.random.random() < 0.3 else self.word()
                for field in fields}  # fmt: skip

    def send(self, http: httpx.Client, token: str) -> httpx.Response:
        method, path = self.random.choice(OPERATIONS)
        body, kind = self.body(path, method)
        headers = {"Content-Type": kind, "X-Word": self.word(), "User-Agent": self.word()}
        if self.random.random() < 0.6:
            headers["Authorization"] = f"Bearer {token}"
        elif self.random.random() < 0.3:
            headers["Authorization"] = f"{self.random.choice(['Bearer', 'Basic'])} {self.word()}"
        for name in ("Safelight-Cost", "Safelight-Retention", "Safelight-Assets", "If-Match",
                     "Idempotency-Key", "Last-Event-ID", "Safelight-Ticket", "Cookie"):  # fmt: skip
            if self.random.random() < 0.2:
                headers[name] = self.word()
        for part in [p for p in path.split("/") if p.startswith("{")]:
            path = path.replace(part, self.word())
        if self.random.random() < 0.5:
            path += f"?{self.word()}={self.word()}&limit={self.word()}"
        return http.request(method, path, content=body, headers=headers)


def windows(words: list[str]) -> set[str]:
    return {word[i : i + WINDOW] for word in words for i in range(len(word) - WINDOW + 1)}


def repeated(text: str, parts: set[str]) -> str | None:
    """A part that occurs in the text."""
    return next((text[i : i + WINDOW] for i in range(len(text) - WINDOW + 1)
                 if text[i : i + WINDOW] in parts), None)  # fmt: skip


def fuzz(server: Running, anna: Person, count: int, seed: int) -> dict[int, int]:
    fuzzer, statuses = Fuzzer(seed), dict[int, int]()
    with httpx.Client(base_url=server.url, timeout=60) as http:
        for _ in range(count):
            before = len(fuzzer.words)
            answer = fuzzer.send(http, anna.token)
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
            assert answer.status_code < 500 or answer.status_code == 503, answer.text
            if answer.status_code >= 400:
                problem = answer.json()
                assert {"type", "title", "status", "code", "hint"} <= set(problem)
                seen = answer.text + str(dict(answer.headers))
                assert repeated(seen, windows(fuzzer.words[before:])) is None, problem
    log = server.log.read_text()
    assert repeated(log, windows(fuzzer.words)) is None
    journal = Journal()
    journal.know_routes({path for _, path in OPERATIONS} | {"/{path:path}", "/readyz"})
    records = server.records()
    assert len(records) >= count
    for record in records:
        assert journal.fits(record), record
        assert record["event"] not in ("crash", "log.misfit"), record
    return statuses


def test_fuzzed_requests_leave_no_word(server: Running, anna: Person):
    statuses = fuzz(server, anna, QUICK, seed=1)
    assert len(statuses) >= 5, statuses


@pytest.mark.proof
def test_five_thousand_fuzzed_requests_leave_no_word(
    server: Running, anna: Person, proof: Callable[[str, str, str], None]
):
    fuzz(server, anna, LONG, seed=2)
    proof(
        "L6",
        f"{LONG} fuzzed requests over {len(OPERATIONS)} operations, debug log",
        "0 request parts of 8 characters in any log or error; every record fits the schema",
    )


def test_the_search_finds_what_it_should():
    """The control: a word in a text is found."""
    fuzzer = Fuzzer(3)
    word = fuzzer.word()
    assert repeated(f"error: {word[2:11]} is wrong", windows(fuzzer.words)) is not None
    assert repeated("error: nothing is wrong", windows(fuzzer.words)) is None


@pytest.mark.proof
def test_schemathesis_finds_no_server_error(
    server: Running, anna: Person, tmp_path: Path, proof: Callable[[str, str, str], None]
):
    hooks = tmp_path / "hooks.py"
    hooks.write_text(HOOKS)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/api/openapi.json"),
        *("--url", server.url, "--phases", "examples,coverage,fuzzing,stateful"),
        *("--max-examples", "25", "--checks", "not_a_server_error,ignored_auth,use_after_free"),
        *("--header", f"Authorization: Bearer {anna.token}", "--no-color"),
        *("--exclude-operation-id", "followJob", "--exclude-operation-id", "export"),
        *("--exclude-operation-id", "leave", "--exclude-operation-id", "endSession"),
        *("--exclude-operation-id", "readyz", "--request-timeout", "60"),
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=1_500,
    )
    assert done.returncode == 0, done.stdout[-6_000:]
    cases = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert cases is not None, done.stdout[-2_000:]
    assert cases[1] == cases[2]
    assert not [r for r in server.records() if r["event"] == "crash"]
    tried = f"{cases[1]} cases by schemathesis: coverage, fuzzing, stateful"
    proof("A2", tried, "0 server errors, 0 ignored sign-ins")
