"""`Module`: attributes that are weights or modules, and one ``__call__``.

Attribute names are the parameter names of the diffusers layout, so that a folder loads without a
table of names: ``self.to_out = [Linear(...)]`` holds ``to_out.0.weight`` and ``to_out.0.bias``.

In profiles, each module records in a region of its own, named as in its parent:
``unet/down_blocks.0/resnets.1/conv1``.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device, DType, LimitError, f32
from gpustd import cast, transpose

__all__ = [
    "Layout",
    "Module",
    "Observer",
    "Parameter",
    "Table",
    "largest_buffer",
    "load",
    "observe_modules",
    "trim_idle_memory",
]

Layout = Literal["plain", "vector", "linear", "conv"]
Observer = Callable[[str, Any], None]
"""A function of a module's region and its result."""

_BUFFER_LIMITS: Final = ("max_buffer_size", "max_storage_buffer_binding_size")
_MOST_IDLE = 32 << 20
"""Idle bytes of the device's pool, beyond which they are given back while weights load."""

_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)

_AXES: dict[Layout, tuple[int, ...]] = {"linear": (1, 0), "conv": (2, 3, 1, 0)}


class Parameter:
    """A weight: its shape in the file, and its buffer once loaded.

    ``layout`` is its order on the device: ``plain`` as in the file; ``vector`` in f32 (biases and
    norms); ``linear`` (out, in) as (in, out); ``conv`` (out, in, kh, kw) as (kh, kw, in, out).
    """

    def __init__(self, shape: tuple[int, ...], layout: Layout = "plain") -> None:
        self.shape = shape
        self.layout: Layout = layout
        self._buffer: Buffer[Any] | None = None

    @property
    def buffer(self) -> Buffer[Any]:
        """The weight on the device. Raises `RuntimeError` before `load`."""
        if self._buffer is None:
            raise RuntimeError(f"a parameter of shape {self.shape} is used before it is loaded")
        return self._buffer

    def replace(self, buffer: Buffer[Any]) -> None:
        """Take another buffer of the same layout on the device."""
        self._buffer = buffer

    @property
    def is_filled(self) -> bool:
        """Tell whether it has a buffer of its own."""
        return self._buffer is not None

    def release(self) -> None:
        """Give the memory back, once another buffer holds the weight."""
        self._buffer = None

    def fill(self, array: NDArray[Any], device: Device, dtype: type[DType]) -> None:
        """Upload ``array`` (of the file's shape) and lay it out on the device."""
        dtype = f32 if self.layout == "vector" else dtype
        self._lay_out(device.buffer_from_array(np.ascontiguousarray(array), dtype))

    def fill_from(self, weight: Buffer[f32], dtype: type[DType]) -> None:
        """Round a weight of the file's shape that lies on the device, and lay it out."""
        self._lay_out(cast(weight, f32 if self.layout == "vector" else dtype))

    def _lay_out(self, buffer: Buffer[Any]) -> None:
        axes = _AXES.get(self.layout)
        self._buffer = buffer if axes is None else transpose(buffer, axes)


class Table(Parameter):
    """A weight (rows, channels) whose rows are looked up: in parts where one buffer is too small.

    The token embedding of SD 1.x takes 152 MB in f32, and Mesa's software renderer binds 134 MB.
    """

    def __init__(self, rows: int, channels: int) -> None:
        super().__init__((rows, channels))
        self.parts: list[Buffer[Any]] = []

    def fill(self, array: NDArray[Any], device: Device, dtype: type[DType]) -> None:
        rows = max(1, largest_buffer(device) // max(1, self.shape[1] * dtype.itemsize))
        pieces = [array[first : first + rows] for first in range(0, len(array), rows)]
        self.parts = [device.buffer_from_array(np.ascontiguousarray(p), dtype) for p in pieces]

    def release(self) -> None:
        self.parts = []


class Module:
    """A part of a network, whose parameters are found through its attributes."""

    _place: tuple[Device, str] | None = None
    """Device, and name in the parent, once loaded. A whole network has no name."""

    def __init_subclass__(cls) -> None:
        if "__call__" in vars(cls):
            cls.__call__ = _record_in_region(cls.__call__)  # type: ignore[method-assign]

    def after_load(self) -> None:
        """Rearrange weights. `load` calls it once all are on the device, children first."""

    def rearranged_parameters(self) -> list[Parameter]:
        """Return the parameters that `after_load` reads: it needs all of them filled."""
        return []

    def modules(self) -> Iterator[Module]:
        """Yield all modules inside, children first, and this one last."""
        for _, member in _members(self):
            if isinstance(member, Module):
                yield from member.modules()
        yield self

    def parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield names in the file and parameters, depth first; private attributes are left out."""
        for name, member in _members(self):
            if isinstance(member, Parameter):
                yield f"{prefix}{name}", member
            else:
                yield from member.parameters(f"{prefix}{name}.")


def _record_in_region(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same call, recorded in the module's region."""

    @functools.wraps(call)
    def call_in_region(module: Module, *arguments: Any, **options: Any) -> Any:
        if module._place is None:
            return call(module, *arguments, **options)
        device, name = module._place
        with device.region(name):
            result = call(module, *arguments, **options)
            observer = _observer.get()
            if observer is not None:
                observer(device.stream.region, result)
            return result

    return call_in_region


@contextmanager
def observe_modules(observer: Observer) -> Iterator[None]:
    """Show ``observer`` the result of every module that is called inside, inner ones first."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def _members(module: Module) -> Iterator[tuple[str, Parameter | Module]]:
    """Yield names and values of public attributes that are weights or modules, or in lists."""
    for name, value in vars(module).items():
        if not name.startswith("_"):
            yield from _flatten(name, value)


def _flatten(name: str, value: object) -> Iterator[tuple[str, Parameter | Module]]:
    """Yield a weight or module, or those of a list: ``name.0``, ``name.1`` and so on."""
    if isinstance(value, (Parameter, Module)):
        yield name, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _flatten(f"{name}.{index}", item)


def largest_buffer(device: Device) -> int:
    """Return the bytes of the largest buffer that a kernel can read on a device."""
    return min(device.limits.get(name, sys.maxsize) for name in _BUFFER_LIMITS)


def load(
    module: Module, read: Callable[[str], NDArray[Any]], device: Device, dtype: type[DType]
) -> None:
    """Fill every parameter with the array that ``read`` gives for its name; name the regions.

    Warns of weights beyond the range of ``dtype``, which become infinite. Raises `LimitError`.
    """
    for name, parameter in module.parameters():
        array = read(name)
        try:
            with np.errstate(over="raise"):
                parameter.fill(array, device, dtype)
        except FloatingPointError:
            message = f"{name} holds weights beyond the range of {dtype.name}"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
            with np.errstate(over="ignore"):
                parameter.fill(array, device, dtype)
        except LimitError:
            raise _limit_error(name, array.size * dtype.itemsize, device, dtype) from None
        trim_idle_memory(device)
    _finish(module, device)


def _limit_error(name: str, nbytes: int, device: Device, dtype: type[DType]) -> LimitError:
    """Return the error for a weight that no kernel can read on a device."""
    half = "compute in f16 (--dtype f16), or " if dtype is f32 and device.has_f16 else ""
    return LimitError(
        f"{name}: a weight must take at most {largest_buffer(device)} bytes on "
        f"{device.info.name} ({device.info.backend}), got {nbytes} in {dtype.name}; "
        f"{half}choose another device"
    )


def _finish(module: Module, device: Device) -> None:
    """Name the regions of all modules inside; call `after_load` of each, children first."""
    for name, member in _members(module):
        if isinstance(member, Module):
            member._place = device, name
            _finish(member, device)
    module.after_load()
    trim_idle_memory(device)


def trim_idle_memory(device: Device) -> None:
    """Give idle memory back. Else weights, which stay, would take blocks larger than they need."""
    if device.pool.idle > _MOST_IDLE:
        device.trim()
