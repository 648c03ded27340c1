"""Pictures with ControlNet-LLLite: what each choice changes, and what it must leave."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from diffusion import Pipeline, Result, Settings
from diffusion.adapters import Lora, LoraFolder
from diffusion.batching import draw_together
from diffusion.checkpoints import ModelFolder
from diffusion.checkpoints.control import open_control
from diffusion.control import Control, ControlFolder
from diffusion.control.strengths import strengths_of
from diffusion.errors import ModelFormatError, ModelMismatchError, SettingsError
from diffusion.models.lite import LiteConfig
from diffusion.pipeline.control import make_network
from diffusion.pipeline.lora.mode import MODES
from diffusion.tasks import GuidanceOptions, Hires, HyperTile, TokenMerging
from gpucore import Device
from tests.diffusion.adapters.test_pipeline_loras import write_lora
from tests.diffusion.bundled_model import pixels
from tests.diffusion.control.golden_controls import golden_networks, write_control
from tests.diffusion.control.golden_lites import write_lite
from tests.diffusion.control.test_opening import full_size_unet
from tests.diffusion.golden_families import networks
from tests.diffusion.session_folder import session_folder
from tests.goldens import lite_cases as cases
from tests.goldens.family_folders import write_family
from tests.goldens.loader import relative_error

# What is chosen is the host's; `test_lite_goldens` calls the networks on every engine.
pytestmark = pytest.mark.one_engine

LEVELS = np.random.default_rng(3).integers(0, 256, (32, 32, 3)).astype(np.uint8)
PICTURE = Image.fromarray(LEVELS)
CONTROL = Control("lite_sd2", PICTURE)
SETTINGS = Settings("a red apple", width=32, height=32, steps=2, guidance=3.0, seed=5)


@pytest.fixture
def pipeline(device: Device, tmp_path: Path) -> Iterator[Pipeline]:
    write_lite(tmp_path, "lite_sd2")
    write_control(tmp_path / "sd2", "sd2")
    found = Pipeline(networks(device, "sd2"), controls=ControlFolder(tmp_path))
    yield found
    found.release()


@pytest.fixture(scope="module")
def xl() -> ModelFolder:
    return ModelFolder(write_family(session_folder("lite-xl"), "xl_base"))


@pytest.fixture(scope="module")
def sd2() -> ModelFolder:
    return ModelFolder(write_family(session_folder("lite-sd2"), "sd2"))


def drawn(pipeline: Pipeline, *controls: Control, **changes: Any) -> bytes:
    settings = replace(SETTINGS, controls=controls, **changes)
    return pixels(pipeline, settings).tobytes()


def test_each_choice_changes_the_picture(pipeline: Pipeline) -> None:
    half = Image.fromarray(np.tile(np.array([[0] * 16 + [255] * 16], np.uint8), (32, 1)))
    choices = [
        CONTROL,
        replace(CONTROL, image=Image.fromarray(LEVELS[::-1].copy())),
        replace(CONTROL, weight=0.5),
        replace(CONTROL, start=0.5),
        replace(CONTROL, end=0.5),
        replace(CONTROL, mode="prompt"),
        replace(CONTROL, mode="control"),
        replace(CONTROL, mode="guess"),
        replace(CONTROL, region=half),
        replace(CONTROL, preprocessor="canny"),
    ]
    found = [drawn(pipeline), *(drawn(pipeline, each) for each in choices)]
    assert len(set(found)) == len(found)


def test_what_adds_nothing_leaves_every_bit(pipeline: Pipeline) -> None:
    plain, led = drawn(pipeline), drawn(pipeline, CONTROL)
    assert drawn(pipeline, replace(CONTROL, weight=0.0)) == plain
    assert drawn(pipeline, replace(CONTROL, passes="hires")) == plain
    assert drawn(pipeline, replace(CONTROL, start=0.1, end=0.2)) == plain
    assert drawn(pipeline, replace(CONTROL, region=Image.new("L", (9, 9), 255))) == led
    assert drawn(pipeline) == plain
    assert drawn(pipeline, CONTROL) == led


def test_several_are_read_one_after_another(pipeline: Pipeline) -> None:
    """A second file counts as well, beside a ControlNet too."""
    other = replace(CONTROL, image=Image.fromarray(LEVELS[::-1].copy()), weight=-0.5)
    net = Control("sd2", PICTURE)
    found = [
        drawn(pipeline, *each)
        for each in ((CONTROL,), (other,), (CONTROL, other), (net,), (net, CONTROL))
    ]
    assert len(set(found)) == len(found)


def test_a_picture_does_not_depend_on_its_batch(pipeline: Pipeline) -> None:
    for mode in ("balanced", "control"):
        control = replace(CONTROL, mode=mode)
        batch = pipeline.draw(replace(SETTINGS, controls=(control,), count=3, batch=3))
        alone = pipeline.draw(replace(SETTINGS, controls=(control,), seed=6))
        assert batch[1].tobytes() == alone[0].tobytes()


def test_calls_are_made_beside_shared_ones(pipeline: Pipeline) -> None:
    asked = [
        replace(SETTINGS, seed=1),
        replace(SETTINGS, seed=2, controls=(CONTROL,)),
        replace(SETTINGS, seed=3),
    ]
    alone = [pipeline.draw(each)[0].tobytes() for each in asked]
    together = [pictures[0].tobytes() for pictures in draw_together(pipeline, asked)]
    assert together == alone


def test_without_the_negative_prompt_it_counts_alone(pipeline: Pipeline) -> None:
    """Guidance 1 has no negative prompt, so that leading the prompt alone is leading all."""
    alone = replace(CONTROL, mode="control", layer_weights=(1,) * 3)
    assert drawn(pipeline, alone, guidance=1.0) == drawn(
        pipeline, replace(CONTROL, layer_weights=(1,) * 3), guidance=1.0
    )


def test_odd_sizes_and_hires(device: Device, tmp_path: Path) -> None:
    """A level of an odd side has one token more than the picture has whole blocks."""
    write_lite(tmp_path, "lite_sd1")
    pipeline = Pipeline(golden_networks(device, "two_levels"), controls=ControlFolder(tmp_path))
    control = Control("lite_sd1", PICTURE)
    hires = Hires(scale=1.4, steps=1)
    found = [
        drawn(pipeline, each, width=40, height=56, hires=hires)
        for each in (control, replace(control, passes="base"), replace(control, weight=0.0))
    ]
    assert len(set(found)) == len(found)
    pipeline.release()


def test_merged_tokens_are_refused(pipeline: Pipeline) -> None:
    """A module reads each token beside the picture at its place."""
    merging = GuidanceOptions(merging=TokenMerging(0.5))
    for options in (merging, GuidanceOptions(tiles=HyperTile(128))):
        with pytest.raises(SettingsError, match="ControlNet-LLLite"):
            drawn(pipeline, CONTROL, guidance_options=options)
    assert drawn(pipeline, replace(CONTROL, weight=0.0), guidance_options=merging)


def test_loras_beside_the_layers_change_them_too(device: Device, tmp_path: Path) -> None:
    """Merged LoRAs and those at run time give the same picture, but for rounding."""
    write_lite(tmp_path / "nets", "lite_xl")
    nets = networks(device, "xl_base")
    (tmp_path / "loras").mkdir()
    write_lora(tmp_path / "loras" / "a.safetensors", nets, "a")
    pipeline = Pipeline(
        nets, loras=LoraFolder(tmp_path / "loras"), controls=ControlFolder(tmp_path / "nets")
    )
    found = {}
    for mode in MODES:
        for loras in ((), (Lora("a"),)):
            pipeline.loras.mode = mode
            settings = replace(
                SETTINGS, loras=loras, controls=(Control("lite_xl", PICTURE, mode="control"),)
            )
            *_, last = pipeline.generate(settings)
            assert isinstance(last, Result)
            found[mode, len(loras)] = last.latents
    pipeline.loras.mode = "merge"
    with pipeline.loras.use(SETTINGS):
        pipeline.release()
    assert relative_error(found["merge", 0], found["merge", 1]) > 1e-2
    assert relative_error(found["runtime", 1], found["merge", 1]) < 1e-4
    np.testing.assert_array_equal(found["runtime", 0], found["merge", 0])


def test_soft_weights_end_at_one() -> None:
    """In soft modes the last transformer that it changes counts wholly."""
    soft = strengths_of(Control("a", PICTURE, mode="prompt", weight=2.0), 3, lite=True)
    np.testing.assert_allclose(soft.prompt, [2 * 0.825**2, 2 * 0.825, 2.0])
    assert soft.negative == soft.prompt


def test_places_are_in_the_order_of_computing(xl: ModelFolder, tmp_path: Path) -> None:
    opened = open_control(write_lite(tmp_path, "lite_all"), xl)
    assert isinstance(opened.config, LiteConfig)
    numbers = [each.place.transformer for each in opened.config.places]
    assert numbers == sorted(numbers)
    assert opened.config.transformers == tuple(range(numbers[-1] + 1))
    first = opened.config.places[0]
    assert first.name == "lllite_unet_input_blocks_3_1_transformer_blocks_0_attn1_to_q"
    assert first.place.layer == "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"


def published_tensors() -> dict[str, Any]:
    """Return tensors under the names of SDXL's published files, of the least widths."""
    blocks = {
        **{f"input_blocks_{n}_1": (2, 640, (4, 4)) for n in (4, 5)},
        **{f"input_blocks_{n}_1": (10, 1280, (4, 4, 2)) for n in (7, 8)},
        "middle_block_1": (10, 1280, (4, 4, 2)),
    }
    shapes: dict[str, tuple[int, ...]] = {}
    for block, (depth, width, kernels) in blocks.items():
        for index, layer in itertools.product(
            range(depth), ("attn1_to_q", "attn1_to_k", "attn1_to_v", "attn2_to_q")
        ):
            name = f"lllite_unet_{block}_transformer_blocks_{index}_{layer}"
            channels = (3, *[1] * (len(kernels) - 1), 2)
            for number, side in enumerate(kernels):
                inputs, outputs = channels[number : number + 2]
                shapes[f"{name}.conditioning1.{2 * number}.weight"] = (outputs, inputs, side, side)
                shapes[f"{name}.conditioning1.{2 * number}.bias"] = (outputs,)
            for part, (inputs, outputs) in {
                "down": (width, 1),
                "mid": (3, 1),
                "up": (1, width),
            }.items():
                shapes[f"{name}.{part}.0.weight"] = (outputs, inputs)
                shapes[f"{name}.{part}.0.bias"] = (outputs,)
    return {name: np.zeros(shape, np.float16) for name, shape in shapes.items()}


def test_published_files_are_read(tmp_path: Path) -> None:
    """136 modules: ten or two blocks of five transformers, with four layers each."""
    save_file(published_tensors(), tmp_path / "a.safetensors")
    model: Any = SimpleNamespace(
        unet=full_size_unet("sdxl"), vae=SimpleNamespace(downscale=8, latent_channels=4)
    )
    opened = open_control(tmp_path / "a.safetensors", model)
    assert isinstance(opened.config, LiteConfig)
    assert len(opened.config.places) == 136
    assert opened.config.transformers == (0, 1, 2, 3, 4)
    opened.weights.check({n: p.shape for n, p in make_network(opened.config).parameters()})


def test_diffusers_names_are_read(xl: ModelFolder, tmp_path: Path) -> None:
    opened = open_control(write_lite(tmp_path, "lite_xl"), xl)
    assert isinstance(opened.config, LiteConfig)
    new = {
        each.name: f"lllite_unet_{each.place.layer.replace('.', '_')}"
        for each in opened.config.places
    }
    tensors = {
        f"{new[name.partition('.')[0]]}.{name.partition('.')[2]}": array
        for name, array in cases.parameters("lite_xl").items()
    }
    save_file(tensors, tmp_path / "new.safetensors")
    found = open_control(tmp_path / "new.safetensors", xl)
    assert isinstance(found.config, LiteConfig)
    assert [e.place for e in found.config.places] == [e.place for e in opened.config.places]


def test_other_families_and_shapes_are_refused(
    xl: ModelFolder, sd2: ModelFolder, tmp_path: Path
) -> None:
    with pytest.raises(ModelFormatError, match="made for this model's family"):
        open_control(write_lite(tmp_path, "lite_xl"), sd2)
    with pytest.raises(ModelFormatError, match="made for this model's family"):
        open_control(write_lite(tmp_path, "lite_sd2"), xl)
    tensors = cases.parameters("lite_xl")
    name = next(each for each in tensors if each.endswith("conditioning1.2.weight"))
    tensors[name] = np.zeros((*tensors[name].shape[:2], 4, 4), np.float32)
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(ModelFormatError, match=r"pixels per token .* must be 8 .* got 16"):
        open_control(tmp_path / "a.safetensors", xl)


def test_what_is_missing_is_named_as_in_the_file(xl: ModelFolder, tmp_path: Path) -> None:
    tensors = cases.parameters("lite_xl")
    name = "lllite_unet_middle_block_1_transformer_blocks_0_attn2_to_q.up.0.bias"
    del tensors[name]
    save_file(tensors, tmp_path / "a.safetensors")
    opened = open_control(tmp_path / "a.safetensors", xl)
    expected = {each: p.shape for each, p in make_network(opened.config).parameters()}
    with pytest.raises(ModelMismatchError, match=name):
        opened.weights.check(expected)
