"""Samplers are found by every name that the field has for them."""

import pytest

from diffusion.catalogue import Catalogue
from diffusion.errors import SettingsError
from diffusion.samplers import (
    SAMPLERS,
    Sampler,
    choose_schedule,
    find_sampler,
    find_sampler_and_schedule,
)
from diffusion.settings import Defaults, Settings


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("euler", "euler"),
        ("Euler", "euler"),
        ("k_euler", "euler"),
        ("Euler a", "euler_a"),
        ("euler_a", "euler_a"),
        ("euler_ancestral", "euler_a"),
        ("k_euler_a", "euler_a"),
        ("EULER A", "euler_a"),
        ("DPM++ 2M", "dpmpp_2m"),
        ("dpm++2m", "dpmpp_2m"),
        ("k_dpmpp_2m", "dpmpp_2m"),
        ("dpmpp_2m", "dpmpp_2m"),
        ("DPMSolverMultistepScheduler", "dpmpp_2m"),
        ("DDIM", "ddim"),
        ("heun", "heun"),
        ("HeunPP2", "heunpp2"),
        ("LMS", "lms"),
        ("DPM2", "dpm2"),
        ("dpm_2", "dpm2"),
        ("DPM2 a", "dpm2_a"),
        ("dpm_2_ancestral", "dpm2_a"),
        ("DPM++ 2S a", "dpmpp_2s_a"),
        ("dpm++2s_a", "dpmpp_2s_a"),
        ("dpmpp_2s_ancestral", "dpmpp_2s_a"),
        ("DPM++ SDE", "dpmpp_sde"),
        ("dpmpp_sde_gpu", "dpmpp_sde"),
        ("DPM++ 2M SDE", "dpmpp_2m_sde"),
        ("dpm++2m_sde", "dpmpp_2m_sde"),
        ("DPM++ 2M SDE Heun", "dpmpp_2m_sde_heun"),
        ("DPM++ 3M SDE", "dpmpp_3m_sde"),
        ("UniPC", "unipc"),
        ("uni_pc", "unipc"),
        ("uni_pc_bh2", "unipc_bh2"),
        ("UniPC bh1", "unipc"),
        ("DEIS", "deis"),
        ("IPNDM", "ipndm"),
        ("PLMS", "plms"),
        ("Res Multistep", "res_multistep"),
        ("LCM", "lcm"),
        ("DDPM", "ddpm"),
        ("TCD", "tcd"),
        ("ipndm_v", "ipndm_v"),
        ("DPM fast", "dpm_fast"),
        ("dpm_adaptive", "dpm_adaptive"),
        ("k_dpm_ad", "dpm_adaptive"),
        ("Restart", "restart"),
        ("SA-Solver", "sa_solver"),
        ("DDIM CFG++", "ddim_cfg_pp"),
        ("euler_cfg_pp", "euler_cfg_pp"),
        ("euler_ancestral_cfg_pp", "euler_a_cfg_pp"),
        ("dpmpp_2s_ancestral_cfg_pp", "dpmpp_2s_a_cfg_pp"),
        ("dpmpp_2m_cfg_pp", "dpmpp_2m_cfg_pp"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert find_sampler(text).name == name
    sampler, schedule = find_sampler_and_schedule(text)
    assert (sampler.name, schedule) == (name, None)


@pytest.mark.parametrize(
    ("text", "name", "schedule"),
    [
        ("DPM++ 2M Karras", "dpmpp_2m", "karras"),
        ("dpm++ 2m sgm uniform", "dpmpp_2m", "sgm_uniform"),
        ("Euler a Karras", "euler_a", "karras"),
        ("Euler Exponential", "euler", "exponential"),
        ("DPM++ 2M SDE Karras", "dpmpp_2m_sde", "karras"),
        ("DPM++ 2M SDE Heun Exponential", "dpmpp_2m_sde_heun", "exponential"),
        ("LMS Karras", "lms", "karras"),
        ("ddim_trailing", "ddim", "trailing"),
        ("dpmpp_2m_karras", "dpmpp_2m", "karras"),
        ("k_dpm_2_a_karras", "dpm2_a", "karras"),
        ("k_dpmpp_2m_ka", "dpmpp_2m", "karras"),
        ("k_dpmpp_2m_sde_heun_exp", "dpmpp_2m_sde_heun", "exponential"),
        ("sample_dpmpp_2m_karras", "dpmpp_2m", "karras"),
    ],
)
def test_names_of_a_sampler_and_a_schedule(text: str, name: str, schedule: str) -> None:
    sampler, found = find_sampler_and_schedule(text)
    assert found is not None
    assert (sampler.name, found.name) == (name, schedule)


@pytest.mark.parametrize("text", ["DPM++ 2M Fast", "Karras", "", "euler karras karras"])
def test_names_of_neither(text: str) -> None:
    with pytest.raises(SettingsError, match="sampler cannot be"):
        find_sampler_and_schedule(text)


def test_an_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(SettingsError) as caught:
        find_sampler("eular a")
    assert "did you mean euler_a" in str(caught.value)
    assert f"(all: {', '.join(sorted(SAMPLERS.names))})" in str(caught.value)
    assert caught.value.field == "sampler"


def test_a_hopeless_name_lists_all() -> None:
    with pytest.raises(SettingsError, match=r"give one of ddim, ddim_cfg_pp, ddpm, .*, unipc_bh2"):
        find_sampler("?")


def test_no_two_entries_share_a_name() -> None:
    euler = find_sampler("euler")
    twin = Sampler("euler2", "K-Euler", euler.algorithm, "uniform")
    with pytest.raises(ValueError, match="two entries are called 'K-Euler'"):
        Catalogue("sampler", [euler, twin])
    assert SAMPLERS.names == tuple(sampler.name for sampler in SAMPLERS)


@pytest.mark.parametrize(
    ("sampler", "schedule", "expected"),
    [
        ("DPM++ 2M Karras", None, "karras"),
        ("DPM++ 2M Karras", "beta", "beta"),
        ("DPM++ 2M Karras", "automatic", "automatic"),
        ("dpmpp_2m", None, "trailing"),
        ("dpmpp_2m", "simple", "simple"),
    ],
)
def test_a_given_schedule_counts_before_the_one_in_a_samplers_name(
    sampler: str, schedule: str | None, expected: str
) -> None:
    assert choose_schedule(sampler, schedule, "trailing") == expected
    usual = Defaults(64, 64, schedule="trailing")
    full = Settings("a", sampler=sampler, schedule=schedule).with_defaults(usual)
    assert full.schedule == expected


@pytest.mark.parametrize(
    ("sampler", "expected"), [(None, 2.0), ("euler", 2.0), ("euler_cfg_pp", 12.5), ("DDIM", 2.0)]
)
def test_samplers_that_take_the_guidance_apart_have_a_default_of_their_own(
    sampler: str | None, expected: float
) -> None:
    usual = Defaults(64, 64, guidance=2.0, split_guidance=12.5)
    assert Settings("a", sampler=sampler).with_defaults(usual).guidance == expected
    assert Settings("a", sampler=sampler, guidance=3).with_defaults(usual).guidance == 3
