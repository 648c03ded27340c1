"""The variants ``naive``, ``cpu`` and ``lanes``, whose kernels leave the epilogue to a uniform.

Where kernels are compiled on the CPU that also runs them, compiling one costs more than a few
uniform branches. Such a kernel has bindings for the whole epilogue. A buffer that is not given is
bound to a stand-in, which the kernel does not read.
"""

from __future__ import annotations

from gpucore import Buffer, Device, PerDevice, f32
from gpucore.integers import ceil_div
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import broadcast_lanes
from gpustd.launch.template import Value
from gpustd.matmul.kernel_spec import matmul_params
from gpustd.matmul.operation import Matmul, Operands
from gpustd.matmul.variants.launches import Launch

__all__ = ["plan_cpu", "plan_lanes", "plan_naive"]

_NAIVE_WORKGROUP = 64
_CPU_WORKGROUP = 16
_CPU_TILE = 8

_unread_bias: PerDevice[Buffer[f32]] = PerDevice(lambda device: device.buffer(f32, 4))


def plan_naive(matmul: Matmul, operands: Operands) -> list[Launch]:
    """Plan one result in each invocation."""
    grid = flat_grid(matmul.m * matmul.n, _NAIVE_WORKGROUP)
    return [_flexible_launch(matmul, operands, "naive", {"vector": False}, grid)]


def plan_cpu(matmul: Matmul, operands: Operands) -> list[Launch]:
    """Plan a block of 8 x 8 results (8 x 4 for GEGLU) in each invocation."""
    width = 4 if matmul.activation == "geglu" else _CPU_TILE
    blocks = ceil_div(matmul.m, _CPU_TILE) * ceil_div(matmul.n, width)
    grid = flat_grid(blocks, _CPU_WORKGROUP)
    return [_flexible_launch(matmul, operands, "cpu", {"vector": True}, grid)]


def plan_lanes(matmul: Matmul, operands: Operands) -> list[Launch]:
    """Plan a block of results in each subgroup, whose lanes broadcast the left operand."""
    device = operands.y.device
    width = broadcast_lanes(device)
    geglu = matmul.activation == "geglu"
    quads = 2 if geglu or matmul.n % (8 * width) == 0 else 1
    rows = 2 * width
    columns = 4 * width if geglu else 4 * quads * width
    blocks = ceil_div(matmul.m, rows) * ceil_div(matmul.n, columns)
    variables: dict[str, Value] = {
        "vector": True,
        "lanes": width,
        "rows": rows,
        "quads": quads,
    }
    return [_flexible_launch(matmul, operands, "lanes", variables, flat_grid(blocks, 1))]


def _flexible_launch(
    matmul: Matmul,
    operands: Operands,
    variant: str,
    variables: dict[str, Value],
    grid: tuple[int, int, int],
) -> Launch:
    y, epilogue = operands.y, operands.epilogue
    spec: dict[str, Value] = {
        "scalar": operands.scalar,
        "out": y.dtype.name,
        "source": matmul.source,
        "two": operands.second is not None,
        "activation": matmul.activation or "none",
        "flexible": True,
        "masked": bool(matmul.window),
        "batched": matmul.batch is not None,
        **variables,
        **operands.weight_spec(4 if variables["vector"] else 1),
    }
    unread = operands.w if operands.quantized is None else operands.x
    stand_ins = (_stand_in(y.device), unread, unread)
    bound = [b if b is not None else s for b, s in zip(epilogue, stand_ins, strict=True)]
    fused = sum(1 << bit for bit, given in enumerate(epilogue.flags.values()) if given)
    params = matmul_params(matmul, epilogue, 4 if variables["vector"] else 1, fused=fused)
    return Launch(
        f"matmul/gemm/{variant}.wgsl",
        spec,
        [*operands.factors, *bound, y, params],
        (*grid[:2], matmul.batch or 1),
        matmul.work([*operands.factors, *epilogue.buffers, y]),
    )


def _stand_in(device: Device) -> Buffer[f32]:
    """Return the buffer that is bound where there is no bias.

    It is made again where a capture made it first and found no room for it.
    """
    if _unread_bias.of(device).is_released:
        _unread_bias.forget(device)
    return _unread_bias.of(device)
