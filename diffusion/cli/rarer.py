"""Options of drawing that few want: the noise's source, ``--set``, ``--seamless``, ``--from``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer import Argument, Option

from diffusion.cli.app import complain
from diffusion.cli.options import PROMPT_HELP
from diffusion.errors import SettingsError, quoted
from diffusion.infotext.grammar import parse_infotext, read_infotext
from diffusion.infotext.to_settings import DTYPE, picture_settings
from diffusion.noise import NOISES
from diffusion.settings import Settings
from diffusion.tasks import Hires, Variation
from diffusion.tasks.sampling_options import Sampling
from gpustd.matmul.conv import Wrap

__all__ = [
    "FromPicture",
    "PromptOrNone",
    "Rng",
    "Seamless",
    "Set",
    "UpscaleSeamless",
    "ZeroSnr",
    "again",
    "carried",
    "carried_dtype",
    "carried_switch",
    "check_partners",
    "parsed_sampling",
    "parsed_seamless",
    "some",
    "tell_other_networks",
    "written",
]

NAMES = tuple(field.name for field in fields(Sampling))
MOST_DIGITS = 40
OPTIONS = {"size": ("width", "height")}
"""Fields of `Settings` where they are not called like the option."""
VARIATION = {"variation": "strength", "variation_seed": "seed", "seed_resize": "resize_from"}
"""Fields of `Variation` by their options."""
AXES: Final[dict[str, Wrap]] = {"off": "", "x": "x", "y": "y", "xy": "xy"}
"""Axes along which edges meet, by their names on the command line."""
WITHOUT = "the model alone; give --refiner"
HIRES = "hires_"
"""What the options for fields of `Hires` begin with."""

"""What the WebUI writes where the noise is rescaled."""

PromptOrNone = Annotated[str | None, Argument(help=PROMPT_HELP, show_default=False)]
Rng = Annotated[
    str,
    Option(
        "--rng",
        metavar="NAME",
        help=f"Whose noise a seed means: one of {', '.join(NOISES.names)}; cpu for PyTorch's on a "
        "CPU.",
        rich_help_panel="Sampling",
    ),
]
Set = Annotated[
    list[str] | None,
    Option(
        "--set",
        metavar="NAME=VALUE",
        help=f"A rarer choice about sampling, again for each: {', '.join(NAMES)}. Beside --from, "
        "the picture's others stay, and NAME= takes one back.",
        rich_help_panel="Sampling",
    ),
]
ZeroSnr = Annotated[
    bool,
    Option(
        "--zero-snr/--no-zero-snr",
        help="Rescale the model's noise so that its last time step keeps nothing of the picture "
        "(zero terminal SNR), for models trained so whose file does not tell; usual beside it is "
        "--schedule trailing.",
        rich_help_panel="Sampling",
    ),
]
SEAMLESS_HELP = (
    "Let opposite edges meet, so that copies laid side by side show no seam: x (left and right), y "
    "(top and bottom) or xy, for textures and panoramas; off"
)
Seamless = Annotated[
    str,
    Option("--seamless", metavar="AXES", help=f"{SEAMLESS_HELP}.", rich_help_panel="The picture"),
]
UpscaleSeamless = Annotated[
    str | None,
    Option(
        "--seamless",
        metavar="AXES",
        help=f"{SEAMLESS_HELP}. As the picture's text says if absent.",
        rich_help_panel="The picture",
    ),
]
FromPicture = Annotated[
    Path | None,
    Option(
        "--from",
        metavar="PICTURE",
        help="Draw a picture again, by the settings that its file carries; options beside it "
        "change them.",
        rich_help_panel="The picture",
    ),
]


def parsed_sampling(texts: Sequence[str] | None) -> Sampling:
    """From ``NAME=VALUE`` each. Raises `SettingsError`."""
    return merged_sampling(Sampling(), texts)


def merged_sampling(made: Sampling, texts: Sequence[str] | None) -> Sampling:
    """``made`` with each ``NAME=VALUE`` changed; no value: back to the default.

    Raises `SettingsError`.
    """
    chosen: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in NAMES:
            raise SettingsError("set", text, f"give NAME=VALUE, NAME one of {', '.join(NAMES)}")
        try:
            chosen[name] = _number(name, value[:MOST_DIGITS]) if value.strip() else None
        except ValueError:
            kind = "a whole number" if name == "order" else "a number"
            raise SettingsError(name, value, f"give {kind}") from None
    return replace(made, **chosen)


def _number(name: str, text: str) -> float:
    return int(text) if name == "order" else float(text)


def parsed_seamless(text: str) -> Wrap:
    """The axes that ``--seamless`` names. Raises `SettingsError`."""
    if text not in AXES:
        raise SettingsError("seamless", text, f"give one of {', '.join(AXES)}")
    return AXES[text]


def carried(picture: Path) -> str:
    """The text that a picture's file carries. Raises `SettingsError` where it has none."""
    text = read_infotext(picture, "from")
    if text is None or not parse_infotext(text).settings:
        raise SettingsError("from", str(picture), "it carries no settings")
    return text


def written(context: typer.Context) -> dict[str, Any]:
    """The options that were written on the command line, with their values."""
    return {
        option: value
        for option, value in context.params.items()
        if getattr(context.get_parameter_source(option), "name", "") == "COMMANDLINE"
    }


def check_partners(
    options: Mapping[str, Any], hires: Hires | None, other: Variation | None
) -> None:
    """Refuse options about a second pass or a variation that there is not.

    Raises `SettingsError`.
    """
    for option, value in options.items():
        if option.startswith(HIRES) and hires is None:
            raise SettingsError(option.replace("_", " "), value, "give --hires SCALE beside it")
        if option == "variation_seed" and (other is None or not other.strength):
            raise SettingsError("variation seed", value, "give --variation STRENGTH beside it")


def again(text: str, given: Settings, asked: Variation, options: Mapping[str, Any]) -> Settings:
    """The settings in ``text``, with those of ``given`` that are among the ``options`` written.

    How many pictures and at once, is always as ``given``; ``asked``: the variation of all options.
    Not checked as a whole, so that an option can mend what another program wrote, such as an
    upscaler that is not here. Raises `SettingsError`.
    """
    own = {"count", "batch"}.union(*(OPTIONS.get(option, (option,)) for option in options))
    own &= {field.name for field in fields(Settings)} - {"hires", "variation"}
    made = picture_settings(text)
    sampling = merged_sampling(made.sampling, options.get("rare"))
    made = replace(made, **{name: getattr(given, name) for name in own})
    return replace(
        made,
        sampling=sampling,
        hires=_hires(made.hires, given.hires, options),
        variation=_variation(made.variation, asked, options),
    )


def _hires(made: Hires | None, given: Hires | None, options: Mapping[str, Any]) -> Hires | None:
    """The second pass of a picture with the options about it; where it has none, as ``given``."""
    parts = {o.removeprefix(HIRES): value for o, value in options.items() if o.startswith(HIRES)}
    if made is None:
        return given
    scale = given.scale if given else made.scale
    return replace(made, **{"scale": scale, **parts})


def _variation(
    made: Variation | None, asked: Variation, options: Mapping[str, Any]
) -> Variation | None:
    """The variation of a picture with the options about it."""
    parts = {field: getattr(asked, field) for o, field in VARIATION.items() if o in options}
    return some(asked if made is None else replace(made, **parts))


def some(variation: Variation) -> Variation | None:
    """The variation, or None where it changes nothing."""
    return variation if variation.strength or variation.resize_from else None


def carried_dtype(text: str) -> str | None:
    """The ``--dtype`` that a picture's text names, if any; not checked."""
    return parse_infotext(text).settings.get(DTYPE)


def carried_switch(text: str) -> float | None:
    """The share of the steps before the refiner that a picture's text names, if it is one."""
    try:
        return float(parse_infotext(text).settings.get("Refiner switch at", "")[:MOST_DIGITS])
    except ValueError:
        return None


def tell_other_networks(text: str, about: Mapping[str, Mapping[str, str]]) -> None:
    """One line for each network in a picture's text that is another than the one loaded.

    ``about``: names and hashes of the ``model``, and of the ``vae`` and the ``refiner`` given.
    """
    found = parse_infotext(text).settings
    refiner = found.get("Refiner")
    for part, name, wanted, lacking in (
        ("model", found.get("Model", ""), found.get("Model hash"), ""),
        ("VAE", found.get("VAE", ""), found.get("VAE hash"), "the model's own; give --vae"),
        ("refiner", refiner, refiner and refiner.rpartition("[")[2].rstrip("]"), WITHOUT),
    ):
        ours = about.get(part.lower())
        if wanted is not None and (ours is None or ours["hash"] != wanted):
            theirs = f"{quoted(name)} ({quoted(wanted, 20)})"
            drawn = "{name} ({hash})".format(**ours) if ours else lacking
            complain(f"the picture names another {part}, {theirs}; drawn by {drawn}")
