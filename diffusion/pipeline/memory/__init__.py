"""Runs within a budget of memory: traced before the first step, then placed as the plan says.

Law: a plan is not an estimate. The pipeline itself runs on a device that counts and computes
nothing, with the pool, the variants and the limits of the real one.
"""

from diffusion.pipeline.memory.budget import MemoryBudget, find_fitting, load_within, with_tiles
from diffusion.pipeline.memory.copying import with_copy_rate
from diffusion.pipeline.memory.pair import PlacedPair
from diffusion.pipeline.memory.placed import PlacedModel
from diffusion.pipeline.memory.run_key import RunKey, sizes_of
from diffusion.pipeline.memory.tracing import trace_run, traced_device

__all__ = [
    "MemoryBudget",
    "PlacedModel",
    "PlacedPair",
    "RunKey",
    "find_fitting",
    "load_within",
    "sizes_of",
    "trace_run",
    "traced_device",
    "with_copy_rate",
    "with_tiles",
]
