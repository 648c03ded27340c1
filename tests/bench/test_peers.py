"""PyTorch beside us computes the same, on its CPU; needs an engine, and PyTorch."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.entry import Entry
from gpucore import Buffer, Device

torch = pytest.importorskip("torch")

LIBRARY = ("arrays", "image", "nn", "signal")
# Shares of pixels that may differ by more: at its border PyTorch blends a turned picture with
# nothing, and Pillow's resize, which we follow, stops at 0 and 255 between the axes, too.
OTHERS = {
    "image.rotate linear 1x256x384x3 u8": 0.01,
    "image.resize half bicubic 1x256x384x3 u8": 0.001,
}


def small() -> Iterator[Entry]:
    for package in LIBRARY:
        entries: list[Entry] = importlib.import_module(f"bench.{package}").ENTRIES
        yield from (entry for entry in entries if entry.cpu and entry.torch is not None)


def arrays(result: Any) -> list[NDArray[Any]]:
    """Return the numbers of a buffer, a tensor, or several of them."""
    if isinstance(result, tuple):
        return [array for each in result for array in arrays(each)]
    return [result.read() if isinstance(result, Buffer) else result.numpy()]


@pytest.mark.parametrize("entry", list(small()), ids=lambda entry: entry.name)
def test_a_peer_computes_the_same(entry: Entry, device: Device) -> None:
    make: Callable[[Any], Callable[[], object]] | None = entry.torch
    assert make is not None
    theirs = arrays(make(torch)())
    for mine, other in zip(arrays(entry.setup(device)()), theirs, strict=True):
        assert mine.shape == other.shape
        assert np.issubdtype(mine.dtype, np.integer) == np.issubdtype(other.dtype, np.integer)
        wide = np.complex128 if np.iscomplexobj(mine) else np.float64
        error = np.abs(mine.astype(wide) - other.astype(wide))
        # A level of u8 may be rounded otherwise; sums of f32 err by less than 2^-16 of the largest.
        bound = 1.0 if mine.dtype == np.uint8 else 2.0**-16 * np.abs(mine).max()
        assert np.mean(error > bound) <= OTHERS.get(entry.name, 0.0), np.max(error)
