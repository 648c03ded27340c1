"""Noise levels: those a model was trained with, and those a sampler steps through.

Law: pure functions on float64 NumPy arrays. Nothing here knows a sampler, a model or a device.
"""

from diffusion.schedules.noise_schedule import Levels, NoiseConfig, NoiseSchedule, Scalings
from diffusion.schedules.registry import AUTOMATIC, SCHEDULES, Schedule, find_schedule
from diffusion.schedules.span import WHOLE, Span

__all__ = [
    "AUTOMATIC",
    "SCHEDULES",
    "WHOLE",
    "Levels",
    "NoiseConfig",
    "NoiseSchedule",
    "Scalings",
    "Schedule",
    "Span",
    "find_schedule",
]
