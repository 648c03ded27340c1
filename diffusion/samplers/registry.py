"""The samplers by name. Labels and aliases are those of A1111, ComfyUI, diffusers and sd.cpp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from diffusion.catalogue import Catalogue
from diffusion.samplers.ancestral import DDIM_ETA, EULER_A_ETA, ddim, euler_a
from diffusion.samplers.cfgpp import (
    GUIDANCE_SHARE,
    ddim_cfg_pp,
    dpmpp_2m_cfg_pp,
    dpmpp_2s_a_cfg_pp,
    euler_a_cfg_pp,
    euler_cfg_pp,
)
from diffusion.samplers.dpm_solver import (
    DPM_FAST_ETA,
    dpm_adaptive,
    dpm_fast,
    fast_steps,
    solver_end,
)
from diffusion.samplers.dpmpp import dpmpp_2m
from diffusion.samplers.euler import euler
from diffusion.samplers.heun import heun
from diffusion.samplers.heunpp2 import heunpp2
from diffusion.samplers.lcm import LCM_ETA, TCD_ETA, lcm, tcd
from diffusion.samplers.multistep import deis, ipndm, ipndm_v, lms, plms
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import SamplerFunction
from diffusion.samplers.restart import restart
from diffusion.samplers.sa_solver import SA_ETA, sa_solver
from diffusion.samplers.sde import (
    SDE_ETA,
    dpmpp_2m_sde,
    dpmpp_2m_sde_heun,
    dpmpp_3m_sde,
    dpmpp_sde,
    res_multistep,
)
from diffusion.samplers.singlestep import (
    DPM2_A_ETA,
    DPMPP_2S_A_ETA,
    dpm2,
    dpm2_a,
    dpmpp_2s_a,
)
from diffusion.samplers.unipc import unipc, unipc_bh1
from diffusion.schedules import SCHEDULES, Levels, NoiseSchedule, Schedule, find_schedule

__all__ = ["SAMPLERS", "Sampler", "find_sampler", "find_sampler_and_schedule"]


def last_level(sigmas: Levels) -> float:
    """Where a list ends."""
    return float(sigmas[-1])


@dataclass(frozen=True)
class Sampler:
    """A sampler and what it is by default.

    ``run``: the generator function. ``schedule``: the name of its own schedule. ``eta``: its
    default where it is ancestral, else None. ``churns``: whether it has ``s_churn``. ``orders``:
    whether its order can be chosen. ``restarts``: whether longer runs draw noise whatever the
    options. ``splits``: whether it takes the estimate without the prompt apart, and divides the
    guidance. ``adaptive``: whether it chooses its steps by its errors, so that pictures must be
    made one by one. ``own_steps``: how many steps it makes of those asked for, where not as many.
    ``end``: the level of its last step's x.
    """

    name: str
    label: str
    aliases: tuple[str, ...]
    run: SamplerFunction
    schedule: str
    eta: float | None = None
    churns: bool = False
    orders: bool = False
    restarts: bool = False
    splits: bool = False
    adaptive: bool = False
    own_steps: Callable[[int], int] = int
    end: Callable[[Levels], float] = last_level

    @property
    def guidance_share(self) -> float:
        """What the guidance that a user gives is multiplied by."""
        return GUIDANCE_SHARE if self.splits else 1.0

    def needs_noise(self, options: SamplerOptions) -> bool:
        """Tell whether steps may draw noise, beyond that which sampling starts from."""
        ancestral = self.eta is not None and options.eta_or(self.eta) > 0.0
        return ancestral or self.restarts or (self.churns and options.s_churn > 0.0)

    def has(self, option: str) -> bool:
        """Tell whether an option of `SamplerOptions` changes anything."""
        if option == "eta":
            return self.eta is not None
        if option == "order":
            return self.orders
        if option == "s_noise":
            return self.eta is not None or self.churns or self.restarts
        return self.churns

    def automatic_schedule(self, noise: NoiseSchedule) -> Schedule:
        """The sampler's own schedule; ``trailing`` where a model wants that and it may be.

        Models distilled to few steps are trained for ``trailing`` time steps alone and say so in
        their folder. A ``karras`` or ``exponential`` sampler has no time steps to space.
        """
        spaced = self.schedule not in ("karras", "exponential")
        wants_trailing = noise.timestep_spacing == "trailing" and spaced
        return SCHEDULES.find("trailing" if wants_trailing else self.schedule)


SAMPLERS: Final = Catalogue(
    "sampler",
    [
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
            "unipc",
            "UniPC",
            ("uni_pc_bh2", "UniPC bh2", "UniPCMultistepScheduler"),
            unipc,
            "sgm_uniform",
            orders=True,
        ),
        Sampler("unipc_bh1", "UniPC bh1", ("uni_pc_bh1",), unipc_bh1, "sgm_uniform", orders=True),
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
        Sampler("restart", "Restart", (), restart, "karras", restarts=True),
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
    ],
)


def find_sampler(text: str) -> Sampler:
    """The sampler called ``text``. Raises ``SettingsError`` that lists the nearest names."""
    return SAMPLERS.find(text)


def find_sampler_and_schedule(text: str) -> tuple[Sampler, Schedule | None]:
    """Read also names of both, "DPM++ 2M Karras" or ``ddim_trailing``; None: none was named."""
    words = text.replace("_", " ").split()
    for cut in range(len(words) - 1, 0, -1):
        head, tail = " ".join(words[:cut]), " ".join(words[cut:])
        sampler = SAMPLERS.get(head)
        if sampler is not None and SAMPLERS.get(text) is None and SCHEDULES.get(tail) is not None:
            return sampler, find_schedule(tail)
    return SAMPLERS.find(text), None
