"""LoRAs beside the layers: the pictures of merged ones, shared calls, and nothing left behind."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from diffusion import Pipeline, Result, Settings, Step
from diffusion.adapters import Lora, LoraFolder, direct_merging
from diffusion.batching import draw_together
from diffusion.errors import ModelFormatError, SettingsError
from diffusion.models import layers
from diffusion.models.layers import Conv2d, Upsampling
from diffusion.models.low_rank import LayerUpdate, Updates, updates
from diffusion.models.module import load
from diffusion.models.unet import UNet
from diffusion.pipeline.lora import LoraMode
from gpucore import Device, f32, u32
from tests.diffusion.adapters.device_weights import device_weights
from tests.diffusion.adapters.test_pipeline_loras import write_lora
from tests.diffusion.bundled_model import pixels
from tests.diffusion.golden_families import networks
from tests.goldens.loader import relative_error

SETTINGS = Settings("a red apple", width=32, height=32, steps=2, guidance=3.0, seed=5)
FIRST_TURNS = 4
DORA = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"


@pytest.fixture
def pipeline(device: Device, tmp_path: Path) -> Iterator[Pipeline]:
    nets = networks(device, "xl_base")
    for name in "abc":
        write_lora(tmp_path / f"{name}.safetensors", nets, name)
    tensors = load_file(tmp_path / "a.safetensors")
    rows = np.ones((len(tensors[f"{DORA}.lora_up.weight"]), 1), np.float32)
    save_file(tensors | {f"{DORA}.dora_scale": rows}, tmp_path / "dora.safetensors")
    _write_wide(tmp_path / "wide.safetensors", tensors)
    found = Pipeline(nets, loras=LoraFolder(tmp_path), lora_mode="runtime")
    yield found
    found.loras.mode = "merge"
    with found.loras.use(SETTINGS):
        found.release()


def _write_wide(path: Path, tensors: dict[str, NDArray[Any]]) -> None:
    """Write an adapter with more ranks than the others have room for."""
    wide = {}
    for name, tensor in tensors.items():
        axis = 1 if name.endswith("lora_up.weight") else 0
        wide[name] = np.concatenate([0.1 * tensor] * 9, axis)
    save_file(wide, path)


def latents(pipeline: Pipeline, settings: Settings, mode: LoraMode = "runtime") -> NDArray[Any]:
    """Return the latents of a run whose adapters are applied one way."""
    pipeline.loras.mode = mode
    *_, last = pipeline.generate(settings)
    assert isinstance(last, Result)
    return last.latents


@pytest.mark.parametrize(
    "chosen",
    [
        (Lora("a"), Lora("b", 0.5)),
        (Lora("a", 0.7, 0.3),),
        (Lora("a", 1.0, 0.0),),
        (Lora("a", 0.0, 1.0),),
        (Lora("wide", rank=3),),
        (Lora("a", blocks=(1.0, 0.5, *[0.0] * 5, *[2.0] * 5)),),
    ],
    ids=lambda chosen: "+".join(each.name for each in chosen),
)
def test_pictures_are_those_of_merged_loras(pipeline: Pipeline, chosen: tuple[Lora, ...]) -> None:
    settings = replace(SETTINGS, loras=chosen)
    plain, merged = latents(pipeline, SETTINGS, "merge"), latents(pipeline, settings, "merge")
    assert relative_error(plain, merged) > 1e-2
    assert relative_error(latents(pipeline, settings), merged) < 1e-4


@pytest.mark.one_engine
def test_without_memory_for_originals_the_file_is_read(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (replace(SETTINGS, loras=(Lora(name),)) for name in "ab")
    plain, expected = latents(pipeline, SETTINGS, "merge"), latents(pipeline, second, "merge")
    np.testing.assert_array_equal(latents(pipeline, SETTINGS, "merge"), plain)
    monkeypatch.setattr(direct_merging, "_SHARE_KEPT", 1 << 60)
    latents(pipeline, first, "merge")
    np.testing.assert_array_equal(latents(pipeline, second, "merge"), expected)
    np.testing.assert_array_equal(latents(pipeline, SETTINGS, "merge"), plain)


@pytest.mark.parametrize("upsampling", ["", "twice"])
@pytest.mark.parametrize("block", [2, None])
def test_rearranged_convolutions_have_updates_too(
    device: Device, monkeypatch: pytest.MonkeyPatch, upsampling: Upsampling, block: int | None
) -> None:
    """Winograd's, and those of enlarged images, whose own weights are gone after loading."""
    monkeypatch.setattr(layers, "winograd_block", lambda *_, **__: block)
    rng, upload = np.random.default_rng(3), device.buffer_from_array
    x, weight, up, down = (
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((1, 6, 6, 8), (8, 8, 3, 3), (8, 4), (4, 8, 3, 3))
    )
    size = (12, 12) if upsampling else None
    results = []
    for rows in (weight, weight + np.tensordot(up, down, axes=1)):
        conv = Conv2d(8, 8, 3, padding=1, bias=False, upsampling=upsampling)
        load(conv, {"weight": rows}.__getitem__, device, f32)
        results.append((conv, conv(upload(x), upsample=size).read()))
    (conv, plain), (_, merged) = results
    narrow = np.moveaxis(down, (0, 1), (3, 2))[None]
    beside = LayerUpdate(upload(np.ascontiguousarray(narrow)), upload(up.T[None].copy()))
    with updates(Updates({conv: beside}, upload(np.zeros(1), u32))):
        found = conv(upload(x), upsample=size).read()
    assert relative_error(found, merged) < 1e-5 < relative_error(plain, merged)


def test_each_picture_of_a_shared_call_has_its_own(pipeline: Pipeline) -> None:
    """Also where one needs more ranks: another's bits do not depend on that."""
    settings = [
        SETTINGS,
        replace(SETTINGS, loras=(Lora("a"),)),
        replace(SETTINGS, loras=(Lora("b", 0.5), Lora("a", 0.2)), seed=7),
        replace(SETTINGS, prompt="a pear <lora:c:1:0.5>", loras=(Lora("wide"),)),
        replace(SETTINGS, prompt="a pear <lora:c:1:start=2>"),
    ]
    alone = [pixels(pipeline, each) for each in settings]
    assert len({image.tobytes() for image in alone}) == len(settings)
    for expected, pictures in zip(alone, draw_together(pipeline, settings), strict=True):
        np.testing.assert_array_equal(np.stack([np.asarray(each) for each in pictures]), expected)
    for expected, each in reversed(list(zip(alone, settings, strict=True))):
        np.testing.assert_array_equal(pixels(pipeline, each), expected)


@pytest.mark.one_engine
def test_another_lora_takes_no_new_recording(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pixels(pipeline, replace(SETTINGS, loras=(Lora("a"),)))
    calls = []
    call = UNet.__call__

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return call(*arguments, **options)

    monkeypatch.setattr(UNet, "__call__", counted)
    second = pixels(pipeline, replace(SETTINGS, loras=(Lora("b", 0.5),)))
    assert not np.array_equal(first, second)
    again = pixels(pipeline, replace(SETTINGS, loras=(Lora("a"),)))
    np.testing.assert_array_equal(again, first)
    assert not calls


@pytest.mark.one_engine
def test_steps_begin_and_end_it(pipeline: Pipeline) -> None:
    """All of it is in all steps, and none of it in none; a moment is a step or a share."""
    four = replace(SETTINGS, steps=4)

    def drawn(start: float | None, stop: float | None) -> bytes:
        lora = Lora("a", 0.0, 1.0, start=start, stop=stop)
        return latents(pipeline, replace(four, loras=(lora,))).tobytes()

    whole, late = drawn(None, None), drawn(3, None)
    assert drawn(1, 5) == drawn(0.0, 1.0) == whole
    assert drawn(0.5, 1.0) == late != whole
    assert drawn(5, None) == drawn(None, 1) not in (whole, late)
    assert len({whole, late, drawn(3, 4), drawn(None, 3), drawn(5, None)}) == 5


@pytest.mark.one_engine
def test_where_it_counts_in_some_steps_the_others_are_plain(pipeline: Pipeline) -> None:
    """The first step of a run that has it from the second on is the first step without it."""
    late = replace(SETTINGS, loras=(Lora("b", 0.0, 0.5, start=2),))
    unets = "lora_unet_down", "lora_unet_up", "lora_unet_mid"
    path = pipeline.loras.folder.find("b")
    tensors = {name: each for name, each in load_file(path).items() if name.startswith(unets)}
    save_file(tensors, path)
    firsts = []
    for settings in (SETTINGS, late):
        run = pipeline.generate(settings)
        firsts.append(next(each.latents() for each in run if isinstance(each, Step)))
        run.close()
    np.testing.assert_array_equal(firsts[0], firsts[1])
    assert latents(pipeline, late).tobytes() != latents(pipeline, SETTINGS).tobytes()


@pytest.mark.one_engine
def test_what_is_not_low_rank_is_merged_and_told(pipeline: Pipeline) -> None:
    settings = replace(SETTINGS, loras=(Lora("dora"),))
    with pytest.warns(UserWarning, match="dora is merged into the weights: not all is low rank"):
        found = latents(pipeline, settings)
    np.testing.assert_array_equal(found, latents(pipeline, settings, "merge"))
    pipeline.loras.mode = "runtime"
    with pytest.raises(SettingsError, match="count in all steps"):
        pipeline.draw(replace(SETTINGS, loras=(Lora("dora", start=2),)))
    with pytest.raises(SettingsError, match="take --lora-mode auto or runtime"):
        latents(pipeline, replace(SETTINGS, loras=(Lora("a", start=2),)), "merge")


@pytest.mark.one_engine
def test_few_steps_are_drawn_beside_and_many_merged(pipeline: Pipeline) -> None:
    pipeline.loras.mode = "auto"
    few = replace(SETTINGS, loras=(Lora("a"),)).with_defaults(pipeline.defaults)
    many = replace(few, steps=20)
    assert not pipeline.loras.merging(few)
    assert not pipeline.loras.merging(replace(few, count=100))  # each has the bits it has alone
    assert pipeline.loras.fields(few)["Lora mode"] == "runtime"
    assert pipeline.loras.fields(many)["Lora mode"] == "merge"
    assert [each.path.stem for each in pipeline.loras.merging(many)] == ["a"]
    timed = replace(many, loras=(Lora("a", start=0.5),))
    assert not pipeline.loras.merging(timed)


def test_numbers_that_are_not_finite_leave_other_runs_alone(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, loras=(Lora("a"),))
    expected = pixels(pipeline, settings)
    tensors = load_file(tmp_path / "b.safetensors")
    name = next(each for each in tensors if "up" in each)
    tensors[name][0] = np.nan
    save_file(tensors, tmp_path / "bad.safetensors")
    run = pipeline.generate(settings)
    next(run)
    with pytest.raises(ModelFormatError, match="must be finite"):
        pipeline.draw(replace(SETTINGS, loras=(Lora("bad"),)))
    *_, last = run
    assert isinstance(last, Result)
    np.testing.assert_array_equal(np.stack([np.asarray(each) for each in last.images]), expected)


def fingerprint(pipeline: Pipeline) -> str:
    """Return a hash of all weights on the device."""
    nets = pipeline.networks
    parts = [nets.unet, *(each.network for each in nets.text.encoders)]
    digest = hashlib.sha256()
    for part in parts:
        for array in device_weights(part):
            digest.update(array.tobytes())
    return digest.hexdigest()


@pytest.mark.one_engine
@pytest.mark.parametrize("mode", ["runtime", "merge"])
@pytest.mark.parametrize("turns", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_turns_leave_every_bit_and_no_memory(
    pipeline: Pipeline, mode: LoraMode, turns: int
) -> None:
    """Some first ones fill what is kept of the last prompts."""
    before, plain = fingerprint(pipeline), latents(pipeline, SETTINGS, mode)
    memory = []
    for turn in range(FIRST_TURNS + turns):
        lora = Lora("ab"[turn % 2], 0.5 + turn / 200)
        changed = latents(pipeline, replace(SETTINGS, loras=(lora,)), mode)
        assert not np.array_equal(changed, plain)
        np.testing.assert_array_equal(latents(pipeline, SETTINGS, mode), plain)
        gc.collect()
        memory.append(pipeline.device.pool.stats.live)
    assert fingerprint(pipeline) == before
    assert len(set(memory[FIRST_TURNS - 1 :])) == 1
