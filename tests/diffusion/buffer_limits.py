"""A device whose buffers are small, as those of some drivers are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpucore import Device

__all__ = ["limit_buffers"]


def limit_buffers(monkeypatch: pytest.MonkeyPatch, device: Device, nbytes: int) -> None:
    """Make a device like those that bind at most ``nbytes`` of a buffer."""
    device.trim()  # idle memory of earlier tests would be taken without asking for a buffer
    limits = dict(device.info.limits) | {"max_storage_buffer_binding_size": nbytes}
    monkeypatch.setattr(device.engine, "info", replace(device.info, limits=limits))
