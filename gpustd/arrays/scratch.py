"""Words of memory in which workgroups of one launch meet, zero between launches."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from gpucore import Buffer, CaptureError, Device, PerDevice, u32
from gpustd.arrays.creation import zeros

__all__ = ["clean_words"]

_WORDS = 32768

_kept: PerDevice[Buffer[u32]] = PerDevice(
    lambda device: device.buffer_from_array(np.zeros(_WORDS, np.uint32), u32)
)


def clean_words(device: Device, count: int) -> Buffer[u32]:
    """``count`` zeros or more; the kernel that takes them has to leave zeros.

    The device keeps 128 KiB of them, so that no launch need make them. More, or the first inside
    ``device.capture()``, are made.
    """
    if count <= _WORDS:
        with suppress(CaptureError):
            return _kept.of(device)
    return zeros(device, count, u32)
