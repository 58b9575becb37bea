"""Rate limits, events, static pages, public pictures, metrics."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from starlette.requests import Request

from safelight.errors import NotFoundError, PictureError, RateLimitError, RequestError
from safelight.pictures import MAX_THUMB_BYTES, clean, thumbnail
from safelight.server.events import read_event_id, wire
from safelight.server.headers import page_policy
from safelight.server.limits import Limiter, Rule, body_limit
from safelight.server.metrics import Metrics, resident_bytes, serve_metrics
from safelight.server.passkeys import check_no_prf
from safelight.server.static import Pages

RULE = Rule(name="sign-in", limit=3, window_seconds=60)


def test_the_fourth_try_waits():
    now = [0.0]
    limiter = Limiter(lambda: now[0])
    for _ in range(3):
        limiter.hit(RULE, "a")
    with pytest.raises(RateLimitError) as caught:
        limiter.hit(RULE, "a")
    assert caught.value.retry_after_seconds == 61
    limiter.hit(RULE, "b")
    now[0] = 60.5
    limiter.hit(RULE, "a")


def test_a_refused_try_is_not_counted():
    now = [0.0]
    limiter = Limiter(lambda: now[0])
    for _ in range(50):
        now[0] += 1
        try:
            limiter.hit(RULE, "a")
        except RateLimitError:
            continue
    now[0] = 112.0
    limiter.hit(RULE, "a")


def test_body_limits():
    assert body_limit("/api/v1/jobs", 32 << 20) == 32 << 20
    assert body_limit("/api/v1/sessions/start", 32 << 20) == 1 << 20
    assert body_limit("/api/v1/jobs/x", 32 << 20) == 1 << 20


@dataclass(frozen=True)
class Told:
    seq: int
    type: str
    data: Any


async def collect(source, closing, beat=15.0):
    return b"".join([part async for part in wire(source, closing, beat_seconds=beat)]).decode()


async def test_events_in_wire_form():
    async def source():
        yield Told(1, "queued", {"place": 0})
        yield Told(2, "done", {"reply": "x\ny"})

    text = await collect(source(), asyncio.Event())
    assert text == (
        "retry: 1000\n\n"
        'id: 1\nevent: queued\ndata: {"place":0}\n\n'
        'id: 2\nevent: done\ndata: {"reply":"x\\ny"}\n\n'
    )


async def test_silence_is_filled_and_closing_ends_it():
    closing = asyncio.Event()
    ended = asyncio.Event()

    async def source():
        try:
            await asyncio.sleep(3600)
            yield Told(1, "never", {})
        finally:
            ended.set()

    async def close_later():
        await asyncio.sleep(0.05)
        closing.set()

    later = asyncio.create_task(close_later())
    text = await asyncio.wait_for(collect(source(), closing, beat=0.01), 5)
    await later
    assert ": beat\n\n" in text
    assert "event:" not in text
    assert ended.is_set()


@pytest.mark.parametrize(("text", "number"), [("7", 7), (None, 0), ("-1", 0), ("x", 0), ("²", 0)])
def test_last_event_id(text, number):
    assert read_event_id(text) == number


def request(**headers: str) -> Request:
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw})


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(
        '<!doctype html><script>start()</script><script type="module" src="/assets/a.js"></script>'
    )
    (folder / "assets" / "a.js").write_text("export const lamp = 1;" * 50)
    (folder / ".hidden").write_text("no")
    (tmp_path / "secret.txt").write_text("no")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


def test_the_studio_is_served(studio: Path):
    pages = Pages(studio)
    page = pages.answer(request(), "")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "'unsafe-inline'" not in policy
    assert "'sha256-" in policy
    for inside in ("creations", "s/shr_1", "explore/pub_1"):
        assert pages.answer(request(), inside).body == page.body
    script = pages.answer(request(accept_encoding="gzip"), "assets/a.js")
    assert script.headers["content-encoding"] == "gzip"
    assert "immutable" in script.headers["cache-control"]
    again = pages.answer(request(if_none_match=script.headers["etag"]), "assets/a.js")
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    ["../secret.txt", "assets/../../secret.txt", ".hidden", "link.txt", "assets/b.js", "api/x",
     "a\x00.js", "assets/..\\..\\secret.txt"],
)  # fmt: skip
def test_nothing_outside_the_folder(studio: Path, path: str):
    with pytest.raises(NotFoundError):
        Pages(studio).answer(request(), path)


def test_a_missing_studio_says_how_to_build_it(tmp_path: Path):
    page = Pages(tmp_path / "none").answer(request(), "")
    assert page.status_code == 503
    assert b"make web" in page.body


def test_the_policy_hashes_inline_parts():
    policy = page_policy("<style>a{}</style><script>1</script><script src='/x.js'></script>")
    assert policy.count("'sha256-") == 2


def picture(form: str, size: tuple[int, int] = (40, 20), **save: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(out, form, **save)
    return out.getvalue()


def test_metadata_stays_at_the_door():
    exif = Image.Exif()
    exif[0x010E] = "canary-description"
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "canary prompt")
    cases = [
        picture("JPEG", exif=exif, comment=b"canary comment") + b"canary trailing",
        picture("PNG", pnginfo=info, exif=exif),
        picture("WEBP", exif=exif, xmp=b"<x>canary</x>"),
    ]
    for data in cases:
        assert b"canary" in data
        bare = clean(data)
        assert b"canary" not in bare.data
        with Image.open(io.BytesIO(bare.data)) as opened:
            assert not opened.getexif()
            assert set(opened.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "loop",
                                        "background", "timestamp", "duration"}  # fmt: skip
            assert opened.size == (20, 40)  # upright


def test_a_grey_picture_of_16_bits_is_not_cut_off_at_white():
    out = io.BytesIO()
    grey = np.linspace(0, 65_535, 60).astype(np.uint16)[None, :] * np.ones((40, 1), np.uint16)
    Image.fromarray(grey).save(out, "PNG")
    with Image.open(io.BytesIO(clean(out.getvalue()).data)) as opened:
        middle = opened.convert("L").getpixel((30, 0))
    assert abs(int(middle) - 130) < 4


def test_a_thumbnail_is_small_whatever_it_shows():
    noise = np.random.default_rng(0).integers(0, 256, (600, 900, 4), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    data = thumbnail(clean(out.getvalue()))
    assert len(data) <= MAX_THUMB_BYTES
    with Image.open(io.BytesIO(data)) as opened:
        assert (opened.format, opened.mode) == ("WEBP", "RGBA")
        assert max(opened.size) <= 256


def test_transparency_survives():
    out = io.BytesIO()
    Image.new("RGBA", (8, 8), (1, 2, 3, 0)).save(out, "PNG")
    with Image.open(io.BytesIO(clean(out.getvalue()).data)) as opened:
        assert opened.mode == "RGBA"
        assert opened.getpixel((0, 0)) == (1, 2, 3, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a picture",
        picture("PNG")[:60],
        picture("GIF"),
        picture("BMP"),
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
        picture("PNG", (16_385, 8)),
    ],
)
def test_what_is_no_plain_picture_is_refused(data: bytes):
    with pytest.raises(PictureError):
        clean(data)


def test_a_pixel_flood_is_refused_before_it_is_decoded():
    bomb = bytearray(picture("PNG"))
    bomb[16:24] = (16_000).to_bytes(4, "big") * 2
    import zlib

    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    with pytest.raises(PictureError):
        clean(bytes(bomb))


def test_prf_results_are_refused():
    check_no_prf({"clientExtensionResults": {"prf": {"enabled": True}}})
    with pytest.raises(RequestError):
        check_no_prf({"clientExtensionResults": {"prf": {"results": {"first": "x"}}}})


async def test_metrics_answer_on_their_own_port():
    metrics = Metrics()
    metrics.request("GET", 200, 0.3)
    metrics.sources.append(lambda: {"resident_bytes": resident_bytes()})
    server = await serve_metrics(metrics, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        for path, status in ((b"/metrics", b"200"), (b"/", b"404")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            assert answer.split()[1] == status
    finally:
        server.close()
        await server.wait_closed()
    assert 'safelight_http_seconds_bucket{le="0.5"} 1' in metrics.text()
    assert "safelight_resident_bytes" in metrics.text()
