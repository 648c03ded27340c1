"""Samplers: from noise to a picture along a list of noise levels.

Law: generator functions of the array type's linear combinations, a denoiser and a noise source;
nothing here knows a model, a pipeline or a device. x = x₀ + σ·noise throughout: a list that ends
above 0 leaves x / √(1 + σ²) as the network's own scale for what is left.
"""

from diffusion.samplers.ancestral import ddim, euler_a
from diffusion.samplers.dpmpp import dpmpp_2m
from diffusion.samplers.euler import euler
from diffusion.samplers.heun import heun
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import (
    Algebra,
    Denoiser,
    NoiseSource,
    NumpyAlgebra,
    SamplerFunction,
    Step,
)
from diffusion.samplers.registry import (
    SAMPLERS,
    Sampler,
    find_sampler,
    find_sampler_and_schedule,
)

__all__ = [
    "SAMPLERS",
    "Algebra",
    "Denoiser",
    "NoiseSource",
    "NumpyAlgebra",
    "Sampler",
    "SamplerFunction",
    "SamplerOptions",
    "Step",
    "ddim",
    "dpmpp_2m",
    "euler",
    "euler_a",
    "find_sampler",
    "find_sampler_and_schedule",
    "heun",
]
