"""Pictures with ControlNet-XS: what each choice changes, what it must leave, and its files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.batching import draw_together
from diffusion.checkpoints import ModelFolder
from diffusion.checkpoints.control import open_control
from diffusion.control import Control, ControlFolder
from diffusion.errors import ModelFormatError, ModelNotFoundError
from diffusion.models.xs import ControlXs, XsConfig
from diffusion.pipeline.control import make_network
from diffusion.tasks import GuidanceOptions, Hires, TokenMerging
from gpucore import Device
from tests.diffusion.bundled_model import pixels
from tests.diffusion.control.golden_controls import write_control
from tests.diffusion.control.golden_xs import write_xs
from tests.diffusion.golden_families import networks
from tests.diffusion.session_folder import session_folder
from tests.goldens import xs_cases as cases
from tests.goldens.family_folders import write_family

# What is chosen is the host's; `test_xs_goldens` calls the networks on every engine.
pytestmark = pytest.mark.one_engine

LEVELS = np.random.default_rng(3).integers(0, 256, (32, 32, 3)).astype(np.uint8)
PICTURE = Image.fromarray(LEVELS)
CONTROL = Control("xs_sd2", PICTURE)
SETTINGS = Settings("a red apple", width=32, height=32, steps=2, guidance=3.0, seed=5)


@pytest.fixture
def pipeline(device: Device, tmp_path: Path) -> Iterator[Pipeline]:
    for name in ("xs_sd2", "xs_time"):
        write_xs(tmp_path / name, name)
    write_control(tmp_path / "sd2", "sd2")
    found = Pipeline(networks(device, "sd2"), controls=ControlFolder(tmp_path))
    yield found
    found.release()


@pytest.fixture(scope="module")
def models() -> dict[str, ModelFolder]:
    return {
        name: ModelFolder(write_family(session_folder(f"xs-{name}"), name))
        for name in ("sd2", "xl_base")
    }


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
        replace(CONTROL, mode="prompt"),
        replace(CONTROL, mode="control"),
        replace(CONTROL, region=half),
        replace(CONTROL, layer_weights=(1, 0, 1, 0, 1, 0, 1)),
        replace(CONTROL, model="xs_time"),
    ]
    found = [drawn(pipeline), *(drawn(pipeline, each) for each in choices)]
    both = drawn(pipeline, CONTROL, replace(CONTROL, model="xs_time"))
    beside = drawn(pipeline, CONTROL, Control("sd2", PICTURE))
    assert len({*found, both, beside}) == len(found) + 2


def test_what_adds_nothing_leaves_every_bit(pipeline: Pipeline) -> None:
    plain, led = drawn(pipeline), drawn(pipeline, CONTROL)
    nowhere = Image.new("L", (32, 32), 0)
    assert drawn(pipeline, replace(CONTROL, weight=0.0)) == plain
    assert drawn(pipeline, replace(CONTROL, passes="hires")) == plain
    assert drawn(pipeline, replace(CONTROL, region=nowhere)) == plain
    assert drawn(pipeline, replace(CONTROL, start=0.1, end=0.2)) == plain
    assert drawn(pipeline, replace(CONTROL, region=Image.new("L", (9, 9), 255))) == led
    assert drawn(pipeline, CONTROL) == led


def test_a_picture_does_not_depend_on_its_batch(pipeline: Pipeline) -> None:
    for mode in ("balanced", "control"):
        control = replace(CONTROL, mode=mode)
        batch = pipeline.draw(replace(SETTINGS, controls=(control,), count=3, batch=3))
        alone = pipeline.draw(replace(SETTINGS, controls=(control,), seed=6))
        assert batch[1].tobytes() == alone[0].tobytes()


def test_calls_are_made_beside_shared_ones(pipeline: Pipeline) -> None:
    asked = [replace(SETTINGS, seed=1), replace(SETTINGS, seed=2, controls=(CONTROL,))]
    alone = [pipeline.draw(each)[0].tobytes() for each in asked]
    together = [pictures[0].tobytes() for pictures in draw_together(pipeline, asked)]
    assert together == alone


def test_other_choices_go_with_it(pipeline: Pipeline) -> None:
    merging = GuidanceOptions(merging=TokenMerging(0.5))
    hires = Hires(scale=1.5, steps=1)
    plain, led = drawn(pipeline, hires=hires), drawn(pipeline, CONTROL, hires=hires)
    assert plain != led
    assert drawn(pipeline, CONTROL, guidance_options=merging) != drawn(pipeline, CONTROL)
    assert drawn(pipeline, CONTROL, guidance_options=GuidanceOptions(perturbed=2.0)) != drawn(
        pipeline, CONTROL
    )


@pytest.mark.parametrize("name", cases.XS)
def test_parameters_are_those_of_diffusers(name: str, tmp_path: Path) -> None:
    saved = cases.saved(name)
    network = ControlXs(XsConfig.from_json(saved["config"], tmp_path))
    found = {each: list(parameter.shape) for each, parameter in network.parameters()}
    assert found == saved["shapes"]


def test_a_file_reads_the_config_beside_it(models: dict[str, ModelFolder], tmp_path: Path) -> None:
    folder = write_xs(tmp_path / "a", "xs_sd2")
    file = folder / "diffusion_pytorch_model.safetensors"
    found, whole = open_control(file, models["sd2"]), open_control(folder, models["sd2"])
    assert found.config == whole.config
    found.weights.check({n: each.shape for n, each in make_network(found.config).parameters()})
    (folder / "config.json").unlink()
    with pytest.raises(ModelNotFoundError, match=r"needs the config\.json beside it"):
        open_control(file, models["sd2"])
    write_control(tmp_path / "net", "sd2")
    (tmp_path / "net" / "config.json").rename(folder / "config.json")
    with pytest.raises(ModelFormatError, match="must be ControlNetXSAdapter"):
        open_control(file, models["sd2"])


def test_other_families_are_refused(models: dict[str, ModelFolder], tmp_path: Path) -> None:
    for name, model in (("xs_sd2", "xl_base"), ("xs_xl", "sd2"), ("xs_xl", "xl_base")):
        with pytest.raises(ModelFormatError, match="made for this model's family"):
            open_control(write_xs(tmp_path / f"{name}-{model}", name), models[model])


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"_class_name": "UNetControlNetXSModel"}, "_class_name"),
        ({"block_out_channels": []}, "block_out_channels"),
        ({"block_out_channels": [4, 8, 8]}, "base_block_out_channels"),
        ({"block_out_channels": [10**9, 8]}, "block_out_channels"),
        ({"base_block_out_channels": [16, 64]}, "base_block_out_channels"),
        ({"num_attention_heads": 3}, "num_attention_heads"),
        ({"num_attention_heads": [1, 1, 1]}, "num_attention_heads"),
        ({"transformer_layers_per_block": 10**6}, "transformer_layers_per_block"),
        ({"transformer_layers_per_block": [128, 129]}, "transformer_layers_per_block"),
        ({"time_embedding_mix": 2.0}, "time_embedding_mix"),
        ({"time_embedding_mix": float("nan")}, "time_embedding_mix"),
        ({"learn_time_embedding": 1}, "learn_time_embedding"),
        ({"cross_attention_dim": 77}, "cross_attention_dim"),
        ({"conditioning_channels": 4}, "channels of the picture"),
        ({"conditioning_embedding_out_channels": [8, 16, 16]}, "pixels per latent pixel"),
        ({"conditioning_channel_order": "grb"}, "conditioning_channel_order"),
        ({"down_block_types": ["DownBlock2D", "DownBlock2D"]}, "down_block_types"),
        ({"max_norm_num_groups": 0}, "max_norm_num_groups"),
        ({"new_option": 3}, "new_option"),
    ],
)
def test_configs_that_cannot_be_are_refused(
    changes: dict[str, object], key: str, models: dict[str, ModelFolder], tmp_path: Path
) -> None:
    folder = write_xs(tmp_path / "a", "xs_sd2")
    config = {**cases.saved("xs_sd2")["config"], **changes}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelFormatError, match=key):
        open_control(folder, models["sd2"])
