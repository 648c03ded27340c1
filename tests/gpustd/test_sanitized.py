"""Kernels with barriers have no race, which a software renderer that runs in step does not show.

`python -m tools.sanitize_gpustd` checks all kernels; these are some of those that wait most.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

from gpucore import Buffer, Device, sanitize
from gpustd import arrays, linalg, nn, signal
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.variants import force_variant


class Case(NamedTuple):
    """A call on numbers of a shape, with a forced variant of an operation."""

    call: Callable[[Buffer[Any]], object]
    shape: tuple[int, ...]
    operation: str = "none"
    variant: str = ""
    tile: object = None


def second_places(x: Buffer[Any]) -> Buffer[Any]:
    """Return nine elements: the last word of the result has three behind its end."""
    return arrays.take(x, x.device.buffer_from_array(np.array([3, 39, 0], np.int32)), 1)


FILTER = ("filter", "filter_tiles", 32)
CASES = {
    "jacobi": Case(linalg.eigh, (68, 68)),
    "scan in tiles": Case(arrays.cumsum, (5000,), "scan", "tiles"),
    "scan in subgroups": Case(arrays.cumsum, (5000,), "scan", "subgroups"),
    "sort in subgroups": Case(arrays.sort, (2, 300), "sort", "subgroups", (4, 256)),
    "sort of rows": Case(arrays.sort, (2, 300), "sort", "rows"),
    "sums": Case(lambda x: arrays.sum(x, 1), (3, 3000), "fold", "rows"),
    "filter": Case(partial(signal.lfilter, [0.2, 0.3], [1.0, -0.5]), (2, 4500), *FILTER),
    "take": Case(second_places, (3, 40)),
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
    forced = force_variant(case.operation, case.variant, case.tile)
    with sanitize(launches=1) as session, forced:
        case.call(given)
        device.synchronize()
    assert session.launches > 0
