"""SAG, merged tokens, tiles of attention and kept features: against their published code."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion import Pipeline, Settings, Step
from diffusion.errors import SettingsError
from diffusion.models.self_attention.merging import MergePlan
from diffusion.models.self_attention.saving import Saving, TokenSaving, tile_count
from diffusion.schedules import SCHEDULES
from diffusion.tasks import (
    DeepCache,
    GuidanceOptions,
    Hires,
    HyperTile,
    SelfAttentionGuidance,
    TokenMerging,
)
from diffusion.tasks.self_attention import blur_weights
from gpucore import Device, f32
from gpustd import add
from tests.diffusion.bundled_model import pixels
from tests.diffusion.golden_families import networks as family_networks
from tests.diffusion.golden_models import networks
from tests.goldens.cases import NEGATIVE, PROMPT
from tests.goldens.loader import channels_last, load, relative_error
from tests.goldens.shortcut_cases import SHORTCUTS, STEPS, Shortcut

Array = NDArray[Any]
SETTINGS = Settings("a red apple", "a dog", width=32, height=32, steps=3, guidance=4.0, seed=5)


def options_of(case: Shortcut) -> GuidanceOptions:
    return GuidanceOptions(
        self_attention=SelfAttentionGuidance(case.sag, 1.0) if case.sag else None,
        merging=TokenMerging(case.ratio) if case.ratio else None,
        cache=DeepCache(case.interval, case.branch) if case.interval else None,
    )


@pytest.mark.parametrize("case", SHORTCUTS, ids=lambda case: case.name)
def test_runs_are_those_of_the_published_code(device: Device, case: Shortcut) -> None:
    made = networks(device, case.model)
    factor = made.folder.vae.downscale
    # Runs here begin with noise alone, those of diffusers with variance 1.
    first = SCHEDULES.find("trailing").sigmas(made.noise, STEPS)[0]
    start = channels_last(case.noise()) * np.float32(math.hypot(1, first) / first)
    settings = Settings(
        PROMPT,
        NEGATIVE if case.guidance > 1 else "",
        factor * case.width,
        factor * case.height,
        STEPS,
        case.guidance,
        "ddim",
        "trailing",
        eta=0.0,
        count=case.batch,
        batch=case.batch,
        latents=start,
        guidance_options=options_of(case),
    )
    found: list[Array] = []

    def keep(step: Step) -> None:
        found.append(step.noisy_latents() / math.sqrt(1 + step.sigma**2))

    pipeline = Pipeline(made)
    pipeline.draw(settings, keep)
    expected = load("shortcuts")[case.name]
    for step, golden in zip(found, expected, strict=True):
        assert relative_error(step, channels_last(golden)) < 1e-4
    plain: list[Array] = []
    pipeline.draw(
        replace(settings, guidance_options=GuidanceOptions()),
        lambda step: plain.append(step.noisy_latents()),
    )
    assert relative_error(plain[-1], found[-1]) > 1e-3  # the choice has an effect


# ---------------------------------------------------------------- parts


def attention_of(x: Array) -> Array:
    """Return a stand-in for attention: each token and the mean of all."""
    mixed: Array = x + 3.0 * x.mean(1, keepdims=True)
    return mixed


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.75])
def test_merged_tokens_are_means_of_the_most_similar(device: Device, ratio: float) -> None:
    height, width, channels = 5, 4, 8
    x = np.random.default_rng(1).standard_normal((2, height * width, channels)).astype(np.float32)
    on_device = device.buffer_from_array(x, f32)
    plan = MergePlan.make(device, 2, (height, width), ratio)
    assert plan is not None
    merging = plan.merge(on_device, on_device)
    kept = [row * width + column for row in (0, 2) for column in (0, 2)]
    others = [each for each in range(height * width) if each not in kept]
    gone = min(len(others), int(height * width * ratio))
    merged, split = merging.tokens.read(), merging.split(merging.tokens).read()
    assert merged.shape == (2, height * width - gone, channels)
    for image in range(2):
        unit = x[image] / np.linalg.norm(x[image], axis=1, keepdims=True)
        scores = unit[others] @ unit[kept].T
        order = np.argsort(-scores.max(1), kind="stable")
        groups = {place: [place] for place in kept}
        for index in order[:gone]:
            groups[kept[scores[index].argmax()]].append(others[index])
        for members in groups.values():
            mean = x[image][members].mean(0)
            np.testing.assert_allclose(split[image][members], [mean] * len(members), atol=1e-5)
        for index in order[gone:]:
            np.testing.assert_allclose(split[image][others[index]], x[image][others[index]])


def test_tiles_attend_to_themselves(device: Device) -> None:
    x = np.random.default_rng(2).standard_normal((2, 8 * 12, 4)).astype(np.float32)
    saving = TokenSaving(Saving(tile=4, swap=2, depth=0), {8 * 12: (0, (8, 12))})
    on_device = device.buffer_from_array(x, f32)

    def function(tokens: Any, residual: Any) -> Any:
        made = device.buffer_from_array(attention_of(tokens.read()), f32)
        return made if residual is None else add(made, residual)

    for layer, (down, across) in enumerate([(2, 3), (1, 2), (2, 3)]):
        assert [tile_count(8, 4, 2, layer), tile_count(12, 4, 2, layer)] == [down, across]
        found = saving.attend(function, on_device, on_device).read().reshape(2, 8, 12, 4)
        expected = np.empty_like(found)
        for rows in np.split(np.arange(8), down):
            for columns in np.split(np.arange(12), across):
                tile = x.reshape(2, 8, 12, 4)[:, rows][:, :, columns]
                made = attention_of(tile.reshape(2, -1, 4)).reshape(tile.shape)
                expected[np.ix_(np.arange(2), rows, columns)] = made + tile
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_one_tile_changes_nothing(device: Device) -> None:
    pipeline = Pipeline(networks(device, "two_levels"))
    options = GuidanceOptions(tiles=HyperTile(4096, 1))
    tiled = pixels(pipeline, replace(SETTINGS, guidance_options=options))
    np.testing.assert_array_equal(tiled, pixels(pipeline, SETTINGS))


def test_blur_is_a_gaussian() -> None:
    matrix = blur_weights(12, 1.5)
    np.testing.assert_allclose(matrix.sum(1), 1)
    line = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
    np.testing.assert_allclose(matrix[5, 1:10], line / line.sum())
    assert matrix[0, 1] == pytest.approx(2 * line[3] / line.sum())
    np.testing.assert_allclose(blur_weights(1, 2.0), 1)


# ---------------------------------------------------------------- in a pipeline

CHOICES = {
    "sag": GuidanceOptions(self_attention=SelfAttentionGuidance(2.0)),
    "merging": GuidanceOptions(merging=TokenMerging(0.5)),
    "tiles": GuidanceOptions(tiles=HyperTile(32, 2, 1)),
    "cache": GuidanceOptions(cache=DeepCache(2)),
    "cache and PAG": GuidanceOptions(cache=DeepCache(2), perturbed=2.0),
    "SAG and the rest": GuidanceOptions(
        rescale=0.5,
        perturbed=2.0,
        self_attention=SelfAttentionGuidance(2.0),
        merging=TokenMerging(0.5),
    ),
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_picture_does_not_depend_on_its_batch(device: Device, name: str) -> None:
    pipeline = Pipeline(networks(device, "two_levels"))
    settings = replace(SETTINGS, width=64, height=64, guidance_options=CHOICES[name])
    together = pixels(pipeline, replace(settings, count=2, batch=2))
    alone = pixels(pipeline, replace(settings, seed=6))
    np.testing.assert_array_equal(together[1], alone[0])
    plain = replace(settings, seed=6, guidance_options=GuidanceOptions())
    assert not np.array_equal(alone, pixels(pipeline, plain))
    np.testing.assert_array_equal(alone, pixels(pipeline, replace(settings, seed=6)))


def test_the_second_pass_has_its_own_ratio(device: Device) -> None:
    pipeline = Pipeline(networks(device, "two_levels"))
    hires = replace(SETTINGS, hires=Hires(1.5, strength=0.5, steps=2))

    def drawn(merging: TokenMerging) -> Array:
        options = GuidanceOptions(merging=merging)
        return pixels(pipeline, replace(hires, guidance_options=options))

    same, other = drawn(TokenMerging(0.5)), drawn(TokenMerging(0.5, hires=0.25))
    assert not np.array_equal(same, other)
    np.testing.assert_array_equal(same, drawn(TokenMerging(0.5, hires=0.5)))


def test_xl_merges_at_its_first_attention(device: Device) -> None:
    pipeline = Pipeline(family_networks(device, "xl_base"))

    def drawn(downsample: int) -> Array:
        options = GuidanceOptions(merging=TokenMerging(0.5, downsample=downsample))
        return pixels(pipeline, replace(SETTINGS, guidance_options=options))

    plain = pixels(pipeline, SETTINGS)
    with pytest.warns(UserWarning, match="token_merging changes nothing: .* downsample of 2"):
        np.testing.assert_array_equal(drawn(1), plain)
    tiled = replace(SETTINGS, guidance_options=GuidanceOptions(tiles=HyperTile(32)))
    with pytest.warns(UserWarning, match="hypertile changes nothing: .* depth of 1"):
        pixels(pipeline, tiled)
    assert not np.array_equal(drawn(2), plain)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (GuidanceOptions(merging=TokenMerging(1.5)), "token_merging must be"),
        (GuidanceOptions(merging=TokenMerging(0.5, -1)), "token_merging_hires must be"),
        (GuidanceOptions(tiles=HyperTile(8)), "hypertile must be"),
        (GuidanceOptions(tiles=HyperTile(swap=0)), "hypertile_swap must be"),
        (GuidanceOptions(cache=DeepCache(0)), "deep_cache must be"),
        (GuidanceOptions(cache=DeepCache(3, 24)), "deep_cache_branch"),
        (GuidanceOptions(self_attention=SelfAttentionGuidance(blur=0)), "sag_blur must be"),
        (GuidanceOptions(tiles=HyperTile(), merging=TokenMerging()), "the same attention"),
        (GuidanceOptions(cache=DeepCache(), skip_below=2.0), "SAG or NGMS"),
        (
            GuidanceOptions(cache=DeepCache(), self_attention=SelfAttentionGuidance()),
            "SAG or NGMS",
        ),
    ],
)
def test_what_cannot_be_is_refused(device: Device, options: GuidanceOptions, reason: str) -> None:
    pipeline = Pipeline(networks(device, "two_levels"))
    with pytest.raises(SettingsError, match=reason):
        next(pipeline.generate(replace(SETTINGS, guidance_options=options)))
