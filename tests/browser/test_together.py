"""People on one server: sharing by name, starting from each other's pictures, two devices."""

from __future__ import annotations

from collections.abc import Callable

from acts import drawn, fresh, generate, go, join, run, sign_in, tiles, unlock
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from watched import new_context

Watch = Callable[[BrowserContext], Page]


def open_first(page: Page) -> Locator:
    """Open the newest picture of Creations; its details."""
    go(page, "Creations")
    tiles(page).first.click()
    return page.get_by_role("dialog", name="Details")


def shared_tab(page: Page) -> None:
    go(page, "Creations")
    page.get_by_role("group", name="Visibility").get_by_role("button", name="Shared").click()


def test_share_with_a_person(chromium: Browser, watch: Watch, url: str) -> None:
    """Only the one who was named opens it, and only until it is taken back."""
    contexts = [new_context(chromium) for _ in range(3)]
    try:
        one, two, three = (watch(context) for context in contexts)
        ada, ben, cleo = fresh("ada"), fresh("ben"), fresh("cleo")
        join(two, url, ben)
        join(three, url, cleo)
        join(one, url, ada)
        go(one, "Create")
        generate(one, "a 3d red fox")
        details = open_first(one)
        details.get_by_role("button", name="Share").click()
        sheet = one.get_by_role("dialog", name="Share this picture")
        sheet.get_by_text("To a person").click()
        person = sheet.get_by_label("A person on this server")
        person.fill("nobody-of-this-name")
        sheet.get_by_role("button", name="Share with them").click()
        expect(sheet.get_by_role("alert")).to_have_text("Nobody here has this name.")
        person.fill(ben)
        sheet.get_by_role("button", name="Share with them").click()
        expect(sheet.get_by_role("listitem")).to_contain_text(f"{ben}, until")

        shared_tab(two)
        expect(two.get_by_text(f"From {ada}")).to_be_visible()
        two.get_by_role("button", name="Open it").click()
        picture = two.get_by_role("dialog").get_by_role("img", name="The shared picture")
        expect(picture).to_be_visible()
        assert picture.evaluate("img => img.naturalWidth") == 256
        two.keyboard.press("Escape")
        received = two.request.get(f"{url}/api/v1/shares/received").json()["shares"]
        assert [share["sender"] for share in received] == [ada]

        # Somebody else sees nothing of it, by page or by address.
        shared_tab(three)
        expect(three.get_by_text("None of your pictures is shared")).to_be_visible()
        address = f"{url}/api/v1/shares/received/{received[0]['id']}"
        assert three.request.get(address).status == 404
        assert two.request.get(address).status == 200

        sheet.get_by_role("button", name="Take back").click()
        expect(sheet.get_by_role("button", name="Take back")).to_have_count(0)
        assert two.request.get(address).status == 404
        two.reload()
        shared_tab(two)
        expect(two.get_by_text("None of your pictures is shared")).to_be_visible()
    finally:
        for context in contexts:
            context.close()


def publish_first(page: Page, caption: str, *, remix: bool) -> None:
    details = open_first(page)
    details.get_by_role("button", name="Visibility: Private").click()
    page.get_by_role("menuitemradio", name="Public").click()
    ask = page.get_by_role("dialog", name="Make 1 picture public")
    ask.get_by_label("Caption").fill(caption)
    if remix:
        ask.get_by_role("switch", name="Let others start from it").click()
    ask.get_by_role("button", name="Make public").click()
    expect(details.get_by_role("button", name="Visibility: Public")).to_be_visible()
    page.keyboard.press("Escape")


def test_remix(chromium: Browser, watch: Watch, url: str) -> None:
    """A public picture is a start for others where its maker allows it, and nowhere else."""
    first, second = new_context(chromium), new_context(chromium)
    try:
        maker, guest = watch(first), watch(second)
        join(maker, url, fresh("mia"))
        go(maker, "Create")
        generate(maker, "a cat face, cartoon")
        publish_first(maker, "not to start from", remix=False)
        go(maker, "Create")
        generate(maker, "a rocket on a blue background")
        publish_first(maker, "go on from here", remix=True)

        guest.goto(f"{url}/explore")
        guest.get_by_role("img", name="not to start from").click()
        expect(guest.get_by_role("dialog")).to_contain_text("has not allowed starting from it")
        assert guest.get_by_role("button", name="Start from this").count() == 0
        guest.keyboard.press("Escape")

        guest.get_by_role("img", name="go on from here").click()
        guest.get_by_role("button", name="Start from this").click()
        expect(guest.get_by_role("img", name="Starting picture")).to_be_visible()
        prompt = guest.get_by_role("textbox", name="What should the picture show")
        expect(prompt).to_have_value("")  # the maker's words are theirs
        prompt.fill("a rocket, drawing")
        guest.get_by_role("button", name="Generate", exact=True).click()
        drawn(guest)
        expect(run(guest)).to_contain_text("a rocket, drawing")

        # Taken back, it is a start for nobody.
        for caption in ("go on from here", "not to start from"):
            go(maker, "Explore")
            maker.get_by_role("img", name=caption).click()
            maker.get_by_role("dialog").get_by_role("button", name="Take back").click()
            expect(maker.get_by_role("img", name=caption)).to_have_count(0)
        guest.goto(f"{url}/explore")
        expect(guest.get_by_role("heading", name="Explore")).to_be_visible()
        expect(guest.get_by_role("img", name="go on from here")).to_have_count(0)
    finally:
        first.close()
        second.close()


def test_part_of_many_fails(chromium: Browser, watch: Watch, url: str) -> None:
    """One of four was deleted on another device: the report names it, and the others are done."""
    first, second = new_context(chromium), new_context(chromium)
    try:
        one, two = watch(first), watch(second)
        name = fresh("noa")
        join(one, url, name)
        go(one, "Create")
        one.get_by_role("group", name="Pictures").get_by_text("4", exact=True).click()
        generate(one, "a 3d red fox")
        expect(run(one).get_by_role("button", name="Kept")).to_have_count(4)
        go(one, "Creations")
        expect(tiles(one).locator("img")).to_have_count(4)

        two.goto(f"{url}/account")
        sign_in(two, name)
        expect(two.get_by_role("button", name="Lock the vault")).to_be_visible(timeout=60_000)
        details = open_first(two)
        details.get_by_role("button", name="Delete").click()
        two.get_by_role("dialog", name="Delete this picture").get_by_role(
            "button", name="Delete"
        ).click()
        expect(two.get_by_text("Deleted. Its key is destroyed.")).to_be_visible()

        one.get_by_role("listbox", name="Creations").focus()
        one.keyboard.press("Control+a")
        expect(one.get_by_text("4 selected")).to_be_visible()
        one.get_by_role("button", name="Make public").click()
        ask = one.get_by_role("dialog", name="Make 4 pictures public")
        ask.get_by_role("button", name="Make public").click()
        report = one.get_by_role("dialog", name="1 of 4 did not work")
        expect(report).to_contain_text("The others are done.")
        expect(report.get_by_role("listitem")).to_have_count(1)
        expect(report.get_by_role("listitem")).to_contain_text("It was deleted on another device.")
        report.get_by_role("button", name="Close").last.click()
        expect(tiles(one)).to_have_count(3)
        one.get_by_role("button", name="Public", exact=True).click()
        expect(tiles(one)).to_have_count(3)

        # A bad moment is reported as well, and trying again mends it.
        busy = {"code": "rate-limited", "title": "too many at once", "hint": "wait a minute"}
        address = "**/api/v1/publications/*"
        one.route(address, lambda route: route.fulfill(status=429, json=busy), times=1)
        one.get_by_role("listbox", name="Creations").focus()
        one.keyboard.press("Control+a")
        one.get_by_role("button", name="Make private").click()
        report = one.get_by_role("dialog", name="1 of 3 did not work")
        expect(report.get_by_role("listitem")).to_contain_text("Too many at once. Wait a minute.")
        report.get_by_role("button", name="Try those again").click()
        expect(report).to_have_count(0)
        expect(one.get_by_text("Nothing is public")).to_be_visible()

        # The index was written by the other device meanwhile; this one takes it up and goes on.
        one.get_by_role("button", name="All", exact=True).click()
        one.get_by_role("listbox", name="Creations").focus()
        one.keyboard.press("Control+a")
        one.keyboard.press("Delete")
        one.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(one.get_by_text("3 pictures deleted.")).to_be_visible()
        head = one.request.get(f"{url}/api/v1/vault/head").json()
        one.reload()
        expect(one.get_by_text("Nothing kept yet")).to_be_visible()
        assert one.request.get(f"{url}/api/v1/vault/head").json() == head
    finally:
        first.close()
        second.close()


def test_public_from_the_start_needs_no_open_tab(chromium: Browser, watch: Watch, url: str) -> None:
    """The darkroom hands over the public copy by itself; the sealed one is kept as ever."""
    first, second = new_context(chromium), new_context(chromium)
    try:
        maker, guest = watch(first), watch(second)
        join(maker, url, fresh("rosa"))
        go(maker, "Create")
        maker.get_by_role("button", name="Visibility").click()
        maker.get_by_role("menuitemradio", name="Public").click()
        maker.get_by_role("textbox", name="What should the picture show").fill("a 3d red fox")
        with maker.expect_response("**/api/v1/jobs") as taken:
            maker.get_by_role("button", name="Generate", exact=True).click()
        assert taken.value.status == 202
        maker.close()

        guest.goto(f"{url}/explore")
        shown = guest.get_by_role("link", name="A public picture")
        for _ in range(60):
            expect(guest.get_by_role("heading", name="Explore")).to_be_visible()
            guest.wait_for_load_state("networkidle")
            if shown.count():
                break
            guest.wait_for_timeout(1000)
            guest.reload()
        expect(shown).to_have_count(1)

        page = watch(first)
        page.goto(f"{url}/creations")
        page.get_by_role("main").get_by_role("button", name="Unlock").click()
        unlock(page)
        expect(tiles(page)).to_have_count(1)
        expect(tiles(page).first).to_have_accessible_name("a 3d red fox, Public")
        tiles(page).first.click()
        details = page.get_by_role("dialog", name="Details")
        expect(details).to_contain_text("a 3d red fox")
        details.get_by_role("button", name="Visibility: Public").click()
        page.get_by_role("menuitemradio", name="Private").click()
        expect(details.get_by_role("button", name="Visibility: Private")).to_be_visible()
        guest.reload()
        expect(guest.get_by_role("heading", name="Explore")).to_be_visible()
        expect(shown).to_have_count(0)

        # With the page open it is public once, not twice.
        page.keyboard.press("Escape")
        go(page, "Create")
        page.get_by_role("button", name="Visibility").click()
        page.get_by_role("menuitemradio", name="Public").click()
        generate(page, "a cat face, cartoon")
        expect(run(page).get_by_role("img", name="Public").first).to_be_visible()
        mine = page.request.get(f"{url}/api/v1/publications").json()["publications"]
        assert len(mine) == 1
        page.request.delete(f"{url}/api/v1/publications/{mine[0]['id']}")
    finally:
        first.close()
        second.close()
