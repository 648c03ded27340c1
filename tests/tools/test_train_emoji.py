"""tools/train_emoji: words, captions and colours of the training data, without PyTorch."""

from __future__ import annotations

import colorsys
import io
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from tools.train_emoji import captions, concepts
from tools.train_emoji.artwork import IconSet, dominant_hue

DRAWS = 3000


def entry(label: str, *aliases: str, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"label": label, "group": "g", "sub": "s", "aliases": aliases, "tags": tags}


@pytest.fixture(scope="module")
def known() -> dict[str, captions.Concept]:
    """Return a concept for every word of EVERYDAY, and some with shared and rare words."""
    meant = sorted({*captions.EVERYDAY.values()} - {"rocket", "frog"})
    entries = [
        *(entry(label) for label in meant),
        entry("rocket", "rocket ship", tags=("launch", "space")),
        entry("frog", "frog face", tags=("space", "green")),
        entry("comet", "apple", tags=("space", "car")),
        entry("blue book"),
    ]
    return {concept.label: concept for concept in captions.read_concepts(entries)}


def test_a_concept_that_everyday_words_mean_must_exist() -> None:
    with pytest.raises(ValueError, match="airplane"):
        captions.read_concepts([entry("rocket")])


def test_names_point_to_one_concept(known: dict[str, captions.Concept]) -> None:
    assert known["closed book"].names == ("book", "book")
    assert known["rocket"].names == ("rocket ship",)
    assert known["comet"].names == (), "an apple is no comet, whatever its aliases say"
    assert known["rocket"].keywords == ("launch",), "three concepts share the other"
    assert known["comet"].tags == ["space"]


@pytest.mark.parametrize(
    ("label", "bare"),
    [
        ("red apple", "apple"),
        ("light blue heart", "heart"),
        ("light bulb", "light bulb"),
        ("hot pepper", "hot pepper"),
        ("orange", ""),
    ],
)
def test_labels_lose_their_colour(label: str, bare: str) -> None:
    assert captions.colourless(label) == bare


def test_a_colour_itself_takes_no_colour_word(known: dict[str, captions.Concept]) -> None:
    assert known["blue book"].nouns == ("book",)
    orange = captions.read_concepts([*map(entry, captions.EVERYDAY.values()), entry("orange")])
    assert orange[-1].nouns == ()


def test_articles_fit_their_names() -> None:
    rng = random.Random(1)
    for name, wanted in (
        ("owl", {"owl", "the owl", "an owl"}),
        ("cat", {"cat", "the cat", "a cat"}),
        ("shoes", {"shoes", "the shoes"}),
        ("wine glass", {"wine glass", "the wine glass", "a wine glass"}),
    ):
        assert {captions.with_article(name, rng) for _ in range(300)} == wanted


@pytest.mark.parametrize("style", captions.STYLE_FORMS)
def test_captions_say_thing_and_style(style: str, known: dict[str, captions.Concept]) -> None:
    rng = random.Random(2)
    rocket = known["rocket"]
    said = {"3d": "3d", "flat": "flat", "noto": "cartoon|noto"}
    others = "|".join(words for name, words in said.items() if name != style)
    styled = 0
    for _ in range(DRAWS):
        text = captions.plain_caption(rocket, style, rng)
        assert re.search(r"\b(rocket|launch)\b", text), text
        assert not re.search(rf"\b({others})\b", text), text
        styled += bool(re.search(rf"\b({said[style]})\b", text))
    if style == "3d":
        # A quarter by design; 3000 draws have a deviation of 0.8 %, five of which are 4 %.
        assert styled / DRAWS == pytest.approx(0.25, abs=0.04)
    else:
        assert styled == DRAWS


@pytest.mark.parametrize("chance", [captions.LABEL_CHANCE, 0.9])
def test_the_label_is_said_as_often_as_asked(
    chance: float, known: dict[str, captions.Concept]
) -> None:
    book, rng = known["closed book"], random.Random(6)
    said = [captions.plain_caption(book, "3d", rng, label=chance) for _ in range(DRAWS)]
    # One in six of the others would be a keyword; this concept has none and says its label.
    wanted = chance + 0.16 * (1 - chance)
    # 3000 draws have a deviation of at most 0.9 %, five of which are 4.5 %.
    assert sum("closed book" in text for text in said) / DRAWS == pytest.approx(wanted, abs=0.045)


def test_colours_and_backgrounds_are_said(known: dict[str, captions.Concept]) -> None:
    rng = random.Random(3)
    for _ in range(DRAWS):
        text = captions.colour_caption(known["frog"], "3d", "purple", rng)
        assert re.search(r"\bpurple frog\b|\bfrog\b.* in purple\b", text), text
        text = captions.background_caption(known["frog"], "flat", "teal", rng)
        assert re.search(r"\b(on a|,) teal background\b", text), text
        assert "white background" not in text, text


def test_what_measures_unseen_phrasing_is_never_seen(known: dict[str, captions.Concept]) -> None:
    rng = random.Random(4)
    texts = [
        captions.plain_caption(concept, style, rng)
        for concept in known.values()
        for style in captions.STYLE_FORMS
        for _ in range(100)
    ]
    for form in captions.HELD_OUT_FORMS:
        seen = re.compile(re.escape(form).replace(r"\{\}", ".+"))
        assert seen.search(f"so {form.format('a cat')}"), "the pattern itself finds the form"
        assert [text for text in texts if seen.search(text)] == []


def test_captions_repeat_with_their_seed(known: dict[str, captions.Concept]) -> None:
    first, second = (
        [captions.plain_caption(known["rocket"], "3d", rng) for _ in range(50)]
        for rng in (random.Random(5), random.Random(5))
    )
    assert first == second
    assert len(set(first)) > 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Man: Red Hair", "man with red hair"),
        ("woman: bald", "bald woman"),
        ("Piñata!", "pinata"),
        ("Hospital (red,  large)", "hospital red large"),
    ],
)
def test_words_are_cleaned(text: str, words: str) -> None:
    assert concepts.clean(text) == words


@pytest.mark.parametrize(
    ("label", "subgroup", "wanted"),
    [
        ("cat", "animal-mammal", True),
        ("flag: France", "country-flag", False),
        ("infinity", "math", True),
        ("plus or minus", "math", False),
        ("three o'clock", "time", False),
        ("hourglass done", "time", True),
        ("person running facing right", "person-activity", False),
    ],
)
def test_wanted_emoji(label: str, subgroup: str, wanted: bool) -> None:
    assert concepts.is_wanted(label, subgroup) is wanted


def test_codes_lose_the_variation_selector() -> None:
    assert concepts.code_of("2764-FE0F-200D-1F525") == "2764-200d-1f525"


def disc(*fills: tuple[int, int, int]) -> bytes:
    """Draw a PNG of a disc on nothing, its sectors of equal size in the given colours."""
    picture = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    for k, fill in enumerate(fills):
        pen.pieslice((4, 4, 60, 60), k * 360 / len(fills), (k + 1) * 360 / len(fills), fill)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def hue(degrees: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(degrees / 360, 1.0, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


@pytest.mark.parametrize("degrees", [0.0, 47.0, 120.0, 213.0, 300.0])
def test_the_dominant_hue_is_found(degrees: float) -> None:
    found = dominant_hue(disc(hue(degrees)))
    assert found is not None
    # Bytes hold a hue to 60 / 255 / 2 = 0.12 degrees, and the result has one decimal.
    assert abs((found.hue - degrees + 180) % 360 - 180) <= 0.12 + 0.05
    assert (found.share, found.coloured) == (1.0, 1.0)


def test_two_reds_about_the_turn_are_one_hue() -> None:
    found = dominant_hue(disc(*map(hue, (345, 15, 345, 15, 180, 180, 180))))
    assert found is not None
    # Drawn in pixels, a sector is within 8 % of a seventh: 8 % of 15 degrees, and of 4 / 7.
    assert abs((found.hue + 180) % 360 - 180) <= 1.2
    assert found.share == pytest.approx(4 / 7, rel=0.08)


def test_the_larger_colour_wins_and_grey_has_none() -> None:
    mixed = dominant_hue(disc(hue(210), hue(210), hue(60), (128, 128, 128)))
    assert mixed is not None
    assert mixed.hue == pytest.approx(210.0, abs=0.2)
    # Two and three sectors of four; drawn in pixels, a sector is within 5 % of a quarter.
    assert mixed.share == pytest.approx(2 / 4, rel=0.05)
    assert mixed.coloured == pytest.approx(3 / 4, rel=0.05)
    grey = dominant_hue(disc((128, 128, 128)))
    assert grey is not None
    assert (grey.hue, grey.share) == (-1.0, 0.0)


def test_an_empty_picture_has_no_hue() -> None:
    assert dominant_hue(disc()) is None


def test_an_icon_set_follows_plain_aliases_alone(tmp_path: Path) -> None:
    icons = {
        "icons": {"rocket": {"body": "<path/>"}},
        "aliases": {"ship": {"parent": "rocket"}, "turned": {"parent": "rocket", "hFlip": True}},
    }
    names = {"1F680": "rocket", "1F6F3-FE0F": "ship", "1F6F8": "turned", "1F6F9": "gone"}
    (tmp_path / "icons.json").write_text(json.dumps(icons), encoding="utf-8")
    (tmp_path / "chars.json").write_text(json.dumps(names), encoding="utf-8")
    icon_set = IconSet(tmp_path, 256)
    codes = ["1f680", "1f6f3", "1f6f8", "1f6f9", "1f408"]
    assert [code in icon_set for code in codes] == [True, True, False, False, False]
