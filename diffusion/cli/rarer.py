"""Options of drawing that few want: the noise's source, ``--set NAME=VALUE``, ``--from``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from diffusion.cli.app import complain
from diffusion.cli.options import PROMPT_HELP
from diffusion.errors import SettingsError, quoted
from diffusion.infotext import parse_infotext, read_infotext
from diffusion.noise_sources import NOISES
from diffusion.picture_settings import picture_settings
from diffusion.sampling import Sampling
from diffusion.settings import Settings

__all__ = [
    "FromPicture",
    "PromptOrNone",
    "Rng",
    "Set",
    "again",
    "carried",
    "parsed_sampling",
    "tell_other_model",
]

NAMES = tuple(field.name for field in fields(Sampling))
MOST_DIGITS = 40
OPTIONS = {
    "size": ("width", "height"),
    "variation_seed": ("variation",),
    "seed_resize": ("variation",),
    "rare": ("sampling",),
}
"""Fields of `Settings` where they are not called like the option."""

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
        help=f"A rarer choice about sampling, again for each: {', '.join(NAMES)}.",
        rich_help_panel="Sampling",
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
    chosen: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in NAMES:
            raise SettingsError("set", text, f"give NAME=VALUE, NAME one of {', '.join(NAMES)}")
        try:
            chosen[name] = int(value[:MOST_DIGITS]) if name == "order" else float(value)
        except ValueError:
            raise SettingsError(name, value, "give a number") from None
    return Sampling(**chosen)


def carried(picture: Path) -> str:
    """The text that a picture's file carries. Raises `SettingsError` where it has none."""
    text = read_infotext(picture)
    if text is None:
        raise SettingsError("from", str(picture), "it carries no settings")
    return text


def again(picture: Path, given: Settings, context: typer.Context) -> Settings:
    """The settings in ``picture``, with those of ``given`` that were written on the command line.

    How many pictures and at once, is always as ``given``. Raises `SettingsError`.
    """
    written = {
        field
        for option in context.params
        if getattr(context.get_parameter_source(option), "name", "") == "COMMANDLINE"
        for field in OPTIONS.get(option, (option.split("_")[0] if "hires" in option else option,))
    }
    own = {field.name for field in fields(Settings)} & (written | {"count", "batch"})
    made = picture_settings(carried(picture))
    return replace(made, **{name: getattr(given, name) for name in own})


def tell_other_model(text: str, name: str, digest: str) -> None:
    """One line where a picture's text names another model than the one loaded."""
    found = parse_infotext(text).settings
    wanted = found.get("Model hash")
    if wanted is not None and wanted != digest:
        theirs = f"{quoted(found.get('Model', ''))} ({quoted(wanted, 20)})"
        complain(f"the picture names another model, {theirs}; drawn by {name} ({digest})")
