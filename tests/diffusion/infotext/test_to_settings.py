"""From settings to infotext and back, exactly; texts of other tools; and hostile texts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.cli.output import Output
from diffusion.errors import SettingsError
from diffusion.infotext.files import read_infotext
from diffusion.infotext.from_settings import infotext_from_settings
from diffusion.infotext.to_settings import settings_from_infotext
from diffusion.noise import NOISES
from diffusion.prompts import EMPHASES
from diffusion.samplers import SAMPLERS
from diffusion.schedules import SCHEDULES
from diffusion.settings import Defaults
from diffusion.tasks import (
    UPSCALERS,
    DeepCache,
    FreeU,
    GuidanceOptions,
    Hires,
    HyperTile,
    SelfAttentionGuidance,
    Thresholding,
    TokenMerging,
    Variation,
)
from diffusion.tasks.sampling_settings import SamplingSettings
from diffusion.tasks.sigmas import SigmaSchedule, partial_schedule
from gpustd.matmul.conv import Wrap
from tests.conftest import first_device
from tests.diffusion.noise_schedules import stable_diffusion

SD15 = stable_diffusion()
VALUES = {"seed": 1, "index": 1}
"""What names of files are made of."""
SEEDS = st.integers(0, 2**64 - 1)
SIDES = st.integers(1, 64).map(lambda n: 8 * n)
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=30)
PROMPT = LINE.filter(lambda text: "Negative prompt:" not in text)


def maybe(inner: st.SearchStrategy[float]) -> st.SearchStrategy[float | None]:
    return st.none() | inner


NUMBERS = maybe(st.floats(0, 1000))
ABOVE_0 = maybe(st.floats(0.01, 0.5))
SAMPLING = st.builds(
    SamplingSettings,
    order=st.none() | st.integers(1, 4),
    s_churn=NUMBERS,
    s_tmin=NUMBERS,
    s_tmax=st.none(),
    s_noise=NUMBERS,
    sigma_min=ABOVE_0,
    sigma_max=maybe(st.floats(1, 1000)),
    rho=maybe(st.floats(0.1, 20)),
    noise_seed_delta=st.none() | st.integers(-(2**64) + 1, 2**64 - 1),
)
VARIATIONS = st.builds(
    Variation,
    seed=SEEDS,
    strength=st.floats(0.01, 1),
    resize_from=st.none() | st.tuples(SIDES, SIDES),
)
HIRES = st.builds(
    Hires,
    scale=st.floats(1, 4),
    upscaler=st.sampled_from([each.label for each in UPSCALERS]),
    strength=st.floats(0.05, 1),
    steps=st.none() | st.integers(1, 99),
    sampler=st.none() | st.sampled_from([each.label for each in SAMPLERS]),
    schedule=st.none() | st.sampled_from([each.label for each in SCHEDULES]),
    prompt=st.none() | LINE,
    negative=st.none() | LINE,
    guidance=maybe(st.floats(0, 20)),
) | st.builds(
    Hires, upscaler=st.just("Lanczos"), resize=st.sampled_from([(0, 96), (128, 0), (72, 640)])
)
SHARES = st.integers(0, 1000).map(lambda n: n / 1000)
FACTORS = st.floats(0, 10)
THRESHOLDS = st.builds(
    Thresholding,
    mimic_scale=st.floats(0, 100),
    percentile=SHARES,
    separate_channels=st.booleans(),
    startpoint=st.sampled_from(["mean", "zero"]),
    measure=st.sampled_from(["AD", "STD"]),
    share=SHARES,
)
FREEUS = st.builds(
    FreeU, b1=FACTORS, b2=FACTORS, s1=FACTORS, s2=FACTORS, version=st.sampled_from([1, 2])
)
IMPROVEMENTS = (
    st.builds(
        GuidanceOptions,
        rescale=SHARES,
        skip_below=st.floats(0.01, 20),
        skip_all=st.booleans(),
        skip_early=SHARES,
        perturbed=st.floats(0, 100),
        freeu=st.none() | FREEUS,
        self_attention=st.none()
        | st.builds(SelfAttentionGuidance, st.floats(0.01, 9), st.floats(0.01, 9), st.floats(0, 9)),
        merging=st.none() | st.builds(TokenMerging, st.floats(0.01, 1), SHARES, st.integers(1, 8)),
    )
    | st.builds(
        GuidanceOptions,
        tiles=st.none()
        | st.builds(HyperTile, st.integers(32, 512), st.integers(1, 9), st.integers(0, 3)),
        cache=st.none() | st.builds(DeepCache, st.integers(1, 9), st.integers(0, 9)),
    )
    | st.builds(GuidanceOptions, thresholding=st.none() | THRESHOLDS)
)
SETTINGS = st.builds(
    Settings,
    prompt=PROMPT,
    negative=LINE,
    width=SIDES,
    height=SIDES,
    steps=st.integers(1, 1000),
    guidance=st.floats(0, 100),
    sampler=st.sampled_from([each.label for each in SAMPLERS]),
    schedule=st.sampled_from(["Automatic", *(each.label for each in SCHEDULES)]),
    seed=SEEDS,
    eta=maybe(st.floats(0, 1)),
    emphasis=st.sampled_from([each.label for each in EMPHASES]),
    clip_skip=st.integers(1, 12),
    hires=st.none() | HIRES,
    variation=st.none() | VARIATIONS,
    vae_tiling=st.sampled_from(["auto", "on", "off"]),
    seamless=st.sampled_from(get_args(Wrap)),
    rng=st.sampled_from([each.label for each in NOISES]),
    sampling=SAMPLING,
    guidance_options=IMPROVEMENTS,
)


def read_settings(text: str) -> Settings:
    """Return the settings of a text, checked."""
    settings = settings_from_infotext(text)
    settings.check()
    return settings


def normalise(settings: Settings) -> Settings:
    """Return settings for comparison: names in one spelling, no counts, which a text lacks."""
    emphasis = EMPHASES.find(settings.emphasis).name
    return dataclasses.replace(
        settings, emphasis=emphasis, rng=NOISES.find(settings.rng).name, batch=None, count=1
    )


@given(SETTINGS)
def test_settings_come_back_as_they_were(settings: Settings) -> None:
    text = infotext_from_settings(settings, 0, "model, with: signs", "0123456789", "Avila 1")
    assert normalise(read_settings(text)) == normalise(settings)


def hires_schedule(settings: Settings) -> SigmaSchedule:
    """Return the second pass's schedule of complete settings."""
    assert settings.hires is not None
    first = settings.sampler or "", settings.schedule or ""
    names = settings.hires.sampler_and_schedule(*first)
    return partial_schedule(SD15, *names, 4, None, settings.hires.strength)


@pytest.mark.parametrize("schedule", [None, "automatic", "beta"])
@pytest.mark.parametrize("sampler", [None, "euler", "DPM++ 2M Exponential"])
@pytest.mark.parametrize("first_schedule", [None, "automatic", "sgm_uniform"])
@pytest.mark.parametrize("first", ["dpmpp_2m", "DPM++ 2M Polyexponential"])
def test_a_schedule_in_a_sampler_s_name_comes_back(
    first: str, first_schedule: str | None, sampler: str | None, schedule: str | None
) -> None:
    hires = Hires(sampler=sampler, schedule=schedule)
    drawn = Settings("a", sampler=first, schedule=first_schedule, hires=hires)
    drawn = drawn.with_defaults(Defaults(64, 64))
    again = read_settings(infotext_from_settings(drawn, 0, "m", "0123456789", "Avila 1"))
    ours, theirs = hires_schedule(drawn), hires_schedule(again)
    assert theirs.sampler is ours.sampler
    np.testing.assert_array_equal(theirs.sigmas, ours.sigmas)


def test_as_another_tool_writes_it() -> None:
    """A text in the form of A1111 1.10, written by hand."""
    found = read_settings(
        "(masterpiece:1.2), cat <lora:thing:0.7>,\nwith a hat\n"
        "Negative prompt: bad, worse\n"
        "Steps: 25, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 1234567890, Size: 640x512, "
        "Model hash: 6ce0161689, Model: v1-5, Clip skip: 2, RNG: CPU, Sigma churn: 3, "
        'Lora hashes: "thing: 0123456789ab", Version: v1.10.1'
    )
    assert found == Settings(
        "(masterpiece:1.2), cat <lora:thing:0.7>,\nwith a hat",
        "bad, worse",
        640,
        512,
        25,
        7.5,
        "DPM++ 2M Karras",
        None,
        1234567890,
        clip_skip=2,
        rng="CPU",
        sampling=SamplingSettings(s_churn=3.0),
    )


@pytest.mark.parametrize(("value", "axes"), [("True", "xy"), ("False", "")])
def test_tiling_of_another_tool(value: str, axes: Wrap) -> None:
    assert read_settings(f"a\nSteps: 1, Seed: 2, Size: 64x64, Tiling: {value}").seamless == axes


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("Tiling: yes", "Tiling"),
        ("Tiling axis: z", "Tiling axis"),
        ("Steps: 1e9", "Steps"),
        ("Steps: 99999999", "steps"),
        (f"Steps: {'9' * 5000}", "Steps"),
        ("Seed: -1", "seed"),
        ("Seed: 18446744073709551616", "seed"),
        ("CFG scale: nan", "guidance"),
        ("CFG scale: inf", "guidance"),
        ("Size: 63x64", "width"),
        ("Size: 8x", "Size"),
        ("Size: axb", "Size"),
        ("RNG: /dev/random", "rng"),
        ("Emphasis: ../x", "emphasis"),
        ("Clip skip: 99", "clip_skip"),
        ("Sigma noise: -1", "s_noise"),
        ("Schedule rho: 0", "rho"),
        ("Sampler order: 2.5", "Sampler order"),
        ("Hires upscale: 99", "hires scale"),
        ("Hires upscale: 2, Hires upscaler: Latent (cubic)", "upscaler"),
        ("Variation seed strength: 7", "variation strength"),
        ("Denoising strength: 0.5", "Denoising strength"),
    ],
)
def test_wrong_values_are_refused_by_name(change: str, field: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(f"a cat\nAa: 1, Bb: 2, Cc: 3, {change}")
    assert caught.value.field == field


def test_an_unknown_sampler_is_refused_only_by_a_run() -> None:
    assert read_settings("a\nAa: 1, Bb: 2, Sampler: Dream 3000").sampler == "Dream 3000"


@pytest.mark.parametrize("text", ["", "a cat", "a cat\nSteps: 3, Seed: 1"])
def test_a_text_without_settings(text: str) -> None:
    with pytest.raises(SettingsError, match="holds no settings"):
        read_settings(text)


@given(st.text("Steps:CFGsacle, SedSizx0123456789\n", max_size=100))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_settings(text)
    except SettingsError:
        return


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp"])
@pytest.mark.parametrize("prompt", ["a red apple", "リンゴ 🍎\nwith a \u0301 hat", "é", ""])
def test_every_kind_of_file_keeps_the_text(tmp_path: Path, suffix: str, prompt: str) -> None:
    settings = Settings(prompt, "bad", 64, 48, 3, 4.5, "euler", "karras", 2**64 - 1)
    text = infotext_from_settings(settings, 0, "m", "0123456789", "Avila 1")
    place = Output.from_text(str(tmp_path / f"a{suffix}"))
    rng = np.random.default_rng(3)
    image = Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8))
    path = place.save(image, VALUES, 1, text)
    assert read_infotext(path) == text
    with Image.open(path) as opened_image:
        assert opened_image.size == (64, 48)
        if suffix in (".png", ".webp"):
            np.testing.assert_array_equal(np.asarray(opened_image.convert("RGB")), image)


def test_a_text_too_long_for_a_jpeg_is_left_out(tmp_path: Path) -> None:
    text = "a" * 40_000
    image = Image.new("RGB", (8, 8))
    with pytest.warns(UserWarning, match="too long for a JPEG"):
        path = Output.from_text(str(tmp_path / "a.jpg")).save(image, VALUES, 1, text)
    assert read_infotext(path) is None
    path = Output.from_text(str(tmp_path / "a.webp")).save(image, VALUES, 1, text)
    assert read_infotext(path) == text


@pytest.mark.parametrize(
    "settings",
    [
        Settings("[red:green:2] apple AND a hat :0.3", "bad", 64, 48, 3, seed=7, rng="cpu"),
        Settings(
            "a (red:1.3) apple",
            "",
            64,
            64,
            3,
            3.3,
            "dpmpp_2m_sde",
            "karras",
            eta=0.7,
            sampling=SamplingSettings(rho=5.0, s_noise=0.9),
        ),
        Settings("a", "b", 64, 64, 3, 9.1, "euler_cfg_pp", variation=Variation(3, 0.25)),
        Settings("a", "b", 64, 64, 3, 4.0, "euler", seamless="xy"),
        Settings("a", "b", 64, 64, 3, 4.0, "euler", seamless="x"),
    ],
    ids=["script", "sde", "cfg++", "seamless", "seamless x"],
)
def test_a_picture_is_drawn_again_bit_by_bit(settings: Settings) -> None:
    pipeline = Pipeline.load(device=first_device())
    full = dataclasses.replace(settings, count=2).with_defaults(pipeline.defaults)
    first = pipeline.draw(full)
    for number in range(2):
        text = infotext_from_settings(full, number, "m", "0", "Avila 1")
        (again,) = pipeline.draw(read_settings(text))
        np.testing.assert_array_equal(np.asarray(again), np.asarray(first[number]))
