"""Captions for the training pictures: deterministic for a given random generator, in several plain
word orders.
"""

from __future__ import annotations

import random

STYLE_PATTERNS: dict[str, tuple[str, ...]] = {
    "3d": ("a 3d {n}", "3d {n}", "{n}, 3d"),
    "glossy": ("a glossy {n}", "glossy icon of {a}", "{n}, glossy"),
    "flat": ("a flat {n}", "flat icon of {a}", "{n}, flat"),
    "line icon": ("line icon of {a}", "a line icon of {a}", "{n}, line icon"),
    "cartoon": ("a cartoon {n}", "cartoon of {a}", "{n}, cartoon"),
}
"""style word -> patterns; `{n}` is the bare name, `{a}` the name with its article."""

PLURAL_ENDINGS = ("grapes", "cherries", "french fries", "glasses", "scissors", "heart eyes")


def with_article(name: str) -> str:
    """Returns the name with "a" or "an" before it, or as it is where English takes no article."""
    if name in PLURAL_ENDINGS or name.startswith(("cup of", "glass of", "slice of")):
        return name if name in PLURAL_ENDINGS else f"a {name}"
    if name in {"bread", "cheese", "corn", "broccoli", "fire", "beer", "coffee", "pizza"}:
        return name
    if name in {"sun", "earth"}:
        return f"the {name}"
    if name.startswith(("suv", "ufo", "unicorn")):
        return f"{'an' if name == 'suv' else 'a'} {name}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def subject(names: tuple[str, ...], rng: random.Random) -> str:
    """Picks one of a label's names: the first about half the time, otherwise any of them evenly."""
    return names[0] if rng.random() < 0.4 else rng.choice(names)


def caption(names: tuple[str, ...], style: str, background: str | None, rng: random.Random) -> str:
    """Writes one caption for one picture.

    `names` are the label's words, `style` a key of `STYLE_PATTERNS`, `background` a colour word or
    None for white. A quarter of the captions leave the style out ("a red apple"), so that plain
    requests work; a colour background is always named; a white one is named ("on white", "on a
    white background") in a tenth of the captions.
    """
    name = subject(names, rng)
    if style != "line icon" and rng.random() < 0.3:
        text = rng.choice(("{a}", "{a}", "{n}")).format(n=name, a=with_article(name))
    else:
        text = rng.choice(STYLE_PATTERNS[style]).format(n=name, a=with_article(name))
    if background is not None:
        article = "an" if background[0] in "aeiou" else "a"
        text += rng.choice((f" on {article} {background} background", f" on {background}"))
    elif rng.random() < 0.1:
        text += rng.choice((" on a white background", " on white"))
    return text


def pair_caption(first: str, second: str, relation: str, style: str) -> str:
    """Writes the caption of a two-object scene: "a cat next to an apple, cartoon"."""
    return f"{with_article(first)} {relation} {with_article(second)}, {style}"
