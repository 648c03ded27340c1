"""Kernels with barriers have no race, which a software renderer that runs in step does not show.

`python -m tools.sanitize_gpustd` checks all kernels; these are some of those that wait most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from gpucore import Buffer, Device, sanitize
from gpustd import arrays, linalg, nn
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.variants import force_variant


class Case(NamedTuple):
    """A call on numbers of a shape, with a forced variant of an operation."""

    call: Callable[[Buffer[Any]], object]
    shape: tuple[int, ...]
    operation: str = "none"
    variant: str = ""


CASES = {
    "jacobi": Case(linalg.eigh, (68, 68)),
    "scan in tiles": Case(arrays.cumsum, (5000,), "scan", "tiles"),
    "scan in subgroups": Case(arrays.cumsum, (5000,), "scan", "subgroups"),
    "sort in subgroups": Case(arrays.sort, (2, 300), "sort", "subgroups"),
    "sort of rows": Case(arrays.sort, (2, 300), "sort", "rows"),
    "sums": Case(lambda x: arrays.sum(x, 1), (3, 3000), "fold", "rows"),
    "qr": Case(linalg.qr, (30, 12)),
    "softmax": Case(nn.softmax, (3, 700), "softmax", "workgroup"),
}


@pytest.mark.parametrize("name", CASES)
def test_no_defects(device: Device, name: str) -> None:
    case = CASES[name]
    if case.variant == "subgroups" and not row_lanes(device):
        pytest.skip(f"{device!r} has no subgroups of known width")
    x = np.random.default_rng(3).standard_normal(case.shape).astype(np.float32)
    given = device.buffer_from_array(x)
    tile = (4, 256) if name == "sort in subgroups" else None
    with sanitize(launches=1) as session, force_variant(case.operation, case.variant, tile):
        case.call(given)
        device.synchronize()
    assert session.launches > 0
