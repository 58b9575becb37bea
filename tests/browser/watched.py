"""A page whose every complaint is written down."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

# What a server answers on purpose is shown by Chromium as a console error without a cause.
EXPECTED = ("Failed to load resource: the server responded with a status of 4",)


class Watched:
    """Console errors, uncaught exceptions, policy violations and requests to another origin."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.origin = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(EXPECTED):
            self.complaints.append(f"{message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("blob", "data"):
            return
        if f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.foreign.append(request.url)

    def check(self) -> None:
        assert not self.complaints, self.complaints
        assert not self.foreign, self.foreign


def new_context(chromium: Browser, *, theme: str = "dark", **more: Any) -> BrowserContext:
    """A fresh profile, as a person with a new browser has it."""
    options: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}, "accept_downloads": True}
    context = chromium.new_context(**(options | more))
    context.set_default_timeout(90_000)
    context.add_init_script(
        "try { localStorage.getItem('safelight-theme') ?? "
        f"localStorage.setItem('safelight-theme', '{theme}') }} catch {{}}"
    )
    return context
