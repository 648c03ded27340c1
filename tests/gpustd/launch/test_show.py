"""The command that shows an operation's kernels: what it takes, prints and refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gpucore import Device, f16, f32
from gpustd.launch.show import find_operation, main, parse_argument
from gpustd.nn import conv2d, softmax
from tests.processes import environment


def show(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gpustd.launch.show", *arguments, "--device", "null"]
    return subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )


def test_the_kernels_of_an_operation_are_printed() -> None:
    done = show("conv2d", "1x16x16x64:f16", "3x3x64x32:f16", "padding=1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("// gemm/matrix ")
    assert "@compute" in done.stdout
    assert "subgroupMatrixMultiplyAccumulate" in done.stdout


def test_another_size_shows_another_kernel() -> None:
    """A row of 8 is softmaxed by one invocation, a row of 4096 by a workgroup."""
    small, large = (show("nn.softmax", f"4x{length}").stdout for length in (8, 4096))
    assert small.startswith("// softmax/naive")
    assert large.startswith("// softmax/workgroup")


def test_arguments_are_shapes_or_literals() -> None:
    device = Device.null()
    name, operand = parse_argument("4x100:f16", device)
    assert (name, operand.shape, operand.dtype) == (None, (4, 100), f16)
    name, operand = parse_argument("bias=100:f32", device)
    assert (name, operand.shape, operand.dtype) == ("bias", (100,), f32)
    assert parse_argument("7", device)[1].shape == (7,)
    assert parse_argument("axis=-1", device) == ("axis", -1)
    assert parse_argument("padding=(1, 1)", device) == ("padding", (1, 1))
    assert parse_argument("wrap=xy", device) == ("wrap", "xy")


def test_operations_are_found_at_the_top_and_in_packages() -> None:
    assert find_operation("nn.softmax") is softmax
    assert find_operation("conv2d") is conv2d
    with pytest.raises(ValueError, match=r"must be one of gpustd's, got sofmax: try softmax"):
        find_operation("sofmax")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing_like_it"], "operation must be one of gpustd's"),
        (["nn.softmax", "4x8:f99"], "dtype must be one of gpucore's"),
        (["nn.softmax", "4x8", "axis=7"], "axis"),
        (["nn.softmax", "4x8", "colour=7"], "colour"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--device", "null"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("target", ["cuda", "hip", "hip-64"])
def test_the_same_kernels_in_another_language(target: str) -> None:
    done = show("nn.softmax", "4x8", "--target", target)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("// softmax/")
    assert 'extern "C" __global__ void __launch_bounds__(' in done.stdout
    assert "struct w_module {" in done.stdout
    assert "#define W_DEV" not in done.stdout, "the prelude is the same for all"
