"""The scripts by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from diffusion.errors import quote
from diffusion.server.errors import RefusedError
from diffusion.server.jobs.request import WorkLimits
from diffusion.server.routes.sdapi.requests import DrawBody, Img2ImgBody
from diffusion.server.routes.sdapi.scripts.plan import Plan, Script, read_arguments
from diffusion.server.routes.sdapi.scripts.prompt_matrix import PromptMatrix
from diffusion.server.routes.sdapi.scripts.xyz_plot import XyzPlot

__all__ = ["SCRIPTS", "make_plan"]

SCRIPTS: Final[Sequence[Script]] = (PromptMatrix(), XyzPlot())

MOST_GRID_PIXELS: Final = 1 << 26
"""Pixels of all pictures of a grid."""


def make_plan(body: DrawBody, limits: WorkLimits) -> Plan | None:
    """Return what the script of a request draws; None without a script.

    Raises `RefusedError` for an unknown script, or more work than one request may ask for.
    """
    if not body.script_name:
        return None
    name = body.script_name.casefold()
    for script in SCRIPTS:
        if script.title.casefold() == name:
            arguments = script.arguments(isinstance(body, Img2ImgBody))
            plan = script.plan(body, read_arguments(arguments, body.script_args))
            _check_work(plan.bodies, limits)
            return plan
    known = " and ".join(script.title for script in SCRIPTS)
    raise RefusedError(f"Script not found: {quote(body.script_name)}; this server has {known}")


def _check_work(bodies: Sequence[DrawBody], limits: WorkLimits) -> None:
    """Raise `RefusedError` for more pictures, pixels or steps than one request may ask for."""
    counts = [body.batch_size * body.n_iter for body in bodies]
    pixels = [body.width * body.height * n for body, n in zip(bodies, counts, strict=True)]
    work = sum(body.steps * each for body, each in zip(bodies, pixels, strict=True))
    if sum(counts) > limits.count or sum(pixels) > MOST_GRID_PIXELS or work > limits.work:
        message = (
            f"{sum(counts)} pictures of {sum(pixels)} pixels in all are more than one script may "
            f"draw here ({limits.count} pictures of {MOST_GRID_PIXELS} pixels); take fewer values"
        )
        raise RefusedError(message)
