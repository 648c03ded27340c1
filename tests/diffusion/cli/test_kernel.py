"""``avila kernel show``: what it prints, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffusion.cli.program import run
from gpucore.wgsl.c_family import TARGETS

SOURCE = """\
from gpucore import Array, Const, f32, gpu_kernel

@gpu_kernel
def scale(x: Array[f32], factor: Const[int]) -> Array[f32]:
    return factor * x
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kernels.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def test_it_shows_every_language(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["kernel", "show", f"{file}:scale", "--const", "factor=3"]) == 0
    assert "3.0f * x_" in capsys.readouterr().out
    for language in TARGETS:
        assert run(["kernel", "show", f"{file}:scale", "--language", language]) == 0
        assert "__global__" in capsys.readouterr().out


POSTPONED = """\
from __future__ import annotations
from dataclasses import dataclass
from beside_kernels import GAIN
from gpucore import Array, f32, gpu_kernel, vec2f

@dataclass
class Line:
    ends: vec2f

@gpu_kernel
def ramp(x: Array[f32], line: Line) -> Array[f32]:
    return GAIN * (line.ends.x + x * (line.ends.y - line.ends.x))
"""


def test_dataclasses_and_files_beside_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "beside_kernels.py").write_text("GAIN = 4.0\n", encoding="utf-8")
    (tmp_path / "ramps.py").write_text(POSTPONED, encoding="utf-8")
    assert run(["kernel", "show", f"{tmp_path / 'ramps.py'}:ramp"]) == 0
    assert "line_ends: vec2<f32>" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["FILE:other"], "must be one of the file's kernels: scale"),
        (["FILE"], "must be FILE:NAME with a Python file that exists"),
        (["FILE:scale", "--const", "factor"], "--const must be NAME=NUMBER"),
    ],
)
def test_it_refuses(
    file: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [each.replace("FILE", str(file)) for each in arguments]
    assert run(["kernel", "show", *given]) == 2
    assert message in capsys.readouterr().err
