"""Draw a sheet of 24 prompts with the bundled model: plain, with colours, in each style.

python -m tools.prompt_sheet docs/images/sheet.webp
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from diffusion import Pipeline

PROMPTS = (
    "a red apple",
    "a cat",
    "a dog",
    "a rocket",
    "a house",
    "a pizza",
    "a birthday cake",
    "a bicycle",
    "a penguin",
    "an octopus",
    "a blue apple",
    "a purple strawberry",
    "a pink car",
    "a green dog",
    "an orange elephant",
    "a yellow rose",
    "a red fish",
    "a rocket on a blue background",
    "a pizza, flat",
    "a green heart, flat",
    "an umbrella, flat",
    "a cat, cartoon",
    "a rocket, cartoon",
    "a blue car, cartoon",
)
COLUMNS = 6
SIDE = 160
CAPTION = 18


def sheet(pictures: list[Image.Image]) -> Image.Image:
    """Arrange the pictures in rows, each above its prompt."""
    rows = -(-len(pictures) // COLUMNS)
    result = Image.new("RGB", (COLUMNS * SIDE, rows * (SIDE + CAPTION)), "white")
    draw = ImageDraw.Draw(result)
    font = ImageFont.load_default(11)
    for index, (picture, prompt) in enumerate(zip(pictures, PROMPTS, strict=True)):
        x, y = index % COLUMNS * SIDE, index // COLUMNS * (SIDE + CAPTION)
        result.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (x, y))
        draw.text((x + SIDE // 2, y + SIDE + 2), prompt, "black", font, anchor="ma")
    return result


def main() -> None:
    """Write the sheet to the file named on the command line."""
    pipeline = Pipeline.load()
    pictures = []
    for index, prompt in enumerate(PROMPTS, 1):
        print(f"{index:2} of {len(PROMPTS)}: {prompt}", file=sys.stderr)
        pictures.append(pipeline.txt2img(prompt))
    sheet(pictures).save(Path(sys.argv[1]), quality=90, method=6)


if __name__ == "__main__":
    main()
