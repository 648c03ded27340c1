"""The samplers by name. Labels and aliases are those of A1111, ComfyUI, diffusers and sd.cpp."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from diffusion.catalogue import Catalogue
from diffusion.samplers.ancestral import DDIM_ETA, EULER_A_ETA, ddim, euler_a
from diffusion.samplers.cfgpp import (
    ddim_cfg_pp,
    dpmpp_2m_cfg_pp,
    dpmpp_2s_a_cfg_pp,
    euler_a_cfg_pp,
    euler_cfg_pp,
    res_multistep_a_cfg_pp,
    res_multistep_cfg_pp,
)
from diffusion.samplers.dpm_solver import (
    DPM_FAST_ETA,
    dpm_adaptive,
    dpm_fast,
    fast_steps,
    solver_end,
)
from diffusion.samplers.dpmpp import dpmpp_2m, dpmpp_2m_v2, dpmpp_2s
from diffusion.samplers.er_sde import er_sde
from diffusion.samplers.euler import euler
from diffusion.samplers.heun import heun
from diffusion.samplers.heunpp2 import heunpp2
from diffusion.samplers.lcm import LCM_ETA, TCD_ETA, lcm, tcd
from diffusion.samplers.multistep import deis, gradient_estimation, ipndm, ipndm_v, lms, plms
from diffusion.samplers.res import (
    RES_2S_ETA,
    RES_A_ETA,
    res_2s,
    res_multistep,
    res_multistep_a,
)
from diffusion.samplers.restart import restart
from diffusion.samplers.sa_solver import SA_ETA, sa_solver
from diffusion.samplers.sa_solver_pece import sa_solver_pece
from diffusion.samplers.sampler import Sampler
from diffusion.samplers.sde import (
    SDE_ETA,
    dpmpp_2m_sde,
    dpmpp_2m_sde_heun,
    dpmpp_3m_sde,
    dpmpp_sde,
)
from diffusion.samplers.seeds import seeds_2, seeds_3
from diffusion.samplers.singlestep import (
    DPM2_A_ETA,
    DPMPP_2S_A_ETA,
    dpm2,
    dpm2_a,
    dpmpp_2s_a,
)
from diffusion.samplers.unipc import unipc, unipc_bh2

__all__ = ["SAMPLERS"]


def _spelled(sampler: Sampler) -> Sampler:
    """With ``sample_`` before its names, as k-diffusion's functions, and classes' names cut short.

    diffusers' documents write ``EulerDiscrete`` for ``EulerDiscreteScheduler``.
    """
    names = (sampler.name, *sampler.aliases)
    functions = [f"sample_{name}" for name in names if name.islower()]
    classes = [name.removesuffix("Scheduler") for name in names if name.endswith("Scheduler")]
    return replace(sampler, aliases=(*sampler.aliases, *functions, *classes))


_ENTRIES: Final = [
    Sampler(
        "euler",
        "Euler",
        ("k_euler", "EulerDiscreteScheduler"),
        euler,
        "uniform",
        churns=True,
    ),
    Sampler(
        "euler_a",
        "Euler a",
        ("k_euler_a", "euler_ancestral", "EulerAncestralDiscreteScheduler"),
        euler_a,
        "uniform",
        eta=EULER_A_ETA,
    ),
    Sampler("heun", "Heun", ("k_heun", "HeunDiscreteScheduler"), heun, "uniform", churns=True),
    Sampler(
        "dpmpp_2m",
        "DPM++ 2M",
        ("k_dpmpp_2m", "DPMSolverMultistepScheduler"),
        dpmpp_2m,
        "karras",
    ),
    Sampler("ddim", "DDIM", ("DDIMScheduler",), ddim, "leading", eta=DDIM_ETA),
    Sampler("ddpm", "DDPM", ("DDPMScheduler",), euler_a, "ddim_uniform", eta=EULER_A_ETA),
    Sampler("heunpp2", "HeunPP2", ("k_heunpp2",), heunpp2, "uniform", churns=True),
    Sampler("lms", "LMS", ("k_lms", "LMSDiscreteScheduler"), lms, "uniform", orders=True),
    Sampler(
        "dpm2",
        "DPM2",
        ("k_dpm_2", "KDPM2DiscreteScheduler"),
        dpm2,
        "karras",
        churns=True,
    ),
    Sampler(
        "dpm2_a",
        "DPM2 a",
        ("k_dpm_2_a", "dpm_2_ancestral", "KDPM2AncestralDiscreteScheduler"),
        dpm2_a,
        "karras",
        eta=DPM2_A_ETA,
    ),
    Sampler(
        "dpmpp_2s_a",
        "DPM++ 2S a",
        ("k_dpmpp_2s_a", "dpmpp_2s_ancestral"),
        dpmpp_2s_a,
        "karras",
        eta=DPMPP_2S_A_ETA,
    ),
    Sampler(
        "dpmpp_sde",
        "DPM++ SDE",
        ("k_dpmpp_sde", "dpmpp_sde_gpu", "DPMSolverSDEScheduler"),
        dpmpp_sde,
        "karras",
        eta=SDE_ETA,
    ),
    Sampler(
        "dpmpp_2m_sde",
        "DPM++ 2M SDE",
        ("k_dpmpp_2m_sde", "dpmpp_2m_sde_gpu", "dpm++2m_sde_bt"),
        dpmpp_2m_sde,
        "exponential",
        eta=SDE_ETA,
    ),
    Sampler(
        "dpmpp_2m_sde_heun",
        "DPM++ 2M SDE Heun",
        ("k_dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun_gpu"),
        dpmpp_2m_sde_heun,
        "exponential",
        eta=SDE_ETA,
    ),
    Sampler(
        "dpmpp_3m_sde",
        "DPM++ 3M SDE",
        ("k_dpmpp_3m_sde", "dpmpp_3m_sde_gpu"),
        dpmpp_3m_sde,
        "exponential",
        eta=SDE_ETA,
    ),
    Sampler(
        "unipc_bh2",
        "UniPC bh2",
        ("uni_pc_bh2", "UniPCMultistepScheduler"),
        unipc_bh2,
        "sgm_uniform",
        orders=True,
    ),
    Sampler("unipc", "UniPC", ("uni_pc_bh1", "unipc_bh1"), unipc, "sgm_uniform", orders=True),
    Sampler("deis", "DEIS", ("DEISMultistepScheduler",), deis, "uniform", orders=True),
    Sampler("ipndm", "IPNDM", ("IPNDMScheduler",), ipndm, "uniform", orders=True),
    Sampler("ipndm_v", "IPNDM_V", (), ipndm_v, "uniform", orders=True),
    Sampler("plms", "PLMS", ("pndm", "PNDMScheduler"), plms, "leading", orders=True),
    Sampler("res_multistep", "Res Multistep", (), res_multistep, "uniform"),
    Sampler("lcm", "LCM", ("k_lcm", "LCMScheduler"), lcm, "sgm_uniform", eta=LCM_ETA),
    Sampler("tcd", "TCD", ("k_tcd", "TCDScheduler"), tcd, "sgm_uniform", eta=TCD_ETA),
    Sampler(
        "dpm_fast",
        "DPM fast",
        ("k_dpm_fast",),
        dpm_fast,
        "karras",
        eta=DPM_FAST_ETA,
        own_steps=fast_steps,
        end=solver_end,
    ),
    Sampler(
        "dpm_adaptive",
        "DPM adaptive",
        ("k_dpm_ad", "k_dpm_adaptive"),
        dpm_adaptive,
        "karras",
        adaptive=True,
        end=solver_end,
    ),
    Sampler("restart", "Restart", (), restart, "karras", noisy=True),
    Sampler(
        "sa_solver",
        "SA-Solver",
        ("SASolverScheduler",),
        sa_solver,
        "sgm_uniform",
        eta=SA_ETA,
    ),
    Sampler("euler_cfg_pp", "Euler CFG++", (), euler_cfg_pp, "uniform", splits=True),
    Sampler(
        "euler_a_cfg_pp",
        "Euler a CFG++",
        ("euler_ancestral_cfg_pp",),
        euler_a_cfg_pp,
        "uniform",
        eta=EULER_A_ETA,
        splits=True,
    ),
    Sampler(
        "dpmpp_2s_a_cfg_pp",
        "DPM++ 2S a CFG++",
        ("dpmpp_2s_ancestral_cfg_pp",),
        dpmpp_2s_a_cfg_pp,
        "karras",
        eta=DPMPP_2S_A_ETA,
        splits=True,
    ),
    Sampler(
        "dpmpp_2m_cfg_pp",
        "DPM++ 2M CFG++",
        (),
        dpmpp_2m_cfg_pp,
        "karras",
        splits=True,
    ),
    Sampler(
        "ddim_cfg_pp",
        "DDIM CFG++",
        (),
        ddim_cfg_pp,
        "leading",
        eta=DDIM_ETA,
        splits=True,
    ),
    Sampler("dpmpp_2m_v2", "DPM++ 2M v2", (), dpmpp_2m_v2, "karras"),
    Sampler("dpmpp_2s", "DPM++ 2S", ("DPMSolverSinglestepScheduler",), dpmpp_2s, "karras"),
    Sampler("res_2s", "RES 2S", (), res_2s, "uniform", eta=RES_2S_ETA),
    Sampler(
        "res_multistep_a",
        "Res Multistep a",
        ("res_multistep_ancestral",),
        res_multistep_a,
        "uniform",
        eta=RES_A_ETA,
    ),
    Sampler(
        "gradient_estimation",
        "Gradient Estimation",
        ("euler_ge",),
        gradient_estimation,
        "uniform",
    ),
    Sampler("er_sde", "ER SDE", (), er_sde, "uniform", noisy=True),
    Sampler("seeds_2", "SEEDS 2", (), seeds_2, "uniform", eta=SDE_ETA),
    Sampler("seeds_3", "SEEDS 3", (), seeds_3, "uniform", eta=SDE_ETA),
    Sampler(
        "sa_solver_pece",
        "SA-Solver PECE",
        (),
        sa_solver_pece,
        "sgm_uniform",
        eta=SA_ETA,
    ),
    Sampler(
        "res_multistep_cfg_pp",
        "Res Multistep CFG++",
        (),
        res_multistep_cfg_pp,
        "uniform",
        splits=True,
    ),
    Sampler(
        "res_multistep_a_cfg_pp",
        "Res Multistep a CFG++",
        ("res_multistep_ancestral_cfg_pp",),
        res_multistep_a_cfg_pp,
        "uniform",
        eta=RES_A_ETA,
        splits=True,
    ),
]

SAMPLERS: Final = Catalogue("sampler", [_spelled(entry) for entry in _ENTRIES])
