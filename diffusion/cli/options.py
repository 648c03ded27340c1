"""The options of the commands, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from diffusion.prompts import EMPHASES
from diffusion.samplers import SAMPLERS
from diffusion.schedules import AUTOMATIC, SCHEDULES
from diffusion.tasks import AREAS, CONTENTS, RESIZE_MODES, TILINGS, UPSCALERS

__all__ = [
    "Area",
    "AsJson",
    "Batch",
    "Bottom",
    "ClipSkip",
    "Content",
    "Count",
    "Debug",
    "DeviceName",
    "EmphasisName",
    "Eta",
    "Guidance",
    "HiresGuidance",
    "HiresNegative",
    "HiresPrompt",
    "HiresSampler",
    "HiresScale",
    "HiresSchedule",
    "HiresSteps",
    "HiresStrength",
    "HiresUpscaler",
    "Image",
    "InpaintStrength",
    "Invert",
    "Left",
    "Mask",
    "MaskBlur",
    "Model",
    "Negative",
    "Output",
    "Overlap",
    "Padding",
    "PictureSize",
    "PixelUpscaler",
    "Predicts",
    "Profile",
    "Prompt",
    "Resize",
    "Right",
    "SamplerName",
    "Scale",
    "ScheduleName",
    "Seed",
    "SeedResize",
    "Shown",
    "Size",
    "Steps",
    "Strength",
    "Tokenizer",
    "Top",
    "UpscaleNegative",
    "UpscalePrompt",
    "UpscaleStrength",
    "VaeTiling",
    "VariationSeed",
    "VariationStrength",
]

_START = "The picture to start from"
_MASK = "What is drawn"
_EXTEND = "Extending the picture"
_PICTURE = "The picture"
_HIRES = "Second pass"
_SAMPLING = "Sampling"
_RUNNING = "Files and devices"

PROMPT_HELP = (
    "What to draw; may be empty. (word) and (word:1.3) weigh more, \\[word] less; \\[x:y:0.5] is "
    "x, then y; \\[x|y] both in turn; x AND y :0.5 are composed."
)
Prompt = Annotated[str, Argument(help=PROMPT_HELP, show_default=False)]

Negative = Annotated[str, Option("--negative", help="What not to draw.", rich_help_panel=_PICTURE)]
Size = Annotated[
    str | None,
    Option(
        "--size",
        metavar="WxH",
        help="Width and height in pixels, multiples of 8 (512x768); the model's own if absent.",
        rich_help_panel=_PICTURE,
    ),
]
EmphasisName = Annotated[
    str,
    Option(
        "--emphasis",
        metavar="NAME",
        help=f"What weights in prompts do: one of {', '.join(EMPHASES.names)}; with none, brackets "
        "are text.",
        rich_help_panel=_PICTURE,
    ),
]
Seed = Annotated[
    int,
    Option(
        "--seed",
        help="Same seed, same picture; further pictures take the seeds after it. -1: random.",
        rich_help_panel=_PICTURE,
    ),
]
Count = Annotated[int, Option("--count", help="How many pictures.", rich_help_panel=_PICTURE)]

Steps = Annotated[
    int | None,
    Option(
        "--steps",
        help="Steps of the sampler; the model's own if absent.",
        rich_help_panel=_SAMPLING,
    ),
]
Guidance = Annotated[
    float | None,
    Option(
        "--guidance",
        help="How closely to follow the prompt; 1 turns it off and halves the work.",
        rich_help_panel=_SAMPLING,
    ),
]
SamplerName = Annotated[
    str | None,
    Option(
        "--sampler",
        metavar="NAME",
        help=f"One of {', '.join(SAMPLERS.names)}; other tools' names are understood. With "
        "guidance, ipndm, plms and lms want --set order=2.",
        rich_help_panel=_SAMPLING,
    ),
]
ScheduleName = Annotated[
    str | None,
    Option(
        "--schedule",
        metavar="NAME",
        help=f"Noise levels: {', '.join((AUTOMATIC, *SCHEDULES.names))}; other tools' names are "
        "understood.",
        rich_help_panel=_SAMPLING,
    ),
]
Eta = Annotated[
    float | None,
    Option(
        "--eta",
        help="Noise that ddim (0 if absent) or euler_a (1 if absent) adds at each step.",
        rich_help_panel=_SAMPLING,
    ),
]
Batch = Annotated[
    int | None,
    Option("--batch", help="How many pictures to compute at once.", rich_help_panel=_SAMPLING),
]

Shown = Annotated[
    Path,
    Argument(help="A PNG, JPEG or WebP file.", show_default=False),
]
Image = Annotated[
    Path,
    Argument(help="The picture to start from: a PNG, JPEG or WebP file.", show_default=False),
]
Strength = Annotated[
    float,
    Option(
        "--strength",
        help="How much is drawn anew: 0 changes next to nothing, 1 keeps next to nothing.",
        rich_help_panel=_START,
    ),
]
InpaintStrength = Annotated[
    float | None,
    Option(
        "--strength",
        help="How much of the masked part is drawn anew, 0 to 1; 0.75 if absent, or 0.9 where the "
        "picture is extended.",
        rich_help_panel=_START,
    ),
]
Resize = Annotated[
    str,
    Option(
        "--resize",
        metavar="NAME",
        help=f"How the picture comes to --size: one of {', '.join(RESIZE_MODES.names)}.",
        rich_help_panel=_START,
    ),
]
PictureSize = Annotated[
    str | None,
    Option(
        "--size",
        metavar="WxH",
        help="Width and height to draw at, multiples of 8; the picture's own if absent.",
        rich_help_panel=_START,
    ),
]
Mask = Annotated[
    Path | None,
    Option(
        "--mask",
        metavar="FILE",
        help="A picture as large as the first: white is drawn anew, black stays.",
        rich_help_panel=_MASK,
    ),
]
Invert = Annotated[
    bool,
    Option(
        "--invert",
        help="Draw what is black in the mask instead.",
        rich_help_panel=_MASK,
    ),
]
MaskBlur = Annotated[
    float,
    Option(
        "--mask-blur",
        help="Width in pixels of the soft edge where old and new mix.",
        rich_help_panel=_MASK,
    ),
]
Content = Annotated[
    str,
    Option(
        "--content",
        metavar="NAME",
        help=f"What the masked part starts from: one of {', '.join(CONTENTS.names)}. All but "
        "original want a --strength near 1.",
        rich_help_panel=_MASK,
    ),
]
Area = Annotated[
    str,
    Option(
        "--area",
        metavar="NAME",
        help=f"What is drawn: one of {', '.join(AREAS.names)}. masked: only a box around the mask, "
        "at --size or the model's own.",
        rich_help_panel=_MASK,
    ),
]
Padding = Annotated[
    int | None,
    Option(
        "--padding",
        help="Pixels of surroundings in that box, on each side; 32 if absent.",
        rich_help_panel=_MASK,
    ),
]
Left = Annotated[
    int,
    Option(
        "--left",
        help="Pixels to add at the left.",
        rich_help_panel=_EXTEND,
    ),
]
Top = Annotated[
    int,
    Option(
        "--top",
        help="Pixels to add at the top.",
        rich_help_panel=_EXTEND,
    ),
]
Right = Annotated[
    int,
    Option(
        "--right",
        help="Pixels to add at the right.",
        rich_help_panel=_EXTEND,
    ),
]
Bottom = Annotated[
    int,
    Option(
        "--bottom",
        help="Pixels to add at the bottom.",
        rich_help_panel=_EXTEND,
    ),
]
Overlap = Annotated[
    int | None,
    Option(
        "--overlap",
        help="Pixels of the old picture, along each extended side, that are drawn anew too, lest a "
        "seam show: up to half of its shorter side; 16 if absent, or less in a small picture.",
        rich_help_panel=_EXTEND,
    ),
]
Scale = Annotated[
    float,
    Option(
        "--scale",
        help="How many times as wide and high, 1 to 16.",
        rich_help_panel=_START,
    ),
]
PixelUpscaler = Annotated[
    str,
    Option(
        "--upscaler",
        metavar="NAME",
        help=f"One of {', '.join(each.name for each in UPSCALERS if each.filter is not None)}.",
        rich_help_panel=_START,
    ),
]
UpscaleStrength = Annotated[
    float,
    Option(
        "--strength",
        help="How much is drawn anew: 0.2 sharpens, 0.5 invents.",
        rich_help_panel=_START,
    ),
]
UpscalePrompt = Annotated[
    str | None,
    Option(
        "--prompt",
        help="What the picture shows; if absent, the prompt in the picture's own text, or none.",
        rich_help_panel=_START,
    ),
]
UpscaleNegative = Annotated[
    str | None,
    Option(
        "--negative",
        help="What not to draw; if absent, as with the prompt.",
        rich_help_panel=_START,
    ),
]
HiresScale = Annotated[
    float | None,
    Option(
        "--hires",
        metavar="SCALE",
        help="Enlarge the picture so many times and draw on it again; 1.5 to 2 is usual.",
        rich_help_panel=_HIRES,
    ),
]
HiresUpscaler = Annotated[
    str,
    Option(
        "--hires-upscaler",
        metavar="NAME",
        help=f"One of {', '.join(UPSCALERS.names)}. Those of latents want a strength above 0.5.",
        rich_help_panel=_HIRES,
    ),
]
HiresStrength = Annotated[
    float,
    Option(
        "--hires-strength",
        help="How much the second pass draws anew, 0.05 to 1.",
        rich_help_panel=_HIRES,
    ),
]
HiresSteps = Annotated[
    int | None,
    Option(
        "--hires-steps",
        help="Steps of the second pass; as many as the first if absent.",
        rich_help_panel=_HIRES,
    ),
]
HiresSampler = Annotated[
    str | None,
    Option(
        "--hires-sampler",
        metavar="NAME",
        help="Sampler of the second pass; the first's if absent.",
        rich_help_panel=_HIRES,
    ),
]
HiresSchedule = Annotated[
    str | None,
    Option(
        "--hires-schedule",
        metavar="NAME",
        help="Noise levels of the second pass; the first's if absent.",
        rich_help_panel=_HIRES,
    ),
]
HiresGuidance = Annotated[
    float | None,
    Option(
        "--hires-guidance",
        help="Guidance of the second pass; the first's if absent.",
        rich_help_panel=_HIRES,
    ),
]
HiresPrompt = Annotated[
    str | None,
    Option(
        "--hires-prompt",
        help="Prompt of the second pass; the first's if absent.",
        rich_help_panel=_HIRES,
    ),
]
HiresNegative = Annotated[
    str | None,
    Option(
        "--hires-negative",
        help="Negative prompt of the second pass; the first's if absent.",
        rich_help_panel=_HIRES,
    ),
]
VariationStrength = Annotated[
    float,
    Option(
        "--variation",
        help="How far to go from the seed's noise to that of --variation-seed, 0 to 1: with 0.1 to "
        "0.3, --count pictures that are much alike.",
        rich_help_panel=_PICTURE,
    ),
]
VariationSeed = Annotated[
    int,
    Option(
        "--variation-seed",
        help="The other seed; further pictures take those after it, and all share --seed. -1: "
        "random.",
        rich_help_panel=_PICTURE,
    ),
]
SeedResize = Annotated[
    str | None,
    Option(
        "--seed-resize",
        metavar="WxH",
        help="Put the seed's noise of this size in the middle: a composition found at one --size "
        "mostly stays at another.",
        rich_help_panel=_PICTURE,
    ),
]
ClipSkip = Annotated[
    int,
    Option(
        "--clip-skip",
        help="Take the text encoder's states before its last layers: 2 for the last but one.",
        rich_help_panel=_PICTURE,
    ),
]
VaeTiling = Annotated[
    str,
    Option(
        "--vae-tiling",
        metavar="NAME",
        help="Pass the autoencoder in tiles, which spares memory: one of "
        f"{', '.join(TILINGS.names)}; auto does above 1024x1024 "
        "pixels, and above what the device takes.",
        rich_help_panel=_RUNNING,
    ),
]

Model = Annotated[
    Path | None,
    Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A folder in the diffusers layout, a .safetensors file, or a name that avila "
        "model list shows; the bundled one if absent.",
        rich_help_panel=_RUNNING,
    ),
]
Tokenizer = Annotated[
    Path | None,
    Option(
        "--tokenizer",
        metavar="FOLDER",
        help="Folder with the vocab.json and merges.txt that a single file lacks; the folder "
        "called tokenizer beside it if absent.",
        rich_help_panel=_RUNNING,
    ),
]
Predicts = Annotated[
    str | None,
    Option(
        "--prediction",
        metavar="NAME",
        help="What a single file's UNet predicts, epsilon, v or sample (the picture itself), where "
        "the file does not tell: an SD 2.x model is taken for v, or for epsilon if its name says "
        "base or 512.",
        rich_help_panel=_RUNNING,
    ),
]
Output = Annotated[
    str,
    Option(
        "--output",
        "-o",
        metavar="PATH",
        help="A PNG, JPEG or WebP file, which is replaced, or a folder, where nothing is.",
        rich_help_panel=_RUNNING,
    ),
]
DeviceName = Annotated[
    str | None,
    Option(
        "--device",
        "-d",
        metavar="NAME",
        help="dawn, wgpu, vulkan, metal, dx12, gl, cpu, or part of a card's name; the best present "
        "if absent (avila doctor lists them).",
        rich_help_panel=_RUNNING,
    ),
]
Profile = Annotated[
    Path | None,
    Option(
        "--profile",
        metavar="FILE.json",
        help="Time every kernel: a table on stderr, and a trace for Perfetto or Chrome in the "
        "file, which is replaced. The run takes longer. The roof is our own quickest product or "
        "copy; Winograd's convolutions count a direct one's work, and may have over 100 %.",
        rich_help_panel=_RUNNING,
    ),
]
AsJson = Annotated[
    bool,
    Option("--json", help="Print one JSON object; no progress.", rich_help_panel=_RUNNING),
]
Debug = Annotated[
    bool,
    Option("--debug", help="Show tracebacks and messages of drivers.", rich_help_panel=_RUNNING),
]
