"""The table of samplers, with the names that A1111, ComfyUI, diffusers and sd.cpp have for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from diffusion.catalogue import Catalogue
from diffusion.samplers.cfgpp import (
    dpmpp_2m_cfg_pp,
    dpmpp_2s_a_cfg_pp,
    euler_cfg_pp,
    res_multistep_cfg_pp,
)
from diffusion.samplers.consistency import lcm, tcd
from diffusion.samplers.dpm_solver import (
    count_fast_steps,
    dpm_adaptive,
    dpm_fast,
    find_last_level,
)
from diffusion.samplers.dpm_solver_pp import dpmpp_2m, dpmpp_2m_v2, dpmpp_2s, dpmpp_2s_a
from diffusion.samplers.exponential import res_2s, res_multistep, seeds_2, seeds_3
from diffusion.samplers.first_order import euler, euler_a
from diffusion.samplers.multistep import deis, gradient_estimation, ipndm, ipndm_v, lms, plms
from diffusion.samplers.runge_kutta import dpm2, dpm2_a, heun, heunpp2, restart
from diffusion.samplers.sampler import Sampler
from diffusion.samplers.sde import (
    dpmpp_2m_sde,
    dpmpp_2m_sde_heun,
    dpmpp_3m_sde,
    dpmpp_sde,
    er_sde,
)
from diffusion.samplers.stochastic_adams import sa_solver, sa_solver_pece
from diffusion.samplers.unipc_solver import unipc, unipc_bh2

__all__ = ["SAMPLERS"]

# fmt: off
_TABLE: Final = [
    Sampler("euler", "Euler", euler, "uniform", churns=True),
    Sampler("euler_a", "Euler a", euler_a, "uniform", eta=1.0),
    Sampler("heun", "Heun", heun, "uniform", churns=True),
    Sampler("dpmpp_2m", "DPM++ 2M", dpmpp_2m, "karras"),
    Sampler("ddim", "DDIM", euler_a, "leading", eta=0.0),
    Sampler("ddpm", "DDPM", euler_a, "ddim_uniform", eta=1.0),
    Sampler("heunpp2", "HeunPP2", heunpp2, "uniform", churns=True),
    Sampler("lms", "LMS", lms, "uniform", orders=True),
    Sampler("dpm2", "DPM2", dpm2, "karras", churns=True, skips_level="every"),
    Sampler("dpm2_a", "DPM2 a", dpm2_a, "karras", eta=1.0, skips_level="every"),
    Sampler("dpmpp_2s_a", "DPM++ 2S a", dpmpp_2s_a, "karras", eta=1.0),
    Sampler("dpmpp_sde", "DPM++ SDE", dpmpp_sde, "karras", eta=1.0, brownian=True),
    Sampler("dpmpp_2m_sde", "DPM++ 2M SDE", dpmpp_2m_sde, "exponential", eta=1.0,
            brownian=True),
    Sampler("dpmpp_2m_sde_heun", "DPM++ 2M SDE Heun", dpmpp_2m_sde_heun, "exponential", eta=1.0,
            brownian=True),
    Sampler("dpmpp_3m_sde", "DPM++ 3M SDE", dpmpp_3m_sde, "exponential", eta=1.0,
            skips_level="every", brownian=True),
    Sampler("unipc_bh2", "UniPC bh2", unipc_bh2, "sgm_uniform", orders=True,
            skips_level="chosen"),
    Sampler("unipc", "UniPC", unipc, "sgm_uniform", orders=True, skips_level="chosen"),
    Sampler("deis", "DEIS", deis, "uniform", orders=True),
    Sampler("ipndm", "IPNDM", ipndm, "uniform", orders=True),
    Sampler("ipndm_v", "IPNDM_V", ipndm_v, "uniform", orders=True),
    Sampler("plms", "PLMS", plms, "leading", orders=True),
    Sampler("res_multistep", "Res Multistep", res_multistep, "uniform"),
    Sampler("lcm", "LCM", lcm, "sgm_uniform", eta=1.0),
    Sampler("tcd", "TCD", tcd, "sgm_uniform", eta=0.3, keeps_lowest=True),
    Sampler("dpm_fast", "DPM fast", dpm_fast, "karras", eta=0.0,
            own_steps=count_fast_steps, end=find_last_level),
    Sampler("dpm_adaptive", "DPM adaptive", dpm_adaptive, "karras",
            adaptive=True, end=find_last_level),
    Sampler("restart", "Restart", restart, "karras", noisy=True),
    Sampler("sa_solver", "SA-Solver", sa_solver, "sgm_uniform", eta=1.0),
    Sampler("euler_cfg_pp", "Euler CFG++", euler_cfg_pp, "uniform", splits=True),
    Sampler("euler_a_cfg_pp", "Euler a CFG++", euler_cfg_pp, "uniform", eta=1.0, splits=True),
    Sampler("dpmpp_2s_a_cfg_pp", "DPM++ 2S a CFG++", dpmpp_2s_a_cfg_pp, "karras",
            eta=1.0, splits=True),
    Sampler("dpmpp_2m_cfg_pp", "DPM++ 2M CFG++", dpmpp_2m_cfg_pp, "karras", splits=True),
    Sampler("ddim_cfg_pp", "DDIM CFG++", euler_cfg_pp, "leading", eta=0.0, splits=True),
    Sampler("dpmpp_2m_v2", "DPM++ 2M v2", dpmpp_2m_v2, "karras"),
    Sampler("dpmpp_2s", "DPM++ 2S", dpmpp_2s, "karras"),
    Sampler("res_2s", "RES 2S", res_2s, "uniform", eta=0.0),
    Sampler("res_multistep_a", "Res Multistep a", res_multistep, "uniform", eta=1.0),
    Sampler("gradient_estimation", "Gradient Estimation", gradient_estimation, "uniform"),
    Sampler("er_sde", "ER SDE", er_sde, "uniform", noisy=True, brownian=True),
    Sampler("seeds_2", "SEEDS 2", seeds_2, "uniform", eta=1.0, brownian=True),
    Sampler("seeds_3", "SEEDS 3", seeds_3, "uniform", eta=1.0, brownian=True),
    Sampler("sa_solver_pece", "SA-Solver PECE", sa_solver_pece, "sgm_uniform", eta=1.0),
    Sampler("res_multistep_cfg_pp", "Res Multistep CFG++", res_multistep_cfg_pp, "uniform",
            splits=True),
    Sampler("res_multistep_a_cfg_pp", "Res Multistep a CFG++", res_multistep_cfg_pp, "uniform",
            eta=1.0, splits=True),
]
# fmt: on

_ALIASES: Final = {
    "euler": "k_euler EulerDiscreteScheduler",
    "euler_a": "k_euler_a euler_ancestral EulerAncestralDiscreteScheduler",
    "heun": "k_heun HeunDiscreteScheduler",
    "dpmpp_2m": "k_dpmpp_2m DPMSolverMultistepScheduler",
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "heunpp2": "k_heunpp2",
    "lms": "k_lms LMSDiscreteScheduler",
    "dpm2": "k_dpm_2 KDPM2DiscreteScheduler",
    "dpm2_a": "k_dpm_2_a dpm_2_ancestral KDPM2AncestralDiscreteScheduler",
    "dpmpp_2s_a": "k_dpmpp_2s_a dpmpp_2s_ancestral",
    "dpmpp_sde": "k_dpmpp_sde dpmpp_sde_gpu DPMSolverSDEScheduler",
    "dpmpp_2m_sde": "k_dpmpp_2m_sde dpmpp_2m_sde_gpu dpm++2m_sde_bt",
    "dpmpp_2m_sde_heun": "k_dpmpp_2m_sde_heun dpmpp_2m_sde_heun_gpu",
    "dpmpp_3m_sde": "k_dpmpp_3m_sde dpmpp_3m_sde_gpu",
    "unipc_bh2": "uni_pc_bh2 UniPCMultistepScheduler",
    "unipc": "uni_pc_bh1 unipc_bh1",
    "deis": "DEISMultistepScheduler",
    "ipndm": "IPNDMScheduler",
    "plms": "pndm PNDMScheduler",
    "lcm": "k_lcm LCMScheduler",
    "tcd": "k_tcd TCDScheduler",
    "dpm_fast": "k_dpm_fast",
    "dpm_adaptive": "k_dpm_ad k_dpm_adaptive",
    "sa_solver": "SASolverScheduler",
    "euler_a_cfg_pp": "euler_ancestral_cfg_pp",
    "dpmpp_2s_a_cfg_pp": "dpmpp_2s_ancestral_cfg_pp",
    "dpmpp_2s": "DPMSolverSinglestepScheduler",
    "res_multistep_a": "res_multistep_ancestral",
    "gradient_estimation": "euler_ge",
    "res_multistep_a_cfg_pp": "res_multistep_ancestral_cfg_pp",
}
"""Other tools' names, parted by blanks."""

_CALLS: Final = {
    2: "heun dpm2 dpm2_a dpmpp_2s_a dpmpp_sde restart dpmpp_2s_a_cfg_pp res_2s seeds_2 "
    "sa_solver_pece",
    3: "heunpp2 seeds_3",
}
"""Samplers by the most calls of a step, where these are several and each step makes as many."""


def _add_aliases(sampler: Sampler) -> Sampler:
    """Return the sampler with all its aliases, and its calls.

    Lower-case names also count with ``sample_`` before them, as k-diffusion's functions, and
    classes' names without ``Scheduler``, as in diffusers' documents.
    """
    aliases = tuple(_ALIASES.get(sampler.name, "").split())
    names = (sampler.name, *aliases)
    functions = [f"sample_{name}" for name in names if name.islower()]
    classes = [name.removesuffix("Scheduler") for name in names if name.endswith("Scheduler")]
    calls = next((count for count, names in _CALLS.items() if sampler.name in names.split()), 1)
    return replace(sampler, aliases=(*aliases, *functions, *classes), calls=calls)


SAMPLERS: Final = Catalogue("sampler", [_add_aliases(entry) for entry in _TABLE])
