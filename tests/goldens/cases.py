"""The cases computed with the golden models: tables that the script and the tests share.

A case's `name` is its key in the golden file of its kind:

    from tests.goldens.cases import UNET_CASES
    from tests.goldens.loader import load

    @pytest.mark.parametrize("case", UNET_CASES, ids=lambda case: case.name)
    def test_unet(case: UNetCase) -> None:
        expected = load("unet")[case.name]          # (batch, 4, height, width), f32
        actual = unet(case.latents(), case.timestep, case.text())
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.goldens import weights
from tests.goldens.configs import MODELS

PROMPT = "a photo of a red apple on the table, café ☕"
NEGATIVE = "blurry, low quality"
GUIDANCE = 5.0

TEXT_PROMPTS = (PROMPT, "", "red " * 100)
"""Prompts of the text golden: usual, empty, and longer than any model's length."""

SAMPLERS = ("ddim", "dpmpp_2m", "euler", "euler_a")

SCHEDULE_STEPS: Mapping[str, int] = {"karras": 5, "normal": 4, "sgm_uniform": 5, "trailing": 5}
"""Steps of each schedule's runs (what the schedules are: `tools/goldens/schedules.py`)."""


@dataclass(frozen=True)
class UNetCase:
    """One call of a UNet with one timestep for the whole batch. Sizes are the latent's."""

    model: str
    batch: int
    height: int
    width: int
    timestep: float

    @property
    def name(self) -> str:
        """The case's key in `unet.npz`."""
        return f"{self.model}-{self.batch}x{self.height}x{self.width}-t{self.timestep:g}"

    def latents(self) -> weights.Array:
        """Return the input: (batch, 4, height, width)."""
        return weights.initial_noise(batch=self.batch, height=self.height, width=self.width)

    def text(self) -> weights.Array:
        """Return text states (batch, tokens, text width): unit noise, another for each image."""
        model = MODELS[self.model]
        shape = (self.batch, model.max_length, model.text_width)
        return weights.normal(f"{self.model}/text states", shape)


@dataclass(frozen=True)
class VAECase:
    """One encoding and one decoding. Sizes are the latent's, the image's are `factor` times those.

    Golden: `name + "/moments"` (batch, 8, height, width), the encoder's mean (4 channels) and
    log variance (4) before clamping; `name + "/decoded"` (batch, 3, factor·height, factor·width).
    """

    model: str
    batch: int
    height: int
    width: int

    @property
    def name(self) -> str:
        """The first half of the case's keys in `vae.npz`."""
        return f"{self.model}-{self.batch}x{self.height}x{self.width}"

    def image(self) -> weights.Array:
        """Return the encoder's input: (batch, 3, factor·height, factor·width), in [-1, 1)."""
        factor = MODELS[self.model].vae_factor
        shape = (self.batch, 3, factor * self.height, factor * self.width)
        return weights.uniform(f"{self.model}/image", shape)

    def latents(self) -> weights.Array:
        """Return the decoder's input, divided by the scaling factor: (batch, 4, height, width)."""
        return weights.initial_noise(batch=self.batch, height=self.height, width=self.width)


@dataclass(frozen=True)
class PipelineCase:
    """A prompt's whole way to the image. Sizes are the latent's.

    Text PROMPT against NEGATIVE with GUIDANCE; the same text for every image of the batch. The
    run starts at x = initial_noise · σ₀, and step k of a stochastic sampler adds step_noise(k).

    Golden: `name + "/sigmas"` (steps + 1,) f64, the last 0; `"/timesteps"` (steps,) f64, what the
    UNet is given; `"/latents"` (steps, batch, 4, height, width), x after each step, in the
    variance-exploding scale in which x = x₀ + σ·noise, for every sampler; `"/image"`
    (batch, factor·height, factor·width, 3) u8.
    """

    model: str
    sampler: str
    schedule: str
    steps: int
    batch: int = 1
    height: int = 8
    width: int = 8
    eta: float = 0.0
    """Noise added by ddim: 0 none, 1 as much as ancestral sampling. euler_a always has 1."""

    @property
    def name(self) -> str:
        """The first half of the case's keys in `pipeline.npz`."""
        eta = f"-eta{self.eta:g}" if self.eta else ""
        size = f"{self.batch}x{self.height}x{self.width}"
        return f"{self.model}-{self.sampler}-{self.schedule}-{self.steps}-{size}{eta}"

    def initial_noise(self) -> weights.Array:
        """Return unit noise, to be scaled with σ₀: (batch, 4, height, width)."""
        return weights.initial_noise(batch=self.batch, height=self.height, width=self.width)

    def step_noise(self, step: int) -> weights.Array:
        """Return unit noise of step `step`, counted from 0: (batch, 4, height, width)."""
        return weights.step_noise(step, batch=self.batch, height=self.height, width=self.width)

    def changes(self, latents: NDArray[Any], first_sigma: float) -> NDArray[np.float64]:
        """Return what each step adds to x: the shape of `latents` (steps, batch, 4, height, width).

        x keeps most of its initial noise (deviation 14.6), beside which a late step is small: an
        error in it shows in the change, not in x.
        """
        start = self.initial_noise().astype(np.float64) * first_sigma
        return np.diff(np.concatenate([start[None], latents]), axis=0)


def _unet_cases() -> list[UNetCase]:
    square = [UNetCase(model, 1, 8, 8, t) for model in MODELS for t in (0.0, 999.0)]
    oblong = [UNetCase(model, 2, 8, 12, t) for model in MODELS for t in (500.0, 12.75)]
    # Sizes that halving does not divide: the way up must return to the skip's own size.
    odd = [UNetCase(model, 1, 9, 7, 321.0) for model in MODELS]
    return square + oblong + odd


def _vae_cases() -> list[VAECase]:
    sizes = ((1, 4, 4), (2, 4, 6))
    return [VAECase(model, *size) for model in MODELS for size in sizes]


def _pipeline_cases() -> list[PipelineCase]:
    every = [
        PipelineCase("two_levels", sampler, schedule, steps)
        for sampler in SAMPLERS
        for schedule, steps in SCHEDULE_STEPS.items()
    ]
    return [
        *every,
        PipelineCase("two_levels", "ddim", "karras", 5, eta=1.0),
        PipelineCase("two_levels", "ddim", "trailing", 5, eta=0.5),
        PipelineCase("three_levels", "ddim", "sgm_uniform", 5, 2, 8, 12),
        PipelineCase("three_levels", "dpmpp_2m", "karras", 6, 2, 8, 12),
        PipelineCase("three_levels", "euler", "normal", 4, 2, 12, 8),
        PipelineCase("three_levels", "euler_a", "karras", 5, 2, 8, 12),
        PipelineCase("four_levels", "dpmpp_2m", "sgm_uniform", 5, 1, 10, 14),
        PipelineCase("four_levels", "euler_a", "normal", 4, 2, 8, 8),
        PipelineCase("wide_heads", "dpmpp_2m", "karras", 4, 2, 8, 8),
        PipelineCase("wide_heads", "euler", "karras", 4, 1, 8, 12),
    ]


UNET_CASES = _unet_cases()
VAE_CASES = _vae_cases()
PIPELINE_CASES = _pipeline_cases()
