"""What Python programs call: pictures that keep their settings, arrays, callbacks, event loops."""

from __future__ import annotations

import asyncio
import io
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from diffusion import Picture, Pipeline, PromptEmbeddings, Settings, Step
from diffusion.errors import SettingsError
from diffusion.infotext.files import read_infotext
from diffusion.infotext.to_settings import settings_from_infotext
from diffusion.samplers import Sampler, SamplingRun
from diffusion.samplers import Step as SamplerStep
from diffusion.schedules import NoiseSchedule
from diffusion.tasks import Hires, InitImage, Variation
from gpucore import Device, f16, f32
from tests.diffusion.bundled_model import pipeline_on, pixels
from tests.processes import environment

SMALL = Settings("a red apple", "blurry", width=64, height=48, steps=3, guidance=4.0, seed=5)


@pytest.fixture
def pipeline(device: Device) -> Pipeline:
    return pipeline_on(device)


def equal(first: Image.Image, second: Image.Image) -> bool:
    return np.array_equal(np.asarray(first), np.asarray(second))


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_saved_picture_draws_itself_again(
    pipeline: Pipeline, tmp_path: Path, suffix: str
) -> None:
    pictures = pipeline.draw(replace(SMALL, count=3, batch=2))
    assert [each.seed for each in pictures] == [5, 6, 7]
    pictures[2].save(tmp_path / f"a.{suffix}")
    text = read_infotext(tmp_path / f"a.{suffix}")
    assert text == pictures[2].infotext
    again = pipeline.draw(settings_from_infotext(text))[0]
    assert equal(again, pictures[2])
    assert equal(pipeline.draw(pictures[2].settings)[0], pictures[2])


def test_a_picture_is_a_pillow_image(pipeline: Pipeline, tmp_path: Path) -> None:
    picture = pipeline.txt2img("a", size=64, steps=1)
    assert isinstance(picture, Picture | Image.Image)
    assert picture.size == (64, 64)
    assert picture.resize((8, 8)).size == (8, 8)
    own = PngInfo()
    own.add_text("parameters", "mine")
    picture.save(tmp_path / "a.png", pnginfo=own)
    assert read_infotext(tmp_path / "a.png") == "mine"
    file = io.BytesIO()
    picture.save(file, "JPEG")
    (tmp_path / "b").write_bytes(file.getvalue())
    assert read_infotext(tmp_path / "b") == picture.infotext
    picture.save(tmp_path / "a.bmp")
    copied = pickle.loads(pickle.dumps(picture))
    assert equal(copied, picture)
    assert (copied.seed, copied.settings, copied.infotext) == (
        0,
        picture.settings,
        picture.infotext,
    )


def test_the_text_names_a_vae_and_a_dtype(device: Device) -> None:
    folder = pipeline_on(device).networks.folder.path / "vae"
    with Pipeline.load(device=device, dtype="f32", vae=folder) as pipeline:
        text = pipeline.txt2img("a", size=64, steps=1).infotext
    assert "Compute dtype: f32" in text
    assert "VAE: vae" in text


# ---------------------------------------------------------------- one by one


def test_pictures_come_one_by_one_and_stay(pipeline: Pipeline) -> None:
    steps: list[int] = []
    settings = replace(SMALL, count=5, batch=2)
    drawing = pipeline.images(settings, lambda step: steps.append(step.index))
    first = [next(drawing), next(drawing)]
    assert steps == [1, 2, 3], "the second batch has not begun"
    drawing.close()
    everything = pixels(pipeline, settings)
    np.testing.assert_array_equal([np.asarray(each) for each in first], everything[:2])


def test_a_callback_stops_by_an_error(pipeline: Pipeline) -> None:
    def stop(step: Step) -> None:
        if step.index == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        pipeline.draw(SMALL, stop)
    assert len(pipeline.draw(SMALL)) == 1


# ---------------------------------------------------------------- latents and embeddings


def test_latents_in(pipeline: Pipeline) -> None:
    """The seed's own noise gives the seed's picture; other noise another."""
    settings = replace(SMALL, count=2)
    noise = pipeline.passes(settings.with_defaults(pipeline.defaults))[0].noise((5, 6)).initial()
    found = pixels(pipeline, replace(settings, latents=noise, seed=99))
    np.testing.assert_array_equal(found, pixels(pipeline, settings))
    other = pixels(pipeline, replace(settings, latents=-noise, batch=1))
    assert not np.array_equal(other, found)


def test_latents_out(pipeline: Pipeline) -> None:
    *_, result = pipeline.generate(replace(SMALL, count=2, batch=1))
    latents = result.latents  # type: ignore[union-attr]
    assert latents.shape == (2, 48 // 8, 64 // 8, pipeline.networks.folder.vae.latent_channels)
    for decoded, image in zip(pipeline.decode(latents), result.images, strict=True):  # type: ignore[union-attr]
        assert equal(decoded, image)


def test_a_picture_encoded_and_decoded(pipeline: Pipeline) -> None:
    picture = Image.new("RGB", (64, 48), (200, 30, 30))
    latents = pipeline.encode(picture)
    decoded = np.asarray(pipeline.decode(latents)[0], float)
    assert np.abs(decoded - np.asarray(picture, float)).mean() < 20  # what the small VAE loses
    with pytest.raises(SettingsError, match="width must be a multiple of 8"):
        pipeline.encode(Image.new("RGB", (60, 48)))


def test_embeddings_in_and_out(pipeline: Pipeline) -> None:
    embeddings = pipeline.embed("a red apple", "blurry")
    assert "PromptEmbeddings(prompt=(77," in repr(embeddings)
    given = replace(SMALL, prompt="(", negative="x", embeddings=embeddings)
    np.testing.assert_array_equal(pixels(pipeline, given), pixels(pipeline, SMALL))
    pear = pipeline.embed("a green pear", "blurry")
    half = PromptEmbeddings((embeddings.prompt + pear.prompt) / 2, embeddings.negative)
    mixed = pixels(pipeline, replace(given, embeddings=half))
    assert not np.array_equal(mixed, pixels(pipeline, given))


def test_embeddings_without_guidance(pipeline: Pipeline) -> None:
    alone = PromptEmbeddings(pipeline.embed("a red apple").prompt)
    plain = replace(SMALL, negative="", guidance=1.0)
    found = pixels(pipeline, replace(plain, embeddings=alone))
    np.testing.assert_array_equal(found, pixels(pipeline, plain))


def test_long_embeddings_and_hires(pipeline: Pipeline) -> None:
    prompt = "a red apple, " * 40
    embeddings = pipeline.embed(prompt, "blurry")
    assert embeddings.prompt.shape[0] % 77 == 0
    assert embeddings.prompt.shape[0] > 77
    plain = replace(SMALL, prompt=prompt, hires=Hires(1.5, "lanczos", 0.5))
    given = replace(plain, prompt="", embeddings=embeddings)
    np.testing.assert_array_equal(pixels(pipeline, given), pixels(pipeline, plain))


@pytest.mark.parametrize("prompt", ["[a:b:2]", "a AND b"])
def test_prompts_that_are_no_embedding(pipeline: Pipeline, prompt: str) -> None:
    with pytest.raises(SettingsError, match="one embedding cannot hold"):
        pipeline.embed(prompt)


def test_a_callback_changes_the_latents(pipeline: Pipeline) -> None:
    """Noise written over the second step's latents changes the picture; the same latents do not."""
    seen: list[np.ndarray] = []

    def change(step: Step) -> None:
        latents = step.noisy_latents()
        seen.append(latents)
        step.write_noisy_latents(latents * (0.5 if step.index == 2 else 1.0))

    plain = pipeline.draw(SMALL)[0]
    same = pipeline.draw(SMALL, lambda step: step.write_noisy_latents(step.noisy_latents()))[0]
    changed = pipeline.draw(SMALL, change)[0]
    assert equal(plain, same)
    assert not equal(plain, changed)
    assert seen[0].shape == (1, 6, 8, pipeline.networks.folder.vae.latent_channels)


# ---------------------------------------------------------------- samplers and schedules


def own_euler(run: SamplingRun[Any]) -> Iterator[SamplerStep[Any]]:
    """Step as Euler does, written by a user."""
    x = run.x
    for step in run.intervals():
        denoised = run.denoise(x, step.high)
        x = run.euler_step(x, denoised, step.high, step.low)
        yield step.result(x, denoised)


def own_levels(noise: NoiseSchedule, steps: int) -> list[float]:
    return [*np.linspace(noise.sigma_max, 0.1, steps), 0.0]


def test_a_sampler_by_function(pipeline: Pipeline) -> None:
    expected = pixels(pipeline, replace(SMALL, sampler="euler", schedule="karras"))
    for sampler in (own_euler, Sampler("mine", "Mine", own_euler, "karras")):
        own = replace(SMALL, sampler=sampler, schedule="karras")
        np.testing.assert_array_equal(pixels(pipeline, own), expected)
    picture = pipeline.draw(replace(SMALL, sampler=own_euler))[0]
    assert "Sampler: own_euler" in picture.infotext


def test_a_schedule_by_function(pipeline: Pipeline) -> None:
    seen: list[float] = []
    pipeline.draw(
        replace(SMALL, schedule=own_levels, sampler="euler"), lambda step: seen.append(step.sigma)
    )
    np.testing.assert_allclose(seen, own_levels(pipeline.networks.noise, 3)[1:], rtol=1e-12)


@pytest.mark.parametrize("levels", [[1.0], [1.0, 2.0], [1.0, np.nan], [[2.0, 1.0]], [1.0, -1.0]])
def test_levels_that_do_not_fall(pipeline: Pipeline, levels: list[float]) -> None:
    with pytest.raises(SettingsError, match="schedule must give levels that fall"):
        pipeline.draw(replace(SMALL, schedule=lambda noise, steps: levels))


# ---------------------------------------------------------------- event loops


def test_an_event_loop_goes_on(pipeline: Pipeline) -> None:
    async def draw() -> tuple[Picture, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        ticking = asyncio.create_task(tick())
        picture = await pipeline.atxt2img(
            "a red apple", negative="blurry", size=64, steps=4, seed=5
        )
        ticking.cancel()
        return picture, ticks

    picture, ticks = asyncio.run(draw())
    assert ticks > 3, "the loop ran while the picture was drawn"
    assert equal(
        picture, pipeline.txt2img("a red apple", negative="blurry", size=64, steps=4, seed=5)
    )


def test_a_cancelled_task_stops_the_drawing(pipeline: Pipeline) -> None:
    async def cancel() -> None:
        task = asyncio.create_task(pipeline.adraw(replace(SMALL, steps=1000)))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert len(pipeline.draw(SMALL)) == 1


def test_pictures_one_by_one_in_an_event_loop(pipeline: Pipeline) -> None:
    async def draw() -> list[Picture]:
        return [each async for each in pipeline.aimages(replace(SMALL, count=3, batch=1))]

    found = np.stack([np.asarray(each) for each in asyncio.run(draw())])
    np.testing.assert_array_equal(found, pixels(pipeline, replace(SMALL, count=3)))


def test_errors_come_out_of_the_thread(pipeline: Pipeline) -> None:
    with pytest.raises(SettingsError, match="steps"):
        asyncio.run(pipeline.adraw(replace(SMALL, steps=0)))


# ---------------------------------------------------------------- arguments


def test_pictures_in_many_forms(pipeline: Pipeline, tmp_path: Path) -> None:
    picture = Image.new("RGB", (64, 48), (10, 200, 30))
    picture.save(tmp_path / "a.png")
    array = np.asarray(picture)
    mask = Image.new("L", (64, 48))
    ImageDraw.Draw(mask).rectangle((10, 10, 40, 30), fill=255)
    forms = [picture, tmp_path / "a.png", str(tmp_path / "a.png"), array, array / 255.0]
    masks = [mask, np.asarray(mask), np.asarray(mask) > 0]
    first = pipeline.img2img(picture, "a pear", steps=2)
    for form in forms:
        assert equal(pipeline.img2img(form, "a pear", steps=2), first)
    painted = pipeline.inpaint(picture, mask, "a pear", steps=2)
    for form in masks:
        assert equal(pipeline.inpaint(array, form, "a pear", steps=2), painted)


def test_seeds_and_sizes(pipeline: Pipeline) -> None:
    first, second = (pipeline.txt2img("a", size=64, steps=1, seed=None) for _ in range(2))
    assert first.seed != second.seed
    assert pipeline.txt2img("a", size=(64, 48), steps=1).size == (64, 48)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: p.txt2img("a", size="512"), r"size must be \(width, height\), or one number"),
        (lambda p: p.txt2img("a", size=(1, 2, 3)), "size must be"),
        (lambda p: p.txt2img("a", size=100), "width must be a multiple of 8, such as 96"),
        (lambda p: p.txt2img(7), "prompt must be text"),
        (lambda p: p.txt2img("a", sampler=7), "sampler must be a name, a Sampler or a function"),
        (
            lambda p: p.img2img(7, "a"),
            "image must be a Pillow image, a file's path or a NumPy array",
        ),
        (lambda p: p.img2img(np.zeros((4, 4), int), "a"), "image must hold u8 from 0 to 255"),
        (lambda p: p.img2img(np.full((8, 8), 9.0), "a"), "image must have values from 0 to 1"),
        (lambda p: p.img2img(np.zeros((8, 8, 5)), "a"), "image must have the shape"),
        (lambda p: p.img2img("no such file.png", "a"), "image cannot be 'no such file.png'"),
        (lambda p: p.inpaint(np.zeros((8, 8)), 3, "a"), "mask must be a Pillow image"),
        (lambda p: p.draw(Settings("a", seed=None)), "seed is missing; give a whole number"),
        (lambda p: p.draw(Settings("a", count=None)), "count is missing"),
        (lambda p: p.draw(Settings("a", schedule=7)), "schedule must be a name, a Schedule or a"),
        (
            lambda p: p.draw(Settings("a", latents=np.zeros((1, 2, 3)))),
            r"latents must have the shape \(1, h, w, C\)",
        ),
        (
            lambda p: p.draw(Settings("a", latents=np.full((1, 2, 3, 4), np.nan))),
            "latents cannot be 'an array with infinities or NaN'",
        ),
        (lambda p: p.draw(Settings("a", latents=[1])), "latents must be an array of floats"),
        (
            lambda p: p.draw(replace(SMALL, latents=np.zeros((1, 2, 3, 4)))),
            r"latents must have the shape \(1, 6, 8, ",
        ),
        (
            lambda p: p.draw(
                replace(SMALL, latents=np.zeros((1, 6, 8, 4)), variation=Variation(1, 0.5))
            ),
            "latents must not be given with a variation",
        ),
        (lambda p: p.draw(Settings("a", embeddings=1)), "embeddings must be PromptEmbeddings"),
        (
            lambda p: p.draw(replace(SMALL, embeddings=PromptEmbeddings(np.zeros((77, 3))))),
            r"embeddings.prompt must have the shape \(tokens, \d+\); got \(77, 3\)",
        ),
        (
            lambda p: p.draw(replace(SMALL, embeddings=PromptEmbeddings(p.embed("a").prompt))),
            "embeddings.negative is missing; give an array of the prompt's shape",
        ),
        (
            lambda p: p.draw(
                replace(
                    SMALL,
                    embeddings=PromptEmbeddings(p.embed("a").prompt, pooled=np.zeros(4)),
                )
            ),
            "one text encoder and no pooled text",
        ),
    ],
)
def test_wrong_arguments_are_told(
    pipeline: Pipeline, call: Callable[[Pipeline], object], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        call(pipeline)


@pytest.mark.parametrize(("dtype", "marker"), [("f32", f32), ("f16", f16), (f32, f32)])
def test_dtypes_by_name(device: Device, dtype: Any, marker: Any) -> None:
    if marker is f16 and not device.has_f16:
        pytest.skip("the device has no f16")
    with Pipeline.load(device=device, dtype=dtype) as pipeline:
        assert pipeline.networks.dtype is marker
    assert device.buffer(f32, 4).size == 4, "a device of the caller's stays open"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "int8"}, "dtype must be f16 or f32"),
        ({"device": 7}, "device must be a Device, or a name"),
    ],
)
def test_wrong_arguments_of_load(options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Pipeline.load(**options)


def test_texts_for_people(pipeline: Pipeline) -> None:
    assert repr(pipeline).startswith("Pipeline('emoji', f")
    assert repr(Settings("a", steps=4, init_image=InitImage(Image.new("L", (8, 8))))).startswith(
        "Settings(prompt='a', steps=4, init_image=InitImage("
    )
    assert repr(Settings("a", latents=np.zeros((1, 2, 3, 4)))) == (
        "Settings(prompt='a', latents=array(1, 2, 3, 4))"
    )


def test_a_program_sees_no_native_messages() -> None:
    """Dawn prints two warnings on each start; a Python program shows none."""
    code = "from diffusion import Pipeline\nwith Pipeline.load(device='cpu') as p: print(p)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    assert done.stdout.startswith("Pipeline('emoji'")
    assert done.stderr == ""


def test_settings_too_long_for_jpeg_are_left_out(tmp_path: Path) -> None:
    settings = Settings("a" * 40_000, width=64, height=64, steps=1, guidance=1.0)
    picture = Picture.of(Image.new("RGB", (8, 8)), settings, 0, "a" * 40_000)
    with pytest.warns(UserWarning, match="too long for a JPEG"):
        picture.save(tmp_path / "a.jpg")
    assert read_infotext(tmp_path / "a.jpg") is None
    picture.save(tmp_path / "a.webp")
    assert read_infotext(tmp_path / "a.webp") == "a" * 40_000
