"""The whole first hour of a new person, as one story."""

from __future__ import annotations

from collections.abc import Callable

from acts import drawn, fresh, generate, go, make_vault, run, shot, tiles, unlock
from playwright.sync_api import Browser, BrowserContext, Page, expect
from watched import new_context

Watch = Callable[[BrowserContext], Page]


def test_first_hour(chromium: Browser, context: BrowserContext, watch: Watch, url: str) -> None:
    page = watch(context)
    page.goto(url)

    # The caret is in the prompt box; the first picture needs no account.
    expect(page.get_by_role("textbox", name="What should the picture show")).to_be_focused()
    expect(page.get_by_role("button", name="Visibility: Off the record")).to_be_visible()
    shot(page, "create-empty-dark")
    page.get_by_role("button", name="a 3d red fox").click()
    expect(run(page)).to_contain_text("sealed")
    drawn(page)
    shot(page, "create-first-dark")

    # Keep leads to a vault, and the picture is kept once the code is typed back.
    run(page).get_by_role("button", name="Keep").click()
    shot(page, "vault-dark")
    make_vault(page, fresh("ada"))
    expect(run(page).get_by_role("button", name="Kept")).to_be_visible()

    # From now on the default is private; the page says so.
    expect(page.get_by_role("button", name="Visibility: Private")).to_be_visible()
    generate(page, "a rocket on a blue background")

    # Both are found again, and by words.
    go(page, "Creations")
    expect(tiles(page)).to_have_count(2)
    expect(tiles(page).locator("img")).to_have_count(2)
    expect(page.get_by_role("region", name="News").get_by_role("status")).to_have_count(0)
    shot(page, "creations-dark")
    search = page.get_by_role("searchbox", name="Search by words")
    search.fill("rocket")
    expect(tiles(page)).to_have_count(1)
    search.fill("")

    # Details: the recipe, and keys to the next one.
    tiles(page).first.click()
    details = page.get_by_role("dialog", name="Details")
    expect(details).to_contain_text("a rocket on a blue background")
    shot(page, "details-dark")
    page.keyboard.press("ArrowRight")
    expect(details).to_contain_text("a 3d red fox")
    page.keyboard.press("ArrowLeft")
    expect(details).to_contain_text("a rocket on a blue background")

    publish_and_take_back(chromium, watch, url, page)
    share_and_revoke(chromium, watch, url, page)

    # A download in the form they choose, without asking the server.
    details.get_by_role("button", name="Download").click()
    sheet = page.get_by_role("dialog", name="Download")
    sheet.get_by_text("WebP").click()
    with page.expect_download() as taken:
        sheet.get_by_role("button", name="Save").click()
    data = taken.value.path().read_bytes()
    assert data[:4] == b"RIFF"
    assert b"trainedAlgorithmicMedia" in data
    assert b"rocket" not in data
    assert "rocket" not in taken.value.suggested_filename

    # A reload does not ask for the password; locking does.
    page.keyboard.press("Escape")
    page.reload()
    expect(tiles(page)).to_have_count(2)
    page.get_by_role("button", name="Lock the vault").click()
    expect(page.get_by_text("The vault is locked")).to_be_visible()
    page.get_by_role("main").get_by_role("button", name="Unlock").click()
    unlock(page)
    expect(tiles(page)).to_have_count(2)

    # Deleting many, by keys alone.
    page.get_by_role("listbox", name="Creations").focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Nothing kept yet")).to_be_visible()


def publish_and_take_back(chromium: Browser, watch: Watch, url: str, page: Page) -> None:
    details = page.get_by_role("dialog", name="Details")
    details.get_by_role("button", name="Visibility: Private").click()
    page.get_by_role("menuitemradio", name="Public").click()
    ask = page.get_by_role("dialog", name="Make 1 picture public")
    ask.get_by_label("Caption").fill("up we go")
    ask.get_by_role("button", name="Make public").click()
    expect(details.get_by_role("button", name="Visibility: Public")).to_be_visible()

    guest = new_context(chromium)
    try:
        seen = watch(guest)
        seen.goto(f"{url}/explore")
        picture = seen.get_by_role("img", name="up we go")
        expect(picture).to_be_visible()
        shot(seen, "explore-dark")
        picture.click()
        expect(seen.get_by_role("dialog")).to_contain_text("No name shown")

        details.get_by_role("button", name="Visibility: Public").click()
        page.get_by_role("menuitemradio", name="Private").click()
        expect(details.get_by_role("button", name="Visibility: Private")).to_be_visible()
        seen.goto(f"{url}/explore")
        expect(seen.get_by_text("Nothing is public yet")).to_be_visible()
    finally:
        guest.close()


def share_and_revoke(chromium: Browser, watch: Watch, url: str, page: Page) -> None:
    details = page.get_by_role("dialog", name="Details")
    details.get_by_role("button", name="Share").click()
    sheet = page.get_by_role("dialog", name="Share this picture")
    sheet.get_by_label("Passphrase").fill("our secret word")
    sheet.get_by_role("button", name="Make the link").click()
    link = sheet.get_by_role("textbox", name="Share link").input_value(timeout=60_000)
    assert link.startswith(f"{url}/s/shr_")
    shot(page, "share-dialog-dark")

    guest = new_context(chromium)
    try:
        opened = watch(guest)
        opened.goto(link)
        assert "#" not in opened.url, "the secret leaves the address bar before anything else"
        opened.get_by_role("button", name="Open it").click()
        opened.get_by_label("Passphrase").fill("not it")
        opened.get_by_role("button", name="Open it").click()
        expect(opened.get_by_text("That passphrase does not open it.")).to_be_visible()
        opened.get_by_label("Passphrase").fill("our secret word")
        opened.get_by_role("button", name="Open it").click()
        expect(opened.get_by_role("img", name="The shared picture")).to_be_visible(timeout=60_000)
        shot(opened, "share-page-dark")

        sheet.get_by_role("button", name="Take back").click()
        expect(sheet.get_by_role("button", name="Take back")).to_have_count(0)
        opened.goto("about:blank")
        opened.goto(link)
        opened.get_by_role("button", name="Open it").click()
        expect(opened.get_by_text("This link opens nothing")).to_be_visible()
    finally:
        guest.close()
    sheet.get_by_role("button", name="Close").click()
