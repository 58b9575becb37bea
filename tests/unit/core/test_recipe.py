"""The recipe: one canonical form, a stable digest, and errors that repeat no text."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.errors import RecipeError
from safelight.recipe import (
    MAX_COUNT,
    MAX_PROMPT_CHARS,
    MAX_SEED,
    AdapterUse,
    ControlUse,
    Recipe,
)
from safelight.secret import Secret

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "recipe.json").read_text("utf-8"))
CANARY = "zebracanary"
PLAIN: dict[str, Any] = {
    "prompt": Secret(CANARY),
    "model": "a" * 64,
    "width_px": 128,
    "height_px": 256,
    "steps": 20,
    "guidance": 5.0,
    "seed": 7,
}

text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
sides = st.integers(2, 512).map(lambda n: n * 8)


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    task = draw(st.sampled_from(["text-to-image", "image-to-image", "inpaint", "control"]))
    more: dict[str, Any] = {}
    if task in ("image-to-image", "inpaint"):
        more |= {"init_image": draw(digests), "strength": draw(floats(0, 1))}
    if task == "inpaint":
        more |= {"mask_image": draw(digests)}
    if task == "control":
        more["controls"] = tuple(
            draw(
                st.lists(
                    st.builds(
                        ControlUse, kind=st.sampled_from(["edge", "depth", "pose"]),
                        image=digests, weight=floats(0, 2),
                    ), min_size=1, max_size=4,
                )
            )
        )  # fmt: skip
    return Recipe(
        prompt=Secret(draw(text)),
        negative_prompt=Secret(draw(text)),
        model=draw(digests),
        width_px=draw(sides),
        height_px=draw(sides),
        steps=draw(st.integers(1, 150)),
        guidance=draw(floats(0, 30)),
        seed=draw(st.integers(0, MAX_SEED)),
        count=draw(st.integers(1, MAX_COUNT)),
        task=task,
        sampler=draw(st.sampled_from(["default", "ddim", "euler", "lcm"])),
        adapters=tuple(
            draw(st.lists(st.builds(AdapterUse, digest=digests, weight=floats(-2, 2)), max_size=3))
        ),
        transparent=draw(st.booleans()),
        **more,
    )


@given(recipes())
def test_the_canonical_form_reads_back_as_the_same_recipe(recipe: Recipe) -> None:
    again = Recipe.from_canonical(recipe.canonical())
    assert again == recipe
    assert again.canonical() == recipe.canonical()
    assert again.digest() == recipe.digest()


@given(recipes())
def test_the_form_does_not_depend_on_order_or_spaces(recipe: Recipe) -> None:
    loose = json.dumps(dict(reversed(recipe.to_dict().items())), indent=3, ensure_ascii=True)
    assert Recipe.from_canonical(loose.encode()).digest() == recipe.digest()


@given(recipes(), recipes())
def test_different_recipes_have_different_digests(one: Recipe, other: Recipe) -> None:
    assert (one == other) == (one.digest() == other.digest())


@given(recipes())
def test_no_words_are_in_a_repr(recipe: Recipe) -> None:
    assert "<secret>" in repr(recipe)
    for words in (recipe.prompt.reveal(), recipe.negative_prompt.reveal()):
        assert len(words) < 12 or words not in repr(recipe)


@pytest.mark.parametrize("vector", VECTORS["recipes"], ids=lambda v: v["name"])
def test_the_committed_digests_never_change(vector: dict[str, Any]) -> None:
    recipe = Recipe.from_dict(vector["recipe"])
    assert recipe.canonical() == vector["canonical"].encode("utf-8")
    assert recipe.digest() == vector["digest"]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_recipe_or_a_recipe_error(raw: bytes) -> None:
    with pytest.raises(RecipeError):
        Recipe.from_canonical(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(st.sampled_from(sorted(Recipe(**PLAIN).to_dict())), json_values)
def test_any_value_of_a_field_is_taken_or_a_recipe_error(name: str, value: Any) -> None:
    plain = Recipe(**PLAIN).to_dict() | {name: value}
    told = ""
    try:
        recipe = Recipe.from_dict(plain)
    except RecipeError as error:
        told = str(error)
    else:
        assert Recipe.from_canonical(recipe.canonical()) == recipe
    assert CANARY not in told


def test_nonsense_that_breaks_parsers_is_a_recipe_error() -> None:
    for raw in (b"[" * 100_000, b'{"seed": NaN}', b"null", b"5", b"{}", b"\xff"):
        with pytest.raises(RecipeError):
            Recipe.from_canonical(raw)
    with pytest.raises(RecipeError):
        Recipe.from_dict(Recipe(**PLAIN).to_dict() | {"guidance": 10**400})


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"width_px": 0}, "width"),
        ({"width_px": 130}, "width"),
        ({"height_px": 5000}, "height"),
        ({"height_px": 128.0}, "height"),
        ({"steps": 0}, "steps"),
        ({"steps": 151}, "steps"),
        ({"steps": True}, "steps"),
        ({"guidance": math.nan}, "guidance"),
        ({"guidance": math.inf}, "guidance"),
        ({"guidance": -0.1}, "guidance"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"count": 0}, "count"),
        ({"count": 11}, "count"),
        ({"model": "pocket"}, "model"),
        ({"model": "A" * 64}, "model"),
        ({"task": "upscale"}, "task"),
        ({"sampler": "fast"}, "sampler"),
        ({"v": 2}, "version 2"),
        ({"v": True}, "version"),
        ({"transparent": 1}, "transparent"),
        ({"guidance": True}, "guidance"),
        ({"strength": 0.5}, "strength"),
        ({"task": "image-to-image", "strength": 0.5}, "init image"),
        ({"task": "image-to-image", "init_image": "a" * 64}, "strength"),
        ({"task": "image-to-image", "init_image": "x", "strength": 0.5}, "init image"),
        ({"task": "image-to-image", "init_image": "a" * 64, "strength": 1.5}, "strength"),
        ({"task": "inpaint", "init_image": "a" * 64, "strength": 0.5}, "mask image"),
        ({"mask_image": "a" * 64}, "mask image"),
        ({"task": "control"}, "controls"),
        ({"prompt": Secret("a" * (MAX_PROMPT_CHARS + 1))}, "prompt"),
        ({"prompt": Secret(CANARY + "\x00")}, "prompt"),
        ({"negative_prompt": Secret(CANARY + "\ud800")}, "negative prompt"),
    ],
)
def test_an_impossible_value_is_named_and_not_repeated(changes: dict[str, Any], names: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe(**(PLAIN | changes))
    assert names in str(caught.value)
    assert CANARY not in str(caught.value)


def test_limits_of_adapters_and_controls() -> None:
    for weight in (-2.1, 2.1, math.nan):
        with pytest.raises(RecipeError):
            AdapterUse(digest="a" * 64, weight=weight)
    with pytest.raises(RecipeError):
        ControlUse(kind="edge", image="a" * 64, weight=-0.1)
    with pytest.raises(RecipeError):
        ControlUse(kind="sound", image="a" * 64)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="adapters"):
        Recipe(**(PLAIN | {"adapters": (AdapterUse(digest="a" * 64),) * 9}))


def test_pictures_of_one_recipe_have_seeds_in_a_row() -> None:
    recipe = Recipe(**(PLAIN | {"seed": MAX_SEED, "count": 3}))
    assert recipe.seeds() == (MAX_SEED, 0, 1)
    assert recipe.single(2) == Recipe(**(PLAIN | {"seed": 1}))


def test_inputs_and_features_say_what_a_recipe_needs() -> None:
    recipe = Recipe(
        **PLAIN, task="inpaint", init_image="b" * 64, mask_image="b" * 64, strength=0.4,
        transparent=True,
    )  # fmt: skip
    assert recipe.inputs() == ("b" * 64,)
    assert recipe.features() == ("inpaint", "transparent")
    assert Recipe(**PLAIN).features() == ()


def test_a_field_of_a_later_version_is_refused() -> None:
    with pytest.raises(RecipeError, match="does not know"):
        Recipe.from_dict(Recipe(**PLAIN).to_dict() | {"hue": 3})
