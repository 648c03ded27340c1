"""`Module`: attributes that are weights or modules, and one ``__call__``.

Attribute names are the parameter names of the diffusers layout, so that a folder loads without a
table of names: ``self.to_out = [Linear(...)]`` holds ``to_out.0.weight`` and ``to_out.0.bias``.

In profiles, each module records in a region of its own, named as in its parent:
``unet/down_blocks.0/resnets.1/conv1``.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device, DType, f32
from gpustd import transpose

__all__ = ["Layout", "Module", "Observer", "Parameter", "load", "observe_modules"]

Layout = Literal["plain", "vector", "linear", "conv"]
Observer = Callable[[str, Any], None]
"""A function of a module's region and its result."""

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

    def release(self) -> None:
        """Give the memory back, once another buffer holds the weight."""
        self._buffer = None

    def fill(self, array: NDArray[Any], device: Device, dtype: type[DType]) -> None:
        """Upload ``array`` (of the file's shape) and lay it out on the device."""
        dtype = f32 if self.layout == "vector" else dtype
        buffer = device.buffer_from_array(np.ascontiguousarray(array), dtype)
        axes = _AXES.get(self.layout)
        self._buffer = buffer if axes is None else transpose(buffer, axes)


class Module:
    """A part of a network, whose parameters are found through its attributes."""

    _place: tuple[Device, str] | None = None
    """Device, and name in the parent, once loaded. A whole network has no name."""

    def __init_subclass__(cls) -> None:
        if "__call__" in vars(cls):
            cls.__call__ = _record_in_region(cls.__call__)  # type: ignore[method-assign]

    def after_load(self) -> None:
        """Rearrange weights. `load` calls it once all are on the device, children first."""

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


def load(
    module: Module, read: Callable[[str], NDArray[Any]], device: Device, dtype: type[DType]
) -> None:
    """Fill every parameter with the array that ``read`` gives for its name; name the regions.

    Warns of weights beyond the range of ``dtype``, which become infinite.
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
        _trim_idle_memory(device)
    _finish(module, device)


def _finish(module: Module, device: Device) -> None:
    """Name the regions of all modules inside; call `after_load` of each, children first."""
    for name, member in _members(module):
        if isinstance(member, Module):
            member._place = device, name
            _finish(member, device)
    module.after_load()
    _trim_idle_memory(device)


def _trim_idle_memory(device: Device) -> None:
    """Give idle memory back. Else weights, which stay, would take blocks larger than they need."""
    if device.pool.idle > _MOST_IDLE:
        device.trim()
