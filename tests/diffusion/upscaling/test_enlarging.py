"""Upscalers in tiles, in hires fix and for init images; and their names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.errors import ModelNotFoundError, NotFiniteError, SettingsError
from diffusion.tasks import Hires, InitImage
from diffusion.upscaling import (
    NO_UPSCALERS,
    UpscalerFolder,
    UpscalerNetwork,
    enlarge_image,
    network,
    split_alpha,
)
from gpucore import Device, f32
from tests.diffusion.golden_families import networks
from tests.diffusion.upscaling.upscaler_files import write_upscaler
from tests.goldens.upscaler_cases import picture

SETTINGS = Settings("a red apple", width=32, height=32, steps=2, guidance=1.0, seed=5)


def load(folder: Path, device: Device, name: str = "double") -> UpscalerNetwork:
    return UpscalerNetwork.load(write_upscaler(folder, name), device, f32)


def levels(size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.round(picture("levels", size)[0] * 255).astype(np.uint8))


def drawn(pipeline: Pipeline, settings: Settings) -> NDArray[np.uint8]:
    return np.stack([np.asarray(each) for each in pipeline.draw(settings)])


# ---------------------------------------------------------------- tiles


def test_tiles_are_mixed(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Three convolutions see 3 pixels far, so that only the outermost 3 of a tile differ. They weigh
    # at most 5/8 beside the neighbour's, whose pixels there lie 7 and more from its own edge.
    made, given = load(tmp_path, device), picture("tiles", (28, 16))[0]
    whole = made.enlarge(given)
    cut = made.enlarge(given[:16])
    at_edge = np.abs(cut - whole[:32]).max()
    monkeypatch.setattr(network, "TILE", 16)
    difference = np.abs(made.enlarge(given) - whole)
    assert 0 < difference.max() < 0.6 * at_edge
    assert at_edge > 1e-2
    np.testing.assert_allclose(difference[: 2 * 12], 0, atol=1e-5)
    np.testing.assert_allclose(difference[2 * 16 :], 0, atol=1e-5)


def test_a_large_tile_has_the_bits_of_the_whole(device: Device, tmp_path: Path) -> None:
    made, given = load(tmp_path, device), picture("bits", (12, 20))[0]
    np.testing.assert_array_equal(made.enlarge(given), made.enlarge(given.copy()))
    other = made.enlarge(picture("other", (12, 20))[0])
    assert not np.array_equal(other, made.enlarge(given))


def test_seamless_pictures_stay_so(device: Device, tmp_path: Path) -> None:
    made, given = load(tmp_path, device), picture("ring", (8, 12))[0]
    rolled = made.enlarge(np.roll(given, 5, axis=1), "x")
    expected = np.roll(made.enlarge(given, "x"), 10, axis=1)
    np.testing.assert_allclose(rolled, expected, atol=1e-5)
    assert np.abs(made.enlarge(given) - made.enlarge(given, "x"))[:, :4].max() > 1e-3


# ---------------------------------------------------------------- pictures


def test_a_picture_comes_to_the_size_that_is_asked_for(device: Device, tmp_path: Path) -> None:
    made, given = load(tmp_path, device), levels((6, 9))
    twice = np.clip(made.enlarge(np.asarray(given, np.float32) / np.float32(255)), 0, 1)
    np.testing.assert_array_equal(
        np.asarray(enlarge_image(given, (18, 12), made)), np.round(twice * 255).astype(np.uint8)
    )
    exact = enlarge_image(given, (18, 12), made)
    lanczos = exact.resize((14, 10), Image.Resampling.LANCZOS)
    found = enlarge_image(given, (14, 10), made)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(lanczos))
    assert enlarge_image(given, (60, 40), made).size == (60, 40)
    assert enlarge_image(given, (9, 6), load(tmp_path, device, "single")).size == (9, 6)


def test_alpha_is_split_off() -> None:
    clear = levels((4, 5)).convert("RGBA")
    assert split_alpha(clear).alpha is None
    clear.putalpha(Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5)))
    colours, alpha = split_alpha(clear)
    np.testing.assert_array_equal(np.asarray(colours), np.asarray(clear)[..., :3])
    assert alpha is not None
    np.testing.assert_array_equal(np.asarray(alpha), np.asarray(clear)[..., 3])


def test_too_large_results_are_refused(device: Device, tmp_path: Path) -> None:
    made = load(tmp_path, device)
    wide = np.broadcast_to(np.float32(0), (1 << 13, 1 << 12, 3))
    with pytest.raises(SettingsError, match="is over 67108864 pixels"):
        made.enlarge(wide)


def test_infinities_are_told(device: Device, tmp_path: Path) -> None:
    made = load(tmp_path, device)
    with pytest.raises(NotFiniteError, match="upscaler"):
        made.enlarge(np.full((4, 4, 3), np.inf, np.float32))


# ---------------------------------------------------------------- in a pipeline


@pytest.fixture
def pipeline(device: Device, tmp_path: Path) -> Pipeline:
    """Return a pipeline of random networks with two upscalers."""
    made = Pipeline(networks(device, "sd2"))
    write_upscaler(tmp_path, "double", "4x-Sharp")
    write_upscaler(tmp_path / "deep", "x2_old", "RealESRGAN_x2plus")
    made.upscalers.folder = UpscalerFolder(tmp_path)
    return made


def test_hires_by_a_network(pipeline: Pipeline, tmp_path: Path) -> None:
    hires = Hires(1.5, "4x-Sharp", 0.3, steps=1)
    settings = replace(SETTINGS, hires=hires)
    first = drawn(pipeline, settings)
    assert first.shape == (1, 48, 48, 3)
    assert not np.array_equal(
        first, drawn(pipeline, replace(SETTINGS, hires=Hires(1.5, "lanczos", 0.3, 1)))
    )
    by_path = replace(hires, upscaler=tmp_path / "4x-Sharp.safetensors")
    np.testing.assert_array_equal(first, drawn(pipeline, replace(settings, hires=by_path)))
    both = drawn(pipeline, replace(settings, count=2, batch=2))
    np.testing.assert_array_equal(both[0], first[0])
    (text,) = (each.infotext for each in pipeline.draw(settings))
    assert "Hires upscaler: 4x-Sharp" in text
    labelled = drawn(pipeline, replace(settings, hires=replace(hires, upscaler="R-ESRGAN 2x+")))
    assert not np.array_equal(labelled, first)


def test_an_init_image_is_enlarged(pipeline: Pipeline) -> None:
    init = InitImage(levels((16, 16)), 0.3, upscaler="4x-Sharp")
    settings = replace(SETTINGS, init_image=init)
    found = drawn(pipeline, settings)
    made = pipeline.upscalers.get("4x-Sharp")
    larger = InitImage(enlarge_image(init.image, (32, 32), made), 0.3)
    np.testing.assert_array_equal(found, drawn(pipeline, replace(settings, init_image=larger)))
    (text,) = (each.infotext for each in pipeline.draw(settings))
    assert "Upscaler: 4x-Sharp" in text
    same = replace(settings, width=16, height=16)
    plain = replace(same, init_image=replace(init, upscaler=None))
    np.testing.assert_array_equal(drawn(pipeline, same), drawn(pipeline, plain))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("4x-Shrap", "did you mean 4x-Sharp"),
        ("Latent (other)", "did you mean"),
        ("", "must be a name or a path"),
        ("../4x-Sharp", "all: "),
    ],
)
def test_unknown_names_are_refused(pipeline: Pipeline, name: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        next(pipeline.generate(replace(SETTINGS, hires=Hires(upscaler=name))))


def test_files_that_are_gone_are_told(pipeline: Pipeline, tmp_path: Path) -> None:
    hires = Hires(upscaler=tmp_path / "none.safetensors")
    with pytest.raises(SettingsError, match="there is no such file"):
        next(pipeline.generate(replace(SETTINGS, hires=hires)))
    with pytest.raises(ModelNotFoundError):
        UpscalerNetwork.load(tmp_path / "none.safetensors", pipeline.device, f32)


def test_names_are_those_of_files(tmp_path: Path) -> None:
    for name in ("a/same", "b/same", "One", "RealESRGAN_x4plus"):
        write_upscaler(tmp_path / Path(name).parent, "double", Path(name).name)
    folder = UpscalerFolder(tmp_path)
    assert folder.names == ["One", "RealESRGAN_x4plus", "a/same", "b/same"]
    assert folder.find("one") == tmp_path.resolve() / "One.safetensors"
    assert folder.find("R-ESRGAN 4x+").stem == "RealESRGAN_x4plus"
    assert folder.find("a/same").parent.name == "a"
    with pytest.raises(SettingsError, match="several files"):
        folder.find("same")
    write_upscaler(tmp_path, "double", "later")
    assert folder.find("later").stem == "later"
    with pytest.raises(SettingsError, match="networks lie in a folder: --upscalers FOLDER"):
        NO_UPSCALERS.find("One")
