"""What a run starts from: noise by a factor, resized latents, soft masks, an earlier first pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.errors import SettingsError
from diffusion.images import to_pixels
from diffusion.noise import NOISES, LatentNoise
from diffusion.pipeline.init_image import EncodedImage
from diffusion.pipeline.passes import base_pass, hires_pass
from diffusion.pipeline.sampling import PassStart
from diffusion.pipeline.transitions import start_after, start_from_picture
from diffusion.pipeline.vae import draw_latents, moments
from diffusion.tasks import Hires, InitImage, Inpaint
from diffusion.tasks.init_image import PreparedImage
from diffusion.tasks.inpaint import latent_mask
from diffusion.tasks.resampling import weights
from gpucore import Device
from tests.diffusion.bundled_model import pipeline_on, pixels

SETTINGS = Settings("a red apple", width=64, height=64, steps=2, seed=5, sampler="euler")


@pytest.fixture
def pipeline(device: Device) -> Pipeline:
    return pipeline_on(device)


def noise_image(width: int, height: int) -> Image.Image:
    levels = np.random.default_rng(width).integers(0, 256, (height, width, 3))
    return Image.fromarray(levels.astype(np.uint8)).resize((width, height))


def noise_of(width: int, height: int) -> LatentNoise:
    return LatentNoise((5, 6), height // 8, width // 8, 4, NOISES.find("nv").draw)


def test_a_factor_scales_the_first_noise_alone(pipeline: Pipeline) -> None:
    """As the WebUI's multiplier: the same bits as with that noise given, which steps add anew."""
    start = InitImage(noise_image(64, 64), 0.8)
    unit = noise_of(64, 64).initial()[:1]
    given = replace(SETTINGS, init_image=start, latents=unit * np.float32(0.5))
    half = replace(SETTINGS, init_image=replace(start, noise=0.5))
    whole = replace(SETTINGS, init_image=start)
    assert np.array_equal(pixels(pipeline, half), pixels(pipeline, given))
    assert np.any(pixels(pipeline, half) != pixels(pipeline, whole))
    assert "Noise multiplier: 0.5" in pipeline.draw(half)[0].infotext


def test_latents_are_resized_as_the_webui_does(pipeline: Pipeline) -> None:
    """The picture is encoded at its own size; PyTorch's bilinear weights make the latents."""
    small, networks = noise_image(48, 32), pipeline.networks
    prepared = PreparedImage(small, latents=(96, 48))
    noise = noise_of(96, 48)
    found = EncodedImage(networks, prepared).latents(noise, noise.initial())
    own = noise_of(48, 32)
    scaling = networks.vae_config.scaling_factor
    drawn = draw_latents(moments(networks, to_pixels(small)), own.encoding(0), scaling)
    down, across = weights("linear", 4, 6), weights("linear", 6, 12)
    expected = np.einsum("yh,bhwc,xw->byxc", down, drawn.astype(np.float64), across)
    assert found.shape == (2, 6, 12, 4)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_latents_of_the_drawn_size_are_the_pictures_own(pipeline: Pipeline) -> None:
    start = InitImage(noise_image(64, 64), 0.5)
    resized = replace(SETTINGS, init_image=replace(start, resize="latent"))
    assert np.array_equal(
        pixels(pipeline, resized), pixels(pipeline, replace(SETTINGS, init_image=start))
    )
    larger = replace(resized, width=80, height=96)
    assert pixels(pipeline, larger).shape == (1, 96, 80, 3)


def test_resized_latents_and_masks() -> None:
    mask = Image.new("L", (64, 64), 255)
    start = InitImage(noise_image(64, 64), resize="latent", inpaint=Inpaint(mask))
    replace(SETTINGS, init_image=start).check()
    with pytest.raises(SettingsError, match="a mask needs the picture's own size"):
        replace(SETTINGS, init_image=start, width=96).check()
    with pytest.raises(SettingsError, match="where latents are resized"):
        InitImage(noise_image(64, 64), resize="latent", upscaler="x").check()
    with pytest.raises(SettingsError, match="noise"):
        InitImage(noise_image(64, 64), noise=-1).check()


def halves(across: bool) -> Image.Image:
    levels = np.zeros((64, 64), np.uint8)
    levels[:, 32:] = 255
    return Image.fromarray(levels if across else levels.T)


def levels_of(inpaint: Inpaint) -> NDArray[np.uint8]:
    return np.asarray(inpaint.soft_mask((64, 64)))


def test_a_soft_edge_of_two_widths() -> None:
    """Blur downwards leaves an edge that runs downwards as it is, and the other one softens."""
    down = Inpaint(halves(across=True), blur=0, blur_down=6)
    assert np.array_equal(levels_of(down), np.asarray(halves(across=True)))
    lying = levels_of(Inpaint(halves(across=False), blur=0, blur_down=6))
    standing = levels_of(Inpaint(halves(across=True), blur=6, blur_down=0))
    assert np.array_equal(lying, standing.T)
    assert len(np.unique(lying)) > 10
    same = levels_of(Inpaint(halves(across=True), blur=6, blur_down=6))
    assert np.array_equal(same, levels_of(Inpaint(halves(across=True), blur=6)))


def test_a_soft_mask_mixes_latents_by_its_levels(pipeline: Pipeline) -> None:
    """Where the mask is 0 the old latents stay, as with a hard one; between them both count."""
    inpaint = Inpaint(halves(across=True), blur=8)
    soft = inpaint.soft_mask((64, 64))
    found = latent_mask(soft, (8, 8), soft=True)
    expected = np.asarray(soft.resize((8, 8), Image.Resampling.BICUBIC), np.float64) / 255
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)
    assert np.array_equal(np.round(found), latent_mask(soft, (8, 8)))
    assert np.any((found > 0.05) & (found < 0.95))
    start = InitImage(noise_image(64, 64), 1.0, inpaint=inpaint)
    hard = pixels(pipeline, replace(SETTINGS, init_image=start))
    mixed = replace(start, inpaint=replace(inpaint, soft=True))
    drawn = pipeline.draw(replace(SETTINGS, init_image=mixed))[0]
    assert np.any(np.asarray(drawn) != hard[0])
    assert "Soft mask: True" in drawn.infotext


def test_a_first_pass_that_was_drawn_before(pipeline: Pipeline) -> None:
    """With a filter of pixels the second pass has the bits of both passes drawn at once."""
    hires = Hires(1.5, "lanczos", 0.6)
    both = pipeline.draw(replace(SETTINGS, hires=hires))[0]
    first = pipeline.draw(SETTINGS)[0]
    given = replace(SETTINGS, hires=replace(hires, first=first))
    steps: list[int] = []
    again = pipeline.draw(given, lambda step: steps.append(step.total))[0]
    assert again.tobytes() == both.tobytes()
    assert steps == [2, 2], "the first pass is not made"
    assert "Hires upscale: 1.5" in again.infotext
    assert "First pass: given" in again.infotext
    assert "Size: 64x64" in again.infotext


def test_a_first_pass_of_another_size_whose_latents_are_enlarged(pipeline: Pipeline) -> None:
    """Each picture of a batch has its own noise, and the bits that it has alone."""
    hires = Hires(1.5, "latent", 0.6, negative="x", first=noise_image(50, 30))
    settings = replace(SETTINGS, hires=hires, count=2, batch=2)
    drawn = pixels(pipeline, settings)
    assert drawn.shape == (2, 96, 96, 3)
    assert np.any(drawn[0] != drawn[1])
    assert np.array_equal(pixels(pipeline, settings.part(1, 1))[0], drawn[1])
    with pytest.raises(SettingsError, match="which is not drawn"):
        replace(settings, latents=np.zeros((2, 8, 8, 4), np.float32)).check()


@pytest.mark.parametrize("upscaler", ["latent", "lanczos"])
@pytest.mark.parametrize("given", [False, True])
def test_another_shape_is_the_middle_of_what_covers_it(
    pipeline: Pipeline, upscaler: str, *, given: bool
) -> None:
    """As in the WebUI the latents are cut: 5 rows of 16, the larger half of them at the end."""
    base = base_pass(pipeline.networks, pipeline.cache, SETTINGS.with_defaults(pipeline.defaults))
    latents = np.random.default_rng(3).standard_normal((2, 8, 8, 4), np.float32)

    def start(hires: Hires) -> NDArray[np.float32]:
        own = replace(base, settings=replace(base.settings, hires=hires))
        following = hires_pass(own, hires)
        if given:
            found = start_from_picture(following, noise_image(64, 64), (5, 6))
        else:
            buffer = pipeline.networks.device.buffer_from_array(latents)
            found = start_after(following, buffer, PassStart(base.noise((5, 6)), latents, buffer))
        assert found.noise.seeds == (5, 6)
        kept = found.latents
        return kept if isinstance(kept, np.ndarray) else kept.read()

    whole = start(Hires(2.0, upscaler, 0.6))
    assert whole.shape == (2, 16, 16, 4)
    part = start(Hires(1.0, upscaler, 0.6, resize=(128, 88)))
    assert np.array_equal(part, whole[:, 2:13])
    part = start(Hires(1.0, upscaler, 0.6, resize=(88, 128)))
    assert np.array_equal(part, whole[:, :, 2:13])


def test_pictures_of_another_shape(pipeline: Pipeline) -> None:
    """Each picture of a batch has the bits that it has alone; a text tells the size as asked."""
    settings = replace(SETTINGS, hires=Hires(1.5, "latent", 0.6, resize=(0, 96)), count=2, batch=2)
    assert np.array_equal(pixels(pipeline, settings), pixels(pipeline, usual(settings)))
    cut = replace(settings, hires=Hires(upscaler="latent", strength=0.6, resize=(96, 64)))
    drawn = pixels(pipeline, cut)
    assert drawn.shape == (2, 64, 96, 3)
    assert np.array_equal(pixels(pipeline, cut.part(1, 1))[0], drawn[1])
    assert "Hires resize: 96x64" in pipeline.draw(replace(cut, count=1))[0].infotext


def usual(settings: Settings) -> Settings:
    assert settings.hires is not None
    return replace(settings, hires=replace(settings.hires, resize=None))


@pytest.mark.parametrize(
    ("resize", "enlarged", "size"),
    [
        ((1024, 0), (1024, 1536), (1024, 1536)),
        ((0, 1000), (664, 1000), (664, 1000)),
        ((1024, 1024), (1024, 1536), (1024, 1024)),
        ((700, 1300), (864, 1296), (704, 1296)),
        ((96, 64), (96, 144), (96, 64)),
    ],
)
def test_sizes_of_a_second_pass(
    resize: tuple[int, int], enlarged: tuple[int, int], size: tuple[int, int]
) -> None:
    """By hand from AUTOMATIC1111's ``processing.py``: 700 by 1300 is covered by 866 by 1300."""
    hires = Hires(resize=resize)
    hires.check()
    assert hires.enlarged_size(512, 768) == enlarged
    assert hires.size(512, 768) == size


@pytest.mark.parametrize("resize", [(0, 0), (-8, 64), (7, 64), (64, 1 << 20)])
def test_sizes_that_no_second_pass_has(resize: tuple[int, int]) -> None:
    with pytest.raises(SettingsError, match="hires resize"):
        Hires(resize=resize).check()


def test_a_picture_that_grows_too_large_before_it_is_cut() -> None:
    hires = Hires(resize=(4096, 64))
    hires.check()
    with pytest.raises(SettingsError, match="enlarges it to 4096x131072"):
        hires.size(64, 2048)
