"""Options about a second pass at a larger size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from typer import Option

from diffusion.cli.options.completion import complete_from
from diffusion.cli.options.groups import OptionGroup, typed_values
from diffusion.cli.options.parsing import parse_size
from diffusion.cli.options.upscalers import find_upscaler
from diffusion.errors import SettingsError
from diffusion.images import read_image
from diffusion.samplers import SAMPLERS
from diffusion.schedules import AUTOMATIC, SCHEDULES
from diffusion.tasks import UPSCALERS, Hires

__all__ = ["HiresOptions"]


@dataclass(frozen=True)
class HiresOptions(OptionGroup, panel="Second pass", prefix="hires"):
    """The second pass, whose fields are those of `Hires`."""

    scale: Annotated[
        float | None,
        Option(
            "--hires",
            metavar="SCALE",
            help="Enlarge the picture this many times and draw on it again; 1.5 to 2 is usual.",
            show_default="no second pass",
        ),
    ] = None
    resize: Annotated[
        str | None,
        Option(
            metavar="WxH",
            help="Size of the result, in place of --hires. For another shape, two sides of the "
            "enlarged picture are cut.",
            show_default="by --hires",
        ),
    ] = None
    upscaler: Annotated[
        str | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(UPSCALERS.names),
            help=f"How the picture is enlarged: one of {', '.join(UPSCALERS.names)}, a network in "
            "--upscalers, or the path of its .safetensors file. Those of latents need a strength "
            "above 0.5.",
            show_default="latent",
        ),
    ] = None
    strength: Annotated[
        float | None,
        Option(
            help="How much of the picture the second pass draws anew, 0.05 to 1.",
            show_default=str(Hires.strength),
        ),
    ] = None
    steps: Annotated[
        int | None,
        Option(help="Steps of the second pass.", show_default="as many as the first pass"),
    ] = None
    sampler: Annotated[
        str | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(SAMPLERS.names),
            help="Sampler of the second pass.",
            show_default="that of the first pass",
        ),
    ] = None
    schedule: Annotated[
        str | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from((AUTOMATIC, *SCHEDULES.names)),
            help="Noise levels of the second pass.",
            show_default="those of the first pass",
        ),
    ] = None
    guidance: Annotated[
        float | None,
        Option(help="Guidance of the second pass.", show_default="that of the first pass"),
    ] = None
    prompt: Annotated[
        str | None, Option(help="Prompt of the second pass.", show_default="that of the first pass")
    ] = None
    negative: Annotated[
        str | None,
        Option(help="Negative prompt of the second pass.", show_default="that of the first pass"),
    ] = None

    first_pass: Annotated[
        Path | None,
        Option(
            "--hires-first",
            metavar="PICTURE",
            help="A picture that the first pass drew before: the second pass alone is made. It is "
            "as large as the first pass, unless --size says how large that was.",
            show_default="the first pass is made",
        ),
    ] = None

    def change(self, hires: Hires | None) -> Hires | None:
        """Return ``hires`` with what was typed, or None where there is no second pass.

        Raises `SettingsError` for an option about a second pass that there is not.
        """
        values = typed_values(self)
        file = values.pop("first_pass", None)
        if file is not None:
            values["first"] = str(file)
        if hires is None and self.scale is None and self.resize is None:
            for name, value in values.items():
                raise SettingsError(f"hires {name}", value, "needs --hires SCALE")
            return None
        if self.resize is not None:
            values["resize"] = parse_size(self.resize, "hires resize")
        elif self.scale is not None:
            values["resize"] = None  # that of a picture's text
        if self.upscaler is not None:
            values["upscaler"] = find_upscaler(self.upscaler)
        if file is not None:
            values["first"] = read_image(file, "hires first")
        return replace(hires or Hires(), **values)
