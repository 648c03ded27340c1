"""The tiny autoencoder against diffusers, and in place of a model's VAE."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from diffusion import Pipeline, Result, Settings, Step
from diffusion.checkpoints import ModelFolder, open_vae
from diffusion.checkpoints.single_file.module_names import vae_names
from diffusion.errors import ModelError, ModelFormatError, ModelMismatchError, ModelNotFoundError
from diffusion.models.config import TinyVaeConfig
from diffusion.models.layers import seamless_padding
from diffusion.models.module import load as load_weights
from diffusion.models.tiny_vae import TinyVae
from diffusion.tasks import Hires, InitImage
from gpucore import Device, DType, f16, f32
from tests.conftest import skip_without_f16
from tests.diffusion.checkpoints.small_folder import edit_json
from tests.diffusion.golden_families import vae_folder
from tests.goldens import family_folders
from tests.goldens.families import TINY_VAE_CASES, TinyVAECase
from tests.goldens.family_folders import write_family, write_part
from tests.goldens.loader import channels_last, load, relative_error
from tests.goldens.task_cases import widen_unet

TOLERANCE: dict[type[DType], float] = {f32: 1e-4, f16: 1e-2}
SETTINGS = Settings("a cat", width=16, height=16, steps=2, guidance=4.0, sampler="euler", seed=3)


@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
@pytest.mark.parametrize("case", TINY_VAE_CASES, ids=lambda case: case.name)
def test_goldens(device: Device, case: TinyVAECase, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)
    config = TinyVaeConfig.from_json(family_folders.config(case.model, "tiny_vae"), Path("c.json"))
    made = TinyVae(config)
    weights = family_folders.parameters(case.model, "tiny_vae")
    assert {name for name, _ in made.parameters()} == set(weights)
    load_weights(made, weights.__getitem__, device, dtype)
    golden = load("families")
    image = device.buffer_from_array(channels_last(case.image()), dtype)
    means, logs = np.split(made.moments(image).read(), 2, axis=3)
    expected = channels_last(golden[f"{case.name}/latents"])
    assert relative_error(means, expected) < TOLERANCE[dtype]
    assert (logs == -30).all()
    latents = device.buffer_from_array(channels_last(case.latents()), dtype)
    expected = channels_last(golden[f"{case.name}/decoded"])
    assert relative_error(made.decode(latents).read(), expected) < TOLERANCE[dtype]


def test_it_wraps_round(device: Device) -> None:
    """A roll of a latent is a roll of its pixels, and the reverse."""
    (case, *_) = TINY_VAE_CASES
    config = TinyVaeConfig.from_json(family_folders.config(case.model, "tiny_vae"), Path("c.json"))
    made = TinyVae(config)
    weights = family_folders.parameters(case.model, "tiny_vae")
    load_weights(made, weights.__getitem__, device, f32)
    factor = case.image().shape[2] // case.latents().shape[2]
    for network, array, ahead, back in (
        (made.decode, case.latents(), 1, -factor),
        (made.moments, case.image(), factor, -1),
    ):
        given = channels_last(array)
        with seamless_padding("x"):
            plain, turned, other = (
                network(device.buffer_from_array(each)).read()
                for each in (given, np.roll(given, ahead, 2), np.roll(given, ahead, 1))
            )
        np.testing.assert_allclose(np.roll(turned, back, 2), plain, rtol=0, atol=1e-5)
        assert np.abs(np.roll(other, back, 1) - plain).max() > 1e-2


def images(pipeline: Pipeline) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Return the last step's preview, and the finished picture."""
    for event in pipeline.generate(SETTINGS):
        if isinstance(event, Step):
            (preview,) = event.preview()
        if isinstance(event, Result):
            (picture,) = event.images
    return np.asarray(preview), np.asarray(picture)


def test_in_the_place_of_the_models_vae_and_for_previews(device: Device, tmp_path: Path) -> None:
    model = write_family(tmp_path / "model", "sd2")
    tiny = vae_folder(tmp_path / "tiny")
    own_preview, own = images(Pipeline.load(model, device))
    np.testing.assert_array_equal(own_preview, own)
    preview, picture = images(Pipeline.load(model, device, preview=tiny))
    np.testing.assert_array_equal(picture, own)
    assert preview.shape == own.shape
    tiny_preview, tiny_picture = images(Pipeline.load(model, device, vae=tiny))
    np.testing.assert_array_equal(tiny_picture, preview)
    np.testing.assert_array_equal(tiny_preview, preview)
    assert not np.array_equal(preview, own)


def test_a_vae_file_by_either_spelling(tmp_path: Path) -> None:
    """A file of another model's VAE, under diffusers' names and under the training code's."""
    model = ModelFolder(write_family(tmp_path / "model", "sd2"))
    write_part(tmp_path / "vae", "sd2", "vae")
    stored = load_file(tmp_path / "vae" / "diffusion_pytorch_model.safetensors")
    names = vae_names(2, 1)
    old = {}
    for name, array in stored.items():
        square = array.ndim == 2
        old[names.single(name) or name] = array[:, :, None, None] if square else array
    assert "encoder.down.0.block.0.conv1.weight" in old
    for prefix, tensors in (("", stored), ("", old), ("first_stage_model.", old)):
        file = tmp_path / "vae.safetensors"
        save_file({prefix + name: array for name, array in tensors.items()}, file)
        found = open_vae(file, model)
        assert found.config == model.vae
        assert set(found.weights.entries) == set(stored)
        for name, array in stored.items():
            np.testing.assert_array_equal(found.weights.read(name).reshape(array.shape), array)
            assert found.weights.entries[name].shape == array.shape


def test_other_files_than_a_models_vae_are_refused(tmp_path: Path) -> None:
    model = ModelFolder(write_family(tmp_path / "model", "sd2"))
    with pytest.raises(ModelNotFoundError, match="no such VAE"):
        open_vae(tmp_path / "none", model)
    with pytest.raises(ModelFormatError, match="File name too long"):
        open_vae(tmp_path / ("a" * 300), model)
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ModelFormatError, match="this is a picture"):
        open_vae(photo, model)
    old = tmp_path / "old.pt"
    old.write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(ModelFormatError, match=r"avila convert .* -o .*\.safetensors"):
        open_vae(old, model)
    with pytest.raises(ModelFormatError, match="_class_name"):
        open_vae(tmp_path / "model" / "unet", model)
    with pytest.raises(ModelNotFoundError, match=r"name the model's VAE: .*vae"):
        open_vae(tmp_path / "model", model)
    tiny = vae_folder(tmp_path / "tiny")
    changes: list[tuple[str, object]] = [
        ("latent_channels", 16),
        ("act_fn", "silu"),
        ("decoder_block_out_channels", [8, 16]),
        ("decoder_block_out_channels", [8, 8, 8]),
        ("num_encoder_blocks", [1, 10**9]),
        ("upsampling_scaling_factor", 4),
        ("brand_new_option", 1),
    ]
    for key, value in changes:
        edit_json(vae_folder(tmp_path / "tiny"), "config.json", **{key: value})
        with pytest.raises(ModelError) as caught:
            open_vae(tiny, model)
        assert key in str(caught.value)
    eight = dataclasses.replace(model.vae, block_out_channels=(8, 16, 16))
    model.vae = eight
    with pytest.raises(ModelFormatError, match="downscale: must be 4 as in the model, got 2"):
        open_vae(vae_folder(tmp_path / "tiny"), model)


# ---------------------------------------------------------------- as published, in two files


def published(folder: Path, name: str = "taesd") -> tuple[Path, Path]:
    """Write encoder and decoder as TAESD's makers do; return their paths."""
    vae_folder(folder / "tiny")
    halves: dict[str, dict[str, np.ndarray]] = {"encoder": {}, "decoder": {}}  # type: ignore[type-arg]
    for key, array in load_file(folder / "tiny" / "diffusion_pytorch_model.safetensors").items():
        half, _, number, rest = key.split(".", 3)
        # The makers' decoder counts the limit of its latents as layer 0.
        halves[half][f"{int(number) + (half == 'decoder')}.{rest}"] = array
    paths = folder / f"{name}_encoder.safetensors", folder / f"{name}_decoder.safetensors"
    for path, tensors in zip(paths, halves.values(), strict=True):
        save_file(tensors, path)
    return paths


@pytest.mark.parametrize("named", ["encoder", "decoder"])
def test_halves_beside_each_other_are_one_vae(tmp_path: Path, named: str) -> None:
    model = ModelFolder(write_family(tmp_path / "model", "sd2"))
    encoder, decoder = published(tmp_path)
    assert "1.weight" in load_file(decoder)
    assert "0.weight" in load_file(encoder)
    whole = open_vae(tmp_path / "tiny", model)
    found = open_vae(encoder if named == "encoder" else decoder, model)
    assert found.config == whole.config
    assert found.weights.path == decoder
    assert set(found.weights.entries) == set(whole.weights.entries)
    for name in whole.weights.entries:
        np.testing.assert_array_equal(found.weights.read(name), whole.weights.read(name))


def test_a_decoder_alone_draws_from_text_only(device: Device, tmp_path: Path) -> None:
    model = write_family(tmp_path / "model", "sd2")
    encoder, decoder = published(tmp_path, "taesdxl")
    whole = images(Pipeline.load(model, device, vae=decoder))
    encoder.unlink()
    alone = Pipeline.load(model, device, vae=decoder)
    for found, expected in zip(images(alone), whole, strict=True):
        np.testing.assert_array_equal(found, expected)
    picture = Image.new("RGB", (16, 16))
    latent = dataclasses.replace(SETTINGS, hires=Hires(2.0, "latent", 0.6))
    assert alone.draw(latent)[0].size == (32, 32)
    needing = [
        dataclasses.replace(SETTINGS, init_image=InitImage(picture, 0.5)),
        dataclasses.replace(SETTINGS, hires=Hires(2.0, "lanczos", 0.6)),
    ]
    for settings in needing:
        with pytest.raises(
            ModelNotFoundError,
            match=r"taesdxl_encoder\.safetensors: there is no such file, and pictures are encoded "
            r"by it; put it beside 'taesdxl_decoder\.safetensors', or choose another VAE",
        ):
            next(alone.generate(settings))


def test_a_decoder_alone_cannot_serve_a_model_that_inpaints(device: Device, tmp_path: Path) -> None:
    """Its UNet reads an encoded picture, even if the user gives none."""
    model = write_family(tmp_path / "model", "sd2")
    widen_unet(model, "sd2")
    encoder, decoder = published(tmp_path)
    encoder.unlink()
    with pytest.raises(ModelNotFoundError, match="pictures are encoded by it"):
        next(Pipeline.load(model, device, vae=decoder).generate(SETTINGS))


def test_halves_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = ModelFolder(write_family(tmp_path / "model", "sd2"))
    encoder, decoder = published(tmp_path)
    alone = tmp_path / "a.safetensors"
    alone.write_bytes(encoder.read_bytes())
    with pytest.raises(ModelNotFoundError, match=r"a\.safetensors.*name the decoder's file"):
        open_vae(alone, model)
    tensors = load_file(encoder)
    last = max(int(name.split(".")[0]) for name in tensors)
    wrong = tensors | {f"{last}.weight": np.zeros((8, *tensors[f"{last}.weight"].shape[1:]))}
    save_file(wrong, encoder)
    with pytest.raises(ModelFormatError, match=r"must make 4 channels as the decoder .*, got 8"):
        open_vae(decoder, model)
    save_file(load_file(decoder), encoder)
    with pytest.raises(ModelFormatError, match="must hold the encoder of a tiny autoencoder"):
        open_vae(decoder, model)
    decoder.rename(tmp_path / "b.safetensors")
    encoder.unlink()
    assert open_vae(tmp_path / "b.safetensors", model).missing_encoder == (
        tmp_path / "b_encoder.safetensors"
    )
    save_file(tensors, encoder)
    with pytest.raises(ModelNotFoundError, match=r"taesd_decoder\.safetensors: there is no such"):
        open_vae(encoder, model)
    odd = load_file(tmp_path / "b.safetensors") | {"7.odd": np.zeros(1), "999.bias": np.zeros(1)}
    save_file(odd, tmp_path / "b.safetensors")
    found = open_vae(tmp_path / "b.safetensors", model)
    made = {name: each.shape for name, each in TinyVae(found.config).parameters()}
    with pytest.raises(
        ModelMismatchError, match=r"unknown .*'7\.odd', 'decoder\.layers\.998\.bias'"
    ):
        found.weights.check(made)
