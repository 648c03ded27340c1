"""`with_copy_rate`: how quickly a device copies the weights that lie in memory of the host."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from typing import Final

import numpy as np

from diffusion.memory import MemoryPlan
from diffusion.models.module import is_traced
from gpucore import Device, PerDevice
from gpucore.memory.host import HostArray

__all__ = ["with_copy_rate"]

_BYTES: Final = 8 << 20
_COPIES: Final = 8
_TIMES: Final = 3


def with_copy_rate(plan: MemoryPlan, device: Device) -> MemoryPlan:
    """Return a plan that tells how long its copies take, if it has any.

    The rate is measured once for each device, on another one of the same adapter: the device's own
    memory may be bounded. It is None where nothing is computed.
    """
    if not any(plan.host.values()):
        return plan
    return replace(plan, copy_rate=_rates.of(device))


def _measure(device: Device) -> float | None:
    """Return bytes a second, of the quickest of some replays."""
    if is_traced(device) or device.info.engine == "null":
        return None
    with closing(Device.open(device.info, checks=False)) as own:
        array = HostArray(own, own.buffer_from_array(np.zeros(_BYTES, np.uint8)))
        with own.capture() as graph:
            copies = [array.upload() for _ in range(_COPIES)]
        seconds = []
        for _ in range(_TIMES):
            begun = time.perf_counter()
            graph.replay()
            own.synchronize()
            seconds.append(time.perf_counter() - begun)
        graph.release()
        return len(copies) * _BYTES / min(seconds)


_rates: PerDevice[float | None] = PerDevice(_measure)
