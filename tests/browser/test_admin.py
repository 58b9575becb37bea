"""The operator's page: who is here and how it goes, and nowhere a way to open anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from acts import findings, fresh, go, join, settle, shot, sign_in
from playwright.sync_api import Browser, BrowserContext, Page, expect
from watched import Watched, new_context

from running import Running

Watch = Callable[[BrowserContext], Page]


@pytest.fixture(scope="module")
def own(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of this file's own: whoever joins first is its owner."""
    with Running(tmp_path_factory.mktemp("admin") / "home") as server:
        server.wait_ready()
        yield server.url.replace("127.0.0.1", "localhost")


def test_admin(chromium: Browser, own: str) -> None:
    first, second = new_context(chromium), new_context(chromium)
    try:
        owner, member = Watched(first, own), Watched(second, own)
        page, other = owner.page, member.page
        join(page, own, fresh("olga"))
        name = fresh("paul")
        join(other, own, name)

        # Somebody else has no such place, and nothing to read at its address.
        nav = other.get_by_role("navigation")
        expect(nav.get_by_role("link", name="Explore")).to_be_visible()
        expect(nav.get_by_role("link", name="Admin")).to_have_count(0)
        assert other.request.get(f"{own}/api/v1/admin/people").status == 403
        other.goto(f"{own}/admin")
        expect(other.get_by_text("Only the owner of this server sees this page.")).to_be_visible()

        go(page, "Admin")
        row = page.get_by_role("row", name=name)
        expect(row).to_contain_text("home")
        expect(page.get_by_text("ready", exact=True)).to_be_visible()
        page.get_by_role("region", name="News").get_by_role("button", name="Close").click()
        found = {}
        for theme in ("dark", "light"):
            page.evaluate("theme => (document.documentElement.dataset.theme = theme)", theme)
            settle(page)
            shot(page, f"admin-{theme}")
            found[theme] = findings(page)
        assert found == {"dark": [], "light": []}
        # No link leads to anybody's pictures, and no picture is shown.
        assert page.get_by_role("main").get_by_role("link").count() == 0
        assert page.get_by_role("main").get_by_role("img").count() == 0

        row.get_by_role("combobox", name=f"Plan of {name}").select_option("small")
        expect(page.get_by_text(f"{name} has the plan small now.")).to_be_visible()
        plan = other.request.get(f"{own}/api/v1/account").json()["plan"]
        assert plan == "small"

        row.get_by_role("button", name=f"Disable {name}").click()
        ask = page.get_by_role("dialog", name=f"Disable {name}")
        expect(ask).to_contain_text("stay sealed")
        settle(page)
        assert findings(page) == []
        ask.get_by_role("button", name="Disable").click()
        expect(row).to_contain_text("disabled")
        assert other.request.get(f"{own}/api/v1/account").status == 401
        other.goto(f"{own}/account")
        sign_in(other, name)
        expect(other.get_by_role("alert")).to_be_visible(timeout=60_000)
        other.keyboard.press("Escape")

        row.get_by_role("button", name=f"Enable {name}").click()
        expect(row).not_to_contain_text("disabled")
        sign_in(other, name)
        expect(other.get_by_role("button", name="Lock the vault")).to_be_visible(timeout=60_000)

        page.set_viewport_size({"width": 390, "height": 844})
        settle(page)
        shot(page, "phone-admin")
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"the page is {wide} px too wide"
        owner.check()
        member.check()
    finally:
        first.close()
        second.close()
