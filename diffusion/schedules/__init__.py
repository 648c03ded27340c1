"""Noise levels: those that a model was trained with, and those that a sampler steps through.

Law: pure functions on float64 NumPy arrays. Nothing here knows a sampler, a model or a device.
"""

from diffusion.schedules.noise_schedule import Levels, NoiseConfig, NoiseSchedule, Scalings
from diffusion.schedules.options import NO_OPTIONS, ScheduleOptions
from diffusion.schedules.registry import (
    AUTOMATIC,
    SCHEDULES,
    Schedule,
    ScheduleChoice,
    find_schedule,
)

__all__ = [
    "AUTOMATIC",
    "NO_OPTIONS",
    "SCHEDULES",
    "Levels",
    "NoiseConfig",
    "NoiseSchedule",
    "Scalings",
    "Schedule",
    "ScheduleChoice",
    "ScheduleOptions",
    "find_schedule",
]
