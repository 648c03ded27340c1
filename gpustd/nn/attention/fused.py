"""Scaled dot-product attention, with no matrix of scores in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from gpucore import Buffer, Device, LimitError, ShapeError, T, Work
from gpucore.integers import ceil_div
from gpustd.launch.checks import as_int, require_buffers
from gpustd.launch.elements import float_scalar
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import broadcast_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant
from gpustd.nn.attention.products import attention_by_products

__all__ = [
    "MatrixTile",
    "Sizes",
    "attention",
    "attention_params",
    "attention_work",
    "matrix_shader",
    "self_attention",
    "takes_matrix_units",
]

_ALL_ONES = 0xFFFFFFFF
_F16_SUMS = ("f16", "f16", 16, 16, 16)
_WORKGROUP_BYTES = "max_compute_workgroup_storage_size"


def attention(
    q: Buffer[T], k: Buffer[T], v: Buffer[T], *, heads: int, causal: bool = False
) -> Buffer[T]:
    """``softmax(q k^T / sqrt(D)) v`` for each head, scores and sums in f32.

    On matrix units, scores of more than 128 keys are f16, counted from their row's greatest among
    the first keys (in many rows of heads of up to 48 channels: from the greatest so far), where
    that, and the lengths of q and of the first keys, are so small that f16 loses little: 2^-11 of
    the sums on the way to a score. Keys much longer than the first ones may lose more.

    Args:
        q: (B, Sq, heads * D), f16 or f32.
        k: (B, Sk, heads * D) of the same dtype, Sk >= 1.
        v: like k.
        heads: how many heads share the channels; head h has channels h * D to h * D + D - 1.
        causal: row i sees keys 0 to i only.

    Returns (B, Sq, heads * D). Infinities and NaN in k may also make what the key before has NaN.
    Raises `ShapeError` or `DTypeError`.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device
    >>> device = Device.auto()
    >>> q = device.buffer_from_array(np.zeros((1, 2, 4), np.float32))
    >>> v = device.buffer_from_array(np.eye(4, dtype=np.float32)[None, :2])
    >>> gpustd.attention(q, v, v, heads=1).read().tolist()
    [[[0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]]]
    """
    sizes = _sizes(q, k, v, heads, causal=causal)
    scalar = float_scalar("attention", q, k, v)
    variant = _chosen(q.device, scalar, sizes, alone=not causal)
    if variant == "products":
        return attention_by_products(q, k, v)
    y = q.device.buffer(q.dtype, q.shape)
    _launch(variant, (q, k, v), (0, 0, 0), y, sizes)
    return y


def self_attention(qkv: Buffer[T], *, heads: int, causal: bool = False) -> Buffer[T]:
    """`attention` whose q, k and v stand side by side in each row, as one product makes them.

    Args:
        qkv: (B, S, 3 * heads * D), f16 or f32: q, then k, then v.
        heads: as in `attention`.
        causal: as in `attention`.

    Returns (B, S, heads * D). Raises `ShapeError` or `DTypeError`.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device
    >>> device = Device.auto()
    >>> qkv = device.buffer_from_array(np.ones((1, 5, 3 * 8), np.float32))
    >>> gpustd.self_attention(qkv, heads=2).shape
    (1, 5, 8)
    """
    require_buffers("self_attention", qkv)
    heads = as_int("self_attention", "heads", heads)
    if len(qkv.shape) != 3 or qkv.shape[1] < 1 or heads < 1 or qkv.shape[2] % (3 * heads):
        raise ShapeError(f"self_attention: {qkv.shape}: wants (B, S, 3 * {heads} heads * D)")
    batch, rows, columns = qkv.shape
    width = columns // 3
    y = qkv.device.buffer(qkv.dtype, (batch, rows, width))
    sizes = Sizes(batch, rows, rows, heads, width // heads, causal)
    scalar = float_scalar("self_attention", qkv)
    variant = _chosen(qkv.device, scalar, sizes, alone=False)
    _launch(variant, (qkv, qkv, qkv), (0, width, 2 * width), y, sizes)
    return y


def _launch(
    variant: str,
    operands: tuple[Buffer[T], Buffer[T], Buffer[T]],
    firsts: tuple[int, int, int],
    y: Buffer[T],
    sizes: Sizes,
) -> None:
    """Record the launch; the heads of each operand begin at ``firsts`` in its rows."""
    device = y.device
    scalar = y.dtype.name
    shader = _VARIANTS[variant](device, scalar, sizes)
    params = attention_params(sizes, shader.unit, 1.0 / math.sqrt(sizes.head))
    for name, operand, first in zip("qkv", operands, firsts, strict=True):
        params[f"{name}_pitch"] = operand.shape[2] // shader.unit
        params[f"{name}_first"] = first // shader.unit
    launch = kernel(device, f"nn/attention/{variant}.wgsl", scalar=scalar, **shader.spec)
    work = attention_work(sizes, (*operands, y))
    launch(*operands, y, params, grid=shader.grid, work=work)


def attention_params(s: Sizes, unit: int, scale: float) -> dict[str, float]:
    """What all variants are told, but where operands' heads lie; ``unit`` channels make a word."""
    return {
        "batch": s.batch,
        "sq": s.sq,
        "sk": s.sk,
        "heads": s.heads,
        "units": s.head // unit,
        "open": 0 if s.causal else _ALL_ONES,
        "scale": math.log2(math.e) * scale,
    }


def attention_work(s: Sizes, buffers: tuple[Buffer[Any], ...]) -> Work:
    """Multiplications and additions of both products, and the bytes of all operands."""
    seen = (s.sk + 1) / 2 if s.causal else s.sk
    results = s.batch * s.sq * s.heads * s.head
    return Work(4.0 * results * seen, sum(b.nbytes for b in {*buffers}))


@dataclass(frozen=True)
class Sizes:
    """Images, queries, keys, heads, channels of a head; ``causal``: row i sees keys 0 to i only."""

    batch: int
    sq: int
    sk: int
    heads: int
    head: int
    causal: bool = False


@dataclass(frozen=True)
class Shader:
    """Template variables of a variant, channels in one element of its buffers, and the grid."""

    spec: dict[str, Value]
    unit: int
    grid: tuple[int, int, int]


def _sizes(q: Buffer[T], k: Buffer[T], v: Buffer[T], heads: int, *, causal: bool) -> Sizes:
    require_buffers("attention", q, k, v)
    heads = as_int("attention", "heads", heads)
    shapes = f"q {q.shape}, k {k.shape}, v {v.shape}"
    if not len(q.shape) == len(k.shape) == len(v.shape) == 3:
        raise ShapeError(f"attention: {shapes}: wants (B, Sq, C), (B, Sk, C), (B, Sk, C)")
    batch, sq, channels = q.shape
    if k.shape != v.shape or (k.shape[0], k.shape[2]) != (batch, channels):
        raise ShapeError(
            f"attention: {shapes}: k and v must be alike, with the batch and channels of q"
        )
    if k.shape[1] < 1:
        raise ShapeError(f"attention: {shapes}: softmax over no keys is undefined")
    if heads < 1 or channels < heads or channels % heads:
        raise ShapeError(f"attention: {channels} channels do not split into {heads} heads")
    return Sizes(batch, sq, k.shape[1], heads, channels // heads, causal)


def _chosen(device: Device, scalar: str, s: Sizes, *, alone: bool) -> str:
    """The variant that is asked for, or the suited one.

    ``alone``: q, k and v share no rows and every row sees all keys, as "products" wants.
    """
    wanted = forced_variant("attention")
    if wanted is None or (wanted == "products" and not alone):
        return _best_variant(device, scalar, s, alone=alone)
    return wanted


def _best_variant(device: Device, scalar: str, s: Sizes, *, alone: bool) -> str:
    """Fastest variant for a device; depends on the sizes of one image only."""
    if device.is_cpu:
        return "cpu" if s.head % 4 == 0 else "naive"
    if takes_matrix_units(device, scalar, s.head):
        return "matrix"
    wide = s.heads == 1 and s.head > 160 and s.sk % 8 == 0 and s.batch * s.sq > 0
    if alone and wide and device.has_matrix_units and scalar == "f16" and s.head % 8 == 0:
        return "products"
    if s.head % 4 == 0 and s.head <= 48:
        return "rows"
    return "flash" if _flash_tile(device, scalar, s) else "naive"


def _naive(device: Device, scalar: str, s: Sizes) -> Shader:
    grid = flat_grid(s.batch * s.sq * s.heads, 64)
    return Shader({"vector": False, "head": s.head}, 1, grid)


def _cpu(device: Device, scalar: str, s: Sizes) -> Shader:
    """Blocks of keys as wide as a subgroup where values can be handed round, else of two."""
    lanes = broadcast_lanes(device)
    rows, keys, widest, workgroup = (2, lanes, 32, lanes) if lanes else (4, 2, 16, 8)
    if s.head > 160:
        widest = 64
    slices = ceil_div(s.head, widest)
    spec: dict[str, Value] = {
        "vector": True,
        "rows": rows,
        "keys": keys,
        "lanes": lanes,
        "workgroup": workgroup,
        "slice": ceil_div(s.head, 4 * slices) * 4,
    }
    if lanes and device.info.engine == "dawn":
        spec["broadcast"] = True
    return Shader(spec, 4, (ceil_div(s.sq, rows * workgroup), s.heads * slices, s.batch))


def _flash(device: Device, scalar: str, s: Sizes) -> Shader:
    tile = _flash_tile(device, scalar, s)
    if tile is None:
        raise LimitError(
            f"attention: heads of {s.head} channels do not fit the registers and the "
            f"{device.limits[_WORKGROUP_BYTES]} bytes of workgroup memory of {device.name}"
        )
    rows, slab = tile
    unit = 4 if s.head % 4 == 0 else 1
    spec: dict[str, Value] = {"vector": unit == 4, "head": s.head, "rows": rows, "slab": slab}
    return Shader(spec, unit, (ceil_div(s.sq, 16 * rows), s.heads, s.batch))


def _rows(device: Device, scalar: str, s: Sizes) -> Shader:
    """Two rows an invocation, as long as that leaves none idle: the sums' order is the same."""
    rows, threads = 2 if s.sq > 64 else 1, 64
    spec: dict[str, Value] = {
        "vector": True,
        "chunks": s.head // 4,
        "rows": rows,
        "threads": threads,
        "keys": 32,
        "batch": 8,
    }
    return Shader(spec, 4, (ceil_div(s.sq, rows * threads), s.heads, s.batch))


def _flash_tile(device: Device, scalar: str, s: Sizes) -> tuple[int, int] | None:
    """Rows an invocation and channels staged at a time: the largest that fit."""
    whole = ceil_div(s.head, 4) * 4
    slabs = [whole] if whole <= 160 else []
    # No more rows than leave half of a workgroup idle.
    for rows in (n for n in (4, 2, 1) if n == 1 or 8 * n < s.sq):
        for slab in (*slabs, *(n for n in (128, 64, 32) if n < whole)):
            registers = rows * ceil_div(whole, slab) * ceil_div(slab, 32) * 4
            pitch = slab // 4 | 1
            tiles = (16 * rows + 32) * pitch * (16 if scalar == "f32" else 8)
            nbytes = tiles + 16 * rows * (9 * 16 + 8 * 4)
            if registers <= 128 and nbytes <= device.limits[_WORKGROUP_BYTES]:
                return rows, slab
    return None


class MatrixTile(NamedTuple):
    """How the matrix variant works: ``fq`` blocks of 16 rows a subgroup, subgroups, keys of a step.

    ``relative``: scores are f16, relative to each row's maximum (32 keys; or 48 where fq is 2).
    ``ahead``: they are f16, relative to a maximum that is never raised, and made a step ahead; in
    f32 once more where that does not do. ``lean``: in fewer registers, with loads that wait.
    ``teams``: so many times as many subgroups, each team with ``keys`` keys of a step (no mask).
    """

    fq: int
    subgroups: int
    keys: int
    relative: bool = False
    ahead: bool = False
    lean: bool = False
    teams: int = 1


def takes_matrix_units(device: Device, scalar: str, head: int) -> bool:
    """Whether the matrix variant takes heads of so many channels."""
    return device.has_matrix_units and scalar == "f16" and head % 8 == 0 and head <= 160


def matrix_shader(device: Device, s: Sizes, mask: str = "") -> Shader:
    """The matrix variant; ``mask``: its kind, or "none" for a scale of its own or shared heads."""
    wanted = forced_tile("attention")
    if isinstance(wanted, MatrixTile):
        return _matrix_with(device, s, wanted)
    rounded = _F16_SUMS in device.info.matrix_shapes and s.sk > 128
    return _matrix_with(device, s, _matrix_tile(s, mask, rounded=rounded))


def _matrix(device: Device, scalar: str, s: Sizes) -> Shader:
    return matrix_shader(device, s)


def _matrix_with(device: Device, s: Sizes, tile: MatrixTile) -> Shader:
    most = device.limits[_WORKGROUP_BYTES]
    if _matrix_bytes(s, tile) > most:
        tile = tile._replace(teams=1)
    if _matrix_bytes(s, tile._replace(subgroups=1)) > most:
        tile = tile._replace(keys=16)
    while tile.subgroups > 1 and _matrix_bytes(s, tile) > most:
        tile = tile._replace(subgroups=tile.subgroups // 2)
    grid = (ceil_div(s.sq, 16 * tile.fq * tile.subgroups), s.heads, s.batch)
    spec: dict[str, Value] = {"matrix": True, "head": s.head, **tile._asdict()}
    return Shader(spec, 8, grid)


def _matrix_tile(s: Sizes, mask: str, *, rounded: bool) -> MatrixTile:
    """As measured on an H200, which has 48 KiB of workgroup memory for all that runs at once.

    Depends on the sizes of one image only, since the steps order the sums.
    """
    blocks = s.heads * ceil_div(s.sq, 128)
    if s.head <= 48 and blocks >= 200 and not (rounded and mask):
        return MatrixTile(2, 4, 48, relative=True) if rounded else MatrixTile(2, 4, 32)
    if 48 < s.head <= (80 if rounded and not mask else 64) and blocks >= 150:
        if rounded and mask not in ("", "none"):
            # Lanes that share rows load less of the mask.
            return MatrixTile(1, 8, 16, ahead=True, lean=mask == "bits")
        # Rows of different lengths gain more from loads that do not wait.
        lean = rounded and not mask and not s.causal and s.head <= 64
        return MatrixTile(2, 4, 16, ahead=rounded, lean=lean)
    if s.head > 96 and blocks >= 128 and rounded:
        return MatrixTile(1, 4, 16, ahead=True)
    # An image of few rows: teams keep as many subgroups busy, of more rows or of more workgroups.
    if 64 < s.head <= 80 and rounded and not mask:
        return MatrixTile(2, 2, 16, ahead=True, teams=2)
    if s.head > 96 and blocks <= 32 and not mask:
        return MatrixTile(1, 2, 16, ahead=rounded, teams=2)
    return MatrixTile(1, 4 if s.head > 48 else 8, 32, ahead=rounded)


def _matrix_bytes(s: Sizes, tile: MatrixTile) -> int:
    """Workgroup memory of the matrix variant."""
    words = s.head // 8
    rows_of_k, rows_of_v = max(words + 1 - words % 2, 3), words + 1 + words % 2
    pitch = tile.keys // (8 if tile.relative else 4) + 1
    scores = 16 * tile.subgroups * tile.teams * tile.fq * pitch - 1
    return (tile.teams * tile.keys * (rows_of_k + rows_of_v) + scores) * 16 + 20


_VARIANTS: dict[str, Callable[[Device, str, Sizes], Shader]] = {
    "naive": _naive,
    "cpu": _cpu,
    "rows": _rows,
    "flash": _flash,
    "matrix": _matrix,
}
