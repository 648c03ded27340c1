"""Words of memory that workgroups of one launch share; they are zero between launches."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from gpucore import Buffer, CaptureError, Device, PerDevice, u32
from gpustd.arrays.creation import zeros

__all__ = ["zeroed_words"]

_WORDS = 32768

_kept: PerDevice[Buffer[u32]] = PerDevice(
    lambda device: device.buffer_from_array(np.zeros(_WORDS, np.uint32), u32)
)


def zeroed_words(device: Device, count: int) -> Buffer[u32]:
    """Return ``count`` zeros or more; the kernel that uses them must leave zeros.

    The device keeps 128 KiB of them, so that launches need not write zeros first. New ones are
    allocated for a larger count, and for the first use inside ``device.capture()``.
    """
    if count <= _WORDS:
        with suppress(CaptureError):
            return _kept.of(device)
    return zeros(device, count, u32)
