"""What a person does in the studio, by the names that they read on the page."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

PASSWORD = "four unrelated words here"
DRAWN_MS = 120_000
AXE = Path(__file__).parents[2] / "studio/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def fresh(name: str) -> str:
    """A name that nobody on a server has yet."""
    return f"{name}-{secrets.token_hex(3)}"


def run(page: Page, index: int = 0) -> Locator:
    """One press of Generate, newest first."""
    return page.get_by_role("article").nth(index)


def drawn(page: Page, index: int = 0) -> Locator:
    """Wait for the pictures of a run; the first of them."""
    picture = run(page, index).get_by_role("img", name=re.compile("Picture of|A picture you made"))
    expect(picture.first).to_be_visible(timeout=DRAWN_MS)
    return picture.first


def generate(page: Page, prompt: str) -> Locator:
    """Write and press; the picture."""
    page.get_by_role("textbox", name="What should the picture show").fill(prompt)
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(run(page)).to_contain_text(prompt)
    return drawn(page)


def make_vault(page: Page, name: str) -> str:
    """Fill in the open dialog and type the code back; the recovery code."""
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Make a vault")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Password", exact=True).fill(PASSWORD)
    dialog.get_by_label("Password again").fill(PASSWORD)
    dialog.get_by_role("button", name="Make the vault").click()
    groups = dialog.get_by_role("list", name="Recovery code").get_by_role("listitem")
    expect(groups).to_have_count(8, timeout=60_000)
    code = "-".join(groups.all_inner_texts())
    dialog.get_by_role("button", name="I have written it down").click()
    dialog.get_by_label("Type the code back").fill(code.lower().replace("-", " "))
    dialog.get_by_role("button", name="Check and finish").click()
    expect(dialog).to_have_count(0)
    return code


def join(page: Page, url: str, name: str) -> str:
    """Open the studio and make a vault from the account page; the recovery code."""
    page.goto(f"{url}/account")
    page.get_by_role("button", name="Make the vault").click()
    return make_vault(page, name)


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """From the account page of somebody who is not signed in."""
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Password", exact=True).fill(password)
    dialog.get_by_role("button", name="Sign in").click()


def unlock(page: Page, password: str = PASSWORD) -> None:
    dialog = page.get_by_role("dialog", name="Unlock your vault")
    dialog.get_by_label("Password", exact=True).fill(password)
    dialog.get_by_role("button", name="Unlock").click()
    expect(dialog).to_have_count(0, timeout=60_000)


def go(page: Page, place: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=place).click()


def tiles(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Creations").get_by_role("option")


def shot(page: Page, name: str, *, whole: bool = False) -> None:
    """Keep a screenshot; `docs/studio.md` shows them."""
    folder = Path(__file__).parents[2] / "test-results/studio"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", animations="disabled", full_page=whole)


def findings(page: Page) -> list[str]:
    """What axe finds on the page as it stands."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    result: dict[str, Any] = page.evaluate(
        "tags => axe.run(document, { runOnly: { type: 'tag', values: tags } })", RULES
    )
    return [
        f"{v['id']}: {node['html'][:160]} ({node['failureSummary'][:200]})"
        for v in result["violations"]
        for node in v["nodes"]
    ]


def settle(page: Page) -> None:
    """Wait until nothing is loading and nothing moves."""
    page.wait_for_load_state("networkidle")
    # Every animation that ends has ended; the tray's own goes on for as long as a picture is made.
    page.evaluate(
        """() => Promise.all(document.getAnimations()
          .filter((a) => Number.isFinite(a.effect?.getComputedTiming().endTime ?? 0))
          .map((a) => a.finished.catch(() => 0)))"""
    )
