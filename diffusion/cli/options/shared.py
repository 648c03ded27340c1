"""Options and arguments that several groups and commands take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from typer import Argument, Option

from diffusion.cli.options.completion import (
    complete_devices,
    complete_from,
    complete_models,
)
from diffusion.errors import SettingsError
from diffusion.models.quantized import WEIGHT_NAMES

__all__ = [
    "PROMPT_HELP",
    "ControlFolderOption",
    "DebugOption",
    "DeviceOption",
    "EmbeddingFolderOption",
    "EndsOption",
    "ImageArgument",
    "JsonOption",
    "LoraFolderOption",
    "ModelOption",
    "NetworkTypeOption",
    "PredictionOption",
    "PromptArgument",
    "QuietOption",
    "RegionsOption",
    "SizeOption",
    "StartSizeOption",
    "StartsOption",
    "StrengthsOption",
    "TokenizerOption",
    "UpscalerFolderOption",
    "VaeFolderOption",
    "VramOption",
    "name_option",
    "require_prompt",
]

PROMPT_HELP: Final = (
    "What to draw; may be empty. (word) and (word:1.3) give a word more weight, \\[word] gives it "
    "less. \\[x:y:0.5] is x, then y from half of the steps on. \\[x|y] is x and y in turn. "
    "x AND y :0.5 draws both, y with half the weight."
)

PromptArgument = Annotated[str | None, Argument(help=PROMPT_HELP, show_default=False)]
ImageArgument = Annotated[
    Path,
    Argument(help="The picture to start from: a PNG, JPEG or WebP file.", show_default=False),
]
SizeOption = Annotated[
    str | None,
    Option(
        "--size",
        metavar="WxH",
        help="Width and height in pixels, multiples of 8, such as 512x768.",
        show_default="the model's own",
    ),
]
StartSizeOption = Annotated[
    str | None,
    Option(
        "--size",
        metavar="WxH",
        help="Width and height to draw at, in pixels, multiples of 8.",
        show_default="the picture's own",
    ),
]
ModelOption = Annotated[
    Path | None,
    Option(
        "--model",
        "-m",
        metavar="MODEL",
        autocompletion=complete_models,
        help="A folder in the diffusers layout, a .safetensors file, or a name that "
        "'avila model list' shows.",
        show_default="the bundled model",
    ),
]
TokenizerOption = Annotated[
    Path | None,
    Option(
        "--tokenizer",
        metavar="FOLDER",
        help="Folder with vocab.json and merges.txt, which a single file does not hold.",
        show_default="the folder 'tokenizer' beside the file",
    ),
]
PredictionOption = Annotated[
    str | None,
    Option(
        "--prediction",
        metavar="NAME",
        autocompletion=complete_from(("epsilon", "v", "sample")),
        help="What the UNet of a single file predicts: epsilon (the noise), v, or sample (the "
        "picture). Give it where the file does not say. Without it an SD 2.x model counts as v, "
        "or as epsilon if its name has 'base' or '512' in it.",
    ),
]
DeviceOption = Annotated[
    str | None,
    Option(
        "--device",
        "-d",
        metavar="NAME",
        autocompletion=complete_devices,
        help="Where to compute: dawn, wgpu, vulkan, metal, dx12, gl, cpu, or part of a card's "
        "name. 'avila doctor' lists what is here.",
        show_default="the best one here",
    ),
]
LoraFolderOption = Annotated[
    Path | None, Option(metavar="FOLDER", help="Folder of the LoRAs that prompts name.")
]
EmbeddingFolderOption = Annotated[
    Path | None,
    Option(metavar="FOLDER", help="Folder of textual inversions, which are words in prompts."),
]
ControlFolderOption = Annotated[
    Path | None, Option(metavar="FOLDER", help="Folder of ControlNets and T2I-Adapters by name.")
]
UpscalerFolderOption = Annotated[
    Path | None, Option(metavar="FOLDER", help="Folder of ESRGAN and Real-ESRGAN networks by name.")
]
VaeFolderOption = Annotated[
    Path | None, Option(metavar="FOLDER", help="Folder of VAEs that requests name.")
]
VramOption = Annotated[
    str | None,
    Option(
        "--vram",
        metavar="SIZE",
        help="The most memory that the device gives, such as 4G. Weights that do not fit lie in "
        "the computer's memory, and are copied when they are needed. 'avila plan' tells how a "
        "drawing fits.",
        show_default="all that the device has",
    ),
]
WeightsOption = Annotated[
    str | None,
    Option(
        "--weights",
        metavar="NAME",
        autocompletion=complete_from(WEIGHT_NAMES),
        help=f"Format that weights are kept in: one of {', '.join(WEIGHT_NAMES)}.",
        show_default="as in the file",
    ),
]
NetworkTypeOption = Annotated[
    str | None, Option(metavar="NAME", help="Number type of the networks: f16 or f32.")
]
StrengthsOption = Annotated[
    list[float] | None,
    Option(help="Strength; 1 is what it was trained for.", show_default="1"),
]
StartsOption = Annotated[
    list[float] | None,
    Option(metavar="SHARE", help="Share of the steps after which it counts.", show_default="0"),
]
EndsOption = Annotated[
    list[float] | None,
    Option(metavar="SHARE", help="Share of the steps until which it counts.", show_default="1"),
]
RegionsOption = Annotated[
    list[Path] | None,
    Option(
        metavar="PICTURE",
        help="Where it counts: white wholly, black not at all.",
        show_default="everywhere",
    ),
]
JsonOption = Annotated[bool, Option("--json", help="Print one JSON object, and no progress.")]
QuietOption = Annotated[
    bool,
    Option(
        "--quiet",
        "-q",
        help="Print no progress and no summary: only the names of files, and errors.",
    ),
]
DebugOption = Annotated[
    bool, Option("--debug", help="Show tracebacks, and what drivers print to stderr.")
]


def name_option(names: Sequence[str], text: str, default: str) -> Any:
    """Return an option that takes one of ``names``, which its help lists after ``text``."""
    return Option(
        metavar="NAME",
        autocompletion=complete_from(names),
        help=f"{text}: one of {', '.join(names)}.",
        show_default=default,
    )


def require_prompt(prompt: str | None) -> str:
    """Return the prompt. Raises `SettingsError` where none was given."""
    if prompt is None:
        raise SettingsError("prompt", None, "give one, or --prompts FILE")
    return prompt
