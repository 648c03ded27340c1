"""Elementwise kernels in vectors of four elements give the bits of those of one element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gpucore import Array, Device, f32, gpu_function, gpu_kernel, i32, u32, vec2f
from gpucore.compiler import CompiledKernel
from gpucore.kernels import python_kernel
from gpucore.kernels.launching import words_of_invocation

RNG = np.random.default_rng(31)


@gpu_function
def bent(x: f32, knee: f32) -> f32:
    """Return x with half the slope behind a knee."""
    if x > knee:
        return knee + (x - knee) / 2
    return x


@gpu_kernel
def curved(x: Array[f32], word: Array[f32], knee: f32, flip: bool) -> Array[f32]:
    """Take branches, names that the entry has, too, functions and arguments."""
    index = -x if flip else x
    if index > word:
        first = bent(index, knee)
        return first * math.sqrt(abs(word))
    elif index == word:
        return knee
    return np.sin(index) + bent(word, 0.5) * knee


@gpu_kernel
def mixed(a: Array[i32], b: Array[u32], x: Array[f32]) -> Array[i32]:
    """Divide integers, and convert."""
    rest = a % i32(b & 7) + a // 3
    return rest + i32(x) if x > 0 else rest ^ i32(b >> 3)


@gpu_kernel
def unused(x: Array[f32], y: Array[f32]) -> Array[u32]:
    """Return the same for all."""
    return u32(7)


@gpu_kernel
def looped(x: Array[f32]) -> Array[f32]:
    """Wait for arithmetic, not for memory."""
    y = x
    for _ in range(9):
        y = y * 1.5 - 1
    return y


@gpu_kernel
def paired(x: Array[vec2f]) -> Array[vec2f]:
    """Have elements that are vectors."""
    return x * 2


def floats(*shape: int) -> np.ndarray:
    return RNG.uniform(-4, 4, shape).astype(np.float32)


def operands(name: str, size: int) -> tuple[Any, list[Any]]:
    """Return a kernel and its arguments of a size."""
    if name == "mixed":
        a = RNG.integers(-(2**31), 2**31, size, np.int32)
        return mixed, [a, RNG.integers(0, 2**32, size, np.uint32), floats(size)]
    other = floats(1) if name == "one" else floats(size)
    if name == "unused":
        return unused, [floats(size), floats(size)]
    return curved, [floats(size), other, 1.25, name == "flipped"]


@pytest.mark.parametrize("words", [1, 2, 4])
@pytest.mark.parametrize("name", ["curved", "flipped", "one", "mixed", "unused"])
@pytest.mark.parametrize("size", [4, 1020, 4096, 5000])
def test_vectors_give_the_bits_of_elements(
    device: Device, monkeypatch: pytest.MonkeyPatch, words: int, name: str, size: int
) -> None:
    kernel, given = operands(name, size)
    buffers = [
        device.buffer_from_array(each) if isinstance(each, np.ndarray) else each for each in given
    ]
    expected = kernel(*buffers).read()
    asked = []

    def choose(device: Device, compiled: CompiledKernel, modes: Any, count: int) -> int:
        asked.append(compiled.fits_several)
        return words

    monkeypatch.setattr(python_kernel, "words_of_invocation", choose)
    made = kernel(*buffers).read()
    assert asked == [True]
    assert made.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("kernel", "modes", "count", "words"),
    [
        (curved, ("same", "same", "same"), 1 << 20, 1),
        (curved, ("same", "same", "same"), 1 << 22, 4),
        (curved, ("same", "one", "same"), 1 << 22, 4),
        (mixed, ("same", "same", "same", "same"), 1 << 22, 2),
        (curved, ("same", "strided", "same"), 1 << 22, 0),
        (curved, ("same", "same", "same"), (1 << 22) + 2, 0),
        (curved, ("same", "same", "same"), 1 << 10, 0),
        (looped, ("same", "same"), 1 << 22, 0),
        (paired, ("same", "same"), 1 << 22, 0),
    ],
)
def test_large_arrays_of_whole_vectors_take_them(
    kernel: Any, modes: tuple[str, ...], count: int, words: int
) -> None:
    assert words_of_invocation(Device.null(), kernel.compile(), modes, count) == words


def test_a_large_array_is_read_in_vectors(device: Device) -> None:
    x = floats(1 << 16)
    buffer = device.buffer_from_array(x)
    made = curved(buffer, buffer, 2.0, False)
    np.testing.assert_array_equal(made.read(), np.full(x.size, 2, np.float32))
