"""`PerDevice`: a value that a module keeps for each device, stored in the device itself."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakSet

from gpucore.waiting import Lock

__all__ = ["PerDevice"]

V = TypeVar("V")


class _Keeper(Protocol):
    """The part of a `Device` that holds the values."""

    kept_values: dict[object, Any]
    lock: Lock


class PerDevice(Generic[V]):
    """One value for each device, such as its kernels by name; ``make(device)`` makes the first.

    Values may refer to their device, as buffers and kernels do. The device holds them, so that they
    are dropped together with it. (A weak table of devices would never lose one: its own values
    would hold its keys.) `Device.close` drops them; a reopened device begins with none. They are
    dropped, too, when nothing refers to this object any more; so they must not refer to it.

    >>> buffers: PerDevice[list[object]] = PerDevice(lambda device: [])
    >>> buffers.of(device).append(device.buffer(f32, 4))
    >>> len(buffers.of(device))
    1
    """

    def __init__(self, make: Callable[[Any], V]) -> None:
        self._make = make
        self._key = object()  # what devices hold in place of this object, which may end before
        self._devices: WeakSet[Any] = WeakSet()
        weakref.finalize(self, _drop, self._key, self._devices).atexit = False

    def of(self, device: _Keeper) -> V:
        """Return the device's value; make it where there is none yet."""
        value: V
        try:
            value = device.kept_values[self._key]
        except KeyError:
            with device.lock:
                if self._key not in device.kept_values:
                    self.put(device, self._make(device))
                value = device.kept_values[self._key]
        return value

    def put(self, device: _Keeper, value: V) -> None:
        """Keep another value from now on."""
        self._devices.add(device)
        device.kept_values[self._key] = value

    def forget(self, device: _Keeper) -> None:
        """Drop the value: `of` makes it again."""
        device.kept_values.pop(self._key, None)


def _drop(key: object, devices: WeakSet[Any]) -> None:
    """Drop the values of a table that has ended."""
    for device in devices:
        device.kept_values.pop(key, None)
