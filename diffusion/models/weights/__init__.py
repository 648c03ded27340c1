"""Weights: their way to a device, and where they lie.

Law: nothing here knows a network.
"""

from diffusion.models.weights.parameters import (
    LEAST_PARKED,
    FileArray,
    Layout,
    Parameter,
    Table,
    Weight,
    WeightGroup,
    largest_buffer,
)
from diffusion.models.weights.uploading import upload

__all__ = [
    "LEAST_PARKED",
    "FileArray",
    "Layout",
    "Parameter",
    "Table",
    "Weight",
    "WeightGroup",
    "largest_buffer",
    "upload",
]
