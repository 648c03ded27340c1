"""Flat kernels with several words an invocation give what those with one do, bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpucore import Buffer, Device, f16, f32, i32, u8
from gpucore.backends import null
from gpucore.backends.interface import Launch
from gpustd import (
    add,
    cast,
    concat,
    guidance,
    image,
    linear_combination,
    nn,
    repeat_batch,
    slice_axis,
    to_image,
    transpose,
)
from gpustd.launch.variants import force_variant
from tests.gpustd.poison import poison_pool

Call = Callable[[Buffer[Any]], Buffer[Any]]

CALLS: dict[str, Call] = {
    "add": lambda x: add(x, x),
    "linear_combination": lambda x: linear_combination([(0.3, x), (0.7, x), (1.1, x)]),
    "guidance": lambda x: guidance(x, 7.5),
    "silu": nn.silu,
    "cast": lambda x: cast(x, i32),
    "to_image": lambda x: to_image(x.view((*x.shape[:2], x.shape[2] // 3, 3))),
    "concat": lambda x: concat([x, x], 2),
    "slice_axis": lambda x: slice_axis(x, 1, 1, x.shape[1]),
    "repeat_batch": lambda x: repeat_batch(x, 3),
    "transpose": lambda x: transpose(x, (1, 0, 2)),
}
# Elements of less than a workgroup of 64 times 4 words of four, of just as many, and of more.
SHAPES = ((2, 7, 9), (2, 8, 48), (2, 8, 66), (4, 53, 51))


@pytest.mark.parametrize("name", CALLS)
def test_several_words_an_invocation(device: Device, name: str) -> None:
    call = CALLS[name]
    for shape in SHAPES:
        x = device.buffer_from_array(np.random.default_rng(1).standard_normal(shape), f32)
        expected = call(x).read()
        poison_pool(device, expected.nbytes)
        with force_variant("flat", "each", (64, 4)), force_variant("transpose", "transpose"):
            np.testing.assert_array_equal(call(x).read(), expected)


def test_large_arrays_take_several_words_on_a_gpu() -> None:
    def groups(size: int, terms: int) -> int:
        device = Device.null()
        x = device.buffer(f16, size)
        linear_combination([(1.0, x)] * terms)
        device.synchronize()
        launch = device.engine.submitted[-1][0]  # type: ignore[attr-defined]
        return int(launch.grid[0])

    assert groups(2**22 - 4, 2) == 2**22 // 4 // 64
    assert groups(2**22, 2) == 2**22 // 4 // (256 * 4)
    assert groups(2**22, 3) == 2**22 // 4 // (256 * 2)


@pytest.mark.parametrize(("engine", "pairs"), [("dawn", True), ("cuda", True), ("wgpu", False)])
def test_f16_are_compared_in_pairs_where_that_is_right(engine: str, pairs: bool) -> None:
    backend = null.NullBackend(replace(null.adapters()[0], engine=engine))
    device = Device.from_backend(backend)
    levels = device.buffer(u8, (2, 64, 128, 1))
    nn.max_pool2d(device.buffer(f16, (2, 64, 64, 8)), 3, 1, 1)
    image.erode(levels, 3)
    image.median(levels, 3)
    device.submit()
    texts = [c.program.source for part in backend.submitted for c in part if isinstance(c, Launch)]
    assert ["(bitcast<vec2<f16>>(a), bitcast<vec2<f16>>(b))" in text for text in texts] == [
        pairs
    ] * 3
