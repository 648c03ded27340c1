"""The variant ``ampere``: products and convolutions in CUDA C++ for cards from 8.0 on."""

from __future__ import annotations

from typing import Any

from gpucore import ShapeError
from gpucore.integers import ceil_div
from gpustd.launch.grid import MOST_GROUPS
from gpustd.launch.template import Value
from gpustd.matmul.ampere_tiles import SLICE, AmpereTile, choose_ampere_tile
from gpustd.matmul.epilogue import NO_EPILOGUE
from gpustd.matmul.kernel_spec import epilogue_spec
from gpustd.matmul.operation import Matmul, Operands
from gpustd.matmul.variants.launches import Launch

__all__ = ["plan_ampere"]

_ROWS = "matmul/gemm/rows.wgsl"
_PIXELS = "matmul/conv/pixels.wgsl"


def _require_fit(matmul: Matmul) -> None:
    """Raise `ShapeError` for a product that the variant does not make."""
    window, whole = matmul.window, not any(c % SLICE for c in matmul.channels)
    if matmul.source == _ROWS or (matmul.source == _PIXELS and not matmul.has_window):
        fits = whole or (len(matmul.channels) == 1 and matmul.channels[0] % 8 == 0)
    else:
        plain = (window["scale"], window["wrap_x"], window["wrap_y"]) == (1, 0, 0)
        fits = matmul.source == _PIXELS and whole and plain and matmul.batch is None
    if not fits or matmul.n % 8 or not matmul.k:
        raise ShapeError(f"{matmul.op}: ampere makes no such product, got {matmul}")


def plan_ampere(matmul: Matmul, operands: Operands) -> list[Launch]:
    """Plan one launch, whose blocks make a tile each. Raises `ShapeError` for what does not fit."""
    _require_fit(matmul)
    tile = choose_ampere_tile(matmul)
    spec: dict[str, Value] = {
        "bm": tile.bm,
        "bn": tile.bn,
        "wm": tile.wm,
        "wn": tile.wn,
        "stages": tile.stages,
        "pixels": matmul.source == _PIXELS and matmul.has_window,
        "two": operands.second is not None,
        "out": operands.y.dtype.name,
        "threads": tile.threads,
        "memory": tile.memory,
        "parts": 1,
        **epilogue_spec(matmul, operands.epilogue),
    }
    spec["label"] = _label(spec, tile)
    epilogue = operands.epilogue.buffers
    arguments: list[Any] = [*operands.factors, *epilogue, operands.y, _params(matmul, operands)]
    tiles = tile.count(matmul.m, matmul.columns, matmul.batch or 1)
    grid = 1, min(tiles, MOST_GROUPS), ceil_div(tiles, MOST_GROUPS)
    work = matmul.work([*operands.factors, *epilogue, operands.y])
    return [Launch("matmul/gemm/ampere.cu", spec, arguments, grid, work)]


def _label(spec: dict[str, Value], tile: AmpereTile) -> str:
    """Return the name in profiles, such as ``gemm/ampere 128x256 pixels bias``."""
    words = [f"gemm/ampere {tile.bm}x{tile.bn}"]
    words += [name for name in ("pixels", "two", *NO_EPILOGUE._fields) if spec[name]]
    return " ".join(words + [str(spec[n]) for n in ("activation",) if spec[n] != "none"])


def _params(matmul: Matmul, operands: Operands) -> dict[str, int]:
    window, sizes = matmul.window, matmul.sizes
    per_image = operands.epilogue.per_image
    of_a_tap = [ceil_div(c, SLICE) for c in matmul.channels]
    return {
        "rows": matmul.m,
        "n": matmul.n,
        "columns": matmul.columns,
        "batch": matmul.batch or 1,
        "depth": matmul.k,
        "slices": sum(of_a_tap) * matmul.taps,
        "slices1": of_a_tap[0],
        "slices2": sum(of_a_tap),
        "c1": matmul.channels[0],
        "c2": sum(matmul.channels[1:]),
        "width": sizes.get("width", 1),
        "height": sizes.get("height", 1),
        "out_width": sizes.get("out_width", 1),
        "out_height": sizes.get("out_height", 1),
        "kernel_width": window.get("kernel_width", 1),
        "stride": window.get("stride", 1),
        "pad_left": window.get("pad_left", 0),
        "pad_top": window.get("pad_top", 0),
        "rows_of_image": max(matmul.m // max(matmul.images, 1), 1),
        "image_pitch": 0 if per_image is None else per_image.shape[1],
        "image_first": matmul.image_first,
    }
