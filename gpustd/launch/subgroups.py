"""Width of subgroups, for kernels that hand values from lane to lane."""

from __future__ import annotations

import re

from gpucore import Device
from gpustd.launch.variants import forced_variant

__all__ = ["broadcast_lanes", "row_lanes", "subgroup_lanes"]

_LEAST = 32
_WIDTH = re.compile(r"llvmpipe \(.*, (\d+) bits\)")


def broadcast_lanes(device: Device) -> int:
    """Lanes of a subgroup of a CPU adapter that has subgroups; 0 elsewhere.

    Mesa's llvmpipe runs one invocation a 32-bit lane of its vectors, whose width stands in the
    device's name, while the subgroup sizes that it reports are only bounds. On a CPU a load costs
    the same whether lanes share an address or not, and a broadcast from a constant lane is next
    to free: there, lanes should load different values and hand them round.
    """
    found = _WIDTH.match(device.name)
    if not device.is_cpu or "subgroups" not in device.features or found is None:
        return 0
    return int(found[1]) // 32


def row_lanes(device: Device) -> int:
    """Lanes of a subgroup where it is known that all have as many, up to 64; 0 elsewhere."""
    least, most = device.subgroup_size
    if device.is_cpu or "subgroups" not in device.features:
        return broadcast_lanes(device)
    return most if least == most <= 64 else 0


def subgroup_lanes(device: Device, operation: str, most: int) -> int:
    """Lanes of the subgroups in which an operation's rows are handled; 0 where it does without.

    Those of 32 to ``most`` lanes suit, unless another variant is wanted.
    """
    lanes = row_lanes(device)
    variant = forced_variant(operation) or ("subgroups" if _LEAST <= lanes <= most else "")
    return lanes if variant == "subgroups" else 0
