"""The studio with a library of 10,000 pictures, in Chromium, with real keys and real seals.

The index is written to a real server. The list and the thumbnails are answered here, as the server
would, sealed beforehand: making 10,000 pictures would measure the disk.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.rows import Row

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "src/safelight/server/static"
PICTURES = 10_000
PAGE_PICTURES = 500
SEALED_BEFOREHAND = 3_000
"""So many of the newest thumbnails: more than are scrolled past."""
WORDS = ("red", "blue", "fox", "rocket", "cat", "kite", "sea", "tree", "moon", "cup")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


class Wall:
    """10,000 sealed pictures of one owner."""

    def __init__(self, owner: str) -> None:
        from PIL import Image

        from safelight.ids import new_id
        from safelight.vault.identity import Identity

        self.owner = owner
        self.seed = os.urandom(32)
        self.ids = [new_id("ast") for _ in range(PICTURES)]
        self.identity = Identity.generate()  # one identity for all: the seals are what is timed
        self.number = {asset: i for i, asset in enumerate(self.ids)}
        out = io.BytesIO()
        Image.effect_noise((192, 256), 80).convert("RGB").save(out, "WEBP", quality=70)
        self.picture = out.getvalue()

    def entries(self) -> list[Any]:
        """What the index holds of each."""
        from safelight.vault.head import IndexEntry
        from safelight.vault.identity import public_hex

        signer = public_hex(self.seed)
        return [
            IndexEntry(
                asset=asset,
                kind="picture",
                words=(WORDS[i % 10], WORDS[i // 10 % 10], f"number{i}"),
                tags=(),
                made_on="2026-11-28",
                model="pocket",
                width_px=256 if i % 3 else 192,
                height_px=256,
                seed=i,
                darkroom_key=signer,
                request_nonce="0" * 32,
            )
            for i, asset in enumerate(self.ids)
        ]

    def sealed(self, asset: str, kind: Any) -> bytes:
        """One sealed object."""
        from safelight.vault.container import seal_object
        from safelight.vault.manifest import describe

        unsigned = describe(
            self.picture,
            asset=asset,
            kind=kind,
            owner=self.owner,
            request_nonce="0" * 32,
            made_on="2026-11-28",
            media_type="image/webp",
        )
        return seal_object(
            unsigned, self.picture, signing_seed=self.seed, recipients=[self.identity.recipient]
        )

    def listed(self, index: int) -> dict[str, Any]:
        """One line of the list; newest first."""
        from safelight.ids import b64
        from safelight.vault.request import seal_envelope

        return {
            "id": self.ids[index],
            "kind": "picture",
            "visibility": "private",
            "retention": "owner",
            "protection": "sealed",
            "size_bytes": 40_000,
            "made_on": "2026-11-28",
            "seq": index + 1,
            "envelope": b64(seal_envelope(self.identity, self.owner)),
        }

    def page(self, cursor: int) -> dict[str, Any]:
        """One page of the list, as the server answers it."""
        start = max(0, cursor - PAGE_PICTURES)
        rows = [self.listed(i) for i in range(cursor - 1, start - 1, -1)]
        return {"assets": rows, "next": start or None}

    def answer(self, route: Any) -> None:
        """Answer the page's requests for the list, thumbs and pictures."""
        from safelight.ids import b64

        path, _, query = route.request.url.partition("/api/v1/assets")[2].partition("?")
        if path == "/thumbs":
            ids = json.loads(route.request.post_data or "{}")["ids"]
            thumbs = {i: self.thumbs.get(i) or b64(self.sealed(i, "thumb")) for i in ids}
            route.fulfill(json={"thumbs": thumbs})
        elif path.endswith("/full"):
            route.fulfill(
                body=self.sealed(path.split("/")[1], "full"), content_type="application/age"
            )
        elif path:
            route.fulfill(status=404, json={})
        else:
            cursor = next((int(p[7:]) for p in query.split("&") if p[:7] == "cursor="), PICTURES)
            route.fulfill(json=self.pages[cursor])

    def prepare(self) -> None:
        """Seal now, so that sealing here is not timed there."""
        from safelight.ids import b64

        self.pages = {c: self.page(c) for c in range(PICTURES, 0, -PAGE_PICTURES)}
        newest = self.ids[-SEALED_BEFOREHAND:]
        self.thumbs = {asset: b64(self.sealed(asset, "thumb")) for asset in newest}


def first_load_bytes() -> int:
    """Gzipped bytes of everything a guest loads before the first picture."""
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    names = {p.name for p in (STATIC / "assets").iterdir() if f"/assets/{p.name}" in html}
    names |= {p.name for p in (STATIC / "assets").glob("worker-*.js")}
    total = len(gzip.compress(html.encode())) + len(
        gzip.compress((STATIC / "boot.js").read_bytes())
    )
    for name in names:
        total += len(gzip.compress((STATIC / "assets" / name).read_bytes()))
    return total + sum(p.stat().st_size for p in (STATIC / "assets").glob("*.woff2"))


def run() -> list[Row]:
    """All rows."""
    sys.path.insert(0, str(ROOT / "tests"))
    from playwright.sync_api import sync_playwright

    from safelight.client import index

    people, running = import_module("people"), import_module("running")
    rows = [Row(name="first load, gzipped", value=first_load_bytes() / 1000, unit="KB", goal=400)]
    with tempfile.TemporaryDirectory() as folder, running.Running(Path(folder) / "home") as server:
        person = people.join(server.url, "wall", Path(folder))
        keys = person.studio.link.keys()
        wall = Wall(keys.recipient)
        wall.prepare()
        index.add(person.studio.link, keys, wall.entries())
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=list(FLAGS)
            )
            page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
            page.set_default_timeout(120_000)
            page.route("**/api/v1/assets**", wall.answer)
            rows += measure(page, server.url, people.PASSWORD.reveal())
            browser.close()
    return rows


def measure(page: Any, url: str, password: str) -> list[Row]:
    """Unlock, search, open, scroll."""
    page.goto(f"{url}/creations")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("wall")
    dialog.get_by_label("Password", exact=True).fill(password)
    dialog.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Lock the vault").wait_for()
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    started, before = time.monotonic(), busy(devtools)
    page.wait_for_function(FULL_GRID)
    grid, worked = time.monotonic() - started, busy(devtools) - before
    page.get_by_text("10,000 pictures", exact=True).wait_for()
    whole = time.monotonic() - started

    search = page.get_by_role("searchbox", name="Search by words")
    # In the page itself: from the key to the new count on the screen.
    search_ms = page.evaluate(SEARCH)
    search.fill("")
    page.wait_for_function(FULL_GRID)
    open_ms = page.evaluate(OPEN)
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.querySelector('dialog[open]')")
    worst_ms = page.evaluate(SCROLL)
    return [
        Row(
            name="10,000 pictures: unlocked to the first full grid",
            value=grid,
            unit="s",
            goal=3,
            note=f"the page itself worked {worked:.2f} s of it",
        ),
        Row(name="10,000 pictures: unlocked to all of them listed", value=whole, unit="s"),
        Row(name="10,000 pictures: search", value=search_ms, unit="ms", goal=50),
        Row(name="10,000 pictures: open one", value=open_ms, unit="ms", goal=300),
        Row(
            name="10,000 pictures: longest frame while scrolling",
            value=worst_ms,
            unit="ms",
            goal=200,
        ),
    ]


def busy(devtools: Any) -> float:
    """Seconds of work of the page's own thread so far, without its waiting."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))


FULL_GRID = """() => {
  const tiles = [...document.querySelectorAll('[role=option]')].filter((tile) => {
    const { top, bottom } = tile.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  });
  return tiles.length > 10 && tiles.every((tile) => tile.querySelector('img')?.complete);
}"""
SEARCH = """async () => {
  const input = document.querySelector('input[type=search]');
  const said = () => document.querySelector('.count').textContent;
  const before = said();
  const start = performance.now();
  input.value = 'fox number1';
  input.dispatchEvent(new Event('input', { bubbles: true }));
  while (said() === before) await new Promise(requestAnimationFrame);
  return performance.now() - start;
}"""
OPEN = """async () => {
  const start = performance.now();
  document.querySelector('[role=option]').click();
  for (;;) {
    const img = document.querySelector('dialog[open] .picture img:not(.soft)');
    if (img?.complete && img.naturalWidth) return performance.now() - start;
    await new Promise(requestAnimationFrame);
  }
}"""
SCROLL = """async () => {
  let worst = 0;
  let last = performance.now();
  for (let i = 0; i < 120; i++) {
    scrollBy(0, 400);
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    worst = Math.max(worst, now - last);
    last = now;
  }
  return worst;
}"""
