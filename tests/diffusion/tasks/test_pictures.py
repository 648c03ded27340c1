"""Pictures of all tasks with the bundled model: what changes, what stays, in every batch."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffusion import Pipeline, Result, Settings, Stage, Step
from diffusion.errors import SettingsError
from diffusion.tasks import Hires, InitImage, Inpaint, Variation
from gpucore import Device
from tests.diffusion import bundled_model
from tests.diffusion.bundled_model import pipeline_on

SMALL = Settings("a red apple", "blurry", width=64, height=64, steps=3, guidance=4.0, seed=5)
MASK = np.zeros((64, 64), np.uint8)
MASK[16:48, 24:64] = 255


@functools.cache
def picture_on(device: Device) -> Image.Image:
    return pipeline_on(device).draw(SMALL)[0]


def pixels(device: Device, settings: Settings) -> NDArray[Any]:
    return bundled_model.pixels(pipeline_on(device), settings)


def tasks(device: Device) -> dict[str, Settings]:
    picture = picture_on(device)
    inpaint = Inpaint(Image.fromarray(MASK), blur=2.0)
    return {
        "img2img": replace(SMALL, init_image=InitImage(picture, 0.6)),
        "inpaint": replace(SMALL, init_image=InitImage(picture, 0.9, inpaint=inpaint)),
        "masked": replace(
            SMALL,
            init_image=InitImage(picture, 0.9, inpaint=dataclasses.replace(inpaint, area="masked")),
        ),
        "noise": replace(
            SMALL,
            init_image=InitImage(
                picture, 1.0, inpaint=dataclasses.replace(inpaint, content="latent_noise")
            ),
        ),
        "hires": replace(SMALL, hires=Hires(1.5, steps=2)),
        "pixels": replace(SMALL, hires=Hires(1.5, "lanczos", 0.5, steps=2)),
        "variation": replace(SMALL, variation=Variation(9, 0.4)),
        "resize": replace(SMALL, variation=Variation(resize_from=(32, 64))),
    }


def replace(settings: Settings, **changes: Any) -> Settings:
    return dataclasses.replace(settings, **changes)


NAMES = ("img2img", "inpaint", "masked", "noise", "hires", "pixels", "variation", "resize")


@pytest.mark.parametrize("name", NAMES)
def test_an_image_does_not_depend_on_its_batch(device: Device, name: str) -> None:
    settings = replace(tasks(device)[name], count=2, prompt="a green apple", sampler="euler_a")
    together = pixels(device, replace(settings, batch=2))
    alone = [pixels(device, settings.part(i, 1))[0] for i in range(2)]
    np.testing.assert_array_equal(together, np.stack(alone))
    assert not np.array_equal(together[0], together[1])


def test_strength_says_how_much_changes(first: Device) -> None:
    picture = np.asarray(picture_on(first)).astype(float)
    changed = []
    for strength in (0.0, 0.5, 1.0):
        init_image = InitImage(picture_on(first), strength)
        settings = replace(SMALL, prompt="a blue car", steps=8, init_image=init_image)
        changed.append(np.abs(pixels(first, settings)[0] - picture).mean())
    assert changed[0] < changed[1] < changed[2]
    assert changed[0] < 12


def test_a_pictures_size_is_taken(first: Device) -> None:
    init_image = InitImage(Image.new("RGB", (70, 46), "red"), 0.3)
    settings = replace(SMALL, width=None, height=None, init_image=init_image)
    assert pixels(first, settings).shape == (1, 48, 72, 3)


@pytest.mark.parametrize("name", ["inpaint", "masked", "noise"])
def test_outside_the_mask_nothing_changes(device: Device, name: str) -> None:
    settings = replace(tasks(device)[name], prompt="a blue car")
    done, before = pixels(device, settings)[0], np.asarray(picture_on(device))
    np.testing.assert_array_equal(done[:, :14], before[:, :14])
    np.testing.assert_array_equal(done[:6], before[:6])
    assert np.abs(done.astype(int) - before)[24:40, 32:56].max() > 20


def test_hires_makes_a_second_pass(first: Device) -> None:
    events = list(pipeline_on(first).generate(tasks(first)["hires"]))
    names = [e.name if isinstance(e, Stage) else type(e).__name__ for e in events]
    assert names == [
        *("encoding prompt", "preparing", *["Step"] * 3),
        *("enlarging", "preparing", *["Step"] * 2),
        *("decoding", "Result"),
    ]
    steps = [(e.index, e.total) for e in events if isinstance(e, Step)]
    assert steps == [(i, 5) for i in range(1, 6)]
    assert pixels(first, tasks(first)["hires"]).shape == (1, 96, 96, 3)


def test_the_second_pass_has_settings_of_its_own(first: Device) -> None:
    base = tasks(first)["hires"]
    assert base.hires is not None
    plain = pixels(first, base)
    for change in (
        {"prompt": "a blue car"},
        {"negative": "red"},
        {"sampler": "heun"},
        {"schedule": "sgm_uniform"},
        {"guidance": 1.0},
        {"steps": 3},
        {"strength": 0.4},
        {"upscaler": "Latent (nearest)"},
    ):
        hires = dataclasses.replace(base.hires, **change)
        assert not np.array_equal(pixels(first, replace(base, hires=hires)), plain), change


def test_variations_are_near(first: Device) -> None:
    plain = pixels(first, SMALL).astype(int)
    far = pixels(first, replace(SMALL, variation=Variation(9, 1.0)))
    near = pixels(first, replace(SMALL, variation=Variation(9, 0.1)))
    none = pixels(first, replace(SMALL, variation=Variation(9, 0.0)))
    np.testing.assert_array_equal(none, plain)
    np.testing.assert_array_equal(far, pixels(first, replace(SMALL, seed=9)))
    assert 0 < np.abs(near - plain).mean() < np.abs(far - plain).mean()


def test_runs_whose_steps_alternate_do_not_meet(device: Device) -> None:
    """Both have one shape, and a captured graph each; a later run takes one of the graphs."""
    pipeline = pipeline_on(device)
    chosen = [SMALL, replace(SMALL, prompt="a blue car", seed=6)]
    alone = [pixels(device, settings) for settings in chosen]
    runs = [pipeline.generate(settings) for settings in chosen]
    found: dict[int, Result] = {}
    for events in itertools.zip_longest(*runs):
        found |= {i: e for i, e in enumerate(events) if isinstance(e, Result)}
    for index, expected in enumerate(alone):
        np.testing.assert_array_equal(np.asarray(found[index].images[0]), expected[0])
    for settings, expected in zip(chosen, alone, strict=True):
        np.testing.assert_array_equal(pixels(device, settings), expected)


def test_release_gives_the_memory_back(device: Device) -> None:
    pipeline = Pipeline(pipeline_on(device).networks)
    pipeline.release()  # the text encoders' graphs, which the pipelines share
    before = device.memory.live
    pipeline.draw(SMALL)
    assert device.memory.live > before
    pipeline.release()
    assert device.memory.live == before


def test_graphs_for_large_pictures_are_not_kept(
    first: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline(pipeline_on(first).networks)
    expected = np.asarray(pipeline.draw(SMALL)[0])
    pipeline.release()
    before = first.memory.live
    monkeypatch.setattr(pipeline.cache.denoisers, "largest", 63)
    np.testing.assert_array_equal(np.asarray(pipeline.draw(SMALL)[0]), expected)
    assert first.memory.live - before < 1 << 20, "text embeddings are kept, no graph is"


def test_wrong_settings_are_refused_before_any_work(first: Device) -> None:
    picture = picture_on(first)
    wrong = Inpaint(Image.new("L", (32, 32), 255))
    for changes in (
        {"init_image": InitImage(picture, 2.0)},
        {"init_image": InitImage(picture, inpaint=wrong)},
        {"init_image": InitImage(picture), "hires": Hires()},
        {"hires": Hires(0.5)},
        {"hires": Hires(upscaler="magic")},
        {"hires": Hires(steps=0)},
        {"variation": Variation(strength=2.0)},
        {"vae_tiling": "sometimes"},
        {"clip_skip": 0},
        {"clip_skip": 5},  # of three layers
    ):
        with pytest.raises(SettingsError):
            next(pipeline_on(first).generate(replace(SMALL, **changes)))


def test_clip_skip_matters(first: Device) -> None:
    assert not np.array_equal(pixels(first, replace(SMALL, clip_skip=2)), pixels(first, SMALL))


def test_methods_for_single_pictures(first: Device) -> None:
    pipeline, picture = pipeline_on(first), picture_on(first)
    drawn = pipeline.img2img(picture, SMALL.prompt, strength=0.6, steps=3, guidance=4.0, seed=5)
    settings = replace(SMALL, negative="", init_image=InitImage(picture, 0.6))
    np.testing.assert_array_equal(np.asarray(drawn), pixels(first, settings)[0])
    mask = Image.fromarray(MASK)
    drawn = pipeline.inpaint(picture, mask, "a car", strength=0.6, steps=3, guidance=4.0, seed=5)
    init_image = InitImage(picture, 0.6, inpaint=Inpaint(mask))
    settings = replace(SMALL, prompt="a car", negative="", init_image=init_image)
    np.testing.assert_array_equal(np.asarray(drawn), pixels(first, settings)[0])
