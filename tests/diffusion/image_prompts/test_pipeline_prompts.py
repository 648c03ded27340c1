"""Pictures with image prompts: what each choice changes, and what it must leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.adapters import Lora, LoraFolder
from diffusion.batching import draw_together
from diffusion.control import Control, ControlFolder, ImagePrompt
from diffusion.errors import ModelNotFoundError, SettingsError
from diffusion.infotext.to_settings import settings_from_infotext
from diffusion.tasks import GuidanceOptions, Hires, InitImage, Inpaint
from gpucore import Device
from tests.diffusion.adapters.test_pipeline_loras import write_lora
from tests.diffusion.bundled_model import pixels
from tests.diffusion.control.golden_controls import write_control
from tests.diffusion.golden_families import networks
from tests.diffusion.image_prompts.golden_prompts import pictures, write_adapter, write_encoder
from tests.goldens import image_prompt_cases as cases

# What is chosen is the host's; `test_goldens` calls the networks on every engine.
pytestmark = pytest.mark.one_engine

ONE, OTHER, WIDE = pictures((0, 1, 2))
PROMPT = ImagePrompt("base", (ONE,))
PLUS = ImagePrompt("plus", (ONE,))
SETTINGS = Settings("a red apple", width=32, height=32, steps=2, guidance=3.0, seed=5)


@pytest.fixture
def pipeline(device: Device, tmp_path: Path) -> Iterator[Pipeline]:
    for kind in ("base", "plus", "full"):
        write_adapter(tmp_path / f"{kind}.safetensors", kind, "sd2")
    write_encoder(tmp_path / "image_encoder")
    write_control(tmp_path / "edges", "sd2")
    found = Pipeline(networks(device, "sd2"), controls=ControlFolder(tmp_path))
    yield found
    found.release()


def drawn(pipeline: Pipeline, *prompts: ImagePrompt, **changes: Any) -> bytes:
    settings = replace(SETTINGS, image_prompts=prompts, **changes)
    return pixels(pipeline, settings).tobytes()


def test_each_choice_changes_the_picture(pipeline: Pipeline) -> None:
    half = Image.fromarray(np.tile(np.uint8([[0] * 16 + [255] * 16]), (32, 1)))
    two = replace(PROMPT, images=(ONE, OTHER))
    choices = [
        PROMPT,
        replace(PROMPT, images=(OTHER,)),
        replace(PROMPT, images=(WIDE,)),
        replace(PROMPT, images=(WIDE,), resize="stretch"),
        replace(PROMPT, images=(WIDE,), resize="fill"),
        replace(PROMPT, weight=0.5),
        replace(PROMPT, weight=-0.5),
        replace(PROMPT, start=0.5),
        replace(PROMPT, end=0.5),
        replace(PROMPT, weight_type="ease_in"),
        replace(PROMPT, weight_type="weak_output"),
        replace(PROMPT, layer_weights=(1, 0, 1, 0, 1, 0)),
        replace(PROMPT, weight=0.5, scaling="kv"),
        replace(PROMPT, weight=0.5, scaling="kv_penalty"),
        replace(PROMPT, weight=0.5, scaling="k_mean_v_penalty"),
        replace(PROMPT, region=half),
        replace(PROMPT, negative=OTHER),
        two,
        *(replace(two, combine=each) for each in ("add", "subtract", "average", "norm_average")),
        replace(PROMPT, model="full"),
        PLUS,
        replace(PLUS, negative=OTHER),
    ]
    found = [drawn(pipeline), *(drawn(pipeline, each) for each in choices)]
    assert len(set(found)) == len(found)
    both = drawn(pipeline, PROMPT, PLUS)
    assert both not in found
    control = Control("edges", OTHER)
    assert drawn(pipeline, PROMPT, controls=(control,)) not in {both, *found}


def test_what_adds_nothing_leaves_every_bit(pipeline: Pipeline) -> None:
    plain, prompted = drawn(pipeline), drawn(pipeline, PROMPT)
    assert drawn(pipeline, replace(PROMPT, weight=0.0)) == plain
    assert drawn(pipeline, replace(PROMPT, passes="hires")) == plain
    assert drawn(pipeline, replace(PROMPT, region=Image.new("L", (32, 32), 0))) == plain
    assert drawn(pipeline, replace(PROMPT, layer_weights=(0.0,) * 6)) == plain
    assert drawn(pipeline, replace(PROMPT, start=0.1, end=0.2)) == plain
    assert drawn(pipeline, replace(PROMPT, combine="average")) == prompted
    assert drawn(pipeline, replace(PROMPT, layer_weights=(1.0,) * 6)) == prompted
    assert drawn(pipeline) == plain
    assert drawn(pipeline, PROMPT) == prompted


def test_a_picture_does_not_depend_on_its_neighbours(pipeline: Pipeline) -> None:
    prompts = (PROMPT, replace(PLUS, images=(ONE, OTHER), weight_type="ease_out"))
    batch = pipeline.draw(replace(SETTINGS, image_prompts=prompts, count=3, batch=3))
    alone = pipeline.draw(replace(SETTINGS, image_prompts=prompts, seed=6))
    assert batch[1].tobytes() == alone[0].tobytes()
    asked = [
        replace(SETTINGS, seed=1),
        replace(SETTINGS, seed=2, image_prompts=(PROMPT,)),
        replace(SETTINGS, seed=3, image_prompts=(PLUS,), controls=(Control("edges", OTHER),)),
        replace(SETTINGS, seed=4),
    ]
    single = [pipeline.draw(each)[0].tobytes() for each in asked]
    assert [found[0].tobytes() for found in draw_together(pipeline, asked)] == single


def test_calls_without_the_negative_prompt_read_the_pictures(pipeline: Pipeline) -> None:
    skipping = GuidanceOptions(skip_below=1e6, skip_all=True)
    for prompt in (PROMPT, replace(PROMPT, start=0.5)):
        alone = drawn(pipeline, prompt, guidance=1.0)
        assert drawn(pipeline, prompt, guidance_options=skipping) == alone
        assert drawn(pipeline, prompt) != alone
    perturbed = GuidanceOptions(perturbed=2.0)
    assert drawn(pipeline, PROMPT, guidance_options=perturbed) != drawn(pipeline, PROMPT)


def test_loras_count_beside_image_prompts(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "loras").mkdir()
    write_lora(tmp_path / "loras/a.safetensors", pipeline.networks, "a")
    pipeline.loras.folder = LoraFolder(tmp_path / "loras")
    plain = drawn(pipeline, PROMPT)
    found = {plain, drawn(pipeline), drawn(pipeline, PROMPT, loras=(Lora("a", 0.5),))}
    assert len(found) == 3
    assert drawn(pipeline, PROMPT) == plain


@pytest.mark.slow
def test_every_task_reads_image_prompts(pipeline: Pipeline) -> None:
    mask = Image.fromarray(np.uint8([[255] * 16 + [0] * 16] * 32))
    picture = OTHER.resize((32, 32))
    tasks: list[dict[str, Any]] = [
        {"hires": Hires(2.0)},
        {"init_image": InitImage(picture, 0.9)},
        {"init_image": InitImage(picture, 1.0, "pad", inpaint=Inpaint(mask))},
        {"init_image": InitImage(picture, 1.0, inpaint=Inpaint(mask, area="masked", padding=4))},
    ]
    region = Image.fromarray(np.linspace(0, 255, 32, dtype=np.uint8)[None].repeat(32, 0))
    for task in tasks:
        found = {
            drawn(pipeline, **task),
            drawn(pipeline, PROMPT, **task),
            drawn(pipeline, replace(PROMPT, region=region), **task),
        }
        assert len(found) == 3, task
    hires = {"hires": Hires(2.0)}
    late = drawn(pipeline, replace(PROMPT, passes="hires"), **hires)
    assert late not in (drawn(pipeline, **hires), drawn(pipeline, PROMPT, **hires))


def test_adapters_share_an_encoder_and_are_given_back(pipeline: Pipeline) -> None:
    loaded = pipeline.image_prompts
    base, plus = loaded.load((PROMPT, PLUS), pipeline.controls.folder)
    assert base[1].encoder is plus[1].encoder
    (again,) = loaded.load((PLUS,), pipeline.controls.folder)
    assert again[1] is plus[1]
    assert again[1].read(PLUS) is again[1].read(replace(PLUS, weight=0.3))
    loaded.release()
    (fresh,) = loaded.load((PLUS,), pipeline.controls.folder)
    assert fresh[1] is not plus[1]


def test_the_infotext_reads_back(pipeline: Pipeline) -> None:
    prompt = replace(
        PLUS,
        images=(ONE, OTHER),
        weight=0.8,
        start=0.1,
        end=0.7,
        weight_type="weak_input",
        combine="norm_average",
        scaling="k_mean_v_penalty",
        resize="stretch",
        passes="base",
    )
    settings = replace(
        SETTINGS, image_prompts=(PROMPT, prompt), controls=(Control("edges", OTHER),)
    )
    text = pipeline.draw(settings)[0].infotext
    for number, start in enumerate(("Module: none", *["Module: ip-adapter-auto"] * 2)):
        assert f'ControlNet {number}: "{start}' in text
    found = settings_from_infotext(text)
    assert len(found.controls) == 1
    first, second = found.image_prompts
    assert str(first.model).startswith("base [")
    assert replace(second, model="plus", images=prompt.images) == prompt


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"images": ()}, "give 1 to 32 pictures"),
        ({"images": ("a",)}, "must be a picture"),
        ({"images": [ONE]}, "must be a tuple of pictures"),
        ({"weight": 11}, "weight"),
        ({"start": 0.5, "end": 0.5}, "must be less than 0.5"),
        ({"weight_type": "style"}, "give layer weights"),
        ({"layer_weights": (1.0,)}, "must be 6 numbers for this model"),
        ({"layer_weights": 1.0}, "must be a tuple of numbers"),
        ({"combine": "or"}, "ip combine"),
        ({"resize": "pad"}, "must be crop, stretch or fill"),
        ({"model": "none"}, "no such IP-Adapter"),
        ({"encoder": ""}, "must be a name or a path"),
    ],
)
def test_wrong_choices(pipeline: Pipeline, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingsError, match=text.replace("(", r"\(")):
        drawn(pipeline, replace(PROMPT, **changes))


def test_an_encoder_that_does_not_fit(pipeline: Pipeline, tmp_path: Path) -> None:
    lonely = write_adapter(tmp_path / "lonely/deep/base.safetensors", "base", "sd2")
    pipeline.controls.folder = ControlFolder(None)
    with pytest.raises(ModelNotFoundError, match=r"name it \(--ip-encoder PATH\)"):
        drawn(pipeline, ImagePrompt(lonely, (ONE,)))
    named = replace(PROMPT, model=lonely, encoder=tmp_path / "image_encoder")
    assert drawn(pipeline, named) != drawn(pipeline)
    assert cases.VISION["projection_dim"] != cases.VISION["hidden_size"]
