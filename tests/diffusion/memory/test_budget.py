"""Runs within a budget of memory: the same bits, no byte more, and what happens without room."""

from __future__ import annotations

import functools
import gc
import math
import re
import warnings
import weakref
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.batching import draw_together
from diffusion.errors import SettingsError
from diffusion.memory import EVERYTHING, Budget, MemoryPlan, Placement, find_placement
from diffusion.models.module import buffers_of
from diffusion.pipeline.calls import UNetCall
from diffusion.pipeline.memory import MemoryBudget, find_fitting, trace_run, traced_device
from diffusion.tasks import GuidanceOptions, InitImage, Inpaint
from gpucore import Device, OutOfMemoryError, f32, u8
from gpucore.memory.host import HostArray, host_bytes
from tests.diffusion.bundled_model import pipeline_on, pixels

SMALL = Settings("a red apple", "a dog", width=64, height=64, steps=2, guidance=4.0, seed=3)


def some(cases: Iterable[Any], *quick: Any) -> list[Any]:
    """Return cases, all but the ``quick`` ones marked as slow."""
    return [c if c in quick else pytest.param(c, marks=pytest.mark.slow) for c in cases]


@pytest.fixture
def own(device: Device) -> Iterator[Device]:
    """Return a device that nothing else is on."""
    with closing(Device.open(device.info, checks=False)) as opened:
        yield opened


@functools.cache
def expected(device: Device) -> NDArray[Any]:
    return pixels(pipeline_on(device), SMALL)


@functools.cache
def whole_plan(device: Device) -> MemoryPlan:
    return trace_run(Pipeline.load(None, traced_device(device)), SMALL)


PLACEMENTS = {
    "made at each call": Placement(transformed=False),
    "text": Placement(text=True),
    "vae": Placement(transformed=False, vae=True),
    "half": Placement(transformed=False, text=True, unet=0.5),
    "all": Placement(transformed=False, text=True, vae=True, unet=1.0),
}


@pytest.mark.parametrize("name", some(PLACEMENTS, "all", "made at each call"))
def test_a_placement_changes_no_bit(device: Device, own: Device, name: str) -> None:
    placement = PLACEMENTS[name]
    first = Pipeline.load(None, own)
    placed = first.twin(own, placement)
    plan = trace_run(first.twin(traced_device(own), placement), SMALL)
    del first
    own.trim()
    assert own.memory.live == plan.weight_bytes
    # Memory of the host is in units of 256 bytes.
    on_host = sum(plan.host.values())
    assert on_host <= host_bytes(own) <= on_host + 256 * 1000
    assert (on_host > 0) == (name != "made at each call")
    np.testing.assert_array_equal(pixels(placed, SMALL), expected(device))
    assert own.memory.peak <= max(own.memory.peak, plan.weight_bytes + plan.activations)


@pytest.mark.one_engine
@pytest.mark.parametrize("weights", some(("q8_0", "q5_1", "fp8"), "q8_0"))
def test_quantised_weights_lie_on_the_host_as_blocks(own: Device, weights: str) -> None:
    whole = Pipeline.load(None, own, weights=weights)
    plain = pixels(whole, SMALL)
    bytes_of_unet = sum(buffer.nbytes for buffer in buffers_of(whole.networks.unet))
    placed = whole.twin(own, PLACEMENTS["all"])
    plan = trace_run(whole.twin(traced_device(own), PLACEMENTS["all"]), SMALL)
    del whole
    own.trim()
    tables = 4096  # that modules keep for a device
    assert plan.weight_bytes <= own.memory.live <= plan.weight_bytes + tables
    assert 0.7 * bytes_of_unet < plan.host["unet"] < bytes_of_unet
    assert placed.networks.has_quantized_weights
    np.testing.assert_array_equal(pixels(placed, SMALL), plain)


@pytest.mark.one_engine
@pytest.mark.parametrize("share", some((0.9, 0.7, 0.5), 0.7))
def test_a_run_stays_within_its_budget(device: Device, own: Device, share: float) -> None:
    budget = int(share * whole_plan(device).peak)
    pipeline = Pipeline.load(None, own, vram=Budget(budget, SMALL))
    assert pipeline.networks.placement != EVERYTHING
    np.testing.assert_array_equal(pixels(pipeline, SMALL), expected(device))
    assert own.memory.peak_reserved <= budget
    # Traces one after another share the few tables of their device.
    assert 0 <= pipeline.plan(SMALL).peak - own.memory.peak_reserved <= 4096


@pytest.mark.one_engine
def test_other_sizes_are_planned_anew(device: Device, own: Device) -> None:
    pipeline = Pipeline.load(None, own, vram=Budget(int(0.8 * whole_plan(device).peak), SMALL))
    before = pipeline.networks.placement
    large = replace(SMALL, width=128, height=128)
    np.testing.assert_array_equal(pixels(pipeline, large), pixels(pipeline_on(device), large))
    assert pipeline.networks.placement != before
    assert own.memory.peak_reserved <= 0.8 * whole_plan(device).peak


def masked(size: int) -> InitImage:
    """Return a picture of which a box around its middle is drawn."""
    mask = Image.new("L", (size, size))
    mask.paste(255, (20, 20, size - 20, size - 20))
    return InitImage(Image.new("RGB", (size, size)), inpaint=Inpaint(mask, area="masked"))


CHANGES: dict[str, dict[str, Any]] = {
    "parts of the prompt": {"prompt": "a red apple AND a dog AND a tree AND a house"},
    "a prompt that changes": {"prompt": "a [red:green:0.5] apple [in|on] a box", "steps": 4},
    "a LoRA in the prompt": {"prompt": "a red apple <lora:neon:1>"},
    "a mask": {"init_image": masked(64)},
    "a guidance option": {"guidance_options": GuidanceOptions(perturbed=3.0)},
}


@pytest.mark.one_engine
@pytest.mark.parametrize("name", some(CHANGES, "parts of the prompt"))
def test_a_plan_is_that_of_its_own_settings(
    device: Device, own: Device, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that of a drawing before with other settings; a seed changes nothing."""
    pipeline = Pipeline.load(None, own, vram=Budget(int(0.9 * whole_plan(device).peak), SMALL))
    changed = replace(SMALL, **CHANGES[name])
    found = pipeline.plan(changed)
    pipeline.memory = MemoryBudget(pipeline.memory.nbytes)
    assert found == pipeline.plan(changed) != pipeline.plan(SMALL)
    monkeypatch.setattr(pipeline, "twin", lambda *_: pytest.fail("traced again"))
    assert pipeline.plan(replace(changed, seed=9)) == found
    assert pipeline.plan(replace(SMALL, negative="a cat")) == pipeline.plan(SMALL)


@pytest.mark.one_engine
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_sde"])
def test_other_steps_are_planned_in_one_run(
    device: Device, own: Device, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the weights where they lie, though noise of a path takes some kB more or less."""
    budget = int(0.7 * whole_plan(device).peak)
    few, many = (replace(SMALL, sampler=sampler, steps=steps) for steps in (3, 12))
    pipeline = Pipeline.load(None, own, vram=Budget(budget, few))
    placement, placed, twin = pipeline.networks.placement, list[Placement](), pipeline.twin

    def note_twin(device: Device, placement: Placement) -> Pipeline:
        placed.append(placement)
        return twin(device, placement)

    monkeypatch.setattr(pipeline, "twin", note_twin)
    plan = pipeline.plan(many)
    assert set(placed) == {placement}
    own.pool.reset_peak()
    pipeline.draw(many)
    assert pipeline.networks.placement == placement
    assert 0 <= plan.run_peak - own.memory.peak_reserved <= 4096  # tables
    found = find_fitting(pipeline, own, many.with_defaults(pipeline.defaults), budget, EVERYTHING)
    assert found.placement != EVERYTHING
    assert found.plan.peak <= budget


@pytest.mark.one_engine
def test_a_budget_that_nothing_fits_names_remedies(own: Device) -> None:
    with pytest.raises(OutOfMemoryError, match=r"needs .* may take 1 MiB: .*--size.*--vram"):
        Pipeline.load(None, own, vram="1M")
    assert own.memory.live == 0
    with pytest.raises(SettingsError, match="size such as 8GB"):
        Pipeline.load(None, own, vram="much")


@pytest.mark.one_engine
@pytest.mark.parametrize("given", some((Budget(None, SMALL), None), Budget(None, SMALL)))
def test_without_room_or_budget_weights_are_placed_for_the_drawing(
    device: Device, own: Device, given: Budget | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Not for the model's own size, which needs far more than there is."""
    own.pool.limit = int(0.4 * whole_plan(device).peak)
    pipeline = Pipeline.load(None, own, vram=given)
    (line,) = caplog.messages
    assert re.match(r"no more memory than .* MiB: loading with .* in memory of the host$", line)
    np.testing.assert_array_equal(pixels(pipeline, SMALL), expected(device))
    if given is None:
        with pytest.raises(OutOfMemoryError, match=r"needs .* and may take .*: draw a smaller"):
            pipeline.draw(replace(SMALL, width=512, height=512))


@pytest.mark.one_engine
def test_weights_that_find_no_room_elsewhere_are_loaded_again(device: Device, own: Device) -> None:
    """Something else is on the device, which the plan knows nothing of."""
    pipeline = Pipeline.load(None, own, vram=Budget(int(0.7 * whole_plan(device).peak), SMALL))
    before = pipeline.networks.placement
    blocker = own.buffer(u8, (own.pool.limit or 0) - own.memory.reserved - (2 << 20))
    with pytest.raises(OutOfMemoryError):
        pipeline.lay(EVERYTHING)
    assert not pipeline.is_placed(before)
    with pytest.warns(ResourceWarning, match="drawing with") as told:
        np.testing.assert_array_equal(pixels(pipeline, SMALL), expected(device))
    assert len(told) == 1
    blocker.release()


@pytest.mark.one_engine
@pytest.mark.parametrize("share", some((0.98, 0.9, 0.6), 0.9))
def test_a_run_without_room_begins_again_with_less(
    device: Device, own: Device, share: float
) -> None:
    pipeline = Pipeline.load(None, own)
    own.pool.limit = max(own.memory.reserved, int(share * whole_plan(device).run_peak))
    with pytest.warns(ResourceWarning, match="drawing with") as told:
        found = pixels(pipeline, SMALL)
    assert len(told) == 1
    np.testing.assert_array_equal(found, expected(device))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(pixels(pipeline, SMALL), expected(device))
    pipeline.close()
    del pipeline
    gc.collect()
    assert own.memory.live <= 4096  # tables that modules keep for a device
    assert host_bytes(own) == 0


@pytest.mark.one_engine
def test_a_run_whose_calls_others_make_begins_again_with_less(device: Device, own: Device) -> None:
    """As the server does: without room for a call, its error goes to the run."""
    pipeline = Pipeline.load(None, own)
    pipeline.draw(SMALL)
    pipeline.release()
    own.trim()
    before = own.memory.live
    own.pool.limit = max(own.memory.reserved, int(0.9 * whole_plan(device).run_peak))
    with pytest.warns(ResourceWarning, match="drawing with") as told:
        ((picture,),) = draw_together(pipeline, [SMALL])
    assert len(told) == 1
    np.testing.assert_array_equal(np.asarray(picture), expected(device)[0])
    pipeline.release()
    own.trim()
    assert own.memory.live < before, "some weights are made at each call, or lie on the host"


@pytest.mark.one_engine
def test_what_a_failed_call_had_is_free_before_the_run_begins_again(own: Device) -> None:
    """Its driver still holds the error, whose traceback refers to all that the call had made."""
    pipeline = Pipeline.load(None, own)
    taken = own.memory.live
    had: list[weakref.ref[object]] = []

    def fail() -> None:
        activations = own.buffer(f32, 1 << 16)
        had.append(weakref.ref(activations))
        own.buffer(f32, 1 << 24)

    with closing(pipeline.events_and_calls(SMALL)) as run:
        while not isinstance(next(run), UNetCall):
            pass
        own.pool.limit = own.memory.reserved + (1 << 19)
        with pytest.raises(OutOfMemoryError) as kept:
            fail()
        assert had[0]() is not None
        with pytest.warns(ResourceWarning, match="drawing with"):
            run.throw(kept.value)
        assert had[0]() is None
    pipeline.release()
    own.trim()
    assert own.memory.live <= taken


@pytest.mark.one_engine
def test_a_run_that_fits_nowhere_leaves_the_ledger_as_it_was(own: Device) -> None:
    pipeline = Pipeline.load(None, own)
    pipeline.draw(SMALL)
    pipeline.release()
    own.trim()
    before = own.memory.live
    own.pool.limit = own.memory.reserved
    with pytest.raises(OutOfMemoryError, match=r"needs .* and may take .*: draw a smaller picture"):
        pipeline.draw(replace(SMALL, width=1024, height=1024))
    assert own.memory.live == before
    own.pool.limit = None
    assert len(pipeline.draw(SMALL)) == 1


class SmallModel:
    """Plans of a UNet of 100 bytes, half as much transformed, text of 30, VAE of 20."""

    def __init__(self) -> None:
        self.runs: list[Placement] = []

    def find(self, budget: int, *, tiles: float = 4 / 3) -> Placement:
        """Return the placement within a budget, and note the runs that it takes to find it."""
        self.runs = []

        def trace(placement: Placement, *, whole: bool = True) -> MemoryPlan:
            unet = round(100 * (1 - placement.unet))
            weights = {
                "text_encoder": 30 * (not placement.text),
                "unet": unet + 50 * placement.transformed,
                "vae": 20 * (not placement.vae),
            }
            text, vae = 30 * placement.text, 20 * placement.vae
            host = {"text_encoder": text, "unet": 100 - unet, "vae": vae}
            there = sum(weights.values())
            stages = {"loading": there}
            if whole or there <= budget:
                self.runs.append(placement)
                stages["decoding"] = there + {0: 40, 96: 30, 48: 10}[placement.tile]
            peak, made = max(stages.values()), 50 * placement.transformed
            return MemoryPlan(weights, host, made, stages, peak - there, peak, 0)

        return find_placement(trace, budget, tiles=tiles).placement


def test_the_quickest_that_fits_is_taken() -> None:
    model = SmallModel()
    fits = {
        240: EVERYTHING,
        239: Placement(transformed=False),
        189: Placement(transformed=False, text=True),
        159: Placement(transformed=False, text=True, vae=True),
        139: Placement(transformed=False, text=True, vae=True, tile=96),
    }
    for budget, placement in fits.items():
        assert model.find(budget) == placement
    least = Placement(transformed=False, text=True, vae=True, unet=0.51, tile=96)
    assert model.find(80) == least
    assert model.find(139, tiles=1).tile == 0
    assert model.find(80, tiles=1) == replace(least, unet=0.61, tile=0)
    assert model.find(80, tiles=1.01).tile == 0, "tiles save too little"
    assert model.find(12).tile == 48
    with pytest.raises(OutOfMemoryError):
        model.find(9)


def test_no_run_is_made_whose_plan_tells_nothing() -> None:
    """Where weights are over the budget, only those are run that others are measured by."""
    model = SmallModel()
    model.find(240)
    assert model.runs == [EVERYTHING]
    model.find(139)
    hosted = Placement(transformed=False, text=True, vae=True)
    assert model.runs == [hosted, replace(hosted, tile=96)]
    found = model.find(80)
    assert model.runs == [replace(hosted, tile=96), found]
    found = model.find(80, tiles=1)
    assert model.runs == [hosted, found]
    found = model.find(80, tiles=math.inf)
    assert model.runs == [hosted, replace(hosted, tile=96), found], "what tiles save is not known"


@pytest.mark.parametrize(("weights", "name"), [(None, "all"), ("q8_0", "made at each call")])
def test_what_is_ahead_changes_no_bit(
    device: Device, own: Device, weights: str | None, name: str
) -> None:
    """Copies and expansions, as on an engine that has them beside; their memory is in the plan."""
    placement = PLACEMENTS[name]
    first = Pipeline.load(None, own, weights=weights)
    plain = pixels(first, SMALL)
    own.engine.info = replace(own.info, features=own.features | {"async-copies"})
    twins = [first.twin(traced_device(each), placement) for each in (device, own)]
    plans = [trace_run(twin, SMALL) for twin in twins]
    placed = first.twin(own, placement)
    first.close()
    del first
    gc.collect()
    own.trim()
    own.pool.reset_peak()
    np.testing.assert_array_equal(pixels(placed, SMALL), plain)
    tables = 4096  # that modules keep for a device
    assert own.memory.peak_reserved == pytest.approx(plans[1].run_peak, abs=tables)
    assert plans[1].run_peak > plans[0].run_peak + tables


def test_an_array_of_the_host_is_copied_at_each_replay(device: Device) -> None:
    given = np.random.default_rng(1).standard_normal((1001, 3)).astype(np.float32)
    before = host_bytes(device)
    kept = HostArray(device, device.buffer_from_array(given))
    assert host_bytes(device) - before == 12032  # 12012 bytes, rounded up to 256
    with device.capture() as graph:
        found = kept.upload()
    for _ in range(2):
        found.write(np.full_like(given, np.nan))
        graph.replay()
        np.testing.assert_array_equal(found.read(), given)
    graph.release()
    del kept
    assert host_bytes(device) == before
