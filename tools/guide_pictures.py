"""Draw the pictures of docs/guide.md with the bundled model.

python -m tools.guide_pictures docs/images
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from diffusion import Pipeline, Settings
from diffusion.tasks import (
    DeepCache,
    FreeU,
    GuidanceOptions,
    Hires,
    HyperTile,
    InitImage,
    Inpaint,
    SelfAttentionGuidance,
    Thresholding,
    TokenMerging,
    extend_image,
)
from gpustd.matmul.conv import Wrap

SIDE = 176
CAPTION = 20
COLOURS = 160
"""Of a picture's palette: a strip then takes less than 60 kB."""

Captioned = tuple[Image.Image, str]


def strip(parts: Sequence[Captioned], heights: Sequence[int] | None = None) -> Image.Image:
    """Arrange pictures side by side, each above its caption; ``heights`` are in pixels."""
    scaled = []
    for (picture, _), height in zip(parts, heights or [SIDE] * len(parts), strict=True):
        width = round(picture.width * height / picture.height)
        scaled.append(picture.resize((width, height), Image.Resampling.LANCZOS))
    total = sum(each.width for each in scaled) + 8 * (len(scaled) - 1)
    tallest = max(each.height for each in scaled)
    result = Image.new("RGB", (total, tallest + CAPTION), "white")
    draw = ImageDraw.Draw(result)
    font = ImageFont.load_default(12)
    left = 0
    for picture, (_, caption) in zip(scaled, parts, strict=True):
        result.paste(picture, (left, tallest - picture.height))
        draw.text((left + picture.width // 2, tallest + 3), caption, "black", font, anchor="ma")
        left += picture.width + 8
    return result


def oval(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """Draw a mask that is white in an oval."""
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return mask


def cover_mask(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """Return the picture, grey where the mask is white."""
    half = Image.fromarray(np.asarray(mask) // 2)
    return Image.composite(Image.new("RGB", picture.size, "white"), picture, half)


def img2img(pipeline: Pipeline) -> Image.Image:
    """Draw a cat that turns into a dog over strengths."""
    cat = pipeline.txt2img("a cat")
    parts = [(cat, "a cat")]
    for strength in (0.3, 0.5, 0.7):
        drawn = pipeline.img2img(cat, "a dog", strength=strength, seed=3)
        parts.append((drawn, f"a dog, --strength {strength}"))
    return strip(parts)


def inpaint(pipeline: Pipeline) -> Image.Image:
    """Draw a face on an apple, and extend the picture beside it."""
    apple = pipeline.txt2img("a red apple")
    mask = oval(apple.size, (60, 80, 200, 220))
    init_image = InitImage(apple, 0.9, inpaint=Inpaint(mask))
    face = pipeline.draw(Settings("smiling face", seed=3, init_image=init_image))[0]
    init_image = InitImage(apple, 0.9, inpaint=Inpaint(mask, area="masked"))
    full = pipeline.draw(Settings("smiling face", seed=3, init_image=init_image))[0]
    larger, added = extend_image(apple, (0, 0, 128, 0))
    init_image = InitImage(larger, 0.9, inpaint=Inpaint(added))
    wide = pipeline.draw(Settings("a red apple", seed=1, init_image=init_image))[0]
    return strip(
        [
            (cover_mask(apple, mask), "--mask"),
            (face, "--area whole"),
            (full, "--area masked"),
            (wide, "--right 128"),
        ]
    )


def hires(pipeline: Pipeline) -> Image.Image:
    """Draw one seed at its own size and enlarged."""
    first = Settings("a rocket", seed=0)
    parts = [(pipeline.draw(first)[0], "256x256")]
    for upscaler, strength in (("lanczos", 0.15), ("latent", 0.6)):
        second = Settings("a rocket", seed=0, hires=Hires(1.5, upscaler, strength))
        parts.append((pipeline.draw(second)[0], f"{upscaler}, --hires-strength {strength}"))
    return strip(parts, [SIDE, SIDE * 3 // 2, SIDE * 3 // 2])


def prompt_editing(pipeline: Pipeline) -> Image.Image:
    """Draw a cat whose prompt becomes a dog's during the steps."""
    prompts = ("a cat", "[a cat:a dog:0.5]", "[a cat|a dog]", "a dog")
    return strip([(pipeline.txt2img(prompt), prompt) for prompt in prompts])


def seamless(pipeline: Pipeline) -> Image.Image:
    """Arrange four copies of one picture, whose edges meet or not."""
    parts = []
    axes: tuple[Wrap, ...] = ("", "x", "xy")
    for each in axes:
        settings = Settings("bricks", width=128, height=128, seed=0, seamless=each)
        copies = np.tile(np.asarray(pipeline.draw(settings)[0]), (2, 2, 1))
        parts.append((Image.fromarray(copies), f"--seamless {each or 'off'}, four copies"))
    return strip(parts)


def guidance(pipeline: Pipeline) -> Image.Image:
    """Draw a ghost with a guidance that breaks it, and with what takes that back."""
    high, zero = {"guidance": 9.0}, Thresholding(4.0, startpoint="zero")
    rows: list[tuple[dict[str, float], GuidanceOptions, str]] = [
        ({}, GuidanceOptions(), "--guidance 2"),
        (high, GuidanceOptions(), "--guidance 9"),
        (high, GuidanceOptions(rescale=0.9), "9, --guidance-rescale 0.9"),
        (high, GuidanceOptions(thresholding=zero), "9, --mimic-scale 4 (zero)"),
        (high, GuidanceOptions(skip_early=0.3), "9, --skip-early 0.3"),
    ]
    return strip([_improve(pipeline, "a smiling pink ghost", 4, *row) for row in rows])


def shortcuts(pipeline: Pipeline) -> Image.Image:
    """Draw a dog with self-attention guidance, and with what spares the UNet work."""
    rows: list[tuple[dict[str, float], GuidanceOptions, str]] = [
        ({}, GuidanceOptions(), "plain"),
        ({}, GuidanceOptions(self_attention=SelfAttentionGuidance(1.0)), "--sag 1"),
        ({}, GuidanceOptions(merging=TokenMerging(0.5, downsample=2)), "--token-merging 0.5"),
        ({}, GuidanceOptions(tiles=HyperTile(64, depth=1)), "--hypertile 64"),
        ({}, GuidanceOptions(cache=DeepCache(2)), "--deep-cache 2"),
    ]
    return strip([_improve(pipeline, "a dog", 1, *row) for row in rows])


def attention(pipeline: Pipeline) -> Image.Image:
    """Draw a dog with perturbed attention and with FreeU."""
    freeu = FreeU(1.2, 1.3, 0.9, 0.2, version=1)
    rows = [
        (GuidanceOptions(), "a blue dog wearing a hat"),
        (GuidanceOptions(perturbed=2.0), "--pag 2"),
        (GuidanceOptions(freeu=freeu), "--freeu 1.2,1.3,0.9,0.2"),
        (GuidanceOptions(skip_below=3.0, skip_all=True), "--ngms 3 --ngms-all"),
    ]
    prompt = rows[0][1]
    return strip([_improve(pipeline, prompt, 1, {}, *row) for row in rows])


def _improve(
    pipeline: Pipeline,
    prompt: str,
    seed: int,
    settings: dict[str, float],
    options: GuidanceOptions,
    caption: str,
) -> Captioned:
    """Draw a picture in 10 steps with choices about guidance."""
    chosen = Settings(
        prompt,
        seed=seed,
        steps=10,
        sampler="euler",
        guidance=settings.get("guidance"),
        guidance_options=options,
    )
    return pipeline.draw(chosen)[0], caption


PICTURES = (img2img, inpaint, hires, prompt_editing, seamless, guidance, attention, shortcuts)


def main() -> None:
    """Write the pictures into the folder named on the command line."""
    pipeline = Pipeline.load()
    for make in PICTURES:
        name = f"guide-{make.__name__.replace('_', '-')}.png"
        print(name, file=sys.stderr)
        picture = make(pipeline).quantize(COLOURS, dither=Image.Dither.NONE)
        picture.save(Path(sys.argv[1]) / name, optimize=True)


if __name__ == "__main__":
    main()
