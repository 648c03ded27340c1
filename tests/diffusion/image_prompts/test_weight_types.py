"""The factors of weight types, against the tables that cubiq/ComfyUI_IPAdapter_plus writes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.control import SCALINGS, WEIGHT_TYPES, ControlFolder
from diffusion.control.weight_types import LayerFactor, layer_factors
from diffusion.errors import SettingsError
from diffusion.models.transformer import AttentionKeys
from diffusion.pipeline.image_prompts import (
    ImagePromptGraph,
    LoadedImagePrompts,
    PromptRows,
    prompt_units_of,
)
from gpucore import Device
from tests.diffusion.golden_families import networks
from tests.diffusion.image_prompts.golden_prompts import adapter_tensors, image_prompt
from tests.diffusion.session_folder import session_folder
from tests.goldens import image_prompt_cases as cases
from tests.goldens.loader import relative_error

SIDES = {
    "sd": ["input"] * 6 + ["middle"] + ["output"] * 9,
    "xl": ["input"] * 4 + ["middle"] + ["output"] * 6,
}
STYLE_SD = dict.fromkeys((0, 1, 2, 3, 9, 10, 11, 12, 13, 14, 15), 1.0)
COMPOSITION_SD = {4: 0.25, 5: 1.0}
NAMED: Mapping[tuple[str, str], tuple[Mapping[int, float], tuple[int, ...]]] = {
    ("xl", "style"): ({6: 1.0}, ()),
    ("sd", "style"): (STYLE_SD, ()),
    ("xl", "composition"): ({3: 1.0}, ()),
    ("sd", "composition"): (COMPOSITION_SD, ()),
    ("xl", "strong_style"): (dict.fromkeys((0, 1, 2, 4, 5, 6, 7, 8, 9, 10), 1.0), ()),
    ("sd", "strong_style"): (
        dict.fromkeys((0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), 1.0),
        (),
    ),
    ("xl", "style_and_composition"): ({3: 1.0, 6: 1.0}, ()),
    ("sd", "style_and_composition"): ({**STYLE_SD, **COMPOSITION_SD}, ()),
    ("xl", "style_precise"): ({3: 1.0, 6: 1.0}, (3,)),
    ("sd", "style_precise"): ({**STYLE_SD, **COMPOSITION_SD}, (4, 5)),
    ("xl", "composition_precise"): (
        {**dict.fromkeys(range(11), 0.1), 3: 1.0, 6: 1.0},
        (0, 1, 2, 4, 5, 6, 7, 8, 9, 10),
    ),
    ("sd", "composition_precise"): (
        {**STYLE_SD, **COMPOSITION_SD, 6: 0.1, 7: 0.1, 8: 0.1},
        (0, 1, 2, 3, *range(6, 16)),
    ),
}
"""Factors by transformer, and where the negative prompt reads the pictures instead."""


@pytest.mark.parametrize(("model", "name"), NAMED)
def test_style_and_composition(model: str, name: str) -> None:
    factors, away = NAMED[model, name]
    found = layer_factors(name, (), SIDES[model])
    assert [each.factor for each in found] == [
        factors.get(index, 0.0) for index in range(len(SIDES[model]))
    ]
    assert tuple(index for index, each in enumerate(found) if each.away) == away


def test_every_named_type_has_a_row() -> None:
    plain = {"linear", *EASED, *WEAK}
    assert {name for _, name in NAMED} == set(WEIGHT_TYPES.names) - plain


EASED = {
    "ease_in": lambda index, count: 0.05 + 0.95 * (1 - index / count),
    "ease_out": lambda index, count: 0.05 + 0.95 * (index / count),
    "ease_in_out": lambda index, count: 0.05 + 0.95 * (1 - abs(index - count / 2) / (count / 2)),
    "reverse_in_out": lambda index, count: 0.05 + 0.95 * (abs(index - count / 2) / (count / 2)),
}
WEAK = {
    "weak_input": {"input": 0.2},
    "weak_output": {"output": 0.2},
    "weak_middle": {"middle": 0.2},
    "strong_middle": {"input": 0.2, "output": 0.2},
}


@pytest.mark.parametrize("count", [6, 11, 16])
@pytest.mark.parametrize("name", EASED)
def test_eased(name: str, count: int) -> None:
    sides = ["input"] * count
    found = [each.factor for each in layer_factors(name, (), sides)]
    assert found == pytest.approx([EASED[name](index, count) for index in range(count)])
    assert [each.factor for each in layer_factors("linear", (), sides)] == [1.0] * count


@pytest.mark.parametrize("name", WEAK)
def test_weak_sides(name: str) -> None:
    found = layer_factors(name, (), SIDES["sd"])
    assert [each.factor for each in found] == [WEAK[name].get(s, 1.0) for s in SIDES["sd"]]


def test_layer_weights_take_the_place_of_a_type() -> None:
    found = layer_factors("style", (0.5, 2.0), ["input", "output"])
    assert [tuple(each) for each in found] == [(0.5, False), (2.0, False)]
    with pytest.raises(SettingsError, match="must be 2 numbers"):
        layer_factors("style", (0.5,), ["input", "output"])
    with pytest.raises(SettingsError, match="give layer weights"):
        layer_factors("style", (), ["input", "output"])


WEIGHT = 0.4


def scaled(
    scaling: str, keys: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return keys and values as CrossAttentionPatch.py scales them."""
    weight = WEIGHT
    if scaling in ("kv_penalty", "k_mean_v_penalty"):
        weight = WEIGHT * keys.shape[2] / 1280.0
    if scaling == "v":
        return keys, values * weight
    if scaling == "k_mean_v_penalty":
        middle = values.mean(1, keepdims=True)
        return keys * weight, (values - middle) + middle * weight
    return keys * weight, values * weight


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("scaling", SCALINGS.names)
def test_written_keys(device: Device, scaling: str, *, away: bool) -> None:
    """What is written for each row, from the adapter's weights in float64.

    Away from the pictures: the negative prompt reads them, and the prompt reads zeros.
    """
    made = networks(device, "sd2")
    use = cases.Use("base", (0,), WEIGHT)
    prompt = replace(
        image_prompt(session_folder("image-prompts"), use, "sd2", (24, 16)), scaling=scaling
    )
    loaded = LoadedImagePrompts(made, lambda: None).load((prompt,), ControlFolder(None))
    (unit,) = prompt_units_of(loaded, (24, 16), None, hires=False)
    vars(unit)["factors"] = [LayerFactor(1.0, away)] * 6
    graph = ImagePromptGraph((unit,), (2, 8, 12, 4), PromptRows(2, 4))
    tokens = [np.asarray(each.read(), np.float64) for each in unit.tokens()]
    shown, hidden = (tokens[0] * 0, tokens[0]) if away else tokens
    plain = {each.attention: AttentionKeys(None, None) for each in unit.loaded.places}  # type: ignore[arg-type]
    extended = graph.extend(plain, (True,))
    weights = adapter_tensors("base", "sd2")
    for number, place in enumerate(unit.loaded.places):
        (found,) = extended[place.attention].images
        both = [
            [
                each @ np.float64(weights[f"ip_adapter.{2 * number + 1}.to_{k}_ip.weight"]).T
                for k in "kv"
            ]
            for each in (hidden, shown)
        ]
        pairs = [scaled(scaling, *each) for each in both]
        for ours, (negative, positive) in zip(found[:2], zip(*pairs, strict=True), strict=True):
            rows = np.concatenate([*[negative] * 2, *[positive] * 4])
            assert relative_error(ours.read(), rows) < 1e-5
