"""The wheel carries all that the product needs: packages, shaders, the model, types."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.laws.sources import PACKAGES, ROOT, name_of, tracked_files


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel of this checkout without network; return its path."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


def expected_names() -> set[str]:
    """Where each file of the product lies in the wheel."""
    moved = {"shaders/": "gpustd/shaders/", "models/emoji/": "diffusion/models_data/emoji/"}
    moved |= {f"{package}/": f"{package}/" for package in PACKAGES}
    return {
        target + name_of(file).removeprefix(source)
        for file in tracked_files()
        for source, target in moved.items()
        if name_of(file).startswith(source)
    }


def test_wheel_has_every_file_of_the_product_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == expected_names()
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_wheel_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Load the bundled model and render a shader, both from the unpacked wheel."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import numpy as np
from diffusion import Pipeline
from gpucore import Device
from gpustd import softmax
assert Pipeline.__module__ in sys.modules
assert sys.modules["diffusion"].__file__.startswith({str(tmp_path)!r})
y = softmax(Device.auto().buffer_from_array(np.zeros((2, 4), np.float32)))
assert (y.read() == 0.25).all()
Pipeline.load()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
