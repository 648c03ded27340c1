"""Options about several requests at once: a file of prompts, and grids of settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from diffusion.cli.options.groups import OptionGroup

__all__ = ["SeriesOptions"]


@dataclass(frozen=True)
class SeriesOptions(OptionGroup, panel="Series of pictures"):
    """Prompts from a file, or a grid, and how a series goes on."""

    prompts: Annotated[
        Path | None,
        Option(
            "--prompts",
            metavar="FILE",
            help="Draw every prompt of a file: one a line, where lines that begin with # do not "
            'count, or JSON lines such as {"prompt": "a fox", "steps": 20}, whose keys are '
            "options. - is stdin. A run that was stopped goes on where it stopped.",
        ),
    ] = None
    restart: Annotated[
        bool, Option("--restart", help="Draw all of --prompts, also what a stopped run finished.")
    ] = False
    grid: Annotated[
        list[str] | None,
        Option(
            "--grid",
            metavar="AXIS=VALUES",
            help="Draw a grid of pictures, such as --grid steps=8,12,20 --grid sampler=euler,heun: "
            "columns, rows, then grids below each other. An axis is any option about the picture, "
            "prompt, or replace=cat,dog: the first text in the prompt, then the others in its "
            "place. Numbers may be 1-5, 1-9(+2) or 0.2-1[5].",
        ),
    ] = None
    keep_pictures: Annotated[
        bool,
        Option("--grid-pictures", help="Write each picture of the grid to a file, too."),
    ] = False
