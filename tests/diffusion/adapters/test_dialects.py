"""Adapters of whole UNets in every dialect, against PEFT on diffusers' UNets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from diffusion.adapters import AdaptedModel, AdaptedPart, MergedAdapter, Merger, open_adapter
from diffusion.models.module import Module
from diffusion.models.unet import size_features, time_features
from diffusion.pipeline.networks import Networks
from gpucore import Device, f32
from gpustd import concat
from tests.diffusion.adapters.adapter_files import DIALECTS, write_adapter
from tests.diffusion.golden_families import networks
from tests.goldens.adapter_cases import UNETS, unet_inputs
from tests.goldens.family_folders import config as json_config
from tests.goldens.loader import channels_last, load, relative_error

# Names and merges are the host's; `test_runtime_loras` draws with LoRAs on every engine.
pytestmark = pytest.mark.one_engine


def unet_parts(nets: Networks) -> dict[str, AdaptedPart]:
    """Return the UNet alone."""
    return {"unet": AdaptedPart(nets.unet, nets.folder.weights("unet"), f32)}


def call_unet(nets: Networks, model: str) -> np.ndarray:
    """Return the UNet's result for the golden inputs."""
    inputs = unet_inputs(json_config(model, "unet"))
    upload = nets.device.buffer_from_array
    config = nets.folder.unet
    added = None
    if "added_cond_kwargs" in inputs:
        given = inputs["added_cond_kwargs"]
        sizes = size_features(given["time_ids"][0], config)[None]
        pooled = given["text_embeds"].astype(np.float32)
        added = nets.unet.embed_added(concat([upload(pooled, f32), upload(sizes, f32)], 1))
    context = upload(inputs["encoder_hidden_states"].astype(np.float32), f32)
    result = nets.unet(
        upload(channels_last(inputs["sample"]).astype(np.float32), f32),
        upload(time_features([inputs["timestep"]], config), f32),
        nets.unet.prompt_keys(context),
        added=added,
    )
    return result.read()


@pytest.fixture
def restored(device: Device) -> Iterator[list[Merger]]:
    """Give a list of mergers whose models are without adapters after the test."""
    mergers: list[Merger] = []
    yield mergers
    for each in mergers:
        each.merge(())


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", UNETS)
def test_unet_agrees_with_peft(
    device: Device, restored: list[Merger], case: str, dialect: str, tmp_path: Path
) -> None:
    nets = networks(device, UNETS[case].model)
    parts = unet_parts(nets)
    model = AdaptedModel.of({"unet": nets.unet}, nets.folder.unet)
    path = write_adapter(tmp_path / "a.safetensors", case, dialect, nets.folder.unet)
    merger = Merger(device, parts)
    restored.append(merger)
    before = call_unet(nets, UNETS[case].model)
    merger.merge([MergedAdapter(open_adapter(path, model), 1.0, 1.0)])
    expected = channels_last(load("adapters")[f"unet.{case}/out"])
    found = call_unet(nets, UNETS[case].model)
    assert relative_error(found, expected) < 1e-4
    assert relative_error(before, expected) > 1e-2
    merger.merge(())
    assert np.array_equal(call_unet(nets, UNETS[case].model), before)


def test_every_name_of_kohya_is_known(device: Device) -> None:
    for case in ("sd2", "xl"):
        nets = networks(device, UNETS[case].model)
        model = AdaptedModel.of({"unet": nets.unet}, nets.folder.unet)
        names = json.loads(str(load("adapters")[f"unet.{case}/kohya"]))
        assert len(names) > 50
        assert all(model.find(name.partition(".")[0]) for name in names)


TEXT_NAMES = {
    "lora_te1_text_model_encoder_layers_0_self_attn_q_proj": ("text_encoder", "q_proj"),
    "lora_te2_text_model_encoder_layers_1_mlp_fc1": ("text_encoder_2", "fc1"),
    "lycoris_te2_text_model_encoder_layers_1_mlp_fc1": ("text_encoder_2", "fc1"),
    "text_encoder.text_model.encoder.layers.0.self_attn.to_q": ("text_encoder", "q_proj"),
    "text_encoder.text_model.encoder.layers.0.self_attn.to_out": ("text_encoder", "out_proj"),
    "text_encoder_2.text_model.encoder.layers.1.mlp.fc2": ("text_encoder_2", "fc2"),
    "text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc2": (
        "text_encoder",
        "fc2",
    ),
    "text_encoders.clip_g.transformer.text_model.encoder.layers.1.mlp.fc2": (
        "text_encoder_2",
        "fc2",
    ),
    "lora_te2_text_projection": ("text_encoder_2", "text_projection"),
}


def test_names_of_text_encoders_are_known_in_each_dialect(device: Device) -> None:
    nets = networks(device, "xl_base")
    encoders = zip(nets.folder.text_encoders, nets.text.encoders, strict=True)
    parts: dict[str, Module] = {part: each.network for part, each in encoders}
    model = AdaptedModel.of({"unet": nets.unet, **parts}, nets.folder.unet)
    for spelling, (part, end) in TEXT_NAMES.items():
        found = model.find(spelling)
        assert found is not None, spelling
        assert found.part == part
        assert found.name.endswith(end)
