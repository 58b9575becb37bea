"""What we say out loud is said word for word, and the policy digest follows its parts."""

from __future__ import annotations

from pathlib import Path

from safelight.policy.lexicon import lexicon, lines
from safelight.policy.terms import OPERATED_BY, SENTENCES, operated_by, policy_digest

ROOT = Path(__file__).parents[3]

SECTION_8 = """\
Your image exists unencrypted in the worker's memory while it is made.
If the operator of this server changes the worker's code, it can copy what you make from then on.
This web page is code from this server; the command-line client removes that dependency.
The ledger proves what was declared. It cannot prove that nothing else was done.
Unpublishing stops us and our caches; it cannot recall copies or untrain a released model.
If you lose your password, passkeys and recovery code, your private images are gone.
Standard API clients use transit protection.
Files are sealed with X25519; a future quantum computer could read recorded ciphertext.
Operated by ..., under the law of ..., hosted in ...
"""


def test_the_sentences_are_those_of_the_protocol() -> None:
    assert [*SENTENCES, OPERATED_BY] == SECTION_8.splitlines()


def test_the_readme_says_each_of_them() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for sentence in (*SENTENCES, OPERATED_BY):
        assert sentence in readme


def test_the_last_sentence_is_filled_in_with_what_is_known() -> None:
    assert operated_by("A. B.", "", "Ghent") == (
        "Operated by A. B., under the law of (not stated), hosted in Ghent."
    )


def test_the_digest_is_stable_and_of_the_right_form() -> None:
    assert policy_digest() == policy_digest()
    assert len(policy_digest()) == 64


def test_every_list_is_used_or_read_by_name() -> None:
    source = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "src/safelight/policy").glob("*.py")
    )
    for path in (ROOT / "src/safelight/policy/lists").glob("*.txt"):
        assert f'"{path.stem}"' in source or f'"{path.name}"' in source, path.name


def test_no_list_is_empty_and_every_term_can_match() -> None:
    for path in sorted((ROOT / "src/safelight/policy/lists").glob("*.txt")):
        if path.stem == "look-alikes":
            continue
        assert lines(path.stem)
        for line in lines(path.stem):
            found = lexicon(path.stem)
            assert found.exact or found.prefixes or found.phrases or found.anywhere, line
