"""Each preprocessor against SciPy and NumPy in float64, by the rules of the WebUI's extension.

Levels may differ by one where a value lies on a boundary between two: sums are f32 here.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from diffusion.control import Control, Preprocessor, find_preprocessor, preprocessor_names
from diffusion.control.hints import make_map, make_region, map_pixels
from diffusion.control.preprocessors import ENTRY_POINT, PREPROCESSORS, registry
from diffusion.errors import SettingsError
from gpucore import Device
from tests.gpustd.image.test_canny import edge_bounds

Pixels = NDArray[np.uint8]


def scene() -> Pixels:
    """Return a picture with a disc, dark lines, a gradient and a little noise, of unlike sides."""
    down, across = np.mgrid[:75, :90]
    inside = (down - 37) ** 2 + (across - 40) ** 2 < 24**2
    levels = np.stack([across * 2, down * 3, 255 - across], axis=2).astype(np.float64)
    levels[inside] = (200, 40, 30)
    levels[:, 60:64] = levels[10:13] = 12
    levels += np.random.default_rng(2).normal(0, 4, levels.shape)
    return np.clip(levels, 0, 255).astype(np.uint8)


SCENE = scene()


def blurred(pixels: Any, sigma: float) -> NDArray[np.float64]:
    return ndimage.gaussian_filter(pixels.astype(np.float64), (sigma, sigma, 0), mode="mirror")


def scribble(pixels: Pixels, least: float) -> Any:
    difference = (blurred(pixels, 5.0) - blurred(pixels, 0.5)).min(axis=2)
    dog = np.clip(255 - difference, 0, 255).astype(np.uint8)
    return np.where(2 * (255 - dog.astype(int)) > least, 255, 0)


def lines(pixels: Pixels) -> Any:
    found = np.clip((blurred(pixels, 6.0) - pixels).min(axis=2), 0, 255)
    found /= max(16, np.median(found[found > 8]))
    return np.clip(found * 127, 0, 255).astype(np.uint8)


def soft_edges(pixels: Pixels) -> Any:
    grey = np.asarray(Image.fromarray(pixels).convert("L"), np.float64)
    smooth = ndimage.gaussian_filter(grey, 1.0, mode="mirror")
    sides = []
    for axis in (0, 1):
        across = ndimage.correlate1d(smooth, [3, 10, 3], 1 - axis, mode="nearest")
        sides.append(ndimage.correlate1d(across, [-1, 0, 1], axis, mode="nearest"))
    lengths = np.hypot(*sides)
    return np.clip(lengths / np.percentile(lengths, 99) * 255, 0, 255).astype(np.uint8)


def lightness(pixels: Pixels, gamma: float) -> Any:
    share = pixels / 255
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    y = light @ np.array([0.2126729, 0.7151522, 0.0721750])
    f = np.where(y > (6 / 29) ** 3, np.cbrt(y), y / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.clip(((116 * f - 16) / 100) ** gamma * 255, 0, 255).astype(np.uint8)


def coarse(pixels: Pixels, factor: int) -> Any:
    height, width = (side // factor for side in pixels.shape[:2])
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)


REFERENCES: dict[str, tuple[Callable[[Pixels], Any], float | None]] = {
    "none": (lambda pixels: pixels, None),
    "inpaint_only": (lambda pixels: pixels, None),
    "invert": (lambda pixels: 255 - pixels, None),
    "threshold": (lambda pixels: np.where((pixels > 100).all(axis=2), 255, 0), 100),
    "recolor_luminance": (lambda pixels: lightness(pixels, 0.7), 0.7),
    "recolor_intensity": (lambda pixels: (pixels / 255).max(axis=2) ** 1.5 * 255, 1.5),
    "scribble_xdog": (lambda pixels: scribble(pixels, 20), 20),
    "lineart_standard": (lines, None),
    "softedge_scharr": (soft_edges, None),
    "blur_gaussian": (lambda pixels: np.round(blurred(pixels, 5.0)), 5.0),
    "tile_resample": (lambda pixels: coarse(pixels, 3), 3.0),
}


def run(device: Device, name: str, pixels: Pixels = SCENE, a: float | None = None) -> Pixels:
    found = find_preprocessor(name)
    return found(device, pixels, *found.thresholds(a, None))


@pytest.mark.parametrize("name", REFERENCES)
def test_maps_follow_their_rules(device: Device, name: str) -> None:
    compute, threshold = REFERENCES[name]
    expected = np.asarray(compute(SCENE)).astype(np.int32)
    if expected.ndim == 2:
        expected = np.repeat(expected[:, :, None], 3, axis=2)
    found = run(device, name, a=threshold).astype(np.int32)
    assert found.shape == expected.shape
    assert len(np.unique(found)) > 1
    if name in ("scribble_xdog", "threshold"):  # black or white: count what differs
        assert np.mean(found != expected) < 0.002, np.mean(found != expected)
    else:
        assert np.abs(found - expected).max() <= 1


def test_canny_is_that_of_the_luma(device: Device) -> None:
    grey = np.asarray(Image.fromarray(SCENE).convert("L"))
    found = find_preprocessor("canny")(device, SCENE, 60.0, 120.0)[..., 0]
    least, most = edge_bounds(grey, 0.0, 60.0, 120.0, "constant")
    assert set(np.unique(found).tolist()) == {0, 255}
    assert (found[least] == 255).all()
    assert (found[~most] == 0).all()
    assert 0.01 < np.mean(found > 0) < 0.3


def test_a_shuffled_picture_has_the_same_colours_elsewhere(device: Device) -> None:
    big = np.asarray(Image.fromarray(SCENE).resize((512, 384)))
    found = run(device, "shuffle", big)
    np.testing.assert_array_equal(found, run(device, "shuffle", big))
    assert not np.array_equal(found, run(device, "shuffle", big, a=1))
    assert found.min() >= big.min()
    assert found.max() <= big.max()
    assert np.abs(found.astype(int) - big).mean() > 10
    # Neighbours stay neighbours: most steps are small.
    steps = np.abs(np.diff(found.astype(int), axis=1)).max(axis=2)
    assert np.quantile(steps, 0.9) < 40


def test_a_grid_of_colours_has_one_colour_in_each_patch(device: Device) -> None:
    picture = np.asarray(Image.fromarray(SCENE).resize((256, 192)))
    found = run(device, "t2ia_color_grid", picture)
    patches = found.reshape(3, 64, 4, 64, 3)
    assert (patches == patches[:, :1, :, :1]).all()
    assert len(np.unique(patches[:, 0, :, 0].reshape(-1, 3), axis=0)) == 12


@pytest.mark.parametrize("name", PREPROCESSORS.names)
def test_every_preprocessor_takes_every_size(device: Device, name: str) -> None:
    for shape in ((1, 1, 3), (1, 70, 3), (64, 64, 3)):
        for level in (0, 255):
            flat = np.full(shape, level, np.uint8)
            made = run(device, name, flat)
            assert made.dtype == np.uint8
            assert made.shape[2] == 3


def test_maps_come_to_the_size_drawn(device: Device) -> None:
    picture = Image.fromarray(SCENE)
    for mode in ("crop", "stretch", "fill"):
        control = Control("x", picture, "canny", resize=mode, threshold_a=60.0, threshold_b=90.0)
        made = make_map(device, control, picture, (128, 64))
        assert made.size == (128, 64)
        assert set(np.unique(np.asarray(made)).tolist()) == {0, 255}


def test_a_mask_marks_the_map(device: Device) -> None:
    mask = Image.fromarray(np.tile(np.uint8([[0] * 8 + [255] * 8]), (16, 1)))
    control = Control("x", Image.new("RGB", (16, 16), (51, 102, 255)), "inpaint_only")
    assert control.image is not None
    pixels = map_pixels(control, make_map(device, control, control.image, (16, 16)), mask)
    np.testing.assert_allclose(pixels[0, :, :8], np.broadcast_to([0.2, 0.4, 1.0], (16, 8, 3)))
    assert (pixels[0, :, 8:] == -1).all()
    with pytest.raises(SettingsError, match="needs one"):
        map_pixels(control, control.image, None)


def test_a_region_comes_to_the_size_drawn() -> None:
    region = Image.new("L", (10, 20), 128)
    found = make_region(region, "crop", (16, 8))
    assert found is not None
    np.testing.assert_allclose(found, np.full((8, 16), 128 / 255), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "a", "b"), [("canny", 0.0, None), ("canny", None, 256.0), ("invert", 1.0, None)]
)
def test_thresholds_out_of_range_are_refused(name: str, a: float | None, b: float | None) -> None:
    with pytest.raises(SettingsError, match="control threshold"):
        find_preprocessor(name).thresholds(a, b)


class Fake(EntryPoint):
    """An entry point that gives what the test says."""

    value_of: Any = None

    def load(self) -> Any:
        found = FAKES[self.name]
        if isinstance(found, Exception):
            raise found
        return found


FAKES: dict[str, Any] = {
    "half": Preprocessor("half", "half", lambda _d, pixels, _a, _b: pixels // 2),
    "broken": ImportError("no module named x"),
    "wrong": 3,
    "shapeless": Preprocessor("shapeless", "shapeless", lambda _d, pixels, _a, _b: pixels[0, 0]),
}


@pytest.fixture
def _other_packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    points = [Fake(name, f"fake:{name}", ENTRY_POINT) for name in FAKES]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    registry._others.cache_clear()
    yield
    registry._others.cache_clear()


@pytest.mark.usefixtures("_other_packages")
def test_other_packages_add_preprocessors(device: Device) -> None:
    assert preprocessor_names()[-4:] == ["broken", "half", "shapeless", "wrong"]
    np.testing.assert_array_equal(run(device, "half"), SCENE // 2)
    Control("x", None, "half").check()
    with pytest.raises(SettingsError, match="no module named x"):
        find_preprocessor("broken")
    with pytest.raises(SettingsError, match="must be a Preprocessor"):
        find_preprocessor("wrong")
    with pytest.raises(SettingsError, match="must give"):
        run(device, "shapeless")
    with pytest.raises(SettingsError, match="canny"):
        find_preprocessor("cannny")


@pytest.mark.parametrize("name", ["openpose_full", "depth_midas", "lineart_anime", "seg_ofade20k"])
def test_networks_of_other_programs_are_told(name: str) -> None:
    with pytest.raises(SettingsError, match="a network, which is not here; take none"):
        find_preprocessor(name)
