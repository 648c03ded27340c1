"""Options about where a command computes, what it writes, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from typer import Option

from diffusion.cli.file_names import FIELDS
from diffusion.cli.options.completion import complete_from
from diffusion.cli.options.groups import OptionGroup
from diffusion.cli.options.shared import DebugOption, DeviceOption, JsonOption, QuietOption
from diffusion.settings import Settings
from diffusion.tasks import TILINGS

__all__ = ["RunOptions"]


@dataclass(frozen=True)
class RunOptions(OptionGroup, panel="Files, memory and messages", first=("output", "device")):
    """The files that are written, the device, and what goes to stdout and stderr."""

    output: Annotated[
        str,
        Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A PNG, JPEG or WebP file, which is replaced; or a folder, where no file is "
            "replaced. A name may have fields, such as {date}/{seed}-{prompt}.png; then no file "
            f"is replaced. They are {', '.join(FIELDS)}.",
        ),
    ] = "."
    device: DeviceOption = None
    batch: Annotated[
        int | None,
        Option(
            help="How many pictures to compute at once. More are quicker and take more memory.",
            show_default="as many as --count, at most 4",
        ),
    ] = None
    vae_tiling: Annotated[
        str | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(TILINGS.names),
            help="Encode and decode pictures in tiles, which takes less memory: one of "
            f"{', '.join(TILINGS.names)}. auto does so above 1024x1024 pixels, and where a picture "
            "is too large for the device's buffers.",
            show_default=Settings.vae_tiling,
        ),
    ] = None
    profile: Annotated[
        Path | None,
        Option(
            metavar="FILE.json",
            help="Measure the time of every kernel. A table goes to stderr, and a trace for "
            "Perfetto or Chrome to the file, which is replaced. The run takes longer. The roof in "
            "the table is our own quickest matrix product or copy. Winograd convolutions count "
            "the work of a direct convolution, so they can be over 100 %.",
        ),
    ] = None
    force: Annotated[
        bool, Option("--force", help="Let --output replace a file that the command reads.")
    ] = False
    as_json: JsonOption = False
    quiet: QuietOption = False
    debug: DebugOption = False

    def change(self, settings: Settings) -> Settings:
        """Return ``settings`` with the batch and the tiling that were typed."""
        tiling = settings.vae_tiling if self.vae_tiling is None else self.vae_tiling
        return replace(settings, batch=self.batch, vae_tiling=tiling)
