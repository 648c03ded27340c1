"""Whole pictures with the golden models beyond SD 1.x: what each family does of its own."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion import Pipeline, Result, Settings
from diffusion.conditioning import Sizes
from diffusion.prompts import EMPHASES, chunk_prompt
from gpucore import Device, f16, f32
from tests.goldens.families import FAMILIES
from tests.goldens.family_folders import write_family

WHOLE = [name for name, family in FAMILIES.items() if family.pipeline]
SMALL = Settings("a red apple", width=16, height=24, steps=2, guidance=4.0, sampler="euler", seed=5)


@functools.cache
def pipeline(device: Device, model: str) -> Pipeline:
    folder = write_family(Path(tempfile.mkdtemp(prefix=f"avila-{model}-")), model)
    return Pipeline.load(folder, device)


def pixels(pipeline: Pipeline, **changes: Any) -> NDArray[Any]:
    """All images of a run."""
    *_, last = pipeline.generate(dataclasses.replace(SMALL, **changes))
    assert isinstance(last, Result)
    return np.stack([np.asarray(image) for image in last.images])


@pytest.mark.parametrize("model", WHOLE)
def test_an_image_does_not_depend_on_its_batch(device: Device, model: str) -> None:
    made = pipeline(device, model)
    together = pixels(made, count=3, batch=3)
    assert together.shape == (3, 24, 16, 3)
    np.testing.assert_array_equal(together, pixels(made, count=3, batch=2))
    np.testing.assert_array_equal(together[1:2], pixels(made, seed=6))
    assert not np.array_equal(together[0], together[1])


@pytest.mark.parametrize("model", WHOLE)
def test_guidance(device: Device, model: str) -> None:
    """At 1 and below there is none, and the negative prompt counts for nothing."""
    made = pipeline(device, model)
    none = pixels(made, guidance=1.0)
    guided = pixels(made)
    assert not np.array_equal(guided, none)
    embeds = made.networks.embeds_guidance
    np.testing.assert_array_equal(pixels(made, guidance=0.0), none)
    np.testing.assert_array_equal(pixels(made, guidance=1.0, negative="blurry"), none)
    assert np.array_equal(pixels(made, negative="blurry"), guided) is embeds


def test_xl_models_see_sizes(device: Device) -> None:
    """The same latents with other sizes told are another picture; the refiner is told a score."""
    for model in ("xl_base", "xl_refiner"):
        networks = pipeline(device, model).networks
        emphasis = EMPHASES.find("original")
        prompt = [chunk_prompt("prompt", "a red apple", emphasis, networks.tokenizer)]
        plain = Sizes.of(64, 64)
        other = dataclasses.replace(plain, target=(128, 64))
        scored = dataclasses.replace(plain, score=7.0)
        added = [networks.condition(prompt, emphasis, s).added for s in (plain, other, scored)]
        first, target, score = (each.read() for each in added if each is not None)
        assert np.array_equal(first, target) is (model == "xl_refiner")
        assert np.array_equal(first, score) is (model == "xl_base")


def test_long_and_weighted_prompts(device: Device) -> None:
    made = pipeline(device, "xl_base")
    base = pixels(made)
    long = pixels(made, prompt="a red apple " * 40)
    assert not np.array_equal(long, base)
    np.testing.assert_array_equal(pixels(made, prompt="a red apple " * 40, count=2)[:1], long)
    assert not np.array_equal(pixels(made, prompt="a (red:1.4) apple"), base)


def test_the_vae_of_an_xl_model_computes_in_f32(device: Device) -> None:
    """Its config says that its activations overflow f16."""
    if not device.has_f16:
        pytest.skip(f"{device!r} has no f16")
    folder = pipeline(device, "xl_base").networks.folder.path
    half = Pipeline.load(folder, device, dtype=f16)
    assert (half.networks.dtype, half.networks.vae_dtype) == (f16, f32)
    single = pixels(pipeline(device, "xl_base"), guidance=1.0).astype(int)
    # f16 in the UNet's two calls: a percent of the latents, a few grey levels.
    assert np.abs(pixels(half, guidance=1.0) - single).max() <= 8


def test_a_consistency_model_has_defaults_of_its_own(device: Device) -> None:
    defaults = pipeline(device, "consistency").defaults
    assert (defaults.steps, defaults.sampler) == (4, "lcm")
    assert pipeline(device, "sd2").defaults.sampler != "lcm"
    events = list(pipeline(device, "consistency").generate(Settings("a cat", seed=3)))
    assert isinstance(events[-1], Result)
    assert events[-1].settings.steps == 4
