"""The variant ``hopper``: products and convolutions in CUDA C++ for cards with wgmma."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from gpucore import Buffer, Device, Work
from gpucore.backends import TileMap
from gpucore.integers import ceil_div
from gpucore.tiled import Tiled
from gpustd.launch.elements import WORKGROUP
from gpustd.launch.grid import CORES, MOST_GROUPS, flat_grid
from gpustd.launch.template import Value
from gpustd.matmul.epilogue import NO_EPILOGUE
from gpustd.matmul.hopper_tiles import GROUP, SLICE, choose_hopper_tile
from gpustd.matmul.kernel_spec import epilogue_spec
from gpustd.matmul.operation import Matmul, Operands
from gpustd.matmul.rank_update import RankUpdate
from gpustd.matmul.variants.launches import Launch

__all__ = ["plan_hopper", "takes_hopper"]

_ROWS = "matmul/gemm/rows.wgsl"
_PIXELS = "matmul/conv/pixels.wgsl"
_THREADS = 384
_WORD = 8  # numbers that are copied at least
_PIXELS_OF_A_COPY = 128
# Limits of the copy engine: 8 bits for corners.
_MOST_STRIDE, _MOST_CORNER = 8, 127


def takes_hopper(device: Device, matmul: Matmul, scalar: str) -> bool:
    """Tell whether the variant makes a product; that does not depend on the number of images."""
    if "wgmma" not in device.features or scalar != "f16" or matmul.n % 8 or matmul.n < 16:
        return False
    if not matmul.k:
        return False
    whole = not any(c % SLICE for c in matmul.channels)
    if matmul.source == _ROWS or (matmul.source == _PIXELS and not matmul.has_window):
        plain = len(matmul.channels) == 1 and matmul.batch is None
        return whole or (plain and matmul.channels[0] % 8 == 0)
    if matmul.source != _PIXELS or not _takes_window(matmul):
        return False
    return whole or _is_written_out(matmul)


def _is_written_out(matmul: Matmul) -> bool:
    """Tell whether windows become rows of a matrix: those of one source with few channels."""
    few = len(matmul.channels) == 1 and matmul.k <= SLICE
    return few and matmul.has_window and matmul.batch is None


def _takes_window(matmul: Matmul) -> bool:
    window = matmul.window
    return (
        (window["scale"], window["wrap_x"], window["wrap_y"]) == (1, 0, 0)
        and window["stride"] <= _MOST_STRIDE
        and max(window["kernel_height"], window["kernel_width"]) <= _MOST_CORNER
        and max(map(abs, _corners(matmul))) <= _MOST_CORNER
    )


def _corners(matmul: Matmul) -> tuple[int, int, int, int]:
    """Return x and y of a window's first place, and of its last one behind the last pixels."""
    window, sizes = matmul.window, matmul.sizes
    left, top = -window["pad_left"], -window["pad_top"]
    right = left + (sizes["out_width"] - 1) * window["stride"] - (sizes["width"] - 1)
    bottom = top + (sizes["out_height"] - 1) * window["stride"] - (sizes["height"] - 1)
    return left, top, right, bottom


def plan_hopper(matmul: Matmul, operands: Operands) -> list[Launch]:
    """Plan one launch, whose blocks make tiles in turns, or share the parts of K of one.

    Windows with few channels are written out by a launch before it.
    """
    if matmul.channels[0] % SLICE and _is_written_out(matmul):
        return _plan_written_out(matmul, operands)
    slices = sum(ceil_div(c, SLICE) for c in matmul.channels) * matmul.taps
    tile = choose_hopper_tile(matmul, slices, narrow=operands.slots is not None)
    gates = matmul.activation == "geglu"
    pixels = matmul.source == _PIXELS and (matmul.has_window or matmul.batch is not None)
    width = tile.width(gates=gates)
    spec: dict[str, Value] = {
        "bn": tile.bn,
        "stages": tile.stages,
        "parts": tile.parts,
        "chunk": tile.chunk(gates=gates),
        "pixels": pixels,
        "enlarging": pixels and matmul.batch is not None,
        "two": operands.second is not None,
        "out": operands.y.dtype.name,
        "threads": _THREADS,
        "memory": tile.memory(gates=gates),
        **epilogue_spec(matmul, operands.epilogue),
        **operands.update_spec,
        **({} if operands.slots is None else {"slots": True}),
    }
    spec["label"] = _label(spec)
    sources = [b for b in (operands.x, operands.second) if b is not None]
    arguments: list[Any] = [
        *(_left_tiles(matmul, source, pixels=pixels) for source in sources),
        _weight_tiles(matmul, operands.w),
        *([] if operands.slots is None else [operands.slots]),
        *operands.epilogue.buffers,
        *_update_tiles(operands.update),
        operands.y,
        _params(matmul, operands, slices),
    ]
    buffers = [*operands.factors, *operands.epilogue.buffers, operands.y]
    tiles = ceil_div(matmul.m, _PIXELS_OF_A_COPY) * ceil_div(matmul.n, width) * (matmul.batch or 1)
    blocks = min(tiles, CORES) if tile.parts == 1 else tiles
    grid = tile.parts, min(blocks, MOST_GROUPS), ceil_div(blocks, MOST_GROUPS)
    return [Launch("matmul/gemm/hopper.cu", spec, arguments, grid, matmul.work(buffers))]


def _plan_written_out(matmul: Matmul, operands: Operands) -> list[Launch]:
    """Plan a launch that writes windows out as rows, and the product of these."""
    words = ceil_div(matmul.k, _WORD)
    rows = operands.y.device.buffer(operands.x.dtype, (matmul.m, words * _WORD))
    of_rows = replace(
        matmul, source=_ROWS, channels=(rows.shape[1],), sizes={"m": matmul.m}, window={}
    )
    window, count = matmul.window, matmul.m * words
    params = {
        "count": count,
        "words": words,
        "channels": matmul.channels[0],
        "k": matmul.k,
        **{name: matmul.sizes[name] for name in ("height", "width", "out_height", "out_width")},
        **{name: window[name] for name in ("kernel_width", "stride", "pad_left", "pad_top")},
    }
    writing = Launch(
        "matmul/conv/windows.wgsl",
        {"label": "gemm/hopper windows"},
        [operands.x, rows, params],
        flat_grid(count, WORKGROUP),
        Work(0.0, operands.x.nbytes + rows.nbytes),
    )
    return [writing, *plan_hopper(of_rows, operands._replace(x=rows))]


def _label(spec: dict[str, Value]) -> str:
    """Return the name in profiles, such as ``gemm/hopper 128x160 in 2 pixels bias``."""
    words = [f"gemm/hopper {_PIXELS_OF_A_COPY}x{spec['bn']}"]
    if spec["parts"] != 1:
        words.append(f"in {spec['parts']}")
    words += [name for name in ("pixels", "enlarging", "two", *NO_EPILOGUE._fields) if spec[name]]
    words += [name for name in ("update", "slots") if name in spec]
    words += [
        str(spec[name]) for name in ("activation", "out") if spec[name] not in ("none", "f16")
    ]
    return " ".join(words)


def _left_tiles(matmul: Matmul, source: Buffer[Any], *, pixels: bool) -> Tiled[Buffer[Any]]:
    """Return a source, of which 64 numbers of K of 128 rows or pixels are copied at a time."""
    channels = source.shape[-1]
    if not pixels:
        extents = channels, math.prod(source.shape[:-1])
        return Tiled(source, TileMap(extents, (2 * channels,), (SLICE, _PIXELS_OF_A_COPY)))
    images, height, width, _ = source.shape
    strides = 2 * channels, 2 * channels * width, 2 * channels * width * height
    tiles = TileMap(
        (channels, width, height, images),
        strides,
        (SLICE, _PIXELS_OF_A_COPY),
        corners=_corners(matmul),
        step=matmul.window["stride"],
    )
    return Tiled(source, tiles)


def _weight_tiles(matmul: Matmul, w: Buffer[Any]) -> Tiled[Buffer[Any]]:
    """Return the weights, of which 64 rows of a group of columns are copied at a time."""
    extents = matmul.columns, w.size // matmul.columns
    tiles = TileMap(extents, (2 * matmul.columns,), (GROUP, SLICE))
    return Tiled(w, tiles)


def _update_tiles(update: RankUpdate | None) -> list[Any]:
    """Return what a low-rank update is made of: 64 ranks of 128 rows, and of a group of columns."""
    if update is None:
        return []
    images, rows, width = update.ranks.shape
    slots, ranks, columns = update.up.shape
    groups, line, share = update.groups, 2 * width, update.columns
    narrow = TileMap(
        (ranks, groups, rows, images),
        (2 * ranks, line, line * rows),
        (SLICE, 1, _PIXELS_OF_A_COPY, 1),
    )
    wide = TileMap(
        (share, groups, ranks, slots),
        (2 * share, 2 * columns, 2 * columns * ranks),
        (GROUP, 1, SLICE, 1),
    )
    return [Tiled(update.ranks, narrow), Tiled(update.up, wide), update.chosen]


def _params(matmul: Matmul, operands: Operands, slices: int) -> dict[str, int]:
    window, sizes = matmul.window, matmul.sizes
    per_image = operands.epilogue.per_image
    of_a_tap = [ceil_div(c, SLICE) for c in matmul.channels]
    return {
        "rows": matmul.m,
        "n": matmul.n,
        "batch": matmul.batch or 1,
        "depth": matmul.k,
        "slices": slices,
        "slices1": of_a_tap[0],
        "slices2": sum(of_a_tap),
        "out_width": sizes.get("out_width", 1),
        "out_height": sizes.get("out_height", 1),
        "kernel_width": window.get("kernel_width", 1),
        "stride": window.get("stride", 1),
        "pad_left": window.get("pad_left", 0),
        "pad_top": window.get("pad_top", 0),
        "rows_of_image": sizes.get("rows", max(matmul.m // max(matmul.images, 1), 1)),
        "image_pitch": 0 if per_image is None else per_image.shape[1],
        "image_first": matmul.image_first,
    }
