"""What the command line's own code puts into a library, seen and handed on in the studio."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from acts import fresh, go, sign_in, tiles
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect
from watched import new_context

from people import PASSWORD
from people import join as join_by_sdk
from safelight.client.sdk import open_share_link

Watch = Callable[[BrowserContext], Page]


def photo(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 20), (shade, 90, 40)).save(out, "JPEG")
    return out.getvalue()


def test_uploads_under_former_and_new_keys(
    chromium: Browser, watch: Watch, url: str, tmp_path: Path
) -> None:
    """An upload from before a rotation and one from after it open, are found, and are shared."""
    name = fresh("dora")
    person = join_by_sdk(url, name, tmp_path)
    studio = person.studio
    older = studio.upload(photo(200), words="my cat")
    assert studio.rotate(PASSWORD, code=person.code).new_keys
    studio.upload(photo(10), words="my dog")
    contexts = [new_context(chromium) for _ in range(2)]
    try:
        page, other = (watch(context) for context in contexts)
        page.goto(f"{url}/account")
        sign_in(page, name)
        go(page, "Creations")
        expect(tiles(page)).to_have_count(2, timeout=60_000)
        for index, words in enumerate(("my dog", "my cat")):
            tiles(page).nth(index).click()
            details = page.get_by_role("dialog", name="Details")
            expect(details.get_by_text(words)).to_be_visible()
            picture = details.get_by_role("img").first
            expect(picture).to_have_js_property("naturalWidth", 40)
            expect(details.get_by_role("button", name="Use again")).to_have_count(0)
            details.get_by_role("button", name="Share").click()
            sheet = page.get_by_role("dialog", name="Share this picture")
            sheet.get_by_role("button", name="Make the link").click()
            link = sheet.get_by_role("textbox", name="Share link").input_value(timeout=60_000)
            other.goto("about:blank")  # a new secret after # alone would load nothing
            other.goto(link)
            other.get_by_role("button", name="Open it").click()
            shown = other.get_by_role("img", name="The shared picture")
            expect(shown).to_have_js_property("naturalWidth", 40, timeout=60_000)
            page.keyboard.press("Escape")
            expect(sheet).to_have_count(0)
            page.keyboard.press("Escape")
            expect(details).to_have_count(0)
        assert open_share_link(link).data == studio.open(older).data
    finally:
        studio.close()
        for context in contexts:
            context.close()
