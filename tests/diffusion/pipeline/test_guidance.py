"""Rescaling, thresholding, NGMS, PAG and FreeU, against diffusers and against NumPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion import Pipeline, Settings, Step
from diffusion.errors import SettingsError
from diffusion.models.features import BlockFactors, FeatureScaling
from diffusion.schedules import Scalings
from diffusion.tasks import FreeU, GuidanceOptions, Thresholding
from diffusion.tasks.guidance_rule import GuidanceRule
from gpucore import Device, f32
from tests.diffusion.bundled_model import pixels
from tests.diffusion.golden_families import networks, networks_for_run
from tests.goldens.cases import PROMPT
from tests.goldens.guidance_cases import GUIDANCE_CASES, GuidanceCase
from tests.goldens.loader import channels_last, load, relative_error

Array = NDArray[Any]
SETTINGS = Settings("a red apple", "a dog", width=32, height=32, steps=3, guidance=4.0, seed=5)
SCHEDULES = {"leading": "leading", "linspace": "uniform", "trailing": "trailing"}


def options_of(case: GuidanceCase) -> GuidanceOptions:
    freeu = None if case.freeu is None else FreeU(**case.freeu, version=1)
    rescale = case.call.get("guidance_rescale", 0.0)
    return GuidanceOptions(rescale=rescale, perturbed=case.perturbed, freeu=freeu)


@pytest.mark.parametrize("case", GUIDANCE_CASES, ids=lambda case: case.name)
def test_runs_are_those_of_diffusers(device: Device, case: GuidanceCase) -> None:
    made = networks_for_run(device, case.run)
    factor, run = made.folder.vae.downscale, case.run
    settings = Settings(
        PROMPT,
        run.negative or "",
        factor * run.width,
        factor * run.height,
        run.steps,
        run.guidance,
        "euler",
        SCHEDULES[made.noise.timestep_spacing],
        count=run.batch,
        latents=channels_last(run.initial_noise()),
        guidance_options=options_of(case),
    )
    steps: list[Array] = []
    pipeline = Pipeline(made)
    pipeline.draw(settings, lambda step: steps.append(step.noisy_latents()))
    expected = load("guidance")[case.name]
    plain = load("families")[f"{run.name}/latents"]
    assert len(steps) == len(expected)
    for found, golden in zip(steps, expected, strict=True):
        assert relative_error(found, channels_last(golden)) < 1e-4
    assert relative_error(expected[-1], plain[-1]) > 1e-2  # the choice has an effect


# ---------------------------------------------------------------- thresholding


def threshold(x0: Array, low: Array, rule: Thresholding) -> Array:
    """Return what mcmonkeyprojects/sd-dynamic-thresholding computes of (B, h, w, C)."""
    result = np.empty_like(x0)
    for image, (high, mimic) in enumerate(zip(x0, low, strict=True)):
        mean = high.mean((0, 1))
        centred, mimic_centred = high - mean, mimic - mimic.mean((0, 1))
        axes = (0, 1) if rule.separate_channels else (0, 1, 2)
        if rule.measure == "STD":
            ours, theirs = (each.std(axes, ddof=1) for each in (centred, mimic_centred))
        else:
            theirs = np.abs(mimic_centred).max(axes)
            ours = np.quantile(np.abs(centred), rule.percentile, axes)
        if rule.startpoint == "zero":
            changed = high * theirs / ours
        elif rule.measure == "STD":
            changed = centred / ours * theirs + mean
        else:
            most = np.maximum(ours, theirs)
            changed = np.clip(centred, -most, most) / most * theirs + mean
        result[image] = rule.share * changed + (1 - rule.share) * high
    return result


@pytest.mark.parametrize(
    "rule",
    [
        Thresholding(3.0),
        Thresholding(3.0, 0.9),
        Thresholding(3.0, 0.5, separate_channels=False),
        Thresholding(0.5, 0.95, startpoint="zero"),
        Thresholding(3.0, measure="STD"),
        Thresholding(3.0, separate_channels=False, startpoint="zero", measure="STD"),
        Thresholding(3.0, 0.8, share=0.25),
        Thresholding(9.0, 0.0),
    ],
)
@pytest.mark.parametrize("weights", [(1.0,), (1.0, 0.5)])
def test_thresholding(device: Device, rule: Thresholding, weights: tuple[float, ...]) -> None:
    draw = np.random.default_rng(3).standard_normal
    x = draw((2, 5, 3, 4)).astype(np.float32)
    rows = draw((2 * (1 + len(weights)), 5, 3, 4)).astype(np.float32)
    skip, out, scale = 0.7, -0.4, 6.0
    guide = GuidanceRule(scale, weights, GuidanceOptions(thresholding=rule))
    on_device = device.buffer_from_array(rows, f32)
    found = guide.estimate(
        device.buffer_from_array(x, f32),
        Scalings(1.0, skip, out),
        on_device,
        guide.output(on_device),
    ).read()
    parts = rows.astype(np.float64).reshape(-1, *x.shape)

    def estimate(strength: float) -> Array:
        pushed = sum(w * (part - parts[0]) for w, part in zip(weights, parts[1:], strict=True))
        found: Array = skip * x.astype(np.float64) + out * (parts[0] + strength * pushed)
        return found

    expected = threshold(estimate(scale), estimate(rule.mimic_scale), rule)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("startpoint", ["mean", "zero"])
def test_constant_outputs_are_no_division_by_zero(device: Device, startpoint: str) -> None:
    rule = Thresholding(3.0, startpoint="zero" if startpoint == "zero" else "mean")
    rows = device.buffer_from_array(np.zeros((2, 4, 4, 4), np.float32), f32)
    x = device.buffer_from_array(np.zeros((1, 4, 4, 4), np.float32), f32)
    for options in (GuidanceOptions(thresholding=rule), GuidanceOptions(rescale=0.5)):
        guide = GuidanceRule(6.0, (1.0,), options)
        found = guide.estimate(x, Scalings(1.0, 1.0, 1.0), rows, guide.output(rows)).read()
        np.testing.assert_array_equal(found, 0.0)


# ---------------------------------------------------------------- FreeU


def filter_by_fft(x: Array, scale: float) -> Array:
    """Return features (B, H, W, C) as FreeU's published code filters them, threshold 1."""
    spectrum = np.fft.fftshift(np.fft.fft2(x, axes=(1, 2)), axes=(1, 2))
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    mask = np.ones(x.shape)
    mask[:, max(rows - 1, 0) : rows + 1, max(columns - 1, 0) : columns + 1] = scale
    shifted = np.fft.ifftshift(spectrum * mask, axes=(1, 2))
    return np.fft.ifft2(shifted, axes=(1, 2)).real


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (5, 12), (2, 3)])
@pytest.mark.parametrize("version", [1, 2])
def test_features_are_scaled_as_published(
    device: Device, size: tuple[int, int], version: int
) -> None:
    draw = np.random.default_rng(4).standard_normal
    config = networks(device, "sd2").folder.unet
    width = 2 * config.block_out_channels[0]
    below, skip = (draw((2, *size, width)).astype(np.float32) for _ in range(2))
    factors = [BlockFactors(1.5, 0.2), BlockFactors(1.4, 0.3)]
    scaling = FeatureScaling.make(device, f32, factors, config, size, version)
    found = scaling.scale(1, *(device.buffer_from_array(each, f32) for each in (below, skip)))
    expected = below.astype(np.float64)
    mean = expected.mean(3, keepdims=True)
    least, most = mean.min((1, 2), keepdims=True), mean.max((1, 2), keepdims=True)
    share = (mean - least) / (most - least) if version == 2 else 1.0
    expected[..., : width // 2] *= (share * 0.4 + 1.0) * np.ones(1)
    assert relative_error(found[0].read(), expected) < 1e-6
    assert relative_error(found[1].read(), filter_by_fft(skip.astype(np.float64), 0.3)) < 1e-6
    buffers = [device.buffer_from_array(each, f32) for each in (below, skip)]
    others = [device.buffer(f32, (1, *size, width // 2)) for _ in range(2)]
    untouched = buffers if version == 1 else others
    assert scaling.scale(2, *untouched) == tuple(untouched)


def test_odd_sizes_have_waves(device: Device) -> None:
    """Whatever the picture's size, each level's is known before the capture."""
    pipeline = Pipeline(networks(device, "xl_base"))
    options = GuidanceOptions(freeu=FreeU())
    for width, height in ((40, 24), (56, 72)):
        pixels(pipeline, replace(SETTINGS, width=width, height=height, guidance_options=options))


# ---------------------------------------------------------------- NGMS


def latents_of(pipeline: Pipeline, settings: Settings) -> tuple[list[Array], list[float]]:
    """Return the latents after each step, and the sigmas before each."""
    found: list[Array] = []

    def collect(step: Step) -> None:
        found.append(step.noisy_latents())

    pipeline.draw(settings, collect)
    complete = settings.with_defaults(pipeline.defaults)
    return found, [float(each) for each in pipeline.passes(complete)[0].schedule.sigmas]


def test_calls_without_the_negative_prompt(device: Device) -> None:
    """Below the sigma, calls 1, 3, ... are those of a run without guidance."""
    pipeline = Pipeline(networks(device, "sd2"))
    settings = replace(SETTINGS, steps=5, sampler="euler")
    guided, sigmas = latents_of(pipeline, settings)
    calls: list[bool] = []

    def step(x: Array, call: int, without: bool) -> Array:
        """Return x after one step from latents that are written."""
        chosen = replace(settings, guidance=1.0 if without else settings.guidance, negative="")
        chosen = chosen if without else settings
        result: list[Array] = []

        def write(event: Step) -> None:
            if event.index == call:
                event.write_noisy_latents(x)
            if event.index == call + 1:
                result.append(event.noisy_latents())

        pipeline.draw(chosen, write)
        calls.append(without)
        return result[0]

    below = sigmas[1] + 1e-3
    options = GuidanceOptions(skip_below=below)
    found, _ = latents_of(pipeline, replace(settings, guidance_options=options))
    np.testing.assert_array_equal(found[0], guided[0])
    for call in range(1, 5):
        expected = step(found[call - 1], call, call % 2 == 1)
        assert relative_error(found[call], expected) < 1e-5
    every = replace(settings, guidance_options=replace(options, skip_all=True))
    assert not np.array_equal(latents_of(pipeline, every)[0][-1], found[-1])
    np.testing.assert_array_equal(
        latents_of(pipeline, replace(settings, guidance_options=GuidanceOptions(skip_below=1e-9)))[
            0
        ][-1],
        guided[-1],
    )


@pytest.mark.parametrize(
    ("options", "skipped"),
    [
        (GuidanceOptions(skip_below=5.0), [3]),
        (GuidanceOptions(skip_below=5.0, skip_all=True), [3, 4]),
        (GuidanceOptions(skip_below=50.0), [1, 3]),
        (GuidanceOptions(skip_early=0.4), [0, 1, 2]),
        (GuidanceOptions(skip_early=0.2, skip_below=5.0), [0, 1, 3]),
        (GuidanceOptions(), []),
    ],
)
def test_which_calls_skip(options: GuidanceOptions, skipped: list[int]) -> None:
    """They are the WebUI's: ``step / total_steps <= skip_early``, odd steps below the sigma."""
    sigmas = [14.0, 9.0, 6.0, 4.0, 1.0]
    found = [i for i, sigma in enumerate(sigmas) if options.skips_negative(i, 5, sigma)]
    assert found == skipped


# ---------------------------------------------------------------- all of them


CHOICES = {
    "rescale": GuidanceOptions(rescale=0.7),
    "threshold": GuidanceOptions(thresholding=Thresholding(2.0, 0.9)),
    "ngms": GuidanceOptions(skip_below=1e3),
    "pag": GuidanceOptions(perturbed=3.0),
    "freeu": GuidanceOptions(freeu=FreeU()),
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_picture_does_not_depend_on_its_batch(device: Device, name: str) -> None:
    pipeline = Pipeline(networks(device, "sd2"))
    settings = replace(SETTINGS, guidance_options=CHOICES[name])
    together = pixels(pipeline, replace(settings, count=2, batch=2))
    alone = pixels(pipeline, replace(settings, seed=6))
    np.testing.assert_array_equal(together[1], alone[0])
    assert not np.array_equal(alone, pixels(pipeline, replace(SETTINGS, seed=6)))


def test_perturbed_attention_needs_no_guidance(device: Device) -> None:
    pipeline = Pipeline(networks(device, "sd2"))
    plain = replace(SETTINGS, guidance=1.0, negative="")
    perturbed = replace(plain, guidance_options=CHOICES["pag"])
    assert not np.array_equal(pixels(pipeline, plain), pixels(pipeline, perturbed))
    skipping = GuidanceOptions(perturbed=3.0, skip_below=1e3, skip_all=True)
    both = pixels(pipeline, replace(SETTINGS, guidance_options=skipping))
    np.testing.assert_array_equal(both, pixels(pipeline, perturbed))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"guidance_options": GuidanceOptions(rescale=1.5)}, "guidance_rescale must be"),
        ({"guidance_options": GuidanceOptions(perturbed=-1)}, "pag must be"),
        ({"guidance_options": GuidanceOptions(skip_below=float("nan"))}, "ngms must be"),
        ({"guidance_options": GuidanceOptions(skip_early=2)}, "skip_early must be"),
        ({"guidance_options": GuidanceOptions(thresholding=Thresholding(7, 2))}, "percentile must"),
        (
            {"guidance_options": GuidanceOptions(thresholding=Thresholding(measure="X"))},  # type: ignore[arg-type]
            "measure must be AD or STD",
        ),
        ({"guidance_options": GuidanceOptions(freeu=FreeU(s1=99))}, "freeu must be"),
        ({"guidance_options": GuidanceOptions(freeu=FreeU(version=3))}, "version must be 1 or 2"),  # type: ignore[arg-type]
        (
            {"guidance_options": GuidanceOptions(rescale=0.5, thresholding=Thresholding())},
            "both change the range",
        ),
        ({"prompt": "a AND b", "guidance_options": CHOICES["pag"]}, "AND"),
        ({"sampler": "euler_cfg_pp", "guidance_options": CHOICES["ngms"]}, "every call"),
    ],
)
def test_what_cannot_be_is_refused(device: Device, changes: dict[str, Any], reason: str) -> None:
    pipeline = Pipeline(networks(device, "sd2"))
    with pytest.raises(SettingsError, match=reason):
        next(pipeline.generate(replace(SETTINGS, **changes)))


@pytest.mark.parametrize("name", ["rescale", "threshold", "ngms"])
def test_choices_without_effect_are_named(device: Device, name: str) -> None:
    pipeline = Pipeline(networks(device, "sd2"))
    settings = replace(SETTINGS, guidance=1.0, negative="", guidance_options=CHOICES[name])
    with pytest.warns(UserWarning, match="changes nothing: it needs a guidance above 1"):
        next(pipeline.generate(settings))
