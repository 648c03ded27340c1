"""The doctor's self-test: small computations that show whether an adapter computes correctly.

``python -m gpucore.doctor.selftest ENGINE`` prints the adapters of an engine as JSON. With a number
after it, it prints the results of that adapter's self-test. The doctor runs it as a process of its
own, since a driver may crash or hang, and the report must survive that.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore.adapters import engine_adapters
from gpucore.backends import AdapterInfo
from gpucore.device import Device
from gpucore.dtypes import f32, u32
from gpucore.errors import GpuError

__all__ = ["Check", "adapter_record", "run_checks"]


@dataclass(frozen=True)
class Check:
    """One computation: its name, whether its numbers were right, and details."""

    name: str
    ok: bool
    detail: str


FMA_CHAIN = """\
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let a = x[id.x];
    var s = a;
    for (var i = 0; i < 64; i++) {
        s = fma(s, a, 1.0);
    }
    y[id.x] = s;
}
"""

HASH = """\
@group(0) @binding(0) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    var h = id.x;
    for (var i = 0u; i < 16u; i++) {
        h = (h ^ (h >> 15u)) * 2246822519u + i;
    }
    y[id.x] = h;
}
"""

HALF = """\
enable f16;
@group(0) @binding(0) var<storage, read> x: array<f16>;
@group(0) @binding(1) var<storage, read_write> y: array<f16>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    y[id.x] = x[id.x] * x[id.x] + x[id.x];
}
"""

REDUCTION = """\
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
var<workgroup> part: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    part[local] = x[group.x * 64u + local];
    for (var half = 32u; half > 0u; half = half / 2u) {
        workgroupBarrier();
        if (local < half) {
            part[local] += part[local + half];
        }
    }
    if (local == 0u) {
        y[group.x] = part[0];
    }
}
"""

SUBGROUPS = """\
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32>;
@group(0) @binding(2) var<storage, read_write> firsts: array<u32>;

@compute @workgroup_size(128)
fn main(@builtin(global_invocation_id) id: vec3u) {
    sums[id.x] = subgroupAdd(x[id.x]);
    firsts[id.x] = subgroupMin(id.x);
}
"""

MATRIX = """\
enable f16;
enable chromium_experimental_subgroup_matrix;
@group(0) @binding(0) var<storage, read> a: array<f16>;
@group(0) @binding(1) var<storage, read> b: array<f16>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
override lanes: u32;

@compute @workgroup_size(lanes)
fn main() {
    let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&a, 0u, 16u);
    let right = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&b, 0u, 16u);
    var sum: subgroup_matrix_result<f32, 16, 16>;
    sum = subgroupMatrixMultiplyAccumulate(left, right, sum);
    subgroupMatrixStore<row_major>(&c, 0u, sum, 16u);
}
"""


def run_checks(device: Device) -> list[Check]:
    """Run every check that the device's features allow."""
    checks = [
        ("f32 arithmetic", True, _fma_chain),
        ("32-bit integers", True, _hash),
        ("workgroup memory", True, _reduction),
        ("f16 arithmetic", device.has_f16, _half),
        ("subgroups", "subgroups" in device.features, _subgroups),
        ("matrix units", device.has_matrix_units, _matrix),
    ]
    return [_run_check(name, check, device) for name, is_possible, check in checks if is_possible]


def _run_check(name: str, check: Callable[[Device], str], device: Device) -> Check:
    """Run a check, which returns a description of what is wrong, or ""."""
    try:
        fault = check(device)
    except GpuError as error:
        fault = str(error)
    return Check(name, not fault, fault or "right")


def _fma_chain(device: Device) -> str:
    """Compare s = a s + 1, computed 64 times, with float64.

    With a <= 0.9 and s <= 10 a step rounds twice at most (a driver may split fma), each time by
    2^-24 of s. All errors together grow to at most 1 / (1 - a) = 10 times that of one step.
    """
    x = np.linspace(-0.9, 0.9, 1024, dtype=np.float32)
    found = device.buffer(f32, x.size)
    device.compile_kernel(FMA_CHAIN)(device.buffer_from_array(x), found, grid=16)
    expected = a = x.astype(np.float64)
    for _ in range(64):
        expected = expected * a + 1
    return _difference(found.read(), expected, tolerance=2 * 2.0**-24 * 10 * 10)


def _hash(device: Device) -> str:
    """Check shifts, exclusive or and products of 32 bits, exactly."""
    found = device.buffer(u32, 1024)
    device.compile_kernel(HASH)(found, grid=16)
    expected: NDArray[Any] = np.arange(1024, dtype=np.uint64)
    for i in range(16):
        expected = ((expected ^ (expected >> 15)) * 2246822519 + i) % 2**32
    return _difference(found.read(), expected)


def _half(device: Device) -> str:
    """Check x² + x for multiples of 1/8: all values fit into f16's 11 bits, so nothing rounds."""
    x = (np.arange(-32, 32) / 8).astype(np.float16)
    found = device.buffer_from_array(np.zeros_like(x))
    device.compile_kernel(HALF)(device.buffer_from_array(x), found, grid=1)
    exact = x.astype(np.float64)
    return _difference(found.read(), exact * exact + exact)


def _reduction(device: Device) -> str:
    """Check sums of 64 whole numbers through workgroup memory and barriers, exactly."""
    x = np.random.default_rng(1).integers(-1000, 1000, (32, 64)).astype(np.float32)
    found = device.buffer(f32, 32)
    device.compile_kernel(REDUCTION)(device.buffer_from_array(x), found, grid=32)
    return _difference(found.read(), x.sum(1))


def _subgroups(device: Device) -> str:
    """Check sums over subgroups, exactly; the least invocation identifies a lane's subgroup."""
    x = np.random.default_rng(2).integers(0, 1000, 1024).astype(np.uint32)
    sums, firsts = device.buffer(u32, x.size), device.buffer(u32, x.size)
    # Dawn requires the directive, as WGSL says; wgpu's compiler does not know it yet.
    head = "enable subgroups;\n" if device.info.engine == "dawn" else ""
    device.compile_kernel(head + SUBGROUPS)(device.buffer_from_array(x), sums, firsts, grid=8)
    group = firsts.read().astype(np.int64)
    if (group > np.arange(x.size)).any():
        return "an invocation is in no subgroup of its own"
    totals = np.bincount(group, weights=x, minlength=x.size)
    return _difference(sums.read(), totals[group])


def _matrix(device: Device) -> str:
    """Check one 16x16x16 matrix product of small whole numbers in f16 with f32 sums, exactly."""
    a, b = np.random.default_rng(3).integers(-8, 9, (2, 16, 16)).astype(np.float16)
    found = device.buffer(f32, (16, 16))
    kernel = device.compile_kernel(MATRIX, constants={"lanes": max(device.subgroup_size[1], 1)})
    kernel(device.buffer_from_array(a), device.buffer_from_array(b), found, grid=1)
    return _difference(found.read(), a.astype(np.float64) @ b.astype(np.float64))


def _difference(found: NDArray[Any], expected: NDArray[Any], tolerance: float = 0.0) -> str:
    """Describe how numbers differ by more than ``tolerance``; "" where they do not."""
    error = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    wrong = ~(error <= tolerance)
    if not wrong.any():
        return ""
    i = int(np.flatnonzero(wrong)[0])
    return (
        f"{np.count_nonzero(wrong)} of {wrong.size} numbers are wrong: number {i} is "
        f"{found.flat[i]!s}, not {expected.flat[i]!s}"
    )


def adapter_record(info: AdapterInfo) -> dict[str, Any]:
    """Return an adapter's description in types that JSON has."""
    record = {field.name: getattr(info, field.name) for field in dataclasses.fields(info)}
    return record | {
        "backend": info.backend,
        "features": sorted(info.features),
        "limits": {name: int(value) for name, value in sorted(info.limits.items())},
    }


def _main(engine: str, number: str = "") -> int:
    """Print the adapters of an engine, or one adapter's checks, as the last line of JSON."""
    present = engine_adapters(engine)
    if number:
        device = Device.open(present[int(number)])
        answer = [dataclasses.asdict(check) for check in run_checks(device)]
    else:
        answer = [adapter_record(info) for info in present]
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:3]))
