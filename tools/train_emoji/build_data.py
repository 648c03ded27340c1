"""Build the data set: `python -m tools.train_emoji.build_data PACKAGES OUT`.

PACKAGES holds the unpacked npm packages (the README has the commands). OUT gets `emoji.bin`,
all pictures as WebP one behind the other, and `meta.json`: the concepts with their words,
and for each picture its concept (c), style (s), place (o, n) and colour.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tools.train_emoji.artwork import SIDE, Fluent3D, Hue, IconSet, dominant_hue
from tools.train_emoji.concepts import Words, as_entry, read_words
from tools.train_emoji.settings import STYLES

PACKAGES = {
    "3d": "lobehub-fluent-emoji-3d-1.1.0",
    "flat": "iconify-json-fluent-emoji-flat-1.2.6",
    "noto": "iconify-json-noto-1.2.9",
    "emojibase": "emojibase-data-17.0.0",
    "emojilib": "emojilib-4.0.3",
}


def art_sets(packages: Path) -> dict[str, Fluent3D | IconSet]:
    """Return the sets by style; Noto's fill their frame, so they are drawn a little smaller."""
    return {
        "3d": Fluent3D(packages / PACKAGES["3d"]),
        "flat": IconSet(packages / PACKAGES["flat"], SIDE),
        "noto": IconSet(packages / PACKAGES["noto"], 240),
    }


def draw(packages: Path, codes: list[str]) -> list[list[tuple[str, bytes, Hue]]]:
    """Return style, file and colour of each picture of each emoji; runs in its own process."""
    sets = art_sets(packages)
    drawn: list[list[tuple[str, bytes, Hue]]] = []
    for code in codes:
        files = [(style, sets[style].webp(code)) for style in STYLES if code in sets[style]]
        hues = [(style, file, dominant_hue(file)) for style, file in files]
        drawn.append([(style, file, hue) for style, file, hue in hues if hue is not None])
    return drawn


def build(packages: Path, out: Path, *, limit: int | None = None) -> None:
    """Write the two files; `limit` keeps only the first concepts (to try it out).

    Raises FileNotFoundError where a package is missing.
    """
    for name in PACKAGES.values():
        if not (packages / name).is_dir():
            raise FileNotFoundError(f"{packages / name}: unpack the npm package of this name")
    words = read_words(packages / PACKAGES["emojibase"], packages / PACKAGES["emojilib"])
    sets = art_sets(packages)
    words = [w for w in words if any(w.code in sets[style] for style in STYLES)][:limit]
    parts = [words[k : k + 32] for k in range(0, len(words), 32)]
    codes = [[word.code for word in part] for part in parts]
    out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool, (out / "emoji.bin").open("wb") as file:
        drawn = [entry for part in pool.map(partial(draw, packages), codes) for entry in part]
        images = [
            _image(file.tell(), file.write(raw), concept, style, hue)
            for concept, entry in enumerate(drawn)
            for style, raw, hue in entry
        ]
    _write_meta(out / "meta.json", words, images)
    print(f"{len(words)} concepts, {len(images)} pictures in {out}")


def _image(offset: int, length: int, concept: int, style: str, hue: Hue) -> dict[str, Any]:
    place = {"c": concept, "s": style, "o": offset, "n": length}
    return place | {
        "hue": hue.hue,
        "frac": hue.share,
        "sat": hue.coloured,
        "cov": hue.opaque,
    }


def _write_meta(path: Path, words: list[Words], images: list[dict[str, Any]]) -> None:
    meta = {
        "concepts": [as_entry(word) for word in words],
        "images": images,
        "styles": STYLES,
        "size": SIDE,
    }
    path.write_text(json.dumps(meta, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    build(given.packages, given.out, limit=given.limit)
