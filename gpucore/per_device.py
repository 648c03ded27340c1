"""`PerDevice`: what a module keeps for each device, held by the device itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from gpucore.device import Device

__all__ = ["PerDevice"]

V = TypeVar("V")


class PerDevice(Generic[V]):
    """One value for each device, such as kernels by their names; ``make`` is called for the first.

    Values may refer to their device, as buffers and kernels do: it holds them, so that a device
    that is dropped goes with all of them. (A weak table of devices would never lose one: its own
    values would hold its keys.) `Device.close` lets go of them; a reopened device begins anew.

    >>> buffers: PerDevice[list[object]] = PerDevice(lambda device: [])
    >>> buffers.of(device).append(device.buffer(f32, 4))
    >>> len(buffers.of(device))
    1
    """

    def __init__(self, make: Callable[[Device], V]) -> None:
        self._make = make

    def of(self, device: Device) -> V:
        """The device's value, made where there is none yet."""
        if self not in device.kept:
            device.kept[self] = self._make(device)
        value: V = device.kept[self]
        return value

    def put(self, device: Device, value: V) -> None:
        """Keep another value from now on."""
        device.kept[self] = value

    def forget(self, device: Device) -> None:
        """Let go of the value: `of` makes it again."""
        device.kept.pop(self, None)
