"""The samplers by name. Labels and aliases are those of A1111, ComfyUI, diffusers and sd.cpp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from diffusion.catalogue import Catalogue
from diffusion.samplers.ancestral import DDIM_ETA, EULER_A_ETA, ddim, euler_a
from diffusion.samplers.dpmpp import dpmpp_2m
from diffusion.samplers.euler import euler
from diffusion.samplers.heun import heun
from diffusion.samplers.heunpp2 import heunpp2
from diffusion.samplers.lcm import LCM_ETA, lcm
from diffusion.samplers.multistep import deis, ipndm, lms, plms
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import SamplerFunction
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
from diffusion.samplers.unipc import unipc, unipc_bh2
from diffusion.schedules import SCHEDULES, NoiseSchedule, Schedule, find_schedule

__all__ = ["SAMPLERS", "Sampler", "find_sampler", "find_sampler_and_schedule"]


@dataclass(frozen=True)
class Sampler:
    """A sampler and what it is by default.

    ``run``: the generator function. ``schedule``: the name of its own schedule. ``eta``: its
    default where it is ancestral, else None. ``churns``: whether it has ``s_churn``.
    """

    name: str
    label: str
    aliases: tuple[str, ...]
    run: SamplerFunction
    schedule: str
    eta: float | None = None
    churns: bool = False

    def needs_noise(self, options: SamplerOptions) -> bool:
        """Tell whether steps may draw noise, beyond that which sampling starts from."""
        ancestral = self.eta is not None and options.eta_or(self.eta) > 0.0
        return ancestral or (self.churns and options.s_churn > 0.0)

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
        Sampler("lms", "LMS", ("k_lms", "LMSDiscreteScheduler"), lms, "uniform"),
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
            ("uni_pc", "unipc_bh1", "UniPCMultistepScheduler"),
            unipc,
            "sgm_uniform",
        ),
        Sampler("unipc_bh2", "UniPC bh2", ("uni_pc_bh2",), unipc_bh2, "sgm_uniform"),
        Sampler("deis", "DEIS", ("DEISMultistepScheduler",), deis, "uniform"),
        Sampler("ipndm", "IPNDM", (), ipndm, "uniform"),
        Sampler("plms", "PLMS", ("pndm", "PNDMScheduler"), plms, "leading"),
        Sampler("res_multistep", "Res Multistep", (), res_multistep, "uniform"),
        Sampler("lcm", "LCM", ("k_lcm", "LCMScheduler"), lcm, "sgm_uniform", eta=LCM_ETA),
    ],
)


def find_sampler(text: str) -> Sampler:
    """The sampler called ``text``. Raises ``SettingsError`` that lists the nearest names."""
    return SAMPLERS.find(text)


def find_sampler_and_schedule(text: str) -> tuple[Sampler, Schedule | None]:
    """Read also the old labels that name both, such as "DPM++ 2M Karras"; None: none was named."""
    words = text.split()
    for cut in range(len(words) - 1, 0, -1):
        head, tail = " ".join(words[:cut]), " ".join(words[cut:])
        sampler = SAMPLERS.get(head)
        if sampler is not None and SAMPLERS.get(text) is None and SCHEDULES.get(tail) is not None:
            return sampler, find_schedule(tail)
    return SAMPLERS.find(text), None
