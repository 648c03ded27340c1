"""No argument, however odd, gives an error not the library's own, or takes the host's memory.

Every function is called as its example calls it, with one argument after the other exchanged. The
null device computes nothing, so that all of them take seconds.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import tracemalloc
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np
import pytest

import gpustd
from gpucore import Device, GpuError
from tests.gpustd.examples import example_names

PACKAGES = ("", "arrays", "image", "linalg", "nn", "random", "signal")
NULL = Device.null()
NULL.pool.limit = 2**26  # its buffers are memory of the host
ODD: tuple[Any, ...] = (
    None,
    "x",
    object(),
    {},
    [],
    [None],
    1j,
    float("nan"),
    float("inf"),
    -1,
    1.5,
    True,
    np.array(1),
    np.array(1.0),
    np.array(3),
    np.array(1 + 2j),
    np.float64(0.5),
    np.complex64(1 + 2j),
    np.int64(1),
    np.uint8(1),
    np.uint8(2),
    complex(1),
    [[1, 2], [3]],
    10**400,
    range(2),
    ((1, "a"), (2, 3)),
)
VAST = (2**31, 2**40, 2**64, 1e9, 1e300, (2**31, 2**31), (1, 2**33), -(2**40))
# What an operation may make on the host: tables for windows and images as large as buffers hold.
MOST_BYTES = 2**28
# Launches of every place of a stride are many, but no memory of the host's.
MANY_LAUNCHES = {("conv_transpose1d", "stride"), ("conv_transpose2d", "stride")}

Call = tuple[Callable[..., Any], inspect.BoundArguments]


def recorded() -> Iterator[tuple[str, Call]]:
    """Yield the first call of each public function in its own example."""
    for package in PACKAGES:
        module = importlib.import_module(f"gpustd.{package}".rstrip("."))
        for name in module.__all__:
            member = getattr(module, name)
            if inspect.isfunction(member) and (package or not hasattr(gpustd.arrays, name)):
                call = first_call(module, name, member)
                if call:
                    yield f"{package}.{name}".lstrip("."), call


def first_call(module: Any, name: str, function: Callable[..., Any]) -> Call | None:
    calls: list[inspect.BoundArguments] = []

    @wraps(function)
    def noted(*given: Any, **named: Any) -> Any:
        bound = inspect.signature(function).bind(*given, **named)
        bound.apply_defaults()
        calls.append(bound)
        return function(*given, **named)

    examples = doctest.DocTestFinder(recurse=False).find(function, name, globs=example_names(NULL))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, noted)
        patch.setattr(Device, "auto", lambda: NULL)
        for example in examples:
            doctest.DocTestRunner(verbose=False).run(example, out=lambda text: None)
    return (function, calls[0]) if calls else None


CALLS = dict(recorded())


def exchanged(path: str, odd: tuple[Any, ...]) -> Iterator[tuple[str, Call]]:
    """Yield the call, and its name, with each of ``odd`` in the place of each argument."""
    function, bound = CALLS[path]
    signature = inspect.signature(function)
    for name, parameter in signature.parameters.items():
        if name == "device" or (path.rpartition(".")[2], name) in MANY_LAUNCHES:
            continue
        for value in odd:
            several = parameter.kind == parameter.VAR_POSITIONAL
            arguments = dict(bound.arguments) | {name: (value,) if several else value}
            changed = inspect.BoundArguments(signature, arguments)  # type: ignore[arg-type]
            yield f"{path}({name}={value!r})", (function, changed)


def attempt(label: str, call: Call) -> None:
    """Make a call, which may fail with an error of the library's own."""
    function, bound = call
    try:
        function(*bound.args, **bound.kwargs)
    except GpuError:
        pass
    except Exception as error:
        error.add_note(label)
        raise


@pytest.mark.parametrize("path", CALLS)
def test_odd_arguments(path: str) -> None:
    for label, call in exchanged(path, ODD):
        attempt(label, call)


@pytest.mark.parametrize("path", CALLS)
def test_vast_arguments(path: str) -> None:
    for label, call in exchanged(path, VAST):
        tracemalloc.start()
        try:
            attempt(label, call)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < MOST_BYTES, f"{label} takes {peak} bytes"


def test_most_functions_are_called() -> None:
    assert len(CALLS) > 250
