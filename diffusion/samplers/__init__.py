"""Samplers: from noise to a picture along a list of noise levels.

Law: generator functions of the array type's linear combinations, a denoiser and a noise source;
nothing here knows a model, a pipeline or a device. x = x₀ + σ·noise throughout: a list that ends
above 0 leaves x / √(1 + σ²) as the network's own scale for what is left.
"""

from diffusion.samplers.ancestral import ddim, euler_a
from diffusion.samplers.brownian import BrownianPath
from diffusion.samplers.dpmpp import dpmpp_2m
from diffusion.samplers.euler import euler
from diffusion.samplers.heun import heun
from diffusion.samplers.heunpp2 import heunpp2
from diffusion.samplers.lcm import lcm
from diffusion.samplers.multistep import deis, ipndm, lms, plms
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
from diffusion.samplers.sde import (
    dpmpp_2m_sde,
    dpmpp_2m_sde_heun,
    dpmpp_3m_sde,
    dpmpp_sde,
    res_multistep,
)
from diffusion.samplers.singlestep import dpm2, dpm2_a, dpmpp_2s_a
from diffusion.samplers.unipc import unipc, unipc_bh2

__all__ = [
    "SAMPLERS",
    "Algebra",
    "BrownianPath",
    "Denoiser",
    "NoiseSource",
    "NumpyAlgebra",
    "Sampler",
    "SamplerFunction",
    "SamplerOptions",
    "Step",
    "ddim",
    "deis",
    "dpm2",
    "dpm2_a",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun",
    "dpmpp_2s_a",
    "dpmpp_3m_sde",
    "dpmpp_sde",
    "euler",
    "euler_a",
    "find_sampler",
    "find_sampler_and_schedule",
    "heun",
    "heunpp2",
    "ipndm",
    "lcm",
    "lms",
    "plms",
    "res_multistep",
    "unipc",
    "unipc_bh2",
]
