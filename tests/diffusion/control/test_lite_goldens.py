"""UNet calls with ControlNet-LLLite against diffusers with modules of the published formula.

Tolerance: 1e-4 relative in f32, as for the UNet alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffusion.checkpoints.control import open_control
from diffusion.models.layers import Activations
from diffusion.models.lite import ControlLite, LiteConfig, input_changes
from diffusion.models.module import load
from diffusion.models.unet import Residuals
from diffusion.pipeline.networks import Networks
from gpucore import Device, f16, f32
from gpustd import cast
from tests.conftest import skip_without_f16
from tests.diffusion.control.golden_controls import golden_networks
from tests.diffusion.control.golden_lites import write_lite
from tests.diffusion.control.test_goldens import Call
from tests.goldens import lite_cases as cases
from tests.goldens.loader import channels_last, relative_error

TOLERANCE = 1e-4
Changes = dict[object, list[Callable[[Activations], Activations]]]


def add_changes(
    changes: Changes, device: Device, path: Path, name: str, made: Networks, strength: float
) -> None:
    """Add what a golden file changes in a UNet's layers."""
    opened = open_control(path, made.folder)
    assert isinstance(opened.config, LiteConfig)
    network = ControlLite(opened.config)
    opened.weights.check({each: p.shape for each, p in network.parameters()})
    load(network, opened.weights.read, device, made.dtype)
    pixels = channels_last(cases.picture(name)) * 2 - 1
    picture: Any = device.buffer_from_array(pixels, made.dtype)
    factor: Any = device.buffer_from_array(np.full((1, 1, 1), strength), made.dtype)
    for place, module in network.lites:
        change = partial(module, picture=module.read_picture(picture), strength=factor)
        changes.setdefault(made.unet.find(place.place.layer), []).append(change)


@pytest.mark.parametrize("call", cases.CALLS)
def test_calls(device: Device, call: str, tmp_path: Path) -> None:
    files = cases.CALLS[call]
    model = cases.LITES[files[0][0]].model
    made = golden_networks(device, model)
    changes: Changes = {}
    for name, strength in files:
        add_changes(changes, device, write_lite(tmp_path, name), name, made, strength)
    inputs = Call(device, made, model)
    expected = channels_last(cases.expected(call))
    with input_changes(changes):
        found = inputs.unet(Residuals())
    assert relative_error(found, expected) < TOLERANCE
    assert relative_error(inputs.unet(Residuals()), expected) > 0.01  # it matters


def test_f16(device: Device, tmp_path: Path) -> None:
    """The tolerance is that of the UNet's own test."""
    skip_without_f16(device, "f16")
    made = golden_networks(device, "sd2", f16)
    changes: Changes = {}
    add_changes(changes, device, write_lite(tmp_path, "lite_sd2"), "lite_sd2", made, cases.SCALE)
    call = Call(device, made, "sd2")
    call.latents, call.features, call.context = (
        cast(each, f16) for each in (call.latents, call.features, call.context)
    )
    with input_changes(changes):
        found = call.unet(Residuals())
    assert relative_error(found, channels_last(cases.expected("lite_sd2"))) < 1e-2


def test_a_changed_projection_is_that_of_three_layers(device: Device) -> None:
    """Queries, keys and values of other inputs are columns of three whole projections."""
    made = golden_networks(device, "sd2")
    attention: Any = made.unet.find("down_blocks.0.attentions.0.transformer_blocks.0.attn1")
    fused, width = attention._qkv, attention.to_q.weight.shape[1]
    draw = np.random.default_rng(2).standard_normal((3, 2, 9, width)).astype(np.float32)
    inputs = [device.buffer_from_array(each, f32) for each in draw]
    found = fused.of_each(inputs).read()
    for index, each in enumerate(inputs):
        columns = slice(index * width, (index + 1) * width)
        np.testing.assert_allclose(found[..., columns], fused(each).read()[..., columns], rtol=2e-6)
    shared = fused.of_each([inputs[0], inputs[0], inputs[2]]).read()
    np.testing.assert_array_equal(shared[..., 2 * width :], found[..., 2 * width :])
