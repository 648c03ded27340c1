"""Samplers: from noise to a picture along a list of noise levels.

Law: generator functions of the array type's linear combinations, a denoiser and a noise source;
nothing here knows a model, a pipeline or a device. x = x₀ + σ·noise throughout: a list that ends
above 0 leaves x / √(1 + σ²) as the network's own scale for what is left.
"""

from diffusion.samplers.ancestral import ddim, euler_a
from diffusion.samplers.brownian import BrownianPath
from diffusion.samplers.cfgpp import (
    ddim_cfg_pp,
    dpmpp_2m_cfg_pp,
    dpmpp_2s_a_cfg_pp,
    euler_a_cfg_pp,
    euler_cfg_pp,
    res_multistep_a_cfg_pp,
    res_multistep_cfg_pp,
)
from diffusion.samplers.dpm_solver import dpm_adaptive, dpm_fast
from diffusion.samplers.dpmpp import dpmpp_2m, dpmpp_2m_v2, dpmpp_2s
from diffusion.samplers.er_sde import er_sde
from diffusion.samplers.euler import euler
from diffusion.samplers.heun import heun
from diffusion.samplers.heunpp2 import heunpp2
from diffusion.samplers.lcm import lcm, tcd
from diffusion.samplers.multistep import deis, gradient_estimation, ipndm, ipndm_v, lms, plms
from diffusion.samplers.names import chosen_schedule, find_sampler, find_sampler_and_schedule
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import (
    Algebra,
    Denoiser,
    NoiseSource,
    NumpyAlgebra,
    SamplerFunction,
    SplitDenoiser,
    Step,
)
from diffusion.samplers.registry import SAMPLERS
from diffusion.samplers.res import res_2s, res_multistep, res_multistep_a
from diffusion.samplers.restart import restart
from diffusion.samplers.sa_solver import sa_solver
from diffusion.samplers.sa_solver_pece import sa_solver_pece
from diffusion.samplers.sampler import Sampler
from diffusion.samplers.sde import (
    dpmpp_2m_sde,
    dpmpp_2m_sde_heun,
    dpmpp_3m_sde,
    dpmpp_sde,
)
from diffusion.samplers.seeds import seeds_2, seeds_3
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
    "SplitDenoiser",
    "Step",
    "chosen_schedule",
    "ddim",
    "ddim_cfg_pp",
    "deis",
    "dpm2",
    "dpm2_a",
    "dpm_adaptive",
    "dpm_fast",
    "dpmpp_2m",
    "dpmpp_2m_cfg_pp",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun",
    "dpmpp_2m_v2",
    "dpmpp_2s",
    "dpmpp_2s_a",
    "dpmpp_2s_a_cfg_pp",
    "dpmpp_3m_sde",
    "dpmpp_sde",
    "er_sde",
    "euler",
    "euler_a",
    "euler_a_cfg_pp",
    "euler_cfg_pp",
    "find_sampler",
    "find_sampler_and_schedule",
    "gradient_estimation",
    "heun",
    "heunpp2",
    "ipndm",
    "ipndm_v",
    "lcm",
    "lms",
    "plms",
    "res_2s",
    "res_multistep",
    "res_multistep_a",
    "res_multistep_a_cfg_pp",
    "res_multistep_cfg_pp",
    "restart",
    "sa_solver",
    "sa_solver_pece",
    "seeds_2",
    "seeds_3",
    "tcd",
    "unipc",
    "unipc_bh2",
]
