"""Poisoned memory: what an operation forgets to write shows as NaN."""

from __future__ import annotations

import numpy as np

from gpucore import Device

_COPIES = 3


def poison_pool(device: Device, *sizes: int) -> None:
    """Make the pool hand out memory of NaN for the next buffers of these sizes in bytes.

    All bits are set: NaN in f32 and f16, -1 in i32, 255 in u8. Whatever lay idle in the pool is
    given back first, since it would be handed out before.
    """
    device.trim()
    held = [
        device.buffer_from_array(np.full(max(size + 3, 4) // 4, 0xFFFFFFFF, np.uint32))
        for size in sizes
        for _ in range(_COPIES)
    ]
    del held
