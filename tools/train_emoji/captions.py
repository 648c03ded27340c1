"""Captions: the words of a concept, and the sentences that training draws from them."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# What people say, and the label of the one concept that they mean by it.
EVERYDAY: dict[str, str] = {
    "airliner": "airplane",
    "apple": "red apple",
    "bag": "handbag",
    "ball": "soccer ball",
    "beer": "beer mug",
    "boat": "sailboat",
    "book": "closed book",
    "bottle": "baby bottle",
    "box": "package",
    "bulb": "light bulb",
    "cake": "shortcake",
    "candle light": "candle",
    "car": "automobile",
    "cheese": "cheese wedge",
    "clock": "mantelpiece clock",
    "coffee": "hot beverage",
    "computer": "laptop",
    "corn": "ear of corn",
    "cup of coffee": "hot beverage",
    "cup of tea": "teacup without handle",
    "diamond": "gem stone",
    "donut": "doughnut",
    "face": "smiling face",
    "flower": "hibiscus",
    "football": "american football",
    "fries": "french fries",
    "gem": "gem stone",
    "gift": "wrapped gift",
    "hand": "raised hand",
    "hat": "top hat",
    "heart": "red heart",
    "hot pepper": "hot pepper",
    "knife": "kitchen knife",
    "ladybug": "lady beetle",
    "lamp": "diya lamp",
    "leaf": "maple leaf",
    "milk": "glass of milk",
    "moon": "crescent moon",
    "phone": "mobile phone",
    "plane": "airplane",
    "present": "wrapped gift",
    "salad": "green salad",
    "shirt": "t-shirt",
    "shoe": "running shoe",
    "smiley": "grinning face",
    "sneaker": "running shoe",
    "sword": "dagger",
    "tea": "teacup without handle",
    "tree": "deciduous tree",
    "truck": "delivery truck",
    "wine": "wine glass",
}
COLOUR_WORDS = frozenset(
    "red orange yellow green teal blue purple pink black white gray grey brown blond".split()
)
PREFIXES = (
    *("a picture of", "an image of", "a photo of", "an icon of", "an emoji of", "picture of"),
    *("an illustration of", "a drawing of", "a painting of", "clipart of"),
)
SUFFIXES = (
    *("high quality", "highly detailed", "masterpiece", "best quality", "digital art", "cute"),
    *("beautiful", "4k", "icon", "emoji", "on a white background", "simple", "sharp focus"),
    "trending on artstation",
)
STYLE_FORMS: dict[str, tuple[str, ...]] = {
    "3d": ("3d {}", "{}, 3d render", "{}, 3d", "3d emoji of {}", "3d render of {}"),
    "flat": ("flat {}", "{}, flat", "{}, flat design", "flat icon of {}", "flat vector {}"),
    "noto": ("cartoon {}", "{}, cartoon", "cartoon of {}", "{}, cartoon style", "{}, noto style"),
}
_SYLLABLES = (
    *("ab al am an ar ba be bi bo bu ca ce co da de di do du el en er es fa fe fi fo".split()),
    *("ga ge go ha he hi ho il in is it ka ki la le li lo lu ma me mi mo mu na ne ni".split()),
    *("no ob of ol on or os ou pa pe pi po pu ra re ri ro ru sa se sh si so su ta te".split()),
    *("th ti to tu ul un up ur us va ve vi vo wa we wi wo ya ye yo za ze zo".split()),
)
LABEL_CHANCE = 0.62  # of the label rather than another name
# Never used in training: they measure how far the words carry.
HELD_OUT_FORMS = (
    *("show me {} please", "one single {} in the middle"),
    *("my favourite {}", "look at this lovely {}"),
)


@dataclass(frozen=True)
class Concept:
    """The words of one emoji.

    `aliases` and `tags` are all its words (the tokenizer's text); `names` are those that
    point to this concept and hardly to another; `nouns` may take a colour word.
    """

    label: str
    group: str
    subgroup: str
    aliases: Sequence[str]
    tags: Sequence[str]
    names: Sequence[str] = field(default=())
    keywords: Sequence[str] = field(default=())
    nouns: Sequence[str] = field(default=())


def read_concepts(entries: Sequence[Mapping[str, Any]]) -> list[Concept]:
    """Read the concepts of `meta.json`, with words sorted by how well they name their concept."""
    labels = {entry["label"] for entry in entries}
    missing = sorted(set(EVERYDAY.values()) - labels)
    if missing:
        raise ValueError(f"EVERYDAY names no concept of the data for {missing}")
    uses = Counter(w for e in entries for w in {*e["aliases"], *e["tags"]})
    return [_concept(entry, uses, labels) for entry in entries]


def _concept(entry: Mapping[str, Any], uses: Counter[str], labels: set[str]) -> Concept:
    label = entry["label"]
    everyday = [word for word, meant in EVERYDAY.items() if meant == label]
    taken = labels | EVERYDAY.keys()
    aliases = [w for w in entry["aliases"] if uses[w] <= 3 and w not in taken]
    bare = colourless(label)
    nouns = [w for w in (bare, *everyday) if w]
    return Concept(
        label,
        entry["group"],
        entry["sub"],
        entry["aliases"],
        [w for w in entry["tags"] if w not in EVERYDAY],
        names=tuple(everyday * 2 + aliases),
        keywords=tuple(w for w in entry["tags"] if uses[w] <= 2 and w not in taken),
        nouns=tuple(nouns),
    )


def colourless(label: str) -> str:
    """Return the label without its colour words: "light blue heart" becomes "heart"."""
    words = label.split()
    kept = [word for word in words if word not in COLOUR_WORDS]
    if len(kept) < len(words) and kept and kept[0] in ("light", "dark"):
        kept = kept[1:]
    return " ".join(kept)


def with_article(name: str, rng: random.Random) -> str:
    """Add "a", "an" or "the" half of the time; plurals get no "a"."""
    k = rng.random()
    if k < 0.45:
        return name
    if k < 0.5:
        return "the " + name
    if name.endswith("s") and not name.endswith("ss"):
        return name
    return ("an " if name[0] in "aeiou" else "a ") + name


def _name(concept: Concept, label: float, rng: random.Random) -> str:
    """Return the label (chance at least `label`), another name, or a rare keyword (one in six)."""
    k = (rng.random() - label) / (1 - label)
    if k > 0.16 and concept.names:
        return rng.choice(concept.names)
    if 0 < k <= 0.16 and concept.keywords:
        return rng.choice(concept.keywords)
    return concept.label


def _add_style(name: str, style: str, rng: random.Random) -> str:
    """Add the style: to every flat and cartoon picture, to a quarter of the 3D ones."""
    if style == "3d" and rng.random() >= 0.25:
        return with_article(name, rng)
    form = rng.choice(STYLE_FORMS[style])
    if form.startswith("{}") or rng.random() < 0.5:
        return with_article(form.format(name), rng)
    return form.format(with_article(name, rng))


def _unknown_words(rng: random.Random) -> str:
    """Make up one to three words."""
    words = ("".join(rng.choices(_SYLLABLES, k=rng.randint(1, 3))) for _ in range(3))
    return " ".join(list(words)[: rng.randint(1, 3)])


def _decorate(text: str, rng: random.Random, *, on_white: bool) -> str:
    """Add words that people put around a prompt and that change nothing.

    Made-up words teach that a word never seen is to be passed over.
    """
    if rng.random() < 0.1:
        text = f"{_unknown_words(rng)} {text}"
    if rng.random() < 0.07:
        text = f"{text} {_unknown_words(rng)}"
    if rng.random() < 0.2:
        text = f"{rng.choice(PREFIXES)} {text}"
    while rng.random() < 0.18:
        suffix = rng.choice(SUFFIXES)
        if on_white or "background" not in suffix:
            text += f", {suffix}"
    return text


def plain_caption(
    concept: Concept, style: str, rng: random.Random, *, label: float = LABEL_CHANCE
) -> str:
    """Write a caption of a picture as it was drawn."""
    text = _add_style(_name(concept, label, rng), style, rng)
    if concept.tags and rng.random() < 0.08:
        count = min(len(concept.tags), rng.randint(1, 2))
        text += ", " + ", ".join(rng.sample(list(concept.tags), count))
    return _decorate(text, rng, on_white=True)


def colour_caption(concept: Concept, style: str, colour: str, rng: random.Random) -> str:
    """Write a caption of a recoloured picture."""
    noun = rng.choice(concept.nouns)
    name = f"{colour} {noun}" if rng.random() < 0.88 else f"{noun} in {colour}"
    return _decorate(_add_style(name, style, rng), rng, on_white=True)


def background_caption(
    concept: Concept, style: str, colour: str, rng: random.Random, *, label: float = LABEL_CHANCE
) -> str:
    """Write a caption of a picture on a coloured background."""
    text = _add_style(_name(concept, label, rng), style, rng)
    ending = f" on a {colour} background" if rng.random() < 0.8 else f", {colour} background"
    return _decorate(text + ending, rng, on_white=False)
