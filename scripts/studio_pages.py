"""Turns the screenshots of the browser tests into ``docs/studio/`` and the page that shows them.

Run the browser tests first: they leave ``test-results/studio/*.png``.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent
SHOTS = ROOT / "test-results/studio"
FOLDER = ROOT / "docs/studio"
QUALITY = 80
PAGES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Create", "The first picture needs words and nothing else.", ("create-empty", "create-first")),
    ("A vault", "Keep leads here. The code is typed back before anything is kept.", ("vault",)),
    ("Creations", "Opened in the browser; searched in the browser.", ("creations",)),
    ("Details", "Slides over, and leaves you where you were.", ("details", "share-dialog")),
    (
        "A share link",
        "The secret leaves the address bar before any script runs.",
        ("share-page",),
    ),
    ("Explore", "What people made public, until they take it back.", ("explore",)),
    ("Account", "Ways in, devices, keys for programs, leaving.", ("account",)),
    ("Trust", "Made from the live settings of the server.", ("guest-trust",)),
    ("Admin", "For the owner of a server: people, plans, health.", ("admin",)),
    (
        "Phone",
        "The same pages at 390 px.",
        ("phone-first", "phone-create", "phone-select", "phone-trust"),
    ),
    ("Components", "Every component, at `/components` of any server.", ("components",)),
)


def main() -> None:
    """Write the pictures and the page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = [
        "# The studio, page by page",
        "",
        "Made by `scripts/studio_pages.py` from the screenshots of `tests/browser`. The rules of",
        "the look are in `studio/README.md`; every colour is in `studio/src/ui/tokens.css`.",
        "",
    ]
    for title, says, names in PAGES:
        lines += [f"## {title}", "", says, ""]
        for name in names:
            for theme in ("", "-dark", "-light"):
                shot = SHOTS / f"{name}{theme}.png"
                if not shot.is_file():
                    continue
                picture = FOLDER / f"{name}{theme}.webp"
                Image.open(shot).convert("RGB").save(picture, quality=QUALITY, method=6)
                alt = f"{title}, {theme[1:] or 'phone'}"
                lines += [f"![{alt}](studio/{picture.name})", ""]
    (ROOT / "docs/studio.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
