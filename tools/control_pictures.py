"""Draw the pictures of docs/control.md: maps of preprocessors, and what the bundled edges lead to.

python -m tools.control_pictures docs/images
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from diffusion import Pipeline, Settings
from diffusion.control import PREPROCESSORS, Control
from diffusion.control.hints import make_map, map_pixels
from tools.guide_pictures import COLOURS, oval, strip

THRESHOLDS = {"tile_resample": 6.0, "blur_gaussian": 5.0, "threshold": 180.0, "shuffle": 1.0}
COLUMNS = 5
QUALITY = 80
THINGS = ("cat", "red heart", "house")


def draw_maps() -> Image.Image:
    """Arrange the picture and its maps in rows, each above its name."""
    pipeline = Pipeline.load()
    picture = pipeline.txt2img("a red apple")
    parts = [(Image.Image.copy(picture), "a red apple")]
    for name in PREPROCESSORS.names:
        if name != "none":
            control = Control("x", picture, name, threshold_a=THRESHOLDS.get(name))
            made = make_map(pipeline.device, control, picture, picture.size)
            hole = oval(made.size, (96, 96, 192, 192))
            pixels = map_pixels(control, made, hole)[0].clip(0, 1)  # -1 in the hole is black
            parts.append((Image.fromarray(np.uint8(255 * pixels + 0.5)), name))
    rows = [strip(parts[n : n + COLUMNS]) for n in range(0, len(parts), COLUMNS)]
    result = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        result.paste(row, (0, top))
        top += row.height
    return result


def draw_led() -> Image.Image:
    """Arrange maps of edges above what the bundled model draws from each."""
    with Pipeline.load() as pipeline:
        cat, heart, house = (pipeline.txt2img(f"a {name}", seed=1) for name in THINGS)
        pairs = [
            (_edges(pipeline, ImageOps.mirror(cat)), "a cat"),
            (_edges(pipeline, cat), "a dog"),
            (_edges(pipeline, house), "a green house"),
            (_edges(pipeline, heart), "a house"),
            (_sketch(), "a cat"),
        ]
        drawn = [
            pipeline.draw(Settings(prompt, seed=7, controls=(Control("edges", edges),)))[0]
            for edges, prompt in pairs
        ]
    rows = (
        strip([(edges, "") for edges, _ in pairs]),
        strip([(picture, prompt) for picture, (_, prompt) in zip(drawn, pairs, strict=True)]),
    )
    result = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    result.paste(rows[0], (0, 0))
    result.paste(rows[1], (0, rows[0].height))
    return result


def _edges(pipeline: Pipeline, picture: Image.Image) -> Image.Image:
    control = Control("edges", picture, "canny")
    return make_map(pipeline.device, control, picture, picture.size)


def _sketch() -> Image.Image:
    """Return a face with ears, as somebody draws it with white lines."""
    result = Image.new("RGB", (256, 256))
    pen = ImageDraw.Draw(result)
    pen.ellipse((48, 72, 208, 232), outline="white", width=2)
    for ear in ([(62, 104), (70, 32), (118, 76)], [(138, 76), (186, 32), (194, 104)]):
        pen.line(ear, fill="white", width=2)
    return result


def main() -> None:
    """Write the pictures into the folder named on the command line."""
    folder = Path(sys.argv[1])
    draw_maps().save(folder / "control-maps.webp", quality=QUALITY, method=6)
    led = draw_led().quantize(COLOURS, dither=Image.Dither.NONE)
    led.save(folder / "control-edges.png", optimize=True)


if __name__ == "__main__":
    main()
