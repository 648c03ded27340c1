"""The emoji that become concepts, and the words for each, from emojibase and emojilib."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_DROPPED_SUBGROUPS = frozenset(
    (
        "country-flag subdivision-flag keycap alphanum zodiac religion gender av-symbol math "
        "arrow currency transport-sign skin-tone hair-style punctuation other-symbol family"
    ).split()
)
_KEPT_ALL_THE_SAME = frozenset(
    (
        *("fleur-de-lis", "trident emblem", "recycling symbol", "plus", "check mark"),
        *("cross mark", "red question mark", "red exclamation mark", "heavy dollar sign"),
        *("red triangle pointed down", "family", "couple with heart", "kiss", "cyclone"),
        *("infinity", "peace symbol", "yin yang", "atom symbol", "litter in bin sign"),
        *("play button", "musical note", "right arrow", "left arrow", "up arrow", "down arrow"),
    )
)
_SPELLING = str.maketrans(
    {
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": "",
        "\N{LATIN SMALL LETTER N WITH TILDE}": "n",
        "\N{LATIN SMALL LETTER E WITH ACUTE}": "e",
        "\N{LATIN SMALL LETTER A WITH TILDE}": "a",
        "\N{LATIN SMALL LETTER O WITH CIRCUMFLEX}": "o",
        "!": "",
        ".": "",
    }
)
_PERSON = re.compile(r"(man|woman|person|people|men|women): (.*)")


@dataclass(frozen=True)
class Words:
    """One emoji's code points ("1f431"), label, and other words."""

    code: str
    label: str
    aliases: Sequence[str]
    tags: Sequence[str]
    group: str
    subgroup: str


def clean(text: str) -> str:
    """Return lower case and plain letters; "Man: Red Hair" becomes "man with red hair"."""
    text = text.lower().translate(_SPELLING)
    person = _PERSON.fullmatch(text)
    if person:
        who, what = person.groups()
        text = f"bald {who}" if what == "bald" else f"{who} with {what}"
    return " ".join(re.sub(r"[:,()]", "", text).split())


def code_of(hexcode: str) -> str:
    """Return the code points in lower case without the emoji variation selector."""
    return hexcode.lower().replace("-fe0f", "")


def is_wanted(label: str, subgroup: str) -> bool:
    """Tell whether an emoji is trained: no flags, signs, clock faces and mirrored doubles."""
    if subgroup in _DROPPED_SUBGROUPS and label not in _KEPT_ALL_THE_SAME:
        return False
    if subgroup == "time" and ("o'clock" in label or "thirty" in label):
        return False
    return "facing right" not in label and not (subgroup == "flag" and "transgender" in label)


def read_words(emojibase: Path, emojilib: Path) -> list[Words]:
    """Read all wanted emoji in Unicode's order, from the two unpacked packages."""
    english = emojibase / "en"
    emoji = _read(english / "data.json")
    names = _read(english / "messages.json")
    subgroups = {entry["order"]: entry["key"] for entry in names["subgroups"]}
    groups = {entry["order"]: entry["key"] for entry in names["groups"]}
    shortcodes = [
        _read(path)
        for path in sorted((english / "shortcodes").glob("*.json"))
        if "native" not in path.name
    ]
    keywords = _read(emojilib / "dist" / "emoji-en-US.json")
    found: list[Words] = []
    for entry in sorted(emoji, key=lambda e: e.get("order", 9999)):
        subgroup = subgroups.get(entry.get("subgroup"))
        label = clean(entry["label"])
        if subgroup is None or not is_wanted(label, subgroup):
            continue
        aliases = _aliases(label, (codes.get(entry["hexcode"]) for codes in shortcodes))
        spoken = [*(entry.get("tags") or []), *keywords.get(entry["emoji"], [])[1:]]
        tags = _tags({label, *aliases}, spoken)
        group = groups[entry["group"]]
        found.append(Words(code_of(entry["hexcode"]), label, aliases, tags, group, subgroup))
    return found


def _aliases(label: str, shortcodes: Iterable[str | list[str] | None]) -> list[str]:
    """Return short codes as words, without numbers at their end."""
    found: dict[str, None] = {}
    for codes in shortcodes:
        for code in [codes] if isinstance(codes, str) else codes or []:
            alias = clean(re.sub(r"\d+$", "", re.sub("[_-]", " ", code)))
            if alias != label and re.fullmatch(r"[a-z' ]{3,40}", alias):
                found[alias] = None
    return list(found)


def _tags(known: set[str], spoken: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for word in spoken:
        tag = clean(word.replace("_", " "))
        if tag not in known and re.fullmatch(r"[a-z' -]{3,24}", tag):
            found[tag] = None
    return list(found)


def as_entry(words: Words) -> Mapping[str, Any]:
    """Return the words as `meta.json` holds them."""
    return {
        "hex": words.code,
        "label": words.label,
        "aliases": words.aliases,
        "tags": words.tags,
        "group": words.group,
        "sub": words.subgroup,
    }


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
