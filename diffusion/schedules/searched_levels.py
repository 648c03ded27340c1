"""Levels that were searched for on Stable Diffusion 1.5 and XL, log σ linear between them.

Sabour et al. 2024 (arXiv 2404.14507) found those of ten steps, and GITS (Chen et al. 2024, arXiv
2405.11326) others; the list of 32 is known from stable-diffusion-webui-forge alone. XL models have
their own lists (``NoiseSchedule.large``). The lists do not depend on the training noise.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from diffusion.schedules.noise_schedule import Levels, NoiseSchedule
from diffusion.schedules.spacings import append_level, require_steps

__all__ = [
    "align_your_steps",
    "align_your_steps_10",
    "align_your_steps_32",
    "align_your_steps_gits",
]

SearchedLevels = tuple[float, ...]

ELEVEN: Final = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
ELEVEN_XL: Final = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)
GITS: Final = (14.615, 4.617, 2.507, 1.236, 0.702, 0.402, 0.240, 0.156, 0.104, 0.094, 0.029)
GITS_XL: Final = (14.615, 4.734, 2.567, 1.529, 0.987, 0.652, 0.418, 0.268, 0.179, 0.127, 0.029)
# fmt: off
THIRTY_TWO: Final = (
    14.615, 11.23951352, 8.64363081, 6.64729424, 5.57250862, 4.71648546, 3.99196065, 3.5195609,
    3.13490466, 2.79228788, 2.48773628, 2.21663865, 1.97508351, 1.7793172, 1.61475335, 1.46540953,
    1.314849, 1.16642497, 1.03475547, 0.91573744, 0.80748169, 0.71202361, 0.621739, 0.53065202,
    0.4529096, 0.37491455, 0.27461819, 0.2011529, 0.14105873, 0.06682881, 0.03166121, 0.015,
)
THIRTY_TWO_XL: Final = (
    14.615, 11.1491618, 8.50522127, 6.48827151, 5.43707402, 4.60398619, 3.89854704, 3.27407457,
    2.74396527, 2.29968659, 1.95448514, 1.67108715, 1.42878152, 1.23181009, 1.06789649, 0.92579443,
    0.80290886, 0.69660121, 0.60436903, 0.52852552, 0.46773344, 0.41393379, 0.36258186, 0.31008517,
    0.26518925, 0.22326461, 0.17653877, 0.13959192, 0.10587381, 0.05519369, 0.02877334, 0.015,
)
# fmt: on


def align_your_steps(noise: NoiseSchedule, steps: int) -> Levels:
    """Interpolate the eleven levels from the first to the last, then 0.

    A1111's "Align Your Steps" and Forge's "Align Your Steps 11" do so: n steps from n levels.
    """
    return _all_levels(ELEVEN_XL if noise.large else ELEVEN, steps)


def align_your_steps_10(noise: NoiseSchedule, steps: int) -> Levels:
    """Interpolate the eleven levels of ten steps, the last of them replaced by 0.

    It is the rule of ComfyUI's node, of diffusers and of stable-diffusion.cpp's ``ays``.
    """
    searched = ELEVEN_XL if noise.large else ELEVEN
    return append_level(_interpolate(searched, require_steps(steps) + 1)[:-1])


def align_your_steps_32(noise: NoiseSchedule, steps: int) -> Levels:
    """Interpolate Forge's 32 levels from the first to the last, then 0."""
    return _all_levels(THIRTY_TWO_XL if noise.large else THIRTY_TWO, steps)


def align_your_steps_gits(noise: NoiseSchedule, steps: int) -> Levels:
    """Interpolate the levels of GITS from the first to the last, then 0."""
    return _all_levels(GITS_XL if noise.large else GITS, steps)


def _all_levels(searched: SearchedLevels, steps: int) -> Levels:
    """Return ``steps`` levels and 0: with one step the first alone, where A1111 has the last."""
    return append_level(_interpolate(searched, require_steps(steps)))


def _interpolate(searched: SearchedLevels, count: int) -> Levels:
    """Return ``count`` levels from the first to the last, evenly placed on the list."""
    places = np.linspace(0.0, len(searched) - 1.0, count)
    levels: Levels = np.exp(np.interp(places, np.arange(len(searched)), np.log(searched)))
    return levels
