"""Every page, dark and light: axe finds nothing, and the page stays inside its own policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from acts import findings, fresh, generate, go, join, run, settle, shot, tiles, unlock
from playwright.sync_api import Browser, BrowserContext, Page, expect
from watched import new_context

THEMES = ("dark", "light")

Watch = Callable[[BrowserContext], Page]


@pytest.fixture(scope="module")
def member(chromium: Browser, url: str) -> Iterator[BrowserContext]:
    """Somebody with one private and one public picture, whose vault is open."""
    context = new_context(chromium)
    page = context.new_page()
    join(page, url, fresh("bea"))
    go(page, "Create")
    generate(page, "a cat face, cartoon")
    page.close()
    yield context
    context.close()


@pytest.mark.parametrize("theme", THEMES)
def test_pages_of_a_guest(chromium: Browser, watch: Watch, url: str, theme: str) -> None:
    context = new_context(chromium, theme=theme)
    page = watch(context)
    found: dict[str, list[str]] = {}
    places = ("", "creations", "explore", "trust", "account", "s/shr_0", "components", "nowhere")
    for path in places:
        page.goto(f"{url}/{path}")
        settle(page)
        if path == "components":
            shot(page, f"components-{theme}", whole=True)
        else:
            shot(page, f"guest-{path.replace('/', '-') or 'create'}-{theme}")
        found[path] = findings(page)
    page.goto(url)
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Visibility").click()
    found["more and visibility"] = findings(page)
    page.get_by_role("menuitemradio", name="Private").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    settle(page)
    found["vault dialog"] = findings(page)
    context.close()
    assert {k: v for k, v in found.items() if v} == {}


@pytest.mark.parametrize("theme", THEMES)
def test_pages_of_a_member(member: BrowserContext, watch: Watch, url: str, theme: str) -> None:
    page = watch(member)
    found: dict[str, list[str]] = {}
    page.goto(url)
    page.evaluate("theme => localStorage.setItem('safelight-theme', theme)", theme)
    page.goto(f"{url}/account")
    page.get_by_role("main").get_by_role("button", name="Unlock").click()
    unlock(page)
    settle(page)
    shot(page, f"account-{theme}")
    found["account"] = findings(page)
    go(page, "Creations")
    expect(tiles(page).locator("img").first).to_be_visible()
    settle(page)
    shot(page, f"creations-{theme}")
    found["creations"] = findings(page)
    page.get_by_role("listbox", name="Creations").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    expect(page.get_by_text("1 selected")).to_be_visible()
    found["selecting"] = findings(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    details = page.get_by_role("dialog", name="Details")
    expect(details).to_contain_text("a cat face")
    settle(page)
    shot(page, f"details-{theme}")
    found["details"] = findings(page)
    for name, title in (
        ("Download", "Download"),
        ("Share", "Share this picture"),
        ("Delete", "Delete"),
    ):
        details.get_by_role("button", name=name, exact=True).click()
        expect(page.get_by_role("dialog", name=title)).to_be_visible()
        settle(page)
        found[name] = findings(page)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(1)
    page.close()
    assert {k: v for k, v in found.items() if v} == {}


def test_phone(chromium: Browser, watch: Watch, url: str) -> None:
    """At phone width nothing is cut off, and the first picture works the same."""
    context = new_context(chromium, viewport={"width": 390, "height": 844}, has_touch=True)
    page = watch(context)
    for path in ("", "explore", "trust", "account"):
        page.goto(f"{url}/{path}")
        settle(page)
        shot(page, f"phone-{path or 'create'}")
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"/{path} is {wide} px too wide"
    page.goto(url)
    page.get_by_role("button", name="a cat face, cartoon").tap()
    expect(run(page).get_by_role("button", name="Keep")).to_be_visible(timeout=120_000)
    shot(page, "phone-first")
    context.close()


def test_selecting_on_a_phone(chromium: Browser, watch: Watch, url: str) -> None:
    """A finger cannot hover: the rings to tap are there, and a way to let go."""
    context = new_context(
        chromium, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = watch(context)
    join(page, url, fresh("ida"))
    go(page, "Create")
    generate(page, "a 3d red fox")
    go(page, "Creations")
    expect(tiles(page).locator("img")).to_have_count(1)
    tiles(page).first.locator("[data-check]").tap()
    expect(page.get_by_text("1 selected")).to_be_visible()
    settle(page)
    shot(page, "phone-select")
    assert findings(page) == []
    page.get_by_role("button", name="Clear", exact=True).tap()
    expect(page.get_by_text("1 selected")).to_have_count(0)
    tiles(page).first.tap()
    expect(page.get_by_role("dialog", name="Details")).to_contain_text("a 3d red fox")
    context.close()


def test_a_guest_chooses_the_look(chromium: Browser, watch: Watch, url: str) -> None:
    """Without an account and on a phone: daylight stays chosen, and the blur is at hand."""
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    context.set_default_timeout(90_000)
    page = watch(context)
    page.goto(url)
    theme = "document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "dark"
    go(page, "Sign in")
    page.get_by_role("group", name="Appearance").get_by_text("Daylight").tap()
    assert page.evaluate(theme) == "light"
    page.reload()
    assert page.evaluate(theme) == "light"
    expect(page.get_by_role("radio", name="Daylight")).to_be_checked()
    page.emulate_media(color_scheme="dark")
    page.get_by_role("group", name="Appearance").get_by_text("System").tap()
    assert page.evaluate(theme) == "dark"
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")

    blur = page.get_by_role("navigation").get_by_role("button", name="Blur")
    blur.tap()
    expect(blur).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.documentElement.dataset.blur") == "on"
    settle(page)
    assert findings(page) == []
    blur.tap()
    assert page.evaluate("document.documentElement.dataset.blur") == "off"
    context.close()
