"""The distance between two runs of the same computation, and its limits."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.goldens.cases import PIPELINE_CASES
from tests.goldens.loader import relative_error

# float32 against float64, relative L2; a factor of four and more above what was measured.
NETWORK_LIMIT = 1e-5
LATENTS_LIMIT = 1e-5
# The last step of a run may change x (deviation 18) by a deviation of 0.015 only, where f32's
# spacing of 2e-6 near 18 is already 1e-4 of the change.
CHANGES_LIMIT = 2e-4
# A value near a half may round either way.
IMAGE_LIMIT = 1


class Distance(NamedTuple):
    """The distance of one array from another."""

    relative: float
    """‖a - b‖ / ‖b‖."""
    largest: float
    """The greatest absolute difference."""


def distance(actual: NDArray[Any], expected: NDArray[Any]) -> Distance:
    """Return the distance of `actual` from `expected`, computed in f64."""
    exact = expected.astype(np.float64)
    largest = float(np.abs(actual - exact).max())
    return Distance(relative_error(actual, expected), largest)


def worst(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> Distance:
    """Return the largest of each kind of distance, over all arrays of `actual`."""
    found = [distance(array, expected[key]) for key, array in actual.items()]
    return Distance(*(max(column) for column in zip(*found, strict=True)))


def check(title: str, found: float, limit: float) -> None:
    """Print a distance beside its limit; raise ArithmeticError where it is beyond."""
    print(f"{title}: {found:.1e}, limit {limit:.0e}")
    if not found <= limit:
        raise ArithmeticError(f"{title} differ by {found:.2e}, beyond the limit {limit:.0e}")


def check_networks(title: str, actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Check an f32 run of some networks against the float64 one."""
    check(f"{title}, relative L2", worst(actual, expected).relative, NETWORK_LIMIT)


def check_runs(title: str, actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Check the pipeline runs in `actual`, step by step, and their images."""
    latents: list[float] = []
    changes: list[float] = []
    images: list[float] = []
    for case in PIPELINE_CASES:
        if f"{case.name}/latents" not in actual:
            continue
        first = float(expected[f"{case.name}/sigmas"][0])
        pair = [run[f"{case.name}/latents"] for run in (actual, expected)]
        moved = [case.changes(array, first) for array in pair]
        latents += [relative_error(a, b) for a, b in zip(*pair, strict=True)]
        changes += [relative_error(a, b) for a, b in zip(*moved, strict=True)]
        pictures = [run[f"{case.name}/image"] for run in (actual, expected)]
        images.append(distance(*pictures).largest)
    check(f"{title}, latents of {len(images)} runs, relative L2", max(latents), LATENTS_LIMIT)
    check(f"{title}, each step's change, relative L2", max(changes), CHANGES_LIMIT)
    check(f"{title}, images, grey levels", max(images), IMAGE_LIMIT)
