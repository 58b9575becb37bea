"""What is refused, from the words alone. Pure rules over the word lists; nothing is remembered.

Note [who may weaken the rules]
    Nobody: there is no argument, role or setting here. The lists are files of the package, and the
    policy digest covers them.

Note [negative prompts]
    Words in a negative prompt are things to stay away from, so ``nude, child`` there is a safety
    measure and passes. It can only add to a refusal: an entry that pushes away from clothes counts
    as nudity in the prompt, and an entry that pushes away from grown people makes anything sexual
    in the prompt a matter of minors. It never takes away what the prompt says.

Nudity of grown people who are nobody in particular breaks none of the five rules here; the picture
check decides about the picture. ``docs/reference/content-rules.md`` tells the rules to people.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from safelight.errors import RefusedError
from safelight.policy import folding
from safelight.policy.lexicon import Lexicon, Lists, lexicon, word_set
from safelight.secret import Secret

CATEGORIES = ("minors", "intimate", "harm", "deepfake", "unlawful")

LISTS = (
    "minor", "minor-weak", "minor-sexual", "sexual", "nude", "suggestive", "intimate", "covert",
    "person", "public-figures", "deceptive", "deepfake", "harm", "group", "dehumanise", "harass",
    "unlawful", "weapon", "howto", "forge", "document",
)  # fmt: skip

_YOUNG = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    "|sixteen|seventeen|0?[1-9]|1[0-7]"
)
_YEARS = "|".join(
    (
        r"years? old|years? of age|year olds?|yrs? old|yr old|years? young|y o|yo|yos",
        r"jahre(?: alt)?|jahrig\w*|jahr|jaehrig\w*|ans|anos|anni|jaar(?: oud)?",
        r"lat|letni\w*|yasinda\w*|\u043b\u0435\u0442\w*|\u0433\u043e\u0434\w*",
    )
)
_AGES = (
    re.compile(rf"\b(?:{_YOUNG}) ?(?:{_YEARS})\b"),
    re.compile(
        rf"\b(?:age|aged|ages|alter|edad|eta|wiek|yas|\u0432\u043e\u0437\u0440\u0430\u0441\u0442)"
        rf" ?(?:of )?(?:{_YOUNG})\b(?! ?\d)"
    ),
    re.compile(r"\b\d{1,2} months? old\b"),
)
_AGES_UNSPACED = re.compile(
    r"(?<!\d)(?:[1-9]|1[0-7])(?:岁|歲|歳|才|살|세)|(?<!十)十?[一二三四五六七]岁"
)
_NAME = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_MAX_NAME_GAP = 1
_SHORTEST_CUT = 4


def check_text(prompt: Secret[str], negative: Secret[str]) -> None:
    """Raise :class:`RefusedError` with a category if the words break a content rule.

    The error holds the category and no text. Looks through the tricks of :mod:`.folding`.
    """
    category = _category(prompt.reveal(), negative.reveal())
    if category is not None:
        raise RefusedError(category)


def _category(prompt: str, negative: str) -> str | None:
    found = touched_lists(prompt)
    entries = _entries(negative)
    bare = bool(found & {"sexual", "nude"}) or bool(entries & word_set("clothing"))
    if _is_minors(found, bare=bare, pushed_young=bool(entries & word_set("adult"))):
        return "minors"
    someone = bool(found & {"person", "public-figures"})
    if "intimate" in found or (bare and (someone or "covert" in found or _names_somebody(prompt))):
        return "intimate"
    if "deepfake" in found or {"public-figures", "deceptive"} <= found:
        return "deepfake"
    if "harm" in found or {"group", "dehumanise"} <= found or (someone and "harass" in found):
        return "harm"
    if "unlawful" in found or {"weapon", "howto"} <= found or {"forge", "document"} <= found:
        return "unlawful"
    return None


def _entries(negative: str) -> Lists:
    """Every reading of every entry of a negative prompt, as words with one space between."""
    return {
        " ".join(reading)
        for entry in re.split(r"[,;.\n|]", negative)
        for reading in folding.readings(folding.fold(entry))
    }


def _is_minors(found: Lists, *, bare: bool, pushed_young: bool) -> bool:
    if "minor-sexual" in found:
        return True
    if "minor" in found and (bare or "suggestive" in found):
        return True
    if pushed_young and found & {"sexual", "nude"}:
        return True
    return "minor-weak" in found and bare


def touched_lists(text: str) -> Lists:
    """Names of the lists that a text touches, in any of its readings."""
    folded = folding.fold(text)
    terms, allowed = lexicon(*LISTS), lexicon("allowed")
    found = terms.touched_accented(folding.plain(text))
    unspaced = folding.condensed(folded)
    for phrase in allowed.anywhere:
        unspaced = unspaced.replace(phrase, " ")
    found |= terms.touched_anywhere(unspaced)
    for reading in folding.readings(folded):
        rest = allowed.without(reading)
        found |= _joined(terms, rest)
        if _is_young(" ".join(rest)):
            found.add("minor")
        for words in folding.without_repeats(rest, word_set("ordinary")):
            found |= terms.touched(words)
    for run, shortest in folding.spelled_out(folded):
        found |= terms.touched_inside(run, shortest)
    for pattern in folding.starred(folded):
        found |= terms.touched_by_pattern(pattern)
    # Short words mean something else backwards too often ("live", "pots"), unless all are reversed.
    reversed_words = folding.backwards(folded)
    found |= terms.touched(reversed_words, shortest=5)
    alone = terms.touched(tuple(w for w in reversed_words if w[::-1] not in word_set("ordinary")))
    if _is_minors(alone, bare=bool(alone & {"sexual", "nude"}), pushed_young=False):
        found |= alone
    if _AGES_UNSPACED.search(unspaced):
        found.add("minor")
    return found


def _joined(terms: Lexicon, reading: folding.Words) -> Lists:
    """Lists touched by a word that was cut in two, such as ``wo rd``."""
    found: Lists = set()
    for first, second in pairwise(reading):
        whole = first + second
        both = first and second and len(whole) >= _SHORTEST_CUT
        if both and f"{first} {second}" not in word_set("ordinary"):
            found |= terms.exact.get(whole, set())
    return found


def _is_young(text: str) -> bool:
    return any(pattern.search(text) for pattern in _AGES)


def _names_somebody(prompt: str) -> bool:
    """Whether a first name and a surname stand together, except as the maker of a work."""
    text = unicodedata.normalize("NFKC", prompt)
    found = list(_NAME.finditer(text))
    folded = [" ".join(folding.words(folding.fold(m[0]))) for m in found]
    maker = False
    for i in range(len(found) - 1):
        before = folded[max(0, i - 2) : i]
        maker = before[-1:] == ["by"] or before == ["style", "of"] or (
            maker and found[i - 1][0][:1].isupper()
        )  # fmt: skip
        gap = found[i + 1].start() - found[i].end()
        surname = found[i + 1][0][:1].isupper() or folded[i + 1] in word_set("surnames")
        if not maker and gap <= _MAX_NAME_GAP and surname and folded[i] in word_set("first-names"):
            return True
    return False
