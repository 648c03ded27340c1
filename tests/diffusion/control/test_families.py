"""XL models, unions and Control-LoRA in the pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.control import Control
from diffusion.errors import SettingsError
from gpucore import Device
from tests.diffusion.bundled_model import pixels
from tests.diffusion.control.golden_controls import write_control
from tests.diffusion.golden_families import networks

LEVELS = np.random.default_rng(3).integers(0, 256, (32, 32, 3)).astype(np.uint8)
SETTINGS = Settings("a red apple", width=32, height=32, steps=2, guidance=3.0, seed=5)


def test_xl_draws_with_nets_unions_and_adapters(device: Device, tmp_path: Path) -> None:
    pipeline = Pipeline(networks(device, "xl_base"))
    picture = Image.fromarray(LEVELS)
    found = {pixels(pipeline, SETTINGS).tobytes()}
    for name, kind in (
        ("xl", None),
        ("small_xl", None),
        ("union", "depth"),
        ("union", "canny"),
        ("promax", "tile"),
        ("full_xl", None),
    ):
        folder = write_control(tmp_path / name, name)
        control = Control(folder, picture, kind=kind)
        found.add(pixels(pipeline, replace(SETTINGS, controls=(control,))).tobytes())
    assert len(found) == 7
    with pytest.raises(SettingsError, match="say what the picture shows"):
        pixels(pipeline, replace(SETTINGS, controls=(Control(tmp_path / "union", picture),)))
    tile = Control(tmp_path / "union", picture, kind="tile")
    with pytest.raises(SettingsError, match="must be one of openpose, depth"):
        pixels(pipeline, replace(SETTINGS, controls=(tile,)))
    by_preprocessor = Control(tmp_path / "union", picture, "canny")
    by_hand = replace(by_preprocessor, kind="canny")
    first, second = (
        pixels(pipeline, replace(SETTINGS, controls=(each,))) for each in (by_preprocessor, by_hand)
    )
    np.testing.assert_array_equal(first, second)
    pipeline.release()
