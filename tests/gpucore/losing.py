"""How a test takes a device away."""

from __future__ import annotations

from gpucore import Device
from gpucore.backends.drivers.backend import CardBackend
from gpucore.backends.drivers.errors import DriverError


def lose(device: Device) -> None:
    """Destroy the engine's device, as a driver that resets does.

    A card's context cannot be destroyed without those of other devices; the backend hears of an
    error that ends it.
    """
    engine = device.engine
    if isinstance(engine, CardBackend):
        engine.failure("losing it", DriverError("cuStreamSynchronize", 719, "lost by a test"))
    else:
        engine._device.destroy()  # type: ignore[attr-defined]
