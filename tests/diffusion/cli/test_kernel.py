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
