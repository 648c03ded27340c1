"""The plan of a run's memory: byte for byte what the run takes, known without running it."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.errors import SettingsError
from diffusion.memory import Placement
from diffusion.models import module
from diffusion.models.module import buffers_of
from diffusion.models.weights import parameters
from diffusion.pipeline.memory import trace_run, traced_device
from diffusion.tasks import Hires, InitImage
from gpucore import Device, DType, f16, f32
from gpucore.backends import Copy
from gpucore.backends.null import NullBackend, NullBuffer
from tests.diffusion.cli.fake_pipeline import run
from tools.full_size.models import MODELS
from tools.full_size.random_folder import write_random_folder

SMALL = Settings("a red apple", "a dog", width=64, height=64, steps=2, guidance=4.0)
RUNS = {
    "one": SMALL,
    "batch": Settings("a fox", width=96, height=64, steps=2, count=2, batch=2),
    "alone": Settings("a fox", width=64, height=64, steps=2, guidance=1.0),
    "hires": Settings("a fox", width=64, height=64, steps=2, hires=Hires(2.0, steps=2)),
    "tiles": Settings("a fox", width=64, height=64, steps=1, vae_tiling="on"),
    "picture": Settings("a fox", steps=2, init_image=InitImage(Image.new("RGB", (64, 64)))),
    "words": Settings("a (red:1.3) fox " * 40, width=64, height=64, steps=2),
}


@pytest.mark.parametrize(
    "name",
    [n if n in ("one", "hires") else pytest.param(n, marks=pytest.mark.slow) for n in RUNS],
)
def test_a_run_takes_the_bytes_of_its_plan(device: Device, name: str) -> None:
    dtype: type[DType] = f16 if device.has_f16 and name != "batch" else f32
    with closing(Device.open(device.info, checks=False)) as own:
        pipeline = Pipeline.load(None, own, dtype)
        assert own.memory.peak_reserved == pipeline.plan(RUNS[name]).stages["loading"]
        plan = pipeline.plan(RUNS[name])
        loaded = own.memory.live
        own.pool.reset_peak()
        pipeline.draw(RUNS[name])
        assert (own.memory.peak_reserved, own.staging.nbytes) == (plan.run_peak, plan.staging)
        assert own.memory.peak == plan.weight_bytes + plan.activations
        assert loaded == plan.weight_bytes


@pytest.mark.one_engine
def test_a_plan_tells_how_long_its_copies_take(device: Device) -> None:
    """No figure where there is no copy, or no device that copies."""
    with closing(Device.open(device.info, checks=False)) as own:
        pipeline = Pipeline.load(None, own)
        assert pipeline.plan(SMALL).seconds_per_call is None
        pipeline.lay(Placement(unet=1.0, vae=True))
        before = own.memory
        plan = pipeline.plan(SMALL)
        assert own.memory == before, "measured elsewhere"
        assert plan.copy_rate is not None
        assert plan.copy_rate > 1e6
        assert plan.seconds_per_call == plan.moved_per_call / plan.copy_rate > 0
        assert plan.seconds_once == plan.moved_once / plan.copy_rate > 0
    null = Pipeline.load(None, Device.null())
    null.lay(Placement(unet=1.0))
    found = null.plan(SMALL)
    assert found.moved_per_call > 0
    assert found.seconds_per_call is None


def test_a_plan_tells_what_each_call_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that make keys and values of the prompt are copied once for all calls."""
    monkeypatch.setattr(module, "_LEAST_PARKED_NUMBERS", 512)
    monkeypatch.setattr(parameters, "LEAST_PARKED", 1024)
    with closing(Device.null()) as own:
        engine = own.engine
        assert isinstance(engine, NullBackend)
        keep_on_host, kept = engine.keep_on_host, list[object]()

        def keep(source: NullBuffer, nbytes: int) -> object:
            kept.append(keep_on_host(source, nbytes))
            return kept[-1]

        monkeypatch.setattr(engine, "keep_on_host", keep)
        pipeline = Pipeline.load(None, own)
        pipeline.lay(Placement(transformed=False, text=True, vae=True, unet=1.0))
        plan = pipeline.plan(SMALL)
        pipeline.draw(SMALL)
        of_host = set(map(id, kept))
        copies = [
            sum(c.nbytes for c in commands if isinstance(c, Copy) and id(c.source) in of_host)
            for commands in engine.submitted
        ]
        # A call is one submission or two, alike in both steps.
        call = sum(each for each in copies if copies.count(each) == 2) // 2
        units = 256 * len(kept)  # copies are in units of 256 bytes
        assert 0 <= call - plan.moved_per_call < units
        assert 8 * units < plan.for_prompt < plan.moved_once


@pytest.mark.one_engine
def test_planning_leaves_the_model_as_it_was(device: Device) -> None:
    with closing(Device.open(device.info, checks=False)) as own:
        pipeline = Pipeline.load(None, own)
        before = own.memory
        pipeline.plan(SMALL)
        assert own.memory == before


def test_each_weight_on_the_device_counts_once(device: Device) -> None:
    traced = traced_device(device)
    pipeline = Pipeline.load(None, traced)
    found = {name: list(buffers_of(each)) for name, each in pipeline.weight_modules().items()}
    assert all(found.values())
    assert sum(len(each) for each in found.values()) == traced.memory.buffers


@pytest.mark.one_engine
def test_wrong_settings_are_refused_as_by_the_run(device: Device) -> None:
    pipeline = Pipeline.load(None, traced_device(device))
    with pytest.raises(SettingsError, match="width"):
        trace_run(pipeline, Settings("a", width=63, height=64))


FULL = {  # parameters of the published models, in f32, without what is transformed
    "sd15": {"unet": 859_520_964, "text_encoder": 123_060_480, "vae": 83_653_863},
    "sdxl": {
        "unet": 2_567_463_684,
        "text_encoder": 123_060_480,
        "text_encoder_2": 694_659_840,
        "vae": 83_653_863,
    },
}


@pytest.mark.one_engine
@pytest.mark.parametrize("name", FULL)
def test_full_models_have_the_published_sizes(device: Device, name: str, tmp_path: Path) -> None:
    write_random_folder(tmp_path, MODELS[name], sparse=True)
    pipeline = Pipeline.load(tmp_path, traced_device(device), f32)
    plan = trace_run(pipeline, Settings("a", width=256, height=256, steps=1))
    parameters = sum(FULL[name].values())
    transformed_from = plan.transformed
    # Each buffer is rounded up to 256 bytes; there are fewer than 5000 of them. Transformed weights
    # take the place of the file's, which are at least a quarter as large.
    assert 4 * parameters - transformed_from <= plan.weight_bytes
    assert plan.weight_bytes - transformed_from <= 4 * parameters + 5000 * 256


@pytest.mark.one_engine
def test_the_command_prints_the_plan(device: Device) -> None:
    options = ("plan", "--size", "64x64", "--device", device.backend)
    shown = run(*options)
    assert "weights of unet" in shown.stdout
    assert "at the peak" in shown.stdout
    record: dict[str, Any] = json.loads(run(*options, "--batch", "2", "--json").stdout)
    assert record["peak"] == max(record["stages"].values())
    assert record["weight_bytes"] == sum(record["weights"].values())
    small = json.loads(run(*options, "--batch", "2", "--json", "--weights", "q8_0").stdout)
    assert small["weights"]["unet"] < 0.6 * record["weights"]["unet"]
    assert small["weights"]["vae"] == record["weights"]["vae"]
    lora = json.loads(run(*options, "--batch", "2", "--json", "--lora", "neon").stdout)
    assert lora["activations"] > record["activations"]
    assert lora["weights"] == record["weights"]
    within = (*options, "--vram", "20M")
    assert re.search(
        r"copied at each call of the UNet .*\n +which takes about +[\d.]+ ms\n", run(*within).stdout
    )
    record = json.loads(run(*within, "--json").stdout)
    assert 0 < record["seconds_per_call"] < 60
    missing = run(*options, "--unet", "missing.gguf")
    assert (missing.exit_code, "missing.gguf" in missing.stderr) == (2, True)
