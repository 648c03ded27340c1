"""The options of the commands, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from diffusion.prompts import EMPHASES
from diffusion.samplers import SAMPLERS
from diffusion.schedules import AUTOMATIC, SCHEDULES

__all__ = [
    "AsJson",
    "Batch",
    "Count",
    "Debug",
    "DeviceName",
    "EmphasisName",
    "Eta",
    "Guidance",
    "Model",
    "Negative",
    "Output",
    "Profile",
    "Prompt",
    "SamplerName",
    "ScheduleName",
    "Seed",
    "Size",
    "Steps",
]

_PICTURE = "The picture"
_SAMPLING = "Sampling"
_RUNNING = "Files and devices"

Prompt = Annotated[
    str,
    Argument(
        help="What to draw; may be empty. (word) and (word:1.3) weigh more, [word] less.",
        show_default=False,
    ),
]

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
        help=f"One of {', '.join(SAMPLERS.names)}.",
        rich_help_panel=_SAMPLING,
    ),
]
ScheduleName = Annotated[
    str | None,
    Option(
        "--schedule",
        metavar="NAME",
        help=f"Noise levels: {', '.join((AUTOMATIC, *SCHEDULES.names))}.",
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

Model = Annotated[
    Path | None,
    Option(
        "--model",
        "-m",
        metavar="FOLDER",
        help="A Stable Diffusion 1.x model in the diffusers layout; the bundled one if absent.",
        rich_help_panel=_RUNNING,
    ),
]
Output = Annotated[
    str,
    Option(
        "--output",
        "-o",
        metavar="PATH",
        help="A PNG file, which is replaced, or a folder, where nothing is.",
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
        "file, which is replaced. The run takes longer.",
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
