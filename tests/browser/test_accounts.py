"""Vaults in the browser: two people apart, ways in, and nothing readable left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acts import DRAWN_MS, PASSWORD, drawn, fresh, generate, go, join, sign_in, tiles, unlock
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect
from watched import new_context

Watch = Callable[[BrowserContext], Page]
PROMPT = "a 3d turquoise whale"
ALLOWED_KEYS = {
    "safelight-theme",
    "safelight-more",
    "safelight-previews",
    "safelight-fleet-key",
    "safelight-seen",
    "safelight-signed-in",
}
EVERYTHING = """async () => {
  const out = { local: { ...localStorage }, session: { ...sessionStorage }, databases: [] };
  out.cookies = document.cookie;
  out.caches = await caches.keys();
  const done = (request) => new Promise((ok, no) => {
    request.onsuccess = () => ok(request.result);
    request.onerror = () => no(request.error);
  });
  for (const { name, version } of await indexedDB.databases()) {
    const db = await done(indexedDB.open(name, version));
    for (const store of db.objectStoreNames) {
      const all = await done(db.transaction(store).objectStore(store).getAllKeys());
      out.databases.push([name, store, all]);
    }
    db.close();
  }
  out.page = document.documentElement.outerHTML;
  return out;
}"""


def left_behind(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(EVERYTHING)
    return found


def nothing_readable(page: Page, *words: str) -> None:
    """No storage of the browser, and no part of the page, holds any of these words or a key."""
    found = left_behind(page)
    assert set(found["local"]) <= ALLOWED_KEYS
    assert found["session"] == {}
    assert found["cookies"] == ""
    assert found["caches"] == []
    assert all(keys == [] for _, _, keys in found["databases"]), found["databases"]
    whole = json.dumps(found).lower()
    for word in (*words, "age-secret-key", "blob:http"):
        assert word.lower() not in whole, f"{len(word)} characters of a secret are left"


def test_two_people_and_what_stays(chromium: Browser, watch: Watch, url: str) -> None:
    first, second = new_context(chromium), new_context(chromium)
    try:
        one, two = watch(first), watch(second)
        ada, ben = fresh("ada"), fresh("ben")
        code = join(one, url, ada)
        go(one, "Create")
        generate(one, PROMPT)
        go(one, "Creations")
        expect(tiles(one)).to_have_count(1)
        tiles(one).first.click()
        asset = one.url.rsplit("/", 1)[-1]
        assert asset.startswith("ast_")
        expect(one.get_by_role("dialog", name="Details")).to_be_visible()
        one.keyboard.press("Escape")

        # Somebody else sees nothing of it, by page or by address.
        join(two, url, ben)
        go(two, "Creations")
        expect(two.get_by_text("Nothing kept yet")).to_be_visible()
        for path in (f"assets/{asset}", f"assets/{asset}/full", f"assets/{asset}/meta"):
            assert two.request.get(f"{url}/api/v1/{path}").status == 404
        two.goto(f"{url}/creations/{asset}")
        two.get_by_role("main").get_by_role("button", name="Unlock").click()
        unlock(two)
        expect(two.get_by_text("Nothing with this address is in your vault")).to_be_visible()

        # After a lock, and after signing out, nothing readable is left in this browser.
        one.get_by_role("button", name="Lock the vault").click()
        expect(one.get_by_text("The vault is locked")).to_be_visible()
        nothing_readable(one, PROMPT, "turquoise", PASSWORD, code)
        one.get_by_role("main").get_by_role("button", name="Unlock").click()
        unlock(one)
        expect(tiles(one)).to_have_count(1)
        go(one, "Account")
        one.get_by_role("main").get_by_role("button", name="Sign out", exact=True).first.click()
        expect(one.get_by_text("You need no account to make pictures")).to_be_visible()
        nothing_readable(one, PROMPT, "turquoise", PASSWORD, code, ada)
        assert one.request.get(f"{url}/api/v1/assets").status == 401

        # A wrong password and an unknown name fail in the same words.
        sign_in(one, ada, "four unrelated words there")
        expect(one.get_by_role("alert")).to_have_text("The name or the password is wrong.")
        one.keyboard.press("Escape")
        sign_in(one, fresh("nobody"))
        expect(one.get_by_role("alert")).to_have_text("The name or the password is wrong.")
        one.keyboard.press("Escape")

        # The recovery code opens the vault and sets a new password.
        one.get_by_role("main").get_by_role("button", name="Sign in").click()
        dialog = one.get_by_role("dialog")
        dialog.get_by_role("button", name="Use the recovery code").click()
        dialog.get_by_label("Name").fill(ada)
        dialog.get_by_label("Recovery code").fill(code.lower())
        dialog.get_by_label("New password").fill("another four plain words")
        dialog.get_by_label("Password again").fill("another four plain words")
        dialog.get_by_role("button", name="Recover the vault").click()
        expect(dialog).to_have_count(0, timeout=60_000)
        go(one, "Creations")
        expect(tiles(one)).to_have_count(1)
    finally:
        first.close()
        second.close()


def test_idle_lock_and_blur(chromium: Browser, watch: Watch, url: str) -> None:
    context = new_context(chromium)
    try:
        page = watch(context)
        page.clock.install()
        join(page, url, fresh("cleo"))
        page.keyboard.press("Alt+b")
        assert page.evaluate("document.documentElement.dataset.blur") == "on"
        page.keyboard.press("Alt+b")
        page.clock.fast_forward("14:00")
        expect(page.get_by_role("button", name="Lock the vault")).to_be_visible()
        page.clock.fast_forward("01:30")
        expect(page.get_by_text("Locked after 15 minutes without use.")).to_be_visible()
        expect(page.get_by_role("button", name="Lock the vault")).to_have_count(0)
        nothing_readable(page)
    finally:
        context.close()


def test_passkey(chromium: Browser, watch: Watch, url: str) -> None:
    """One touch signs in and unlocks; what it gives to the vault never goes to the server."""
    context = new_context(chromium)
    try:
        page = watch(context)
        devtools = context.new_cdp_session(page)
        devtools.send("WebAuthn.enable")
        devtools.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "ctap2Version": "ctap2_1",
                    "transport": "internal",
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "hasPrf": True,
                    "automaticPresenceSimulation": True,
                }
            },
        )
        sent: list[str] = []
        page.on("request", lambda r: sent.append(r.post_data or "") if "passkey" in r.url else None)
        join(page, url, fresh("dora"))
        page.get_by_role("button", name="Add a passkey").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name of this passkey").fill("test key")
        dialog.get_by_role("button", name="Add a passkey").click()
        expect(page.get_by_text("test key")).to_be_visible()
        page.get_by_role("main").get_by_role("button", name="Sign out", exact=True).first.click()
        page.get_by_role("main").get_by_role("button", name="Sign in").click()
        page.get_by_role("dialog").get_by_role("button", name="Use a passkey").click()
        expect(page.get_by_role("button", name="Lock the vault")).to_be_visible()
        bodies = [json.loads(body) for body in sent if body.startswith("{")]
        with_credential = [body["credential"] for body in bodies if "credential" in body]
        assert len(with_credential) == 2
        assert all("prf" not in c.get("clientExtensionResults", {}) for c in with_credential)
    finally:
        context.close()


def test_stay_unlocked_and_change_of_password(chromium: Browser, watch: Watch, url: str) -> None:
    context = new_context(chromium)
    try:
        page = watch(context)
        name = fresh("emil")
        join(page, url, name)
        page.get_by_role("switch", name="Stay unlocked on this device").click()
        expect(page.get_by_role("switch", name="Stay unlocked on this device")).to_be_checked()
        page.reload()
        expect(page.get_by_role("button", name="Lock the vault")).to_be_visible()
        # The key in this browser cannot be copied out.
        extractable = page.evaluate(
            """() => new Promise((ok) => {
              const open = indexedDB.open('safelight');
              open.onsuccess = () => {
                const get = open.result.transaction('keys').objectStore('keys').get('device');
                get.onsuccess = () => { open.result.close(); ok(get.result.key.extractable); };
              };
            })"""
        )
        assert extractable is False

        page.get_by_role("button", name="Change the password").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Current password").fill(PASSWORD)
        dialog.get_by_label("New password").fill("another four plain words")
        dialog.get_by_label("Password again").fill("another four plain words")
        dialog.get_by_role("button", name="Change the password").click()
        expect(page.get_by_text("The password is changed")).to_be_visible(timeout=60_000)
        page.get_by_role("main").get_by_role("button", name="Sign out", exact=True).first.click()
        expect(page.get_by_text("You need no account to make pictures")).to_be_visible()
        nothing_readable(page, name)
        sign_in(page, name, "another four plain words")
        expect(page.get_by_role("button", name="Lock the vault")).to_be_visible(timeout=60_000)

        # A key for programs is shown once.
        page.get_by_role("button", name="Make a key").click()
        dialog.get_by_label("What is it for").fill("my script")
        dialog.get_by_role("button", name="Make a key").click()
        key = dialog.get_by_role("textbox", name="API keys").input_value()
        assert key.startswith("sl_")
        page.keyboard.press("Escape")
        expect(page.get_by_text("my script")).to_be_visible()
        assert key not in page.content()

        # Leaving deletes everything.
        page.get_by_role("button", name="Leave and delete everything").click()
        dialog.get_by_label("Type your password to leave").fill("another four plain words")
        dialog.get_by_role("button", name="Leave and delete everything").click()
        expect(page.get_by_text("Everything is deleted.")).to_be_visible(timeout=60_000)
        expect(page.get_by_role("article")).to_have_count(0)
        nothing_readable(page, name)
    finally:
        context.close()


def test_a_private_picture_survives_a_reload(chromium: Browser, watch: Watch, url: str) -> None:
    """The job goes on, the vault is still open, and the picture lands in the new page."""
    context = new_context(chromium)
    try:
        page = watch(context)
        join(page, url, fresh("fay"))
        go(page, "Create")
        page.get_by_role("group", name="Pictures").get_by_text("4", exact=True).click()
        page.get_by_role("textbox", name="What should the picture show").fill("a 3d red fox")
        page.get_by_role("button", name="Generate", exact=True).click()
        expect(page.get_by_role("article")).to_contain_text("Step", timeout=DRAWN_MS)
        page.reload()
        expect(page.get_by_text("Sent before this page was reloaded")).to_be_visible()
        expect(page.get_by_role("button", name="Kept")).to_have_count(4, timeout=2 * DRAWN_MS)
        go(page, "Creations")
        expect(tiles(page)).to_have_count(4)
    finally:
        context.close()


def test_refused_cancelled_and_started_from_a_picture(
    chromium: Browser, watch: Watch, url: str, tmp_path: Path
) -> None:
    """What does not end in a picture says so; a dropped picture is where the next one starts."""
    context = new_context(chromium)
    try:
        page = watch(context)
        page.goto(url)
        prompt = page.get_by_role("textbox", name="What should the picture show")
        press = page.get_by_role("button", name="Generate", exact=True)
        press.click()
        expect(page.get_by_text("Write what the picture should show")).to_be_visible()
        prompt.fill("a nude child")
        press.click()
        expect(page.get_by_role("alert")).to_contain_text("content rules", timeout=DRAWN_MS)
        page.get_by_role("button", name="Remove from this page").click()

        prompt.fill("a rocket on a blue background")
        press.click()
        page.get_by_role("article").get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("alert")).to_have_text("Cancelled. Nothing was kept.")
        page.get_by_role("button", name="Remove from this page").click()

        start = tmp_path / "holiday in Bern.png"
        Image.new("RGB", (300, 200), (40, 90, 200)).save(start)
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Start from a picture").click()
        chooser.value.set_files(start)
        expect(page.get_by_role("img", name="Starting picture")).to_be_visible()
        expect(page.get_by_role("slider", name="How far to move from it")).to_be_visible()
        press.click()
        drawn(page)
        assert "Bern" not in page.content()
    finally:
        context.close()
