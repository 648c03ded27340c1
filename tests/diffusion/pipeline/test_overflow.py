"""No picture is made of infinities or NaN: errors, warnings, and decoding again in f32."""

from __future__ import annotations

import dataclasses
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file, save_file

from diffusion import Pipeline, Result, Settings, Step
from diffusion.errors import NotFiniteError
from diffusion.tasks import Hires, InitImage
from gpucore import Device, DType, f16, f32
from tests.conftest import skip_without_f16
from tests.diffusion.cli.fake_pipeline import run
from tests.goldens.folders import write_model

SETTINGS = Settings("a cat", width=24, height=16, steps=3, guidance=4.0, sampler="euler", seed=3)
FILE = "diffusion_pytorch_model.safetensors"
BLOCK = "decoder.up_blocks.0.resnets.1"
LARGE = 2.0**18
"""The factor of a block's residual, far beyond f16's 65504."""

Change = Callable[[dict[str, NDArray[Any]]], None]


def write_changed_model(folder: Path, part: str, change: Change) -> Path:
    """Write a golden model with the weights of a part changed."""
    write_model(folder, "two_levels")
    weights = load_file(folder / part / FILE)
    change(weights)
    save_file(weights, folder / part / FILE)
    return folder


def widen_decoder(weights: dict[str, NDArray[Any]]) -> None:
    """Make a residual block of the decoder add more to its input than f16 holds."""
    for name in ("weight", "bias"):
        weights[f"{BLOCK}.conv2.{name}"] *= LARGE


def break_decoder(weights: dict[str, NDArray[Any]]) -> None:
    weights["decoder.conv_norm_out.weight"][0] = np.nan


def widen_encoder(weights: dict[str, NDArray[Any]]) -> None:
    weights["encoder.conv_in.weight"] *= LARGE / 4


def break_unet(weights: dict[str, NDArray[Any]]) -> None:
    weights["conv_out.bias"][:] = np.nan


def load_pipeline(device: Device, folder: Path, dtype: type[DType]) -> Pipeline:
    skip_without_f16(device, dtype.name)
    return Pipeline.load(folder, device, dtype)


def run_to_result(pipeline: Pipeline, settings: Settings) -> Result:
    *_, last = pipeline.generate(settings)
    assert isinstance(last, Result)
    return last


def pixels(found: Result) -> NDArray[Any]:
    return np.stack([np.asarray(image) for image in found.images]).astype(int)


@pytest.mark.parametrize("tiling", ["off", "on"])
def test_an_overflow_of_f16_is_decoded_again_in_f32(
    device: Device, tmp_path: Path, tiling: str
) -> None:
    folder = write_changed_model(tmp_path, "vae", widen_decoder)
    settings = dataclasses.replace(SETTINGS, count=2, vae_tiling=tiling)
    pipeline = load_pipeline(device, folder, f16)
    with pytest.warns(RuntimeWarning, match=f"range of f16 after {BLOCK}.conv2: computed again"):
        found = run_to_result(pipeline, settings)
    assert found.decoded_in_f32_from == [f"{BLOCK}.conv2"] * 2
    exact = run_to_result(load_pipeline(device, folder, f32), settings)
    assert exact.decoded_in_f32_from == [None, None]
    assert pixels(exact).std() > 1, "the right picture is not plain"
    # Both UNets differ by f16's rounding; what comes after the block is bounded by a group norm.
    assert np.abs(pixels(found) - pixels(exact)).max() <= 6
    with pytest.warns(RuntimeWarning, match="computed again"):
        np.testing.assert_array_equal(pixels(run_to_result(pipeline, settings)), pixels(found))


def test_weights_beyond_f16_give_a_warning_and_f32(device: Device, tmp_path: Path) -> None:
    def change(weights: dict[str, NDArray[Any]]) -> None:
        weights[f"{BLOCK}.conv2.weight"] *= 16 * LARGE

    folder = write_changed_model(tmp_path, "vae", change)
    if device.has_f16:
        with pytest.warns(
            RuntimeWarning, match=rf"{BLOCK}.conv2.weight holds weights beyond .* f16"
        ):
            pipeline = load_pipeline(device, folder, f16)
        with pytest.warns(RuntimeWarning, match="computed again"):
            found = run_to_result(pipeline, SETTINGS)
        exact = run_to_result(load_pipeline(device, folder, f32), SETTINGS)
        assert np.abs(pixels(found) - pixels(exact)).max() <= 6


def test_the_part_before_is_not_computed_again(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = load_pipeline(device, write_changed_model(tmp_path, "vae", widen_decoder), f16)
    vae = pipeline.networks.autoencoder.exact
    monkeypatch.setattr(vae, "post_quant_conv", None)
    monkeypatch.setattr(vae.decoder, "mid_block", None)
    with pytest.warns(RuntimeWarning, match="computed again"):
        assert run_to_result(pipeline, SETTINGS).decoded_in_f32_from == [f"{BLOCK}.conv2"]


def test_an_overflow_of_the_encoder(device: Device, tmp_path: Path) -> None:
    folder = write_changed_model(tmp_path, "vae", widen_encoder)
    picture = Image.effect_mandelbrot((24, 16), (-2, -1, 1, 1), 50).convert("RGB")
    settings = dataclasses.replace(SETTINGS, init_image=InitImage(picture, 0.5))
    with pytest.warns(RuntimeWarning, match=r"after encoder\.conv_in: computed again"):
        found = run_to_result(load_pipeline(device, folder, f16), settings)
    exact = run_to_result(load_pipeline(device, folder, f32), settings)
    assert np.abs(pixels(found) - pixels(exact)).max() <= 6


@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_a_vae_that_gives_nan_is_an_error(
    device: Device, tmp_path: Path, dtype: type[DType]
) -> None:
    pipeline = load_pipeline(device, write_changed_model(tmp_path, "vae", break_decoder), dtype)
    with pytest.raises(NotFiniteError) as caught:
        run_to_result(pipeline, SETTINGS)
    assert caught.value.part == "VAE"
    assert "decoder.conv_norm_out" in caught.value.place
    assert "another VAE" in caught.value.hint


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpmpp_2m", "dpm_adaptive", "restart"])
def test_a_unet_that_gives_nan_is_an_error(device: Device, tmp_path: Path, sampler: str) -> None:
    pipeline = load_pipeline(device, write_changed_model(tmp_path, "unet", break_unet), f32)
    with pytest.raises(NotFiniteError, match=r"UNet: .* after step 1 of .*; check the weights"):
        run_to_result(pipeline, dataclasses.replace(SETTINGS, sampler=sampler))


def test_waiting_for_a_step_raises_at_once(device: Device, tmp_path: Path) -> None:
    folder = write_changed_model(tmp_path, "unet", break_unet)
    events = load_pipeline(device, folder, f16 if device.has_f16 else f32).generate(SETTINGS)
    step = next(event for event in events if isinstance(event, Step))
    with pytest.raises(NotFiniteError, match="after step 1 of 3"):
        step.wait()
    with pytest.raises(NotFiniteError, match="VAE"):
        step.preview()


def test_the_step_is_named(device: Device, tmp_path: Path) -> None:
    """Weights become infinite while sampling, in the second pass."""
    write_model(tmp_path, "two_levels")
    pipeline = load_pipeline(device, tmp_path, f32)
    settings = dataclasses.replace(SETTINGS, hires=Hires(2.0, steps=3))
    bias = pipeline.networks.unet.conv_out.bias
    assert bias is not None
    events = pipeline.generate(settings)
    while not (isinstance(event := next(events), Step) and event.index == 4):
        pass
    bias.buffer.write(np.full(bias.shape, np.inf, np.float32))
    with pytest.raises(NotFiniteError, match=r"UNet: .* after step 2 of 3 of the second pass"):
        list(events)


def test_a_text_encoder_that_gives_nan_is_named(device: Device, tmp_path: Path) -> None:
    write_model(tmp_path, "two_levels")
    file = tmp_path / "text_encoder" / "model.safetensors"
    weights = load_file(file)
    weights["text_model.final_layer_norm.bias"][:] = np.nan
    save_file(weights, file)
    with pytest.raises(NotFiniteError, match=r"text encoder: .* of the prompt"):
        run_to_result(load_pipeline(device, tmp_path, f32), SETTINGS)


def test_a_sound_model_gives_no_warning(device: Device, tmp_path: Path) -> None:
    write_model(tmp_path, "two_levels")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = run_to_result(
            load_pipeline(device, tmp_path, f16 if device.has_f16 else f32), SETTINGS
        )
    assert found.decoded_in_f32_from == [None]


def test_the_command_writes_no_picture_of_nan(tmp_path: Path) -> None:
    folder = write_changed_model(tmp_path / "model", "unet", break_unet)
    options = f"--model {folder} --dtype f32 --size 24x16 --steps 3 -o {tmp_path}/black.png"
    done = run("txt2img", "a cat", *options.split())
    assert done.exit_code == 2
    assert re.search(
        r"^avila: UNet: .* after step 1 of 3; check the weights", done.stderr, re.MULTILINE
    )
    assert not (tmp_path / "black.png").exists()


@pytest.mark.filterwarnings("default")
def test_the_command_names_the_layer_decoded_in_f32(device: Device, tmp_path: Path) -> None:
    skip_without_f16(device, "f16")
    folder = write_changed_model(tmp_path / "model", "vae", widen_decoder)
    options = f"--model {folder} --size 24x16 --steps 3 --dtype f16 --json -o {tmp_path}/a.png"
    done = run("txt2img", "a cat", *options.split(), "--device", device.backend)
    assert done.exit_code == 0, done.stderr
    assert "avila: warning: the VAE's numbers left the range of f16 after" in done.stderr
    assert json.loads(done.stdout)["redone"] == {f"{tmp_path}/a.png": f"{BLOCK}.conv2"}
