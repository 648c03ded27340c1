"""Every name that the field has for a sampler or a schedule leads to the right one."""

from __future__ import annotations

import pytest

from diffusion.errors import SettingsError
from diffusion.samplers import SAMPLERS, find_sampler_and_schedule
from diffusion.schedules import find_schedule
from tests.diffusion.noise_schedules import stable_diffusion

NOISE = stable_diffusion()

SAMPLER_NAMES: dict[str, str] = {
    "dpmpp_2m": "DPM++ 2M, k_dpmpp_2m, sample_dpmpp_2m, dpmpp_2m, DPMSolverMultistep, "
    "DPMSolverMultistepScheduler, dpm++2m",
    "dpmpp_2m_v2": "dpm++2mv2, dpmpp_2m_v2",
    "dpmpp_sde": "DPM++ SDE, k_dpmpp_sde, sample_dpmpp_sde, dpmpp_sde, dpmpp_sde_gpu, "
    "DPMSolverSDE, DPMSolverSDEScheduler",
    "dpmpp_2s": "DPMSolverSinglestep, DPMSolverSinglestepScheduler",
    "dpmpp_2m_sde": "DPM++ 2M SDE, k_dpmpp_2m_sde, sample_dpmpp_2m_sde, dpmpp_2m_sde, "
    "dpmpp_2m_sde_gpu, dpm++2m_sde, dpm++2m_sde_bt",
    "dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun, k_dpmpp_2m_sde_heun, dpmpp_2m_sde_heun, "
    "dpmpp_2m_sde_heun_gpu",
    "dpmpp_3m_sde": "DPM++ 3M SDE, k_dpmpp_3m_sde, sample_dpmpp_3m_sde, dpmpp_3m_sde, "
    "dpmpp_3m_sde_gpu",
    "dpmpp_2s_a": "DPM++ 2S a, k_dpmpp_2s_a, sample_dpmpp_2s_ancestral, dpmpp_2s_ancestral, "
    "dpm++2s_a",
    "euler_a": "Euler a, k_euler_a, sample_euler_ancestral, euler_ancestral, "
    "EulerAncestralDiscrete, EulerAncestralDiscreteScheduler, euler_a",
    "euler": "Euler, k_euler, sample_euler, euler, EulerDiscrete, EulerDiscreteScheduler",
    "lms": "LMS, k_lms, sample_lms, lms, LMSDiscrete, LMSDiscreteScheduler",
    "heun": "Heun, k_heun, sample_heun, heun, HeunDiscrete, HeunDiscreteScheduler",
    "dpm2": "DPM2, k_dpm_2, sample_dpm_2, dpm_2, dpm2, KDPM2Discrete, KDPM2DiscreteScheduler",
    "dpm2_a": "DPM2 a, k_dpm_2_a, sample_dpm_2_ancestral, dpm_2_ancestral, KDPM2AncestralDiscrete, "
    "KDPM2AncestralDiscreteScheduler",
    "dpm_fast": "DPM fast, k_dpm_fast, sample_dpm_fast, dpm_fast",
    "dpm_adaptive": "DPM adaptive, k_dpm_ad, sample_dpm_adaptive, dpm_adaptive",
    "restart": "Restart, restart",
    "ddim": "DDIM, ddim, DDIMScheduler",
    "plms": "PLMS, plms, PNDM, PNDMScheduler",
    "unipc_bh2": "UniPC bh2, uni_pc_bh2, UniPCMultistep, UniPCMultistepScheduler",
    "unipc": "UniPC, uni_pc, uni_pc_bh1",
    "ddim_cfg_pp": "DDIM CFG++",
    "euler_cfg_pp": "euler_cfg_pp, Euler CFG++",
    "euler_a_cfg_pp": "euler_ancestral_cfg_pp, euler_a_cfg_pp, Euler a CFG++",
    "dpmpp_2s_a_cfg_pp": "dpmpp_2s_ancestral_cfg_pp, DPM++ 2S a CFG++",
    "dpmpp_2m_cfg_pp": "dpmpp_2m_cfg_pp, DPM++ 2M CFG++",
    "lcm": "LCM, lcm, sample_lcm, LCMScheduler",
    "heunpp2": "HeunPP2, heunpp2, sample_heunpp2",
    "ipndm": "IPNDM, ipndm, sample_ipndm, IPNDMScheduler",
    "ipndm_v": "IPNDM_V, ipndm_v, sample_ipndm_v",
    "deis": "DEIS, deis, sample_deis, DEISMultistep, DEISMultistepScheduler",
    "ddpm": "DDPM, ddpm, sample_ddpm, DDPMScheduler",
    "res_multistep": "res_multistep, Res Multistep, sample_res_multistep",
    "res_multistep_cfg_pp": "res_multistep_cfg_pp, sample_res_multistep_cfg_pp",
    "res_multistep_a": "res_multistep_ancestral, sample_res_multistep_ancestral",
    "res_multistep_a_cfg_pp": "res_multistep_ancestral_cfg_pp",
    "res_2s": "res_2s, sample_res_2s",
    "gradient_estimation": "gradient_estimation, sample_gradient_estimation, euler_ge",
    "er_sde": "er_sde, sample_er_sde, ER SDE",
    "seeds_2": "seeds_2, sample_seeds_2, SEEDS-2",
    "seeds_3": "seeds_3, sample_seeds_3",
    "sa_solver": "sa_solver, sample_sa_solver, SASolver, SASolverScheduler, SA-Solver",
    "sa_solver_pece": "sa_solver_pece, sample_sa_solver_pece",
    "tcd": "tcd, TCD, TCDScheduler",
}
"""The names in A1111, k-diffusion, ComfyUI, diffusers and stable-diffusion.cpp, in this order."""

SCHEDULE_NAMES: dict[str, str] = {
    "uniform": "Uniform, uniform, linspace, timestep_spacing=linspace",
    "karras": "Karras, karras, use_karras_sigmas, ka",
    "exponential": "Exponential, exponential, use_exponential_sigmas, exp",
    "polyexponential": "Polyexponential, polyexponential",
    "sgm_uniform": "SGM Uniform, SGMUniform, sgm_uniform",
    "trailing": "trailing, timestep_spacing=trailing",
    "leading": "leading, timestep_spacing=leading",
    "kl_optimal": "KL Optimal, kl_optimal",
    "kl_optimal_0": "KL Optimal 0",
    "align_your_steps": "Align Your Steps, align_your_steps",
    "align_your_steps_10": "Align Your Steps 10, ays",
    "align_your_steps_11": "Align Your Steps 11, align_your_steps_11",
    "align_your_steps_32": "Align Your Steps 32, align_your_steps_32",
    "align_your_steps_gits": "Align Your Steps GITS, align_your_steps_GITS, GITS",
    "simple": "Simple, simple",
    "normal": "Normal, normal",
    "ddim_uniform": "DDIM, ddim, ddim_uniform",
    "beta": "Beta, beta, use_beta_sigmas",
    "linear_quadratic": "linear_quadratic",
}

DEFAULT_SCHEDULES = {
    "karras": "dpmpp_2m dpmpp_sde dpmpp_2s_a dpm2 dpm2_a restart",
    "exponential": "dpmpp_2m_sde dpmpp_2m_sde_heun dpmpp_3m_sde",
    "uniform": "euler_a euler lms heun heunpp2 ipndm ipndm_v deis",
}
"""The schedules of A1111 and Forge for "Automatic"; Uniform where they take the model's own."""


def spellings(names: str) -> list[str]:
    return [
        spelling
        for name in names.split(", ")
        for spelling in (name, name.lower(), name.upper(), f" {name} ")
    ]


def test_the_list_names_every_sampler() -> None:
    assert set(SAMPLER_NAMES) == set(SAMPLERS.names)


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_names_of_a_sampler(name: str) -> None:
    for text in spellings(SAMPLER_NAMES[name]):
        sampler, schedule = find_sampler_and_schedule(text)
        assert (sampler.name, schedule) == (name, None), text


def test_ddim_trailing_is_both() -> None:
    sampler, schedule = find_sampler_and_schedule("ddim_trailing")
    assert schedule is not None
    assert (sampler.name, schedule.name) == ("ddim", "trailing")


@pytest.mark.parametrize("name", SCHEDULE_NAMES)
def test_names_of_a_schedule(name: str) -> None:
    for text in spellings(SCHEDULE_NAMES[name]):
        schedule = find_schedule(text)
        assert schedule is not None, text
        assert schedule.name == name, text


@pytest.mark.parametrize("text", ["Automatic", "automatic", "AUTOMATIC"])
def test_automatic_is_no_schedule(text: str) -> None:
    assert find_schedule(text) is None


@pytest.mark.parametrize("schedule", DEFAULT_SCHEDULES)
def test_default_schedules(schedule: str) -> None:
    for name in DEFAULT_SCHEDULES[schedule].split():
        sampler = find_sampler_and_schedule(name)[0]
        assert sampler.automatic_schedule(NOISE).name == schedule, name


def test_default_options() -> None:
    """η is 1 for what is ancestral, 0 for DDIM; churning for Euler, Heun and DPM2; orders."""
    etas = {each.name: each.eta for each in SAMPLERS}
    ancestral = "euler_a dpmpp_2s_a dpm2_a dpmpp_sde dpmpp_2m_sde dpmpp_3m_sde seeds_2 seeds_3"
    assert all(etas[name] == 1.0 for name in ancestral.split())
    assert (etas["ddim"], etas["res_2s"], etas["res_multistep_a"]) == (0.0, 0.0, 1.0)
    assert all(
        etas[name] is None for name in "euler heun dpmpp_2m unipc_bh2 gradient_estimation".split()
    )
    churning = {each.name for each in SAMPLERS if each.churns}
    assert churning == {"euler", "heun", "heunpp2", "dpm2"}
    assert find_sampler_and_schedule("er_sde")[0].noisy


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("EDMEulerScheduler", "the nearest is euler"),
        ("EDMEuler", "the nearest is euler"),
        ("EDMDPMSolverMultistep", "the nearest is dpmpp_2m"),
        ("edm_dpm_solver_multistep_scheduler", "the nearest is dpmpp_2m"),
        ("vary_coeff", "the nearest are unipc and unipc_bh2"),
    ],
)
def test_a_known_sampler_that_is_missing_names_the_nearest(text: str, near: str) -> None:
    with pytest.raises(SettingsError, match=near) as caught:
        find_sampler_and_schedule(text)
    assert "not here" in str(caught.value)


def test_an_unknown_name_gets_the_nearest() -> None:
    for text, near in (
        ("sample_eular", "euler"),
        ("EulerDiscreet", "euler"),
        ("sedes_2", "seeds_2"),
    ):
        with pytest.raises(SettingsError, match=f"did you mean .*{near}"):
            find_sampler_and_schedule(text)
    with pytest.raises(SettingsError, match="align_your_steps_32"):
        find_schedule("align_your_steps_23")
