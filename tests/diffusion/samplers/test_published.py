"""Samplers against the formulas of their papers or of the tools that published them, in float64.

The samplers of diffusers are in test_goldens.py, CFG++ in test_cfgpp.py, and those that choose
their own levels in test_own_levels.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from diffusion.samplers import SamplerOptions
from tests.diffusion.samplers import published_ode as ode
from tests.diffusion.samplers import published_sde as sde
from tests.diffusion.samplers.stand_ins import PLAIN, SIGMAS, Reals, run_sampler

EVEN_SIGMAS = np.append(np.geomspace(14.0, 0.03, 8), 0.0)
CHURNS = (
    PLAIN,
    SamplerOptions(s_churn=2.0, s_noise=1.007),
    SamplerOptions(s_churn=80.0, s_tmin=0.05, s_tmax=5.0, s_noise=0.9),
)
ETAS = tuple(SamplerOptions(eta=eta, s_noise=0.9) for eta in (0.0, 0.4, 1.0))
ORDERS = tuple(SamplerOptions(order=order) for order in (1, 2, 3, 4, None))


def cubic_sigmas(steps: int) -> Reals:
    """Levels of uneven widths that end in 0."""
    return np.append(np.linspace(2.4, 0.3, steps) ** 3, 0.0)


# On both sides of 15 steps, where diffusers changes its rule for the last step of DPM++ 2M.
LENGTHS = tuple(cubic_sigmas(steps) for steps in (2, 3, 14, 15, 16))


@dataclass(frozen=True)
class Published:
    """A sampler, its published formula, and the runs in which they must agree."""

    name: str
    formula: Callable[[Reals, SamplerOptions], Reals]
    options: tuple[SamplerOptions, ...] = (PLAIN,)
    sigmas: tuple[Reals, ...] = (SIGMAS,)
    tolerance: float = 1e-11


TABLE = [
    Published("euler", ode.euler, CHURNS, (EVEN_SIGMAS,), 1e-12),
    Published("heun", ode.heun, CHURNS, (EVEN_SIGMAS,), 1e-12),
    Published("heunpp2", ode.heunpp2),
    Published("dpmpp_2m", ode.dpmpp_2m, sigmas=LENGTHS, tolerance=1e-12),
    Published("dpmpp_2m_v2", ode.dpmpp_2m_v2),
    Published("dpmpp_2s", ode.dpmpp_2s, sigmas=(SIGMAS, SIGMAS[:-1])),
    Published("gradient_estimation", ode.gradient_estimation),
    Published("ipndm", ode.ipndm),
    Published("ipndm_v", ode.ipndm_v, ORDERS, tolerance=1e-9),
    Published("res_multistep", ode.res_multistep),
    Published("lcm", sde.lcm, ETAS),
    Published("tcd", sde.tcd, ETAS),
    Published("dpmpp_2s_a", sde.dpmpp_2s_a, ETAS),
    Published("dpmpp_sde", sde.dpmpp_sde, ETAS),
    Published("dpmpp_2m_sde", sde.dpmpp_2m_sde, ETAS),
    Published("dpmpp_2m_sde_heun", sde.dpmpp_2m_sde_heun, ETAS),
    Published("dpmpp_3m_sde", sde.dpmpp_3m_sde, ETAS),
    Published("res_2s", sde.res_2s, ETAS, tolerance=1e-10),
    Published("res_multistep_a", sde.res_multistep_a, ETAS, tolerance=1e-10),
    Published("seeds_2", sde.seeds_2, ETAS, tolerance=1e-10),
    Published("seeds_3", sde.seeds_3, ETAS, tolerance=1e-10),
    Published("er_sde", sde.er_sde, (SamplerOptions(s_noise=0.9),), tolerance=1e-10),
    Published(
        "sa_solver_pece",
        sde.sa_solver_pece,
        ETAS,
        tuple(cubic_sigmas(steps) for steps in (1, 2, 3, 9)),
        1e-9,
    ),
]
RUNS = [
    pytest.param(entry, options, sigmas, id=f"{entry.name}-{len(sigmas) - 1}-{number}")
    for entry in TABLE
    for sigmas in entry.sigmas
    for number, options in enumerate(entry.options)
]


def end_of(name: str, options: SamplerOptions = PLAIN, sigmas: Reals = SIGMAS) -> Reals:
    return run_sampler(name, sigmas, options)[-1].x


@pytest.mark.parametrize(("entry", "options", "sigmas"), RUNS)
def test_a_run_is_the_published_one(
    entry: Published, options: SamplerOptions, sigmas: Reals
) -> None:
    actual = end_of(entry.name, options, sigmas)
    np.testing.assert_allclose(actual, entry.formula(sigmas, options), rtol=entry.tolerance)


def test_dpmpp_2m_v2_is_dpmpp_2m_where_steps_are_equal() -> None:
    even = np.geomspace(10.0, 0.1, 9)
    expected = end_of("dpmpp_2m", sigmas=even)
    np.testing.assert_allclose(end_of("dpmpp_2m_v2", sigmas=even), expected, 1e-11)


@pytest.mark.parametrize(
    ("plain", "ancestral"),
    [
        ("res_multistep", "res_multistep_a"),
        ("res_multistep_cfg_pp", "res_multistep_a_cfg_pp"),
        ("euler_cfg_pp", "euler_a_cfg_pp"),
        ("ddim", "euler_a"),
    ],
)
def test_an_ancestral_sampler_without_noise_is_the_plain_one(plain: str, ancestral: str) -> None:
    """The plain one has no η: it takes none, whatever is chosen."""
    no_eta = SamplerOptions(eta=0.0, s_noise=0.9)
    np.testing.assert_array_equal(end_of(plain), end_of(ancestral, no_eta))
    if plain != "ddim":
        np.testing.assert_array_equal(end_of(plain), end_of(plain, SamplerOptions(eta=1.0)))


def test_order_lowers_what_multistep_samplers_look_back() -> None:
    """Order 1 is Euler's for each; and DEIS of order 2 is another than of 3."""
    ends = {
        (name, order): end_of(name, SamplerOptions(order=order))
        for name in ("lms", "deis", "ipndm", "ipndm_v", "unipc_bh2", "unipc")
        for order in (1, 2, 3)
    }
    euler = ode.euler(SIGMAS, PLAIN)
    for name in ("lms", "deis", "ipndm", "ipndm_v"):
        np.testing.assert_allclose(ends[name, 1], euler, rtol=1e-11)
        assert not np.allclose(ends[name, 2], ends[name, 3], rtol=1e-5)
    np.testing.assert_array_equal(ends["deis", 2], end_of("deis"))
    np.testing.assert_array_equal(ends["unipc_bh2", 3], end_of("unipc_bh2"))
