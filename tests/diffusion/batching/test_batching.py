"""Drawings that share calls of the UNet have the bits of each drawn alone, and fail alone."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.adapters import Lora, LoraFolder
from diffusion.adapters.rank_bank import RankBank
from diffusion.batching import (
    Batcher,
    BatchLimits,
    Drawing,
    Ended,
    draw_together,
    images_of_512,
)
from diffusion.batching.shared_unet import SharedUNet
from diffusion.batching.together import pictures_and_calls
from diffusion.errors import NotFiniteError, SettingsError
from diffusion.pipeline.calls import LatentsEstimate, UNetCall
from diffusion.tasks import Hires, InitImage, Inpaint
from gpucore import Device, DeviceLostError, LimitError, OutOfMemoryError, f16
from tests.conftest import skip_without_f16
from tests.diffusion.adapters.test_pipeline_loras import write_lora
from tests.diffusion.batching.mixes import MODELS, check_mix, same_bits
from tests.diffusion.golden_families import networks
from tests.diffusion.session_folder import session_folder
from tests.goldens.family_folders import write_family, write_part

SMALL = Settings(
    "a red apple", "blurry", width=16, height=24, steps=3, guidance=4.0, sampler="euler", seed=5
)
KINDS = [
    SMALL,
    replace(SMALL, prompt="a blue cup", guidance=7.5, sampler="dpmpp_2m", steps=5, seed=6),
    replace(SMALL, prompt="[a cat:a dog:2]", sampler="heun", count=2, batch=2, seed=8),
    replace(SMALL, sampler="euler_a_cfg_pp", steps=2, seed=9),
]


@functools.cache
def pipeline_on(device: Device, model: str = "sd2") -> Pipeline:
    return Pipeline(networks(device, model))


@pytest.mark.sampled
@pytest.mark.parametrize("number", range(20))
def test_random_mixes_have_the_bits_of_each_drawn_alone(device: Device, number: int) -> None:
    check_mix(pipeline_on(device, MODELS[number % len(MODELS)]), number, members=3)


def test_drawings_of_one_size_share_all_their_calls(device: Device) -> None:
    pipeline = pipeline_on(device)
    batcher, found = Batcher(), dict[Hashable, Ended]()
    for number, each in enumerate(KINDS):
        batcher.add(number, pictures_and_calls(pipeline, each))
    while len(batcher):
        found |= {ended.name: ended for ended in batcher.turn()}
    assert all(ended.error is None for ended in found.values())
    # 3, 5, 5 and 2 calls; in the first two turns all four, with five images.
    assert batcher.sharing.sizes == {5: 2, 4: 1, 3: 2}
    assert batcher.sharing.shared == 15
    for number, each in enumerate(KINDS):
        assert same_bits(found[number].result, pipeline.draw(each))


def test_pictures_and_their_texts_are_those_of_draw(device: Device) -> None:
    pipeline = pipeline_on(device)
    together = draw_together(pipeline, KINDS, BatchLimits(images=2))
    for each, pictures in zip(KINDS, together, strict=True):
        alone = pipeline.draw(each)
        assert same_bits(pictures, alone)
        assert [p.infotext for p in pictures] == [p.infotext for p in alone]


def test_an_inpainting_model_keeps_each_mask_apart(device: Device) -> None:
    folder = write_family(session_folder("inpainting"), "consistency")
    write_part(folder / "unet", "inpaint", "unet")
    pipeline = Pipeline.load(folder, device)
    picks = np.random.default_rng(3)

    def inpaint(seed: int) -> Settings:
        image = Image.fromarray(picks.integers(0, 256, (24, 16, 3), np.uint8))
        mask = Image.new("L", (16, 24))
        mask.paste(255, (0, 8 * (seed - 1), 16, 8 * seed))
        task = InitImage(image, 0.9, inpaint=Inpaint(mask, blur=0))
        return replace(SMALL, steps=4, seed=seed, init_image=task)

    several = [inpaint(1), inpaint(2), replace(SMALL, count=2, batch=2)]
    together = draw_together(pipeline, several)
    assert not same_bits(together[0], together[1])
    for each, pictures in zip(several, together, strict=True):
        assert same_bits(pictures, pipeline.draw(each))


@pytest.mark.slow
def test_bits_are_equal_in_f16(device: Device) -> None:
    skip_without_f16(device, "f16")
    pipeline = Pipeline(networks(device, "sd2", f16))
    for each, pictures in zip(KINDS, draw_together(pipeline, KINDS), strict=True):
        assert same_bits(pictures, pipeline.draw(each))


def test_other_loras_wait_until_those_before_are_done(device: Device, tmp_path: Path) -> None:
    nets = networks(device, "xl_base")
    for name in "ab":
        write_lora(tmp_path / f"{name}.safetensors", nets, name)
    pipeline = Pipeline(nets, loras=LoraFolder(tmp_path), lora_mode="merge")
    several = [
        SMALL,
        replace(SMALL, loras=(Lora("a", 0.8),), seed=1),
        replace(SMALL, prompt="a pear <lora:a:0.8>", seed=2),
        replace(SMALL, loras=(Lora("b", 1.0),), seed=3),
    ]
    together = draw_together(pipeline, several)
    alone = [pipeline.draw(each) for each in several]
    with pipeline.loras.use(SMALL):
        pipeline.release()
    assert all(same_bits(a, b) for a, b in zip(together, alone, strict=True))


def test_a_drawing_that_overflows_fails_alone(device: Device) -> None:
    pipeline = pipeline_on(device)
    shape = (1, 12, 8, 4)
    bad = replace(SMALL, latents=np.full(shape, 3e38, np.float32))
    batcher, found = Batcher(), dict[Hashable, Ended]()
    for number, each in enumerate((KINDS[0], bad, replace(SMALL, guidance=-1.0), KINDS[1])):
        batcher.add(number, pictures_and_calls(pipeline, each))
    while len(batcher):
        found |= {ended.name: ended for ended in batcher.turn()}
    assert isinstance(found[1].error, NotFiniteError)
    assert isinstance(found[2].error, SettingsError)
    assert same_bits(found[0].result, pipeline.draw(KINDS[0]))
    assert same_bits(found[3].result, pipeline.draw(KINDS[1]))


def test_the_first_error_is_raised_after_the_others_are_drawn(device: Device) -> None:
    with pytest.raises(SettingsError, match="sampler"):
        draw_together(pipeline_on(device), [SMALL, replace(SMALL, sampler="eulr")])


def test_without_room_calls_are_made_in_smaller_batches(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, refused = pipeline_on(device), list[int]()
    pipeline.release()
    make = SharedUNet.__init__

    def make_small(self: SharedUNet, call: UNetCall, images: int, bank: RankBank | None) -> None:
        if images > 2:
            refused.append(images)
            raise OutOfMemoryError("no room")
        make(self, call, images, bank)

    monkeypatch.setattr(SharedUNet, "__init__", make_small)
    several = [replace(SMALL, seed=seed) for seed in range(5)]
    together = draw_together(pipeline, several)
    assert refused == [6], "it is learnt at the first call"
    for each, pictures in zip(several, together, strict=True):
        assert same_bits(pictures, pipeline.draw(each))


def test_a_call_that_fails_alone_ends_its_drawing_alone(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = pipeline_on(device)
    answer = UNetCall.answer

    def fail(call: UNetCall) -> LatentsEstimate:
        if call.scale == 2.5:
            raise LimitError("too large")
        return answer(call)

    monkeypatch.setattr(UNetCall, "answer", fail)
    batcher, found = Batcher(BatchLimits(images=1)), dict[Hashable, Ended]()
    for number, each in enumerate((SMALL, replace(SMALL, guidance=2.5))):
        batcher.add(number, pictures_and_calls(pipeline, each))
    while len(batcher):
        found |= {ended.name: ended for ended in batcher.turn()}
    assert isinstance(found[1].error, LimitError)
    assert "16x24 pixels, 1 at once" in str(found[1].error), "the run says what to do"
    assert same_bits(found[0].result, pipeline.draw(SMALL))


def test_a_lost_device_ends_all() -> None:
    def lose() -> Drawing:
        yield None
        raise DeviceLostError("gone")

    batcher = Batcher()
    batcher.add("a", lose())
    assert batcher.turn() == []
    with pytest.raises(DeviceLostError):
        batcher.turn()


def test_a_drawing_is_closed_where_it_leaves() -> None:
    closed: list[str] = []

    def wait(name: str) -> Iterator[None]:
        try:
            while True:
                yield None
        finally:
            closed.append(name)

    batcher = Batcher()
    with closing(batcher):
        for name in "ab":
            batcher.add(name, wait(name))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="another name"):
            batcher.add("a", wait("c"))  # type: ignore[arg-type]
        assert batcher.turn() == []
        batcher.remove("a")
        batcher.remove("a")
        assert closed == ["a"]
        assert "a" not in batcher
        assert "b" in batcher
    assert closed == ["a", "b"]


def test_limits() -> None:
    limits = BatchLimits(images=20)
    assert limits.most((1, 8, 8, 4)) == limits.most((1, 64, 64, 4)) == 20
    assert limits.most((1, 128, 128, 4)) == 5
    assert limits.most((1, 512, 512, 4)) == 1
    sizes = {images: limits.slots(images, 20) for images in range(1, 21)}
    assert list(sizes.values()) == [
        *(1, 2, 3, 4, 6, 6, 8, 8, 12, 12, 12, 12, 16, 16, 16, 16, 20, 20, 20, 20)
    ]
    with pytest.raises(SettingsError, match="images"):
        BatchLimits(images=0)


@pytest.mark.parametrize(
    ("settings", "images"),
    [
        (SMALL, 1.0),
        (replace(SMALL, width=1024, height=1024), 4.0),
        (replace(SMALL, width=512, height=768, count=5, batch=2), 3.0),
        (replace(SMALL, width=512, height=512, hires=Hires(2.0)), 4.0),
        (replace(SMALL, width=768, height=512, count=1, batch=4), 1.5),
    ],
)
def test_the_worth_of_a_drawing(settings: Settings, images: float) -> None:
    assert images_of_512(settings) == images


def test_what_does_not_fit_one_call_waits(device: Device) -> None:
    pipeline, together = pipeline_on(device), list[int]()
    limits = BatchLimits(images=2)
    assert limits.fits([9.0])
    assert limits.fits([1.0, 1.0])
    assert not limits.fits([1.0, 1.5])
    kept = SharedUNet.answer

    def count(shared: SharedUNet, calls: list[UNetCall]) -> list[LatentsEstimate]:
        together.append(len(calls))
        return kept(shared, calls)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SharedUNet, "answer", count)
        draw_together(pipeline, [SMALL, SMALL, SMALL], limits)
    assert together == [2, 2, 2], "the third is drawn when the others are done"
