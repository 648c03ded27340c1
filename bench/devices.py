"""Opening the device of a name."""

from __future__ import annotations

from gpucore import Device

__all__ = ["open_device"]


def open_device(name: str) -> Device:
    """Open the device of a name, or the best one, without checks of kernels, as pipelines do."""
    return Device.by_name(name, checks=False) if name else Device.auto(checks=False)
