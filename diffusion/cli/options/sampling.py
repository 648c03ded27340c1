"""Options about how noise becomes a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Final

from typer import Option

from diffusion.checkpoints.bundled import (
    BUNDLED_GUIDANCE,
    BUNDLED_SPLIT_GUIDANCE,
    BUNDLED_STEPS,
)
from diffusion.cli.options.completion import complete_from
from diffusion.cli.options.groups import OptionGroup, typed_values
from diffusion.cli.options.parsing import RARE_CHOICES, change_sampling
from diffusion.noise import NOISES
from diffusion.samplers import SAMPLERS
from diffusion.schedules import AUTOMATIC, SCHEDULES
from diffusion.settings import Defaults, Settings
from diffusion.tasks import SPEED_PRESETS

__all__ = ["SamplingOptions"]


USUAL: Final = ("dpmpp_2m", "euler_a", "euler", "dpmpp_2m_sde", "unipc", "ddim", "lcm")
"""Samplers that the help names first."""

STEPS: Final = f"{Defaults.steps}; {BUNDLED_STEPS} for the bundled model, 4 for a consistency model"
GUIDANCE: Final = (
    f"{Defaults.guidance:g}; {BUNDLED_GUIDANCE:g} for the bundled model "
    f"({BUNDLED_SPLIT_GUIDANCE:g} with CFG++), 8 for a consistency model"
)


@dataclass(frozen=True)
class SamplingOptions(OptionGroup, panel="Sampling", first=("steps", "guidance", "sampler")):
    """The sampler, its steps and its noise."""

    steps: Annotated[int | None, Option(help="Steps of the sampler.", show_default=STEPS)] = None
    guidance: Annotated[
        float | None,
        Option(
            help="How closely to follow the prompt. 1 turns guidance off and halves the work.",
            show_default=GUIDANCE,
        ),
    ] = None
    sampler: Annotated[
        str | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(SAMPLERS.names),
            help=f"Such as {', '.join(USUAL)}; the list stands below the options. The names of "
            "other tools are understood.",
            show_default=f"{Defaults.sampler}, or lcm for a consistency model",
        ),
    ] = None
    schedule: Annotated[
        str | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from((AUTOMATIC, *SCHEDULES.names)),
            help=f"Noise levels of the steps: {', '.join((AUTOMATIC, *SCHEDULES.names))}. The "
            "names of other tools are understood.",
            show_default=f"{Defaults.schedule}: the sampler's or the model's own",
        ),
    ] = None
    speed: Annotated[
        str | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(SPEED_PRESETS.names),
            help="Sampler, schedule, steps and guidance for a LoRA or model of few steps: "
            f"{', '.join(SPEED_PRESETS.names)}. Other options take the place of its values.",
            show_default=False,
        ),
    ] = None
    eta: Annotated[
        float | None,
        Option(
            help="How much noise ddim or euler_a adds at each step, 0 to 1.",
            show_default="0 for ddim, 1 for euler_a",
        ),
    ] = None
    rng: Annotated[
        str | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(NOISES.names),
            help=f"Which random numbers a seed means: one of {', '.join(NOISES.names)}. cpu is "
            "PyTorch's on a CPU.",
            show_default=Settings.rng,
        ),
    ] = None
    rare_choices: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="NAME=VALUE",
            autocompletion=complete_from(f"{name}=" for name in RARE_CHOICES),
            help=f"A rarer choice about sampling: {', '.join(RARE_CHOICES)}. Repeat the option for "
            "more of them. With --from the picture's other choices stay, and NAME= takes one back.",
        ),
    ] = None
    zero_snr: Annotated[
        bool | None,
        Option(
            "--zero-snr/--no-zero-snr",
            help="Rescale the model's noise so that its last time step keeps nothing of the "
            "picture (zero terminal SNR). For models that were trained so and whose file does not "
            "say it; --schedule trailing is usual beside it.",
            show_default="no-zero-snr",
        ),
    ] = None

    def change(self, settings: Settings) -> Settings:
        """Return ``settings`` with what was typed. Raises `SettingsError`."""
        values = typed_values(self)
        rare_choices = values.pop("rare_choices", ())
        speed = values.pop("speed", None)
        if speed is not None:
            settings = replace(settings, **SPEED_PRESETS.find(speed).settings)
        sampling = change_sampling(settings.sampling, rare_choices)
        return replace(settings, **values, sampling=sampling)
