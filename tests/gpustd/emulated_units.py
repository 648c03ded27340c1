"""Kernels for matrix units, run on devices that have none: the text emulates the units."""

from __future__ import annotations

import pytest

from gpucore import Device, Kernel
from gpucore.sanitizer import CheckedText
from gpustd.launch import template
from tests.gpustd.matrix_emulator import LANES, emulate

__all__ = ["emulated", "emulated_kernel", "need_matrix_units"]

_UNITS = "enable chromium_experimental_subgroup_matrix;"
_emulated: dict[tuple[Device, str], Kernel] = {}


def emulated_kernel(device: Device, name: str, **spec: template.Value) -> Kernel:
    """Return what `template.kernel` does, with matrix units emulated where the text has them."""
    source = template.render(name, spec)
    if _UNITS not in source:
        return template.kernel(device, name, **spec)
    key = (device, source)
    if key not in _emulated:
        _emulated[key] = emulated(device, source, source, template.label_of(name, spec))
    return _emulated[key]


def emulated(device: Device, source: str, checked: str, label: str) -> Kernel:
    """Return the kernel of ``source`` with matrix units emulated.

    The sanitizer, which has matrix units, runs ``checked``.
    """
    kernel = device.compile_kernel(emulate(source), label=label)
    kernel.listing.checked = lambda: CheckedText(checked, subgroup_size=LANES)
    return kernel


def need_matrix_units(device: Device) -> None:
    """Skip where the device has no matrix units and cannot emulate them."""
    if device.info.engine != "dawn" or not device.has_f16:
        pytest.skip(f"{device!r} is not Dawn with f16, where matrix units are")
