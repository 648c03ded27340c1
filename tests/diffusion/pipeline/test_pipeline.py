"""Pictures with the bundled model: the same every time, in every batch, on every engine."""

from __future__ import annotations

import dataclasses
import gc
import inspect
from collections.abc import Generator, Iterator
from typing import Any, cast

import numpy as np
import pytest

from diffusion import Pipeline, Result, Settings, Stage, Step
from diffusion.errors import SettingsError
from diffusion.pipeline import events
from diffusion.pipeline.events import Event
from diffusion.pipeline.run import Run
from diffusion.tasks import Hires
from diffusion.tasks.sampling_settings import SamplingSettings
from diffusion.text.conditioning import Conditioning
from gpucore import Device, f32
from tests.conftest import engine_problem, engines, open_engine
from tests.diffusion.bundled_model import pipeline_on, pixels
from tests.diffusion.recorded_steps import record_steps

SMALL = Settings("a red apple", "blurry", width=64, height=48, steps=3, guidance=4.0, seed=5)


def test_twenty_runs_are_equal(device: Device) -> None:
    pipeline = pipeline_on(device)
    first = pixels(pipeline, SMALL)
    assert first.shape == (1, 48, 64, 3)
    for _ in range(19):
        np.testing.assert_array_equal(pixels(pipeline, SMALL), first)


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "euler_a"])
def test_an_image_does_not_depend_on_its_batch(device: Device, sampler: str) -> None:
    pipeline = pipeline_on(device)
    four = dataclasses.replace(SMALL, count=4, sampler=sampler)
    together = pixels(pipeline, dataclasses.replace(four, batch=4))
    pairs = pixels(pipeline, dataclasses.replace(four, batch=2))
    alone = pixels(pipeline, dataclasses.replace(four, batch=1))
    np.testing.assert_array_equal(together, pairs)
    np.testing.assert_array_equal(together, alone)
    assert not np.array_equal(alone[0], alone[1]), "each image has a seed of its own"
    third = dataclasses.replace(SMALL, seed=SMALL.seed + 2, sampler=sampler)
    np.testing.assert_array_equal(pixels(pipeline, third)[0], together[2])


def test_engines_agree() -> None:
    """At most 2 grey levels between any two engines, at the model's own size.

    In f32. In f16 a card's engines take kernels of other orders, and what they round differently in
    each layer grows over six steps.
    """
    settings = dataclasses.replace(SMALL, width=128, height=128, steps=6)
    images = [
        pixels(pipeline_on(open_engine(engine), f32), settings)
        for engine in engines()
        if not engine_problem(engine)
    ]
    for image in images[1:]:
        assert np.abs(image.astype(int) - images[0].astype(int)).max() <= 2


def test_events_come_in_order(device: Device) -> None:
    events = list(pipeline_on(device).generate(dataclasses.replace(SMALL, count=3, batch=2)))
    names = [e.name if isinstance(e, Stage) else type(e).__name__ for e in events]
    batch = ["preparing", "Step", "Step", "Step", "decoding"]
    assert names == ["encoding prompt", *batch, *batch, "Result"]
    steps = [e for e in events if isinstance(e, Step)]
    assert [(s.index, s.total) for s in steps] == [(i, 6) for i in range(1, 7)]
    assert [s.image_numbers for s in steps] == [(0, 1)] * 3 + [(2,)] * 3
    result = events[-1]
    assert isinstance(result, Result)
    assert result.seeds == [5, 6, 7]
    assert result.settings.sampler == "dpmpp_2m"


def test_preview_shows_what_the_network_sees(device: Device) -> None:
    for event in pipeline_on(device).generate(SMALL):
        if isinstance(event, Step):
            (image,) = event.preview()
            assert image.size == (64, 48)


def test_a_small_preview_is_the_preview_with_half_the_sides(device: Device) -> None:
    settings = dataclasses.replace(SMALL, width=128, height=128, steps=6, count=1)
    for event in pipeline_on(device).generate(settings):
        if isinstance(event, Step) and event.index == settings.steps - 1:
            (whole,), (small,) = event.preview(), event.preview(small=True)
            assert small.size == (64, 64)
            shrunk = np.asarray(whole.resize(small.size), np.float64)
            assert np.abs(shrunk - np.asarray(small)).mean() < 12  # of 255: a decoder is no filter
            assert np.abs(shrunk - np.asarray(small)[::-1]).mean() > 12


def test_closing_the_generator_gives_the_memory_back(device: Device) -> None:
    pipeline = pipeline_on(device)
    pixels(pipeline, SMALL)
    before = device.memory.live
    events = begin_run(pipeline)
    events.close()
    assert device.memory.live == before


def begin_run(pipeline: Pipeline) -> Generator[Event]:
    """Return a run after its first step."""
    events = cast("Generator[Event]", pipeline.generate(SMALL))
    while not isinstance(next(events), Step):
        pass
    return events


def test_closing_closes_what_is_inside(first: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another object refers to it, as Python 3.12.3 does (issue 118272)."""
    inside = record_steps(monkeypatch)
    begin_run(pipeline_on(first)).close()
    assert [inspect.getgeneratorstate(each) for each in inside] == [inspect.GEN_CLOSED]


def test_a_forgotten_run_in_a_cycle_spoils_no_later_one(first: Device) -> None:
    """The collector ends objects of a cycle in any order, buffers before their run."""
    pipeline = Pipeline(pipeline_on(first).networks)
    base = pixels(pipeline, SMALL)
    cycle: list[Any] = [begin_run(pipeline)]
    cycle.append(cycle)
    del cycle
    gc.collect()
    dog = dataclasses.replace(SMALL, prompt="a dog")
    assert not np.array_equal(pixels(pipeline, dog), base)
    np.testing.assert_array_equal(pixels(pipeline, SMALL), base)


def test_prompt_and_guidance_matter(device: Device) -> None:
    pipeline = pipeline_on(device)
    base = pixels(pipeline, SMALL)
    for change in (
        dataclasses.replace(SMALL, prompt="a blue car"),
        dataclasses.replace(SMALL, negative=""),
        dataclasses.replace(SMALL, guidance=1.5),
        dataclasses.replace(SMALL, guidance=1.0, negative=""),
        dataclasses.replace(SMALL, sampler="ddim"),
        dataclasses.replace(SMALL, schedule="sgm_uniform"),
        dataclasses.replace(SMALL, seed=6),
    ):
        assert not np.array_equal(pixels(pipeline, change), base)


def test_a_cached_denoiser_follows_its_prompt_after_an_interruption(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted while changing prompts, it follows neither, and the next picture is right."""
    pipeline = pipeline_on(device)
    dog = dataclasses.replace(SMALL, prompt="a dog")
    right = pixels(pipeline, dog)
    for repeated in (dog, SMALL, dog):
        assert np.array_equal(pixels(pipeline, repeated), right) == (repeated is dog)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    pixels(pipeline, dataclasses.replace(SMALL, prompt="a cat"))
    monkeypatch.setattr(Conditioning, "copy_from", interrupt)
    turning = dataclasses.replace(SMALL, prompt="[a cat:a dog:0.5]")
    with pytest.raises(KeyboardInterrupt):
        pixels(pipeline, turning)
    monkeypatch.undo()
    np.testing.assert_array_equal(pixels(pipeline, dog), right)


def test_no_latents_give_no_pictures(device: Device) -> None:
    assert pipeline_on(device).decode(device.buffer(f32, (0, 4, 4, 4))) == []


def test_an_empty_prompt_is_allowed(device: Device) -> None:
    assert pixels(pipeline_on(device), dataclasses.replace(SMALL, prompt="", negative="")).size


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 60),
        ("width", 0),
        ("height", -8),
        ("height", 10**6),
        ("steps", 0),
        ("steps", 10**6),
        ("guidance", float("nan")),
        ("guidance", -1.0),
        ("sampler", "eular"),
        ("schedule", "karas"),
        ("seed", -1),
        ("seed", 2**64),
        ("count", 0),
        ("batch", 0),
        ("eta", 2.0),
        ("prompt", "x" * 70000),
        ("steps", True),
    ],
)
def test_wrong_settings_are_refused_at_once(first: Device, field: str, value: object) -> None:
    pipeline = pipeline_on(first)
    with pytest.raises(SettingsError, match=field):
        next(pipeline.generate(dataclasses.replace(SMALL, **{field: value})))  # type: ignore[arg-type]


def test_a_folder_has_a_tokenizer_of_its_own() -> None:
    with pytest.raises(SettingsError, match="a model's folder has its own"):
        Pipeline.load("emoji", tokenizer="words")


def prepare(device: Device, **changes: Any) -> None:
    """Make a run, without any work; a warning is an error."""
    pipeline = pipeline_on(device)
    settings = dataclasses.replace(SMALL, **changes).with_defaults(pipeline.defaults)
    Run(pipeline.passes(settings))


def test_an_option_that_one_of_two_passes_has_is_not_idle(device: Device) -> None:
    second = Hires(sampler="euler_a")
    prepare(device, sampler="dpmpp_2m", eta=0.1, hires=second)
    with pytest.warns(UserWarning, match=r"^eta changes nothing: DPM\+\+ 2M has no such option"):
        prepare(device, sampler="dpmpp_2m", eta=0.1)
    with pytest.warns(UserWarning, match="^order changes nothing") as warned:
        prepare(device, sampler="dpmpp_2m", hires=second, sampling=SamplingSettings(order=2))
    assert len(warned) == 1


def test_an_idle_negative_prompt_gives_a_warning(device: Device) -> None:
    """SMALL has one; where no pass is guided, it changes nothing."""
    with pytest.warns(UserWarning, match="^negative changes nothing: it needs a guidance above 1"):
        prepare(device, guidance=1.0)
    with pytest.warns(UserWarning, match="^negative changes nothing"):
        prepare(device, guidance=0.5, hires=Hires(negative="bad", guidance=2.0))
    with pytest.warns(UserWarning, match="^hires_negative changes nothing"):
        prepare(device, hires=Hires(negative="bad", guidance=1.0))
    prepare(device, guidance=1.0, negative="")
    prepare(device, guidance=1.0, hires=Hires(guidance=2.0))
    prepare(device, guidance=2.0, hires=Hires(guidance=1.0))
    prepare(device, guidance=1.0, prompt="a AND b")
    prepare(device, guidance=1.0, sampler="euler_cfg_pp")


@pytest.mark.parametrize("tiling", ["on", "auto"])
def test_previews_follow_the_tiling(
    device: Device, monkeypatch: pytest.MonkeyPatch, tiling: str
) -> None:
    """In both passes."""
    settings = dataclasses.replace(
        SMALL, steps=1, vae_tiling=tiling, hires=Hires(1.5, "latent", 0.7)
    )
    steps = [event for event in pipeline_on(device).generate(settings) if isinstance(event, Step)]
    tilings: list[str] = []

    def note(_: Any, __: Any, given: str) -> Iterator[Any]:
        tilings.append(given)
        return iter(())

    monkeypatch.setattr(events, "decode", note)
    for step in steps:
        step.preview()
    assert tilings == [tiling] * 2
