"""Pictures with controls: what each choice changes, and what it must leave."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.batching import draw_together
from diffusion.control import Control, ControlFolder
from diffusion.control.strengths import strengths_of
from diffusion.errors import SettingsError
from diffusion.models.controlnet import ControlNet
from diffusion.models.unet import Residuals, time_features
from diffusion.pipeline.denoiser import GuidedDenoiser
from diffusion.tasks import FreeU, GuidanceOptions, Hires, InitImage, Inpaint
from gpucore import Device, OutOfMemoryError, f32
from gpustd import concat
from tests.diffusion.bundled_model import pixels
from tests.diffusion.control.golden_controls import write_control
from tests.diffusion.golden_families import networks
from tests.goldens.loader import relative_error

# What is chosen is the host's; `test_goldens` calls the networks on every engine.
pytestmark = pytest.mark.one_engine

LEVELS = np.random.default_rng(3).integers(0, 256, (32, 32, 3)).astype(np.uint8)
PICTURE = Image.fromarray(LEVELS)
CONTROL = Control("sd2", PICTURE)
SETTINGS = Settings("a red apple", width=32, height=32, steps=2, guidance=3.0, seed=5)


@pytest.fixture
def pipeline(device: Device, tmp_path: Path) -> Iterator[Pipeline]:
    for name in ("sd2", "pooled", "full"):
        write_control(tmp_path / name, name)
    found = Pipeline(networks(device, "sd2"), controls=ControlFolder(tmp_path))
    yield found
    found.release()


def drawn(pipeline: Pipeline, *controls: Control, **changes: Any) -> bytes:
    settings = replace(SETTINGS, controls=controls, **changes)
    return pixels(pipeline, settings).tobytes()


def test_each_choice_changes_the_picture(pipeline: Pipeline) -> None:
    other = Image.fromarray(LEVELS[::-1].copy())
    half = Image.fromarray(np.tile(np.uint8([[0] * 16 + [255] * 16]), (32, 1)))
    choices = [
        CONTROL,
        replace(CONTROL, image=other),
        replace(CONTROL, weight=0.5),
        replace(CONTROL, start=0.5),
        replace(CONTROL, end=0.5),
        replace(CONTROL, mode="prompt"),
        replace(CONTROL, mode="control"),
        replace(CONTROL, mode="guess"),
        replace(CONTROL, region=half),
        replace(CONTROL, layer_weights=(1, 0, 1, 0, 1, 0, 1)),
        replace(CONTROL, model="pooled"),
        replace(CONTROL, model="full"),
        replace(CONTROL, preprocessor="canny"),
    ]
    found = [drawn(pipeline), *(drawn(pipeline, each) for each in choices)]
    assert len(set(found)) == len(found)
    assert drawn(pipeline, CONTROL, replace(CONTROL, model="full")) not in found


def test_what_adds_nothing_leaves_every_bit(pipeline: Pipeline) -> None:
    plain = drawn(pipeline)
    with_control = drawn(pipeline, CONTROL)
    nowhere = Image.new("L", (32, 32), 0)
    assert drawn(pipeline, replace(CONTROL, weight=0.0)) == plain
    assert drawn(pipeline, replace(CONTROL, passes="hires")) == plain
    assert drawn(pipeline, replace(CONTROL, region=nowhere)) == plain
    assert drawn(pipeline, replace(CONTROL, start=0.1, end=0.2)) == plain
    assert drawn(pipeline, replace(CONTROL, region=Image.new("L", (9, 9), 255))) == with_control
    assert drawn(pipeline) == plain
    assert drawn(pipeline, CONTROL) == with_control


def test_controls_count_in_calls_without_the_negative_prompt(pipeline: Pipeline) -> None:
    """Where each call leaves it out, the picture is that of no guidance."""
    skipping = GuidanceOptions(skip_below=1e6, skip_all=True)
    late = replace(CONTROL, start=0.5)
    for control in (CONTROL, late):
        alone = drawn(pipeline, control, guidance=1.0)
        assert drawn(pipeline, control, guidance_options=skipping) == alone
        assert drawn(pipeline, control) != alone
    assert drawn(pipeline, CONTROL, guidance=1.0) != drawn(pipeline, late, guidance=1.0)
    assert drawn(pipeline, CONTROL, guidance_options=GuidanceOptions(freeu=FreeU())) != drawn(
        pipeline, CONTROL
    )


def test_calls_with_controls_are_made_beside_shared_ones(pipeline: Pipeline) -> None:
    asked = [
        replace(SETTINGS, seed=1),
        replace(SETTINGS, seed=2, controls=(CONTROL,)),
        replace(SETTINGS, seed=3),
        replace(SETTINGS, seed=4, guidance_options=GuidanceOptions(rescale=0.7)),
        replace(SETTINGS, seed=5, controls=(replace(CONTROL, model="full"),)),
        replace(SETTINGS, seed=6, controls=(CONTROL,)),
    ]
    alone = [pipeline.draw(each)[0].tobytes() for each in asked]
    together = [pictures[0].tobytes() for pictures in draw_together(pipeline, asked)]
    assert together == alone


def test_a_picture_does_not_depend_on_its_batch(pipeline: Pipeline) -> None:
    control = replace(CONTROL, mode="control")
    batch = pipeline.draw(replace(SETTINGS, controls=(control,), count=3, batch=3))
    alone = pipeline.draw(replace(SETTINGS, controls=(control,), seed=6))
    assert batch[1].tobytes() == alone[0].tobytes()


def test_networks_stay_while_they_fit_and_the_oldest_leaves(pipeline: Pipeline) -> None:
    """The picture is the same whether its network stayed, left, or came back."""
    loaded = pipeline.controls
    names = ("sd2", "pooled", "full")
    first = {name: drawn(pipeline, replace(CONTROL, model=name)) for name in names}
    one = loaded.nbytes
    loaded.budget = None
    for name in names:
        assert drawn(pipeline, replace(CONTROL, model=name)) == first[name]
    assert loaded.nbytes > 2 * one > 0
    kept = loaded.load([replace(CONTROL, model="sd2")])[0][1]
    assert loaded.load([replace(CONTROL, model="sd2")])[0][1] is kept
    loaded.budget = loaded.nbytes - 1
    loaded.load([CONTROL])  # "pooled" rested longest
    fitting = loaded.nbytes
    assert loaded.load([CONTROL])[0][1] is kept
    full = loaded.load([replace(CONTROL, model="full")])[0][1]
    assert loaded.nbytes == fitting, "it was there still"
    loaded.budget = 0
    assert loaded.load([replace(CONTROL, model="full")])[0][1] is full
    assert loaded.nbytes < fitting
    for name in names:
        assert drawn(pipeline, replace(CONTROL, model=name)) == first[name]


def test_a_full_device_gives_other_networks_back(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = pipeline.controls
    loaded.budget = None
    loaded.load([CONTROL])
    monkeypatch.setattr(loaded, "_open", full_until(lambda: not loaded.nbytes, loaded._open))
    (_, network) = loaded.load([replace(CONTROL, model="full")])[0]
    assert network.name == "full"
    room = iter([True, True])
    loaded.make_room = lambda: next(room, False)
    monkeypatch.setattr(loaded, "_open", full_until(lambda: False, loaded._open))
    with pytest.raises(OutOfMemoryError):
        loaded.load([replace(CONTROL, model="pooled")])
    assert next(room, False) is False, "all that could leave has left"


def full_until(has_room: Any, open_network: Any) -> Any:
    def open_or_fail(*arguments: Any) -> Any:
        if not has_room():
            raise OutOfMemoryError("the device is full")
        return open_network(*arguments)

    return open_or_fail


def test_the_denoiser_adds_what_the_network_makes(pipeline: Pipeline) -> None:
    """One guided estimate, put together from the golden networks and the written factors."""
    made, device = pipeline.networks, pipeline.device
    region = Image.fromarray(np.linspace(0, 255, 32, dtype=np.uint8)[None].repeat(32, 0))
    control = replace(CONTROL, mode="control", weight=0.8, region=region)
    settings = replace(SETTINGS, controls=(control,)).with_defaults(pipeline.defaults)
    current = pipeline.passes(settings)[0]
    shape = (1, 16, 16, 4)
    conditioning = current.conditioning()
    denoiser = GuidedDenoiser(made, conditioning, shape, 3.0, leading=current.leading)
    x = device.buffer_from_array(np.random.default_rng(1).standard_normal(shape), f32)
    sigma = 5.0
    found = denoiser(x, sigma).read()

    scalings = made.noise.scalings(sigma)
    latents = device.buffer_from_array(x.read() * np.float32(scalings.into), f32)
    features = time_features([made.noise.timestep_of(sigma)], made.folder.unet)
    times = device.buffer_from_array(features, f32)
    network = current.controls[0].loaded.network
    assert isinstance(network, ControlNet)
    picture = device.buffer_from_array((LEVELS / 255)[None], f32)
    hint = network.read_picture(picture)
    outputs = []
    for row in range(2):
        context = device.buffer_from_array(conditioning.context.read()[row : row + 1], f32)
        residuals = network(latents, times, network.prompt_keys(context), hint)
        factors = strengths_of(control, 7)[1 - row]
        assert residuals.middle is not None
        layers = [*residuals.skips, residuals.middle]
        scaled = [layer.read() * factor for layer, factor in zip(layers, factors, strict=True)]
        for index, layer in enumerate(scaled):
            h, w = layer.shape[1:3]
            grey = Image.fromarray(np.asarray(region, np.float32) / 255)
            weights = np.asarray(grey.resize((w, h), Image.Resampling.BILINEAR))
            scaled[index] = layer * weights[None, :, :, None]
        *skips, middle = [device.buffer_from_array(each, f32) for each in scaled]
        unet = made.unet
        keys = unet.prompt_keys(context)
        outputs.append(unet(latents, times, keys, residuals=Residuals(skips, middle)))
    negative, prompt = np.split(concat(outputs, 0).read(), 2)
    guided = negative + 3.0 * (prompt - negative)
    expected = scalings.skip * x.read() + scalings.out * guided
    assert relative_error(found, expected) < 1e-5


def test_hires_and_init_images(pipeline: Pipeline) -> None:
    hires = Hires(2.0, "lanczos", 0.5)
    both, base, second = (
        drawn(pipeline, replace(CONTROL, passes=passes), hires=hires)
        for passes in ("both", "base", "hires")
    )
    plain = drawn(pipeline, hires=hires)
    assert len({both, base, second, plain}) == 4
    init_image = InitImage(PICTURE, 0.75)
    from_image = drawn(pipeline, replace(CONTROL, image=None), init_image=init_image)
    assert from_image == drawn(pipeline, CONTROL, init_image=init_image)
    assert from_image != drawn(pipeline, init_image=init_image)


def test_only_what_is_drawn_of_a_picture_leads(pipeline: Pipeline) -> None:
    """With the area masked, a picture that leads is cut as the init image is."""
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 24, 24))
    big = PICTURE.resize((64, 64), Image.Resampling.NEAREST)
    inpaint = Inpaint(mask, area="masked", padding=4)
    init_image = InitImage(Image.new("RGB", (64, 64), "grey"), 0.75, inpaint=inpaint)
    outside = big.copy()
    outside.paste((0, 0, 0), (40, 40, 64, 64))
    inside = big.copy()
    inside.paste((0, 0, 0), (4, 4, 20, 20))
    found = [
        drawn(pipeline, replace(CONTROL, image=each), init_image=init_image)
        for each in (big, outside, inside)
    ]
    assert found[0] == found[1]
    assert found[0] != found[2]


@pytest.mark.parametrize("turns", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_changes_leave_no_memory(pipeline: Pipeline, turns: int) -> None:
    memory = []
    for turn in range(turns):
        drawn(pipeline, replace(CONTROL, model=("sd2", "full")[turn % 2], weight=1 + turn / 20))
        drawn(pipeline)
        pipeline.release()
        gc.collect()
        pipeline.device.synchronize()
        memory.append(pipeline.device.pool.stats.live)
    assert len(set(memory)) == 1


def test_a_network_stays_until_another_comes(pipeline: Pipeline) -> None:
    settings = replace(SETTINGS, controls=(CONTROL,)).with_defaults(pipeline.defaults)
    (_, first), *_ = pipeline.controls.load(settings.controls)
    assert pipeline.controls.load(()) == []
    assert pipeline.controls.load(settings.controls)[0][1] is first
    pipeline.controls.load((replace(CONTROL, model="full"),))
    assert pipeline.controls.load(settings.controls)[0][1] is not first


def test_names_that_are_not_there_are_refused(pipeline: Pipeline) -> None:
    with pytest.raises(SettingsError, match="no such control network"):
        drawn(pipeline, replace(CONTROL, model="sd3"))
    with pytest.raises(SettingsError, match="there is no such file"):
        drawn(pipeline, replace(CONTROL, model=Path("absent.safetensors")))
    with pytest.raises(SettingsError, match="give a picture, or an init image"):
        drawn(pipeline, Control("sd2"))
    with pytest.raises(SettingsError, match="7 numbers"):
        drawn(pipeline, replace(CONTROL, layer_weights=(1.0,)))
    with pytest.raises(SettingsError, match="must be less than the end"):
        drawn(pipeline, replace(CONTROL, start=0.5, end=0.5))


@pytest.mark.parametrize("model", ["sd2", "full"])
def test_another_picture_takes_no_more_than_the_plan(
    device: Device, tmp_path: Path, model: str
) -> None:
    """Beside it there may be one latent: graphs have taken the memory of the first run's."""
    write_control(tmp_path / model, model)
    control, latent = replace(CONTROL, model=model), 16 * 16 * 4 * 4
    with closing(Device.open(device.info, checks=False)) as own:
        pipeline = Pipeline(networks(own, "sd2"), controls=ControlFolder(tmp_path))
        plan = pipeline.plan(replace(SETTINGS, controls=(control,)))
        own.pool.reset_peak()
        for levels in (LEVELS, LEVELS[::-1], LEVELS[:, ::-1]):
            other = replace(control, image=Image.fromarray(levels.copy()))
            drawn(pipeline, other)
            assert plan.run_peak <= own.memory.peak_reserved <= plan.run_peak + latent
        pipeline.close()
