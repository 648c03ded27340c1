"""Copies between buffers of a device: WebGPU's command, or a kernel where that is quicker.

On an NVIDIA H200, Vulkan's command moves a sixth of the bytes per second that a kernel moves.
Software renderers do it with memcpy, which on llvmpipe is 2 to 15 times as quick as a kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpucore.dtypes import u32
from gpucore.integers import ceil_div
from gpucore.per_device import PerDevice

if TYPE_CHECKING:
    from gpucore.buffer import Buffer
    from gpucore.device import Device
    from gpucore.kernel import Kernel

__all__ = ["copy_grid", "copy_words", "prefers_kernel"]

_MIN_KERNEL_BYTES = 64 << 10
_MAX_GROUPS = 65535  # along one dimension of a grid
_GROUP_BYTES = 16 << 10

# Each invocation copies four words of 16 bytes, and reads all of them before it writes one.
# Neighbouring invocations copy neighbouring words.
SOURCE = """\
const LANES = 256u;

@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<u32>>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let count = arrayLength(&y);
    var at = (group.y * groups.x + group.x) * 4u * LANES + lane;
    if (at + 3u * LANES < count) {
        let a = x[at];
        let b = x[at + LANES];
        let c = x[at + 2u * LANES];
        let d = x[at + 3u * LANES];
        y[at] = a;
        y[at + LANES] = b;
        y[at + 2u * LANES] = c;
        y[at + 3u * LANES] = d;
    } else {
        for (; at < count; at += LANES) {
            y[at] = x[at];
        }
    }
}
"""

_kernels: PerDevice[Kernel] = PerDevice(
    lambda device: device.compile_kernel(SOURCE, wait=False, label="copy")
)


def prefers_kernel(device: Device, nbytes: int) -> bool:
    """Tell whether a kernel is the quicker way to copy ``nbytes`` on this device."""
    return nbytes >= _MIN_KERNEL_BYTES and device.info.kind not in ("cpu", "null")


def copy_words(source: Buffer[u32], target: Buffer[u32]) -> None:
    """Record a copy between two storages; both have one size, a multiple of 16 bytes."""
    device = target.device
    if prefers_kernel(device, target.nbytes):
        _kernels.of(device)(source, target, grid=copy_grid(target.nbytes))
    else:
        device.stream.copy(source.storage, target.storage, target.nbytes)


def copy_grid(nbytes: int, limit: int = _MAX_GROUPS) -> tuple[int, int]:
    """Return the workgroups that copy ``nbytes``, along x and y, neither above ``limit``.

    >>> copy_grid(1), copy_grid(16 << 10), copy_grid(1 << 31)
    ((1, 1), (1, 1), (65535, 3))
    """
    groups = ceil_div(nbytes, _GROUP_BYTES)
    return min(groups, limit), ceil_div(groups, limit)
