"""What makes previews, by name: TAESD beside a model or in the Hub's cache, or colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from diffusion import Pipeline, Settings
from diffusion.checkpoints import ModelFolder, quick_preview
from diffusion.checkpoints.quick_preview import find_preview, find_tiny_vae
from diffusion.tasks.rgb_preview import SD_COLOURS, XL_COLOURS
from gpucore import Device
from tests.diffusion.golden_models import networks


def model_at(path: Path, *, is_xl: bool = False, own_latents: bool = False) -> ModelFolder:
    """Return a stand-in for an opened model of full size."""
    channels = (8, 16) if own_latents else (128, 256, 512, 512)
    vae = SimpleNamespace(block_out_channels=channels, latent_channels=4, downscale=8)
    return cast("ModelFolder", SimpleNamespace(path=path, is_xl=is_xl, vae=vae))


@pytest.mark.parametrize(
    ("place", "is_xl"),
    [
        ("vae_approx/taesd_decoder.safetensors", False),
        ("VAE-approx/taesd.safetensors", False),
        ("vae_approx/taesdxl_decoder.safetensors", True),
        ("models/vae_approx/taesd_decoder.safetensors", False),
    ],
)
def test_it_is_found_beside_the_model(
    tmp_path: Path, place: str, is_xl: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_preview, "cached_model", lambda _: None)
    model = model_at(tmp_path / "models" / "one.safetensors", is_xl=is_xl)
    assert find_tiny_vae(model) is None
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    file.touch()
    assert find_tiny_vae(model) == file
    assert find_tiny_vae(model_at(model.path, is_xl=not is_xl)) is None
    assert find_tiny_vae(model_at(model.path, is_xl=is_xl, own_latents=True)) is None


def test_it_is_found_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").touch()
    asked: list[str] = []

    def cached(name: str) -> Any:
        asked.append(name)
        return SimpleNamespace(folder=tmp_path)

    monkeypatch.setattr(quick_preview, "cached_model", cached)
    assert find_tiny_vae(model_at(tmp_path / "m", is_xl=True)) == tmp_path
    assert asked == ["madebyollin/taesdxl"]


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_preview, "cached_model", lambda _: None)
    model = model_at(tmp_path / "m")
    with pytest.warns(UserWarning, match=r"put taesd_decoder\.safetensors into"):
        assert find_preview("taesd", model).vae is None
    with pytest.warns(UserWarning, match="latents are its own"):
        find_preview("approx", model_at(tmp_path / "m", own_latents=True))
    for silent in ("auto", "full", None):
        assert find_preview(silent, model) == quick_preview.QuickPreview()
    assert find_preview("Approx cheap", model).colours is SD_COLOURS
    assert find_preview("approx", model_at(tmp_path / "m", is_xl=True)).colours is XL_COLOURS


def test_colours_are_linear_in_latents() -> None:
    latents = np.zeros((2, 3, 4, 4), np.float32)
    latents[1, ..., 0] = 1.0
    first, second = SD_COLOURS.images(latents, 8)
    assert first.size == (32, 24)
    assert first.getpixel((9, 9)) == (128, 128, 128)
    expected = tuple(round((1 + share) * 127.5) for share in (0.3512, 0.2297, 0.3227))
    assert second.getpixel((9, 9)) == expected
    (bright,) = XL_COLOURS.images(np.full((1, 1, 1, 4), 100.0, np.float32), 1)
    assert bright.getpixel((0, 0)) == (0, 255, 255)


def test_a_step_shows_colours(device: Device) -> None:
    made = replace(networks(device, "two_levels"), colours=SD_COLOURS)
    shown: list[Any] = []
    settings = Settings("a", width=64, height=64, steps=2, guidance=1.0)
    Pipeline(made).draw(settings, lambda step: shown.append((step.preview(), step.latents())))
    for (image,), latents in shown:
        (expected,) = SD_COLOURS.images(latents, made.folder.vae.downscale)
        np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))
