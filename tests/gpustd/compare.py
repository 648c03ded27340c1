"""Comparison with float64, and the errors it saw: ``docs/accuracy.md`` is made from them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import Device

__all__ = ["compare"]

_LOG = "AVILA_ERROR_LOG"
"""Names a file; each comparison appends a line of JSON to it (see ``tools/accuracy.py``)."""


def compare(
    device: Device,
    function: str,
    result: NDArray[Any],
    expected: Any,
    allowed: Any,
    unit: float | None = None,
) -> None:
    """Fail unless ``|result - expected| <= allowed`` everywhere.

    ``function`` is its public name, such as ``linalg.svd``; ``expected`` was computed in float64
    (complex128, or exact integers) from the operands as the device had them; ``allowed``, a number
    or an array, follows from the arithmetic and is derived beside the test. Where ``expected`` is
    not finite, ``result`` must be the same. The page tells errors in units of ``unit``, by default
    the largest element of ``expected``; a result that cancels to nothing takes that of an operand.
    """
    want = np.asarray(expected)
    assert result.shape == want.shape, f"{function}: shape {result.shape}, expected {want.shape}"
    finite = np.isfinite(want)
    np.testing.assert_array_equal(result[~finite], want[~finite].astype(result.dtype))
    error = np.abs(np.where(finite, result, 0).astype(want.dtype) - np.where(finite, want, 0))
    limit = np.broadcast_to(np.asarray(allowed, np.float64), want.shape)
    largest = float(np.where(finite, np.abs(want), 0).max(initial=0)) if unit is None else unit
    _log(device, function, result.dtype, error, largest)
    worst = np.max(error - limit, initial=-np.inf)
    assert np.all(error <= limit), f"{function}: an error is {worst:.3g} above what is allowed"


def _log(
    device: Device, function: str, dtype: np.dtype[Any], error: NDArray[Any], largest: float
) -> None:
    path = os.environ.get(_LOG)
    if not path or not error.size:
        return
    line = {
        "function": function,
        "dtype": dtype.name,
        "engine": device.backend,
        "adapter": device.name,
        "error": float(error.max()),
        "largest": largest,
    }
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
