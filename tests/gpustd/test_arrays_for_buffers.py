"""Every function of the packages raises, in its own name, for what is not a buffer."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpucore import ArgumentError, Device, DTypeError, GpuError, i8

PACKAGES = ("image", "nn", "signal")
ANY_DTYPE = ("nn.pixel_shuffle", "nn.pixel_unshuffle")
# Those that are another function, as their docstrings say.
OTHER_NAMES = {"nn.linear": "gemm"}
OTHERS = {"matrix": np.eye(3), "kernel": [[1.0]], "size": (2, 2), "sos": [[1, 0, 0, 1, 0, 0]]}


def takers() -> dict[str, Callable[..., Any]]:
    """Every public function that takes a buffer."""
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(f"gpustd.{package}")
        for name in module.__all__:
            function = getattr(module, name)
            if any("Buffer" in p.annotation for p in needed(function)):
                found[f"{package}.{name}"] = function
    return found


def needed(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Parameters without a default."""
    parameters = inspect.signature(function).parameters.values()
    return [p for p in parameters if p.default is inspect.Parameter.empty]


TAKERS = takers()


def given(function: Callable[..., Any], operand: Any) -> dict[str, Any]:
    """Arguments, of which all buffers are ``operand``."""
    told = {
        p.name: operand if "Buffer" in p.annotation else OTHERS.get(p.name, 1)
        for p in needed(function)
    }
    return told | ({"size": 2} if function.__name__ == "interpolate" else {})


@pytest.mark.parametrize("name", TAKERS)
def test_arrays_are_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"must be a Buffer, got .*; upload an array"):
        TAKERS[name](**given(TAKERS[name], np.ones((1, 4, 4, 4), np.float32)))


@pytest.mark.parametrize("name", [name for name in TAKERS if name not in ANY_DTYPE])
def test_dtypes_that_no_kernel_has_are_refused(name: str) -> None:
    """By operands of a rank that the function takes, whichever that is."""
    function = TAKERS[name]
    told = [refusal(function, rank) for rank in (2, 3, 4, 5)]
    op = OTHER_NAMES.get(name, name.split(".")[1])
    assert [error for error in told if isinstance(error, DTypeError) and op in str(error)], told


def refusal(function: Callable[..., Any], rank: int) -> GpuError:
    operand = Device.null().buffer(i8, (1, 3, 3, 3, 3)[-rank:])
    with pytest.raises(GpuError) as caught:
        function(**given(function, operand))
    return caught.value


def test_the_packages_have_takers() -> None:
    assert len(TAKERS) > 100
