"""UNet calls with control networks against diffusers.

Tolerance: 1e-4 relative in f32, as for the UNet alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffusion.models.control_config import AdapterConfig, ControlNetConfig
from diffusion.models.controlnet import ControlNet
from diffusion.models.module import load
from diffusion.models.t2i_adapter import T2IAdapter, unshuffle
from diffusion.models.unet import Residuals, size_features, time_features
from diffusion.pipeline.networks import Networks
from gpucore import Buffer, Device, f16, f32
from gpustd import add, cast, concat, multiply
from tests.conftest import skip_without_f16
from tests.diffusion.control.golden_controls import golden_networks, open_golden, write_control
from tests.goldens import control_cases as cases
from tests.goldens.loader import channels_last, relative_error
from tests.goldens.loader import load as load_golden

TOLERANCE = 1e-4


class Call:
    """The inputs of a golden call on a device."""

    def __init__(self, device: Device, made: Networks, model: str) -> None:
        config = cases.unet_config(model)
        inputs = cases.call_inputs(config)
        self.made = made
        latents = channels_last(inputs["sample"])[: cases.IMAGES]
        self.latents: Buffer[Any] = device.buffer_from_array(latents, f32)
        times = time_features([cases.TIME] * cases.IMAGES, made.folder.unet)
        self.features: Buffer[Any] = device.buffer_from_array(times, f32)
        self.context: Buffer[Any] = device.buffer_from_array(inputs["encoder_hidden_states"], f32)
        self.vectors: Buffer[Any] | None = None
        if "added_cond_kwargs" in inputs:
            added = inputs["added_cond_kwargs"]
            sizes = [size_features(row, made.folder.unet) for row in added["time_ids"]]
            rows = np.concatenate([added["text_embeds"], np.stack(sizes)], axis=1)
            self.vectors = device.buffer_from_array(rows, f32)

    def unet(self, residuals: Residuals) -> Any:
        """Return the UNet's output."""
        unet = self.made.unet
        added = None if self.vectors is None else unet.embed_added(self.vectors)
        return unet(
            self.latents,
            self.features,
            unet.prompt_keys(self.context),
            parts=cases.PROMPTS,
            added=added,
            residuals=residuals,
        ).read()


def control_net(device: Device, path: Path, name: str, made: Networks) -> ControlNet:
    opened = open_golden(path, name, made.folder)
    assert isinstance(opened.config, ControlNetConfig)
    network = ControlNet(opened.config)
    opened.weights.check({each: p.shape for each, p in network.parameters()})
    load(network, opened.weights.read, device, made.dtype)
    return network


def scaled(residuals: Residuals) -> Residuals:
    """Return residuals times the goldens' scale."""
    assert residuals.middle is not None
    skips = [multiply(each, cases.SCALE) for each in residuals.skips]
    return Residuals(skips, multiply(residuals.middle, cases.SCALE))


def expected(name: str, part: str = "out") -> Any:
    return channels_last(load_golden("control")[f"{name}/{part}"])


@pytest.mark.parametrize("name", cases.CONTROLNETS)
def test_controlnets(device: Device, name: str, tmp_path: Path) -> None:
    case = cases.CONTROLNETS[name]
    made = golden_networks(device, case.model)
    call = Call(device, made, case.model)
    network = control_net(device, tmp_path, name, made)
    pixels = channels_last(cases.picture(name, case.factor))
    if name == "pooled":
        pixels = pixels[..., ::-1]
    picture = device.buffer_from_array(np.ascontiguousarray(pixels), f32)
    found = network(
        call.latents,
        call.features,
        network.prompt_keys(call.context),
        network.read_picture(picture),
        parts=cases.PROMPTS,
        added=None if call.vectors is None else network.embed_added(call.vectors),
    )
    assert found.middle is not None
    assert relative_error(found.middle.read(), expected(name, "middle")) < TOLERANCE
    assert relative_error(call.unet(scaled(found)), expected(name)) < TOLERANCE


def test_f16(device: Device, tmp_path: Path) -> None:
    """f16 is 3.5e-3 off in PyTorch; the factor is that of the UNet's own test."""
    skip_without_f16(device, "f16")
    made = golden_networks(device, "sd2", f16)
    network = control_net(device, tmp_path, "sd2", made)
    call = Call(device, made, "sd2")
    latents, features, context = (
        cast(each, f16) for each in (call.latents, call.features, call.context)
    )
    picture = device.buffer_from_array(channels_last(cases.picture("sd2", 2)), f16)
    found = network(
        latents,
        features,
        network.prompt_keys(context),
        network.read_picture(picture),
        parts=cases.PROMPTS,
    )
    assert found.middle is not None
    assert relative_error(found.middle.read(), expected("sd2", "middle")) < 1e-2
    call.latents, call.features, call.context = latents, features, context
    assert relative_error(call.unet(scaled(found)), expected("sd2")) < 1e-2


@pytest.mark.parametrize("name", cases.UNIONS)
def test_unions(device: Device, name: str, tmp_path: Path) -> None:
    case = cases.UNIONS[name]
    made = golden_networks(device, case.model)
    call = Call(device, made, case.model)
    network = control_net(device, tmp_path, name, made)
    kinds = cases.UNION_TYPES[name]
    hints = []
    for kind in kinds:
        pixels = channels_last(cases.picture(f"{name}{kind}", 2))
        hints.append(network.read_picture(device.buffer_from_array(pixels, f32), kind))
    hint = hints[0] if len(hints) == 1 else add(*hints)
    total = cases.saved(name)["config"]["num_control_type"]
    kind_features = size_features([float(n in kinds) for n in range(total)], made.folder.unet)
    row = network.embed_kinds(device.buffer_from_array(kind_features[None], f32))
    assert call.vectors is not None
    added = add(network.embed_added(call.vectors), concat([row] * call.vectors.shape[0], 0))
    found = network(
        call.latents,
        call.features,
        network.prompt_keys(call.context),
        hint,
        parts=cases.PROMPTS,
        added=added,
    )
    assert relative_error(call.unet(scaled(found)), expected(name)) < TOLERANCE


@pytest.mark.parametrize("name", cases.ADAPTERS)
def test_adapters(device: Device, name: str, tmp_path: Path) -> None:
    case = cases.ADAPTERS[name]
    made = golden_networks(device, case.model)
    folder = write_control(tmp_path, name)
    config = AdapterConfig.from_json(cases.saved(name)["config"], folder)
    network = T2IAdapter(config)
    load(network, cases.parameters(name).__getitem__, device, f32)
    pixels = channels_last(cases.picture(name, 2, config.inputs))
    blocks = unshuffle(pixels, config.downscale)
    features = network(device.buffer_from_array(blocks, f32))
    for index, feature in enumerate(features):
        assert relative_error(feature.read(), expected(name, f"feature.{index}")) < TOLERANCE
    levels = len(made.folder.unet.block_out_channels) + (case.model == "xl_base")
    residuals = Residuals(levels=[multiply(each, cases.SCALE) for each in features[:levels]])
    assert (
        relative_error(Call(device, made, case.model).unet(residuals), expected(name)) < TOLERANCE
    )
