"""Debian's Chromium against a real server with the built studio, and eyes on everything it does."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from watched import Watched, new_context

from running import Running

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "src/safelight/server/static"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in Path(item.fspath).parts:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def built() -> None:
    """The studio as it is served; built here if `make setup` has not done it."""
    if not (STATIC / "index.html").is_file():
        npm = shutil.which("npm")
        assert npm, "npm is needed to build the studio"
        subprocess.run([npm, "run", "--silent", "build"], cwd=ROOT / "studio", check=True)


@pytest.fixture(scope="session")
def url(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with Pocket, as a person starts it. Passkeys want the name localhost.

    While working on the studio, ``SAFELIGHT_STUDIO_URL`` names one that runs already.
    """
    if running := os.environ.get("SAFELIGHT_STUDIO_URL"):
        yield running
        return
    with Running(tmp_path_factory.mktemp("studio") / "home") as server:
        server.wait_ready()
        yield server.url.replace("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a file. It ends with the file: Playwright keeps an event loop running in
    this thread while it lives, and no asynchronous test elsewhere could start its own."""
    path = os.environ.get("SAFELIGHT_CHROMIUM", "/usr/bin/chromium")
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = new_context(chromium)
    yield made
    made.close()


@pytest.fixture
def watch(url: str) -> Iterator[Callable[[BrowserContext], Page]]:
    """Opens pages that must stay clean: no console error, no policy violation, no other origin."""
    eyes: list[Watched] = []

    def start(context: BrowserContext) -> Page:
        watched = Watched(context, url)
        eyes.append(watched)
        return watched.page

    yield start
    for watched in eyes:
        watched.check()
