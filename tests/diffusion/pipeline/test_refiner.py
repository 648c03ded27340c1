"""Base and refiner together, against diffusers and against themselves."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffusion import Pipeline, Result, Settings, Stage, Step
from diffusion.errors import SettingsError
from diffusion.noise import LatentNoise
from diffusion.pipeline import events as event_module
from diffusion.pipeline import run as run_module
from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.events import Event
from diffusion.pipeline.loading import best_dtype
from diffusion.pipeline.passes import Pass
from diffusion.pipeline.refiner import refine
from diffusion.pipeline.sampling import PassStart
from diffusion.pipeline.transitions import start_after
from diffusion.tasks import Hires, InitImage, Inpaint
from gpucore import Device, DType, f32
from tests.diffusion.recorded_steps import record_steps
from tests.diffusion.session_folder import session_folder
from tests.goldens.cases import NEGATIVE, PROMPT
from tests.goldens.families import REFINED_STEPS, REFINED_SWITCH
from tests.goldens.family_folders import write_family
from tests.goldens.loader import channels_last, load, relative_error
from tests.goldens.weights import initial_noise

SHARE = REFINED_SWITCH / REFINED_STEPS
SETTINGS = Settings(
    PROMPT,
    NEGATIVE,
    width=24,
    height=16,
    steps=REFINED_STEPS,
    guidance=5.0,
    sampler="euler",
    schedule="leading",
    seed=5,
)


@functools.cache
def _loaded(device: Device, model: str, dtype: type[DType]) -> Pipeline:
    return Pipeline.load(write_family(session_folder(model), model), device, dtype)


def pipeline(device: Device, model: str, dtype: type[DType] | None = None) -> Pipeline:
    return _loaded(device, model, dtype or best_dtype(device))


def pair(device: Device, dtype: type[DType] | None = None) -> tuple[Pipeline, Pipeline]:
    return pipeline(device, "xl_base", dtype), pipeline(device, "xl_refiner", dtype)


def pixels(device: Device, settings: Settings, switch: float = SHARE) -> NDArray[Any]:
    *_, last = refine(*pair(device), settings, switch)
    assert isinstance(last, Result)
    return np.stack([np.asarray(image) for image in last.images])


def test_diffusers(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = channels_last(initial_noise(batch=1, height=8, width=12))
    monkeypatch.setattr(LatentNoise, "initial", lambda _: noise)
    golden = load("families")
    base, refiner = pair(device, f32)
    states, handed = [], []

    def record_start(following: Pass, latents: Latents, start: PassStart) -> PassStart:
        handed.append(latents.read())
        return start_after(following, latents, start)

    monkeypatch.setattr(run_module, "start_after", record_start)
    for event in refine(base, refiner, SETTINGS, SHARE):
        if isinstance(event, Step):
            states.append((event.sigma, event._networks.unet))
        if isinstance(event, Result):
            (image,) = event.images
    unets = [each.networks.unet for each in (base, refiner)]
    assert [unet for _, unet in states] == unets[:1] * 3 + unets[1:] * 2
    assert np.all(np.diff([sigma for sigma, _ in states]) < 0)
    assert relative_error(handed[0], channels_last(golden["refined/latents"])) < 1e-4
    difference = np.asarray(image).astype(int) - golden["refined/image"][0].astype(int)
    assert np.abs(difference).max() <= 1


def test_the_ends_are_one_model_alone(device: Device) -> None:
    def alone(model: str) -> NDArray[Any]:
        return np.stack([np.asarray(i) for i in pipeline(device, model).draw(SETTINGS)])

    np.testing.assert_array_equal(pixels(device, SETTINGS, 1.0), alone("xl_base"))
    np.testing.assert_array_equal(pixels(device, SETTINGS, 0.0), alone("xl_refiner"))
    both = pixels(device, SETTINGS)
    assert not np.array_equal(both, alone("xl_base"))
    assert not np.array_equal(both, alone("xl_refiner"))


def test_a_switch_that_leaves_a_model_no_step_gives_a_warning(device: Device) -> None:
    with pytest.warns(UserWarning, match="switch leaves the refiner none of 2 steps"):
        list(refine(*pair(device), dataclasses.replace(SETTINGS, steps=2), 0.8))


@pytest.mark.parametrize("sampler", ["euler_a", "dpmpp_2m"])
def test_an_image_does_not_depend_on_its_batch(device: Device, sampler: str) -> None:
    three = dataclasses.replace(SETTINGS, sampler=sampler, count=3)
    together = pixels(device, dataclasses.replace(three, batch=3))
    np.testing.assert_array_equal(together, pixels(device, dataclasses.replace(three, batch=2)))
    alone = dataclasses.replace(SETTINGS, sampler=sampler, seed=6)
    np.testing.assert_array_equal(together[1:2], pixels(device, alone))


def test_the_refiner_draws_other_noise_than_the_base(device: Device) -> None:
    drawn: list[int] = []
    original = LatentNoise.step

    def step(self: LatentNoise, index: int) -> NDArray[np.float32]:
        drawn.append(index)
        return original(self, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LatentNoise, "step", step)
        pixels(device, dataclasses.replace(SETTINGS, sampler="euler_a"))
    assert drawn == sorted(set(drawn))
    assert max(drawn) >= REFINED_SWITCH


def test_events_come_in_order(device: Device) -> None:
    events = list(refine(*pair(device), dataclasses.replace(SETTINGS, count=2, batch=1), SHARE))
    names = [e.name if isinstance(e, Stage) else type(e).__name__ for e in events]
    batch = ["preparing", *["Step"] * REFINED_STEPS, "decoding"]
    assert names == ["encoding prompt", *batch, *batch, "Result"]
    steps = [e for e in events if isinstance(e, Step)]
    assert [(s.index, s.total) for s in steps] == [(i, 10) for i in range(1, 11)]


@pytest.mark.parametrize("steps", [1, REFINED_SWITCH + 1], ids=["base", "refiner"])
def test_closing_closes_what_is_inside(
    first: Device, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """Also where another object refers to it, as Python 3.12.3 does (issue 118272)."""
    inside = record_steps(monkeypatch)
    with closing(cast("Generator[Event]", refine(*pair(first), SETTINGS, SHARE))) as events:
        while steps:
            steps -= isinstance(next(events), Step)
    assert {inspect.getgeneratorstate(each) for each in inside} == {inspect.GEN_CLOSED}


def test_a_picture_is_refined_where_its_steps_end(device: Device) -> None:
    """Base and refiner share the steps that the strength leaves; at switch 1 the base has all."""
    picture = Image.effect_mandelbrot((24, 16), (-2, -1, 1, 1), 50).convert("RGB")
    settings = dataclasses.replace(SETTINGS, steps=8, init_image=InitImage(picture, 0.5))

    def alone(model: str) -> NDArray[Any]:
        return np.stack([np.asarray(i) for i in pipeline(device, model).draw(settings)])

    np.testing.assert_array_equal(pixels(device, settings, 1.0), alone("xl_base"))
    events = list(refine(*pair(device), settings, 0.6))
    base, refiner = pair(device)
    unets = [each.networks.unet for each in (base, refiner)]
    steps = [event._networks.unet for event in events if isinstance(event, Step)]
    assert steps == unets[:1] * 3 + unets[1:] * 2
    names = [event.name for event in events if isinstance(event, Stage)]
    assert names == ["encoding prompt", "encoding picture", "preparing", "decoding"]
    assert not np.array_equal(pixels(device, settings, 0.6), alone("xl_base"))


def masked_settings(area: str = "whole") -> Settings:
    """Return settings that draw a part of a picture anew, with a hard edge."""
    picture = Image.effect_mandelbrot((24, 16), (-2, -1, 1, 1), 50).convert("RGB")
    mask = Image.new("L", (24, 16))
    mask.paste(255, (0, 0, 8, 16))
    part = Inpaint(mask, blur=0.0, area=area, padding=0)
    return dataclasses.replace(SETTINGS, steps=8, init_image=InitImage(picture, 0.5, inpaint=part))


@pytest.mark.parametrize("area", ["whole", "masked"])
def test_a_part_of_a_picture_is_refined(device: Device, area: str) -> None:
    """The outside of the mask stays; one model as both gives that model's picture."""
    settings = masked_settings(area)
    assert settings.init_image is not None
    base, refiner = pair(device)
    old = np.asarray(settings.init_image.image)
    refined = pixels(device, settings, 0.6)[0]
    np.testing.assert_array_equal(refined[:, 8:], old[:, 8:])
    alone = [np.asarray(each.draw(settings)[0]) for each in (base, refiner)]
    assert not any(np.array_equal(refined, each) for each in alone)
    *_, last = refine(base, base, settings, 0.6)
    assert isinstance(last, Result)
    # x is split into old latents and the rest, and added up again: only rounding differs.
    apart = np.asarray(last.images[0]).astype(int) - alone[0]
    assert np.abs(apart).max() <= 1


def test_the_old_latents_are_mixed_in_after_the_switch(device: Device) -> None:
    """Each estimate outside the mask is the old picture's, also the refiner's."""
    seen = [
        e.latents()[0] for e in refine(*pair(device), masked_settings(), 0.6) if isinstance(e, Step)
    ]
    assert len(seen) == 5
    for latents in seen[1:]:
        np.testing.assert_array_equal(latents[:, 4:], seen[0][:, 4:])
        assert not np.array_equal(latents[:, :4], seen[0][:, :4])


def test_a_padded_picture_is_cut_back(device: Device) -> None:
    picture = Image.effect_mandelbrot((21, 15), (-2, -1, 1, 1), 50).convert("RGB")
    settings = dataclasses.replace(
        SETTINGS, width=None, height=None, steps=4, init_image=InitImage(picture, 0.5, "pad")
    )
    *_, last = refine(*pair(device), settings, 0.6)
    assert isinstance(last, Result)
    assert last.images[0].size == (21, 15)


def test_previews_follow_the_tiling(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    tilings: list[str] = []

    def note(_: Any, __: Any, tiling: str) -> Iterator[Any]:
        tilings.append(tiling)
        return iter(())

    monkeypatch.setattr(event_module, "decode", note)
    tiled = dataclasses.replace(SETTINGS, vae_tiling="on")
    for event in refine(*pair(device), tiled, SHARE):
        if isinstance(event, Step):
            event.preview()
    assert tilings == ["on"] * REFINED_STEPS


def test_models_and_settings_that_do_not_go_together(device: Device) -> None:
    base, refiner = pair(device)
    for changes in ({"hires": Hires()}, {"sampler": "dpm_adaptive"}):
        with pytest.raises(SettingsError):
            next(refine(base, refiner, dataclasses.replace(SETTINGS, **changes)))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="switch"):
        next(refine(base, refiner, SETTINGS, 1.5))
    with pytest.raises(SettingsError, match="scaled otherwise"):
        next(refine(base, pipeline(device, "sd2"), SETTINGS))
