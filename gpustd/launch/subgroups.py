"""Width of subgroups, for kernels that pass values from lane to lane."""

from __future__ import annotations

import re

from gpucore import Device
from gpustd.launch.variants import forced_variant

__all__ = ["broadcast_lanes", "row_lanes", "subgroup_lanes"]

_LEAST_LANES = 32
_WIDTH = re.compile(r"llvmpipe \(.*, (\d+) bits\)")


def broadcast_lanes(device: Device) -> int:
    """Return the lanes of a subgroup on a CPU adapter with subgroups, and 0 elsewhere.

    Mesa's llvmpipe runs one invocation in each 32-bit lane of its vectors. Their width stands in
    the device's name; the subgroup sizes that it reports are only bounds. On a CPU a load costs
    the same whether lanes share an address or not, and a broadcast from a constant lane costs
    almost nothing. There, lanes should load different values and pass them round.
    """
    found = _WIDTH.match(device.name)
    if not device.is_cpu or "subgroups" not in device.features or found is None:
        return 0
    return int(found[1]) // 32


def row_lanes(device: Device) -> int:
    """Return the lanes of a subgroup where all have the same number, up to 64; 0 elsewhere."""
    least, most = device.subgroup_size
    if device.is_cpu or "subgroups" not in device.features:
        return broadcast_lanes(device)
    return most if least == most <= 64 else 0


def subgroup_lanes(device: Device, operation: str, most: int) -> int:
    """Return the lanes of the subgroups that make an operation's rows, or 0 for no subgroups.

    Subgroups of 32 to ``most`` lanes are used, unless another variant is forced.
    """
    lanes = row_lanes(device)
    variant = forced_variant(operation) or ("subgroups" if _LEAST_LANES <= lanes <= most else "")
    return lanes if variant == "subgroups" else 0
