"""The examples run on each engine, stay short, and do what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from gpucore import Device
from tests.conftest import HOST_ENGINES, engines
from tests.processes import environment

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PROGRAMS = sorted(
    file.relative_to(ROOT / "examples").as_posix()
    for file in (ROOT / "examples").rglob("*.py")
    if 'if __name__ == "__main__":' in file.read_text(encoding="utf-8")
)
MOST_LINES = 60
ARGUMENTS = {
    "game_of_life.py": ("life.png", "20"),
    "svd_compression.py": ("", "ranks.png"),
    "txt2img.py": ("a blue fish", "fish.png", "1", "64"),
}


def first_engine() -> str:
    """Return the name of the first engine, or "" for the best where only tests have it."""
    name = engines()[0]
    return "" if name in HOST_ENGINES else name


def run(name: str, folder: Path, *arguments: str, engine: str = first_engine()) -> str:
    """Run an example on an engine, in a folder of its own; return what it prints."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        cwd=folder,
        env=environment(GPUCORE_DEVICE=engine),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda file: file.name)
def test_examples_are_short(example: Path) -> None:
    assert len(example.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_every_example_is_run_here() -> None:
    assert {file.name for file in EXAMPLES} == {
        "expressions.py",
        "fft.py",
        "game_of_life.py",
        "image_filter.py",
        "matrix_multiply.py",
        "multi_gpu.py",
        "own_kernel.py",
        "streams.py",
        "svd_compression.py",
        "txt2img.py",
        "vector_add.py",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_runs_on_every_engine(device: Device, name: str, tmp_path: Path) -> None:
    """Unchanged: the variable that names a device is all that differs."""
    if device.info.backend not in {info.backend for info in Device.list()}:
        pytest.skip("other processes do not have this engine of the tests")
    assert run(name, tmp_path, *ARGUMENTS.get(name, ()), engine=device.info.backend)


def test_vector_add(tmp_path: Path) -> None:
    assert "1000000 sums" in run("vector_add.py", tmp_path)


def test_expressions(tmp_path: Path) -> None:
    assert "64 rows on" in run("expressions.py", tmp_path)


def test_matrix_multiply(tmp_path: Path) -> None:
    lines = run("matrix_multiply.py", tmp_path).splitlines()
    assert [line.split(" on ")[0] for line in lines] == ["the kernel above", "gpustd.gemm"]


def test_own_kernel(tmp_path: Path) -> None:
    *bars, last = run("own_kernel.py", tmp_path).splitlines()
    lengths = [line.count("#") for line in bars]
    assert last == "299984 of 300001 values counted, as NumPy counts them"
    assert len(lengths) == 16
    assert max(lengths) == 60 == max(lengths[7:9])
    assert lengths[0] == lengths[-1] == 0


def test_fft(tmp_path: Path) -> None:
    tones, noise = run("fft.py", tmp_path).splitlines()
    assert tones == "tones at 440 Hz and 1250 Hz"
    assert noise.startswith("noise 1.00 before, 0.02 after, on ")


def test_streams(tmp_path: Path) -> None:
    output = run("streams.py", tmp_path).splitlines()
    assert output == [f"part {i}: 50000 values smoothed twice, equal to NumPy's" for i in range(4)]


def test_multi_gpu(tmp_path: Path) -> None:
    *parts, last = run("multi_gpu.py", tmp_path).splitlines()
    assert sum(int(line.split(" rows on ")[0]) for line in parts) == 515
    assert parts
    assert last.startswith("515 rows in all, relative error ")


def picture_in(file: Path) -> NDArray[np.float64]:
    with Image.open(file) as image:
        return np.asarray(image, np.float64)


def test_image_filter(tmp_path: Path) -> None:
    output = run("image_filter.py", tmp_path)
    assert "4 times 128x128" in output
    strip = picture_in(tmp_path / "image_filter.png")
    assert strip.shape == (128, 512, 3)
    drawn, soft, sharp, edges = np.split(strip, 4, 1)
    assert np.abs(soft - gaussian_filter(drawn, (3, 3, 0), mode="reflect")).max() <= 1
    assert soft.std() < drawn.std() < sharp.std()
    assert set(np.unique(edges)) == {0, 255}
    assert 0.05 < edges.mean() / 255 < 0.3


def test_svd_compression(tmp_path: Path) -> None:
    output = run("svd_compression.py", tmp_path, "", "ranks.png").splitlines()
    strip = picture_in(tmp_path / "ranks.png")
    assert strip.shape == (64, 256, 3)
    *shown, drawn = np.split(strip, 4, 1)
    u, s, vh = np.linalg.svd(np.moveaxis(drawn, 2, 0), full_matrices=False)
    for rank, line, picture in zip((1, 4, 16), output, shown, strict=True):
        nearest = np.moveaxis((u[..., :rank] * s[:, None, :rank]) @ vh[:, :rank], 0, 2)
        assert line.startswith(f"rank {rank:2}: ")
        assert np.abs(picture - nearest.clip(0, 255)).max() <= 1  # rounded to a level


def test_game_of_life(tmp_path: Path) -> None:
    output = run("game_of_life.py", tmp_path, "life.png", "20")
    picture = picture_in(tmp_path / "life.png")
    assert picture.shape == (480, 480)
    cells = picture[::4, ::4]
    assert np.array_equal(picture, np.kron(cells, np.ones((4, 4))))
    assert output == f"{int(cells.sum()) // 255} cells live after 20 generations: life.png\n"


def test_txt2img(tmp_path: Path) -> None:
    output = run("txt2img.py", tmp_path, "a blue fish", "fish.png", "2", "64")
    assert "step 2 of 2" in output
    for name in ("fish.png", "fish-preview.png"):
        with Image.open(tmp_path / name) as image:
            assert image.size == (64, 64)
