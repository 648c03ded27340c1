"""Pictures with adapters: weights come back bit by bit, and nothing old is kept."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from diffusion import Pipeline, Settings
from diffusion.adapters import Lora, LoraFolder, hash_of_file
from diffusion.errors import SettingsError
from diffusion.infotext.grammar import parse_infotext
from diffusion.infotext.unreproduced import unreproduced_settings
from diffusion.models import layers
from diffusion.models.module import Module, load
from diffusion.models.unet import UNet
from diffusion.pipeline.networks import Networks
from gpucore import Device, f32
from tests.diffusion.adapters.device_weights import device_weights
from tests.diffusion.bundled_model import pixels
from tests.diffusion.golden_families import networks
from tests.goldens.loader import relative_error
from tests.goldens.weights import normal

# What is chosen is the host's; `test_runtime_loras` draws with LoRAs on every engine.
pytestmark = pytest.mark.one_engine

RANK = 2
SETTINGS = Settings("a red apple", width=32, height=32, steps=2, guidance=3.0, seed=5)


def write_lora(path: Path, nets: Networks, seed: str) -> Path:
    """Write an adapter of every layer of the UNet and the text encoders."""
    tensors = {}
    parts: dict[str, Module] = {"lora_unet": nets.unet}
    parts |= {f"lora_te{i + 1}": each.network for i, each in enumerate(nets.text.encoders)}
    for prefix, network in parts.items():
        for name, shape in adapted_shapes(network).items():
            module = f"{prefix}_{name.removesuffix('.weight').replace('.', '_')}"
            up = 0.1 * normal(f"{seed}/{module}/up", (shape[0], RANK))
            down = normal(f"{seed}/{module}/down", (RANK, *shape[1:]))
            tensors[f"{module}.lora_up.weight"] = up.reshape(*up.shape, *[1] * (len(shape) - 2))
            tensors[f"{module}.lora_down.weight"] = down / np.float32(np.sqrt(down[0].size))
    save_file(tensors, path)
    return path


def adapted_shapes(network: Module) -> dict[str, tuple[int, ...]]:
    """Return the weights of layers; not tables of embeddings."""
    return {
        name: parameter.shape
        for name, parameter in network.parameters()
        if parameter.layout in ("linear", "conv")
    }


@pytest.fixture
def pipeline(device: Device, tmp_path: Path) -> Iterator[Pipeline]:
    nets = networks(device, "xl_base")
    write_lora(tmp_path / "a.safetensors", nets, "a")
    write_lora(tmp_path / "b.safetensors", nets, "b")
    found = Pipeline(nets, loras=LoraFolder(tmp_path), lora_mode="merge")
    yield found
    with found.loras.use(SETTINGS):
        found.release()


def all_weights(nets: Networks) -> list[NDArray[np.floating]]:
    """Return the weights on the device of the UNet and the text encoders."""
    parts = [nets.unet, *(each.network for each in nets.text.encoders)]
    return [array for part in parts for array in device_weights(part)]


@pytest.mark.parametrize("turns", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_changes_leave_every_bit_and_no_memory(pipeline: Pipeline, turns: int) -> None:
    nets, device = pipeline.networks, pipeline.device
    before = all_weights(nets)
    memory = []
    for turn in range(turns):
        name = "ab"[turn % 2]
        with pipeline.loras.use(replace(SETTINGS, loras=(Lora(name, 0.5 + turn / 20),))):
            assert not np.array_equal(all_weights(nets)[0], before[0])
        with pipeline.loras.use(SETTINGS):
            device.synchronize()
        gc.collect()
        memory.append(device.pool.stats.live)
    for old, new in zip(before, all_weights(nets), strict=True):
        np.testing.assert_array_equal(old, new)
    assert len(set(memory)) == 1


def test_pictures_follow_the_loras_at_once(pipeline: Pipeline) -> None:
    plain = pixels(pipeline, SETTINGS)
    tagged = replace(SETTINGS, prompt="a red apple <lora:a:1>")
    with_a = pixels(pipeline, tagged)
    with_b = pixels(pipeline, replace(SETTINGS, loras=(Lora("b"),)))
    half = pixels(pipeline, replace(SETTINGS, prompt="a red apple <lora:a:0.5>"))
    assert len({image.tobytes() for image in (plain, with_a, with_b, half)}) == 4
    np.testing.assert_array_equal(pixels(pipeline, replace(SETTINGS, loras=(Lora("a"),))), with_a)
    np.testing.assert_array_equal(pixels(pipeline, tagged), with_a)
    nothing = replace(SETTINGS, prompt="a red apple <lora:a:0>")
    np.testing.assert_array_equal(pixels(pipeline, nothing), plain)
    np.testing.assert_array_equal(pixels(pipeline, SETTINGS), plain)


def test_text_and_unet_have_strengths_of_their_own(pipeline: Pipeline) -> None:
    text = pipeline.networks.text.encoders[0].network
    before, unet_before = device_weights(text), device_weights(pipeline.networks.unet)
    with pipeline.loras.use(replace(SETTINGS, loras=(Lora("a", 0.0, 1.0),))):
        np.testing.assert_array_equal(device_weights(text)[0], before[0])
        assert not np.array_equal(device_weights(pipeline.networks.unet)[0], unet_before[0])
    plain = pipeline.embed("a red apple")
    changed = pipeline.embed("a red apple <lora:a:1:0>")
    assert not np.array_equal(plain.prompt, changed.prompt)
    np.testing.assert_array_equal(pipeline.embed("a red apple").prompt, plain.prompt)


def test_merged_weights_are_those_of_a_model_loaded_with_them(
    pipeline: Pipeline, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is made of the weights is made anew: also Winograd's transforms, forced here."""
    monkeypatch.setattr(layers, "winograd_block", lambda *_, **__: 2)
    nets = pipeline.networks
    unet, expected = UNet(nets.folder.unet), UNet(nets.folder.unet)
    weights = nets.folder.weights("unet")
    load(unet, weights.read, device, f32)
    fresh = Pipeline(replace(nets, unet=unet), loras=pipeline.loras.folder, lora_mode="merge")
    merged = dict(adapted_shapes(unet))

    def read(name: str) -> NDArray[np.floating]:
        weight = weights.read(name).astype(np.float64)
        if name not in merged:
            return weight
        module = f"lora_unet_{name.removesuffix('.weight').replace('.', '_')}"
        up = 0.1 * normal(f"a/{module}/up", (len(weight), RANK)).astype(np.float64)
        down = normal(f"a/{module}/down", (RANK, *weight.shape[1:])).astype(np.float64)
        down /= np.sqrt(down[0].size)
        return (weight + 0.5 * np.tensordot(up, down, axes=1)).astype(np.float32)

    load(expected, read, device, f32)
    with fresh.loras.use(replace(SETTINGS, loras=(Lora("a", 0.5),))):
        for found, wanted in zip(device_weights(unet), device_weights(expected), strict=True):
            assert relative_error(found, wanted) < 1e-6 if wanted.any() else not found.any()
    with fresh.loras.use(SETTINGS):  # the text encoders are those of other tests, too
        fresh.release()


def test_runs_with_other_loras_do_not_mix(pipeline: Pipeline) -> None:
    run = pipeline.generate(replace(SETTINGS, prompt="<lora:a:1>"))
    next(run)
    with pytest.raises(SettingsError, match="another run with other LoRAs is under way"):
        next(pipeline.generate(SETTINGS))
    same = pipeline.generate(replace(SETTINGS, prompt="a cat <lora:a:1>"))
    next(same)
    same.close()
    run.close()
    next(pipeline.generate(SETTINGS))


def test_the_infotext_keeps_tags_and_hashes(pipeline: Pipeline, tmp_path: Path) -> None:
    settings = replace(SETTINGS, prompt="an apple <lora:a:1>", loras=(Lora("b", 0.25),))
    infotext = parse_infotext(pipeline.draw(settings)[0].infotext)
    assert infotext.prompt == "an apple <lora:a:1> <lora:b:0.25>"
    a, b = (hash_of_file(tmp_path / f"{name}.safetensors") for name in "ab")
    assert infotext.settings["Lora hashes"] == f"a: {a}, b: {b}"
    assert infotext.settings["Lora mode"] == "merge"
    assert not unreproduced_settings(infotext)
    assert "Lora mode" not in pipeline.draw(SETTINGS)[0].infotext


def test_names_that_are_not_there_are_refused(pipeline: Pipeline) -> None:
    with pytest.raises(SettingsError, match="no such"):
        next(pipeline.generate(replace(SETTINGS, prompt="<lora:absent:1>")))
    with pytest.raises(SettingsError, match="there is no such file"):
        next(pipeline.generate(replace(SETTINGS, loras=(Lora("absent.safetensors"),))))


@pytest.mark.filterwarnings("ignore:negative changes nothing")
def test_tags_without_effect_are_told(pipeline: Pipeline) -> None:
    with pytest.warns(UserWarning, match="negative: <lora:a:1> is left out"):
        next(pipeline.generate(replace(SETTINGS, negative="<lora:a:1>")))
    bare = Pipeline(pipeline.networks)
    with pytest.warns(UserWarning, match="prompt: <lora:a:1> is left out; --loras FOLDER"):
        next(bare.generate(replace(SETTINGS, prompt="<lora:a:1>")))


def test_a_path_with_the_end_of_a_file_is_no_name_in_a_prompt(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(SettingsError, match="no such"):
        next(pipeline.generate(replace(SETTINGS, prompt=f"<lora:{path}:1>")))
    next(pipeline.generate(replace(SETTINGS, loras=(Lora(path),))))
