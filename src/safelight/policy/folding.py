"""Text as a reader would take it: one plain form, and the readings that tricks hide.

The tricks are the usual ones: other letters that look alike, digits for letters, marks and spaces
between letters, invisible characters, repeated letters, letters left out behind a star, words
written backwards. Look-alikes follow Unicode Technical Standard 39 ("confusables"), cut down to the
scripts that people use for this.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib import resources

Words = tuple[str, ...]

_WORD = re.compile(r"[^\W_]+")
_KANA_MARKS = frozenset("\u3099\u309a")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

# Letters in circles, squares and flags that NFKC leaves alone.
_ENCLOSED = {
    chr(start + i): letter
    for start in (0x1F150, 0x1F170, 0x1F1E6)
    for i, letter in enumerate(_LETTERS)
}
_TO_CYRILLIC = str.maketrans(
    dict(
        zip(
            "acehkmopxytb3",
            "\u0430\u0441\u0435\u043d\u043a\u043c\u043e\u0440\u0445\u0443\u0442\u0432\u0437",
            strict=True,
        )
    )
)
_CYRILLIC = re.compile("[\u0430-\u044f]")
_DIGITS = {
    "0": "o", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g", "@": "a",
    "$": "s", "€": "e", "£": "l", "¢": "c", "+": "t", "(": "c", "<": "c", "?": "",
}  # fmt: skip
_LEET = tuple(
    str.maketrans(_DIGITS | dict.fromkeys("1!|¡", bar) | {"2": two})
    for bar, two in (("i", "z"), ("l", "r"))
)
_PLAINER = str.maketrans({"\u0131": "i", "\u0142": "l"})
_ARTICLES = frozenset({"a", "an", "the"})
_LONG_RUN = re.compile(r"(.)\1{2,}")
_ANY_RUN = re.compile(r"(.)\1+")
_MAX_STARRED = 16
_STARRED = re.compile(r"[a-z]+[*#•%][a-z*#•%]*")
_STARS = re.compile(r"[*#•%]+")


@cache
def _to_latin() -> dict[int, str]:
    text = (resources.files("safelight.policy") / "lists" / "look-alikes.txt").read_text("utf-8")
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    look_alikes = {letter: latin for latin, letters in rows for letter in letters}
    return str.maketrans(look_alikes | _ENCLOSED)


def plain(text: str) -> str:
    """One form for equal-looking text: NFKC, no case, no invisible characters, NFC."""
    shown = (c for c in unicodedata.normalize("NFKC", text) if not _is_invisible(c))
    return unicodedata.normalize("NFC", "".join(shown).casefold())


def fold(text: str) -> str:
    """:func:`plain`, and without accents: lists and prompts meet in this form."""
    apart = unicodedata.normalize("NFD", plain(text))
    kept = (c for c in apart if unicodedata.category(c) != "Mn" or c in _KANA_MARKS)
    return unicodedata.normalize("NFC", "".join(kept)).translate(_PLAINER)


def words(text: str) -> Words:
    """The words of a folded text, without articles."""
    return tuple(w for w in _WORD.findall(text) if w not in _ARTICLES)


def condensed(text: str) -> str:
    """A folded text without spaces and punctuation, for scripts that do not part words."""
    return "".join(c for c in text if c.isalnum() or unicodedata.category(c) == "So")


def readings(folded: str) -> tuple[Words, ...]:
    """Every way to read a folded text, each once; the plain one first."""
    found: dict[Words, None] = {}
    for text in _texts(folded):
        apart = words(text)
        together = words(" ".join("".join(_WORD.findall(chunk)) for chunk in text.split()))
        found |= {apart: None, together: None}
    return tuple(found)


def without_repeats(reading: Words, ordinary: frozenset[str]) -> frozenset[Words]:
    """A reading, and the same with letters that are written several times written once or twice.

    Doubled letters are left in ``ordinary`` words: "seeks" is not a misspelling.
    """
    return frozenset(
        (
            reading,
            tuple(_LONG_RUN.sub(r"\1", w) for w in reading),
            tuple(_LONG_RUN.sub(r"\1\1", w) for w in reading),
            tuple(w if w in ordinary else single(w) for w in reading),
        )
    )


def single(word: str) -> str:
    """A word with every repeated letter written once."""
    return _ANY_RUN.sub(r"\1", word)


def backwards(folded: str) -> Words:
    """The words of a folded text read from its end."""
    return words(folded.translate(_to_latin())[::-1])


def spelled_out(folded: str) -> Iterator[tuple[str, int]]:
    """Words written letter by letter, joined, and the shortest term to look for inside them."""
    for text in _texts(folded):
        for longest, fewest, shortest in ((1, 3, 4), (2, 4, 5)):
            run: list[str] = []
            for word in (*_WORD.findall(text), "." * 9):
                if len(word) <= longest:
                    run.append(word)
                    continue
                if len(run) >= fewest:
                    yield "".join(run), shortest
                run = []


def starred(folded: str) -> Iterator[re.Pattern[str]]:
    """Patterns for words that hide letters behind stars, such as ``w*rd``; each once."""
    chunks = {c for c in folded.translate(_to_latin()).split() if _STARS.search(c)}
    found = {word for chunk in chunks for word in _STARRED.findall(chunk)}
    for word in sorted(found):
        if len(_STARS.sub("", word)) >= 2 and len(word) <= _MAX_STARRED:
            yield re.compile(_STARS.sub(lambda m: f"[a-z]{{1,{len(m[0])}}}", word))


def _texts(folded: str) -> tuple[str, ...]:
    latin = folded.translate(_to_latin())
    found = {folded: None, latin: None}
    for table in _LEET:
        found[" ".join(_unleet(chunk, table) for chunk in latin.split())] = None
    if _CYRILLIC.search(folded):
        chunks = (c.translate(_TO_CYRILLIC) if _CYRILLIC.search(c) else c for c in folded.split())
        found[" ".join(chunks)] = None
    return tuple(found)


def _unleet(chunk: str, table: dict[int, str]) -> str:
    """Letters for digits and signs, in a chunk that has letters; marks at its end stay."""
    if not any(c.isalpha() for c in chunk):
        return chunk if len(chunk) < 3 else chunk.translate(table)
    core = chunk.rstrip("!?.,;:)")
    return core.translate(table) + chunk[len(core) :]


def _is_invisible(char: str) -> bool:
    if char in "\t\n\r\v\f":
        return False
    category = unicodedata.category(char)
    return category in ("Cf", "Cc", "Co", "Cn") or "\ufe00" <= char <= "\ufe0f" or char == "\u034f"
