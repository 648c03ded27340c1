"""Texts of every tile for matrix units, with each part that may be on or off."""

from __future__ import annotations

from collections.abc import Iterator

from gpustd.launch.template import Value, render
from gpustd.matmul.tiles import MATRIX_TILES, Tile

__all__ = ["texts"]

Spec = dict[str, Value]

ROWS, PIXELS = "matmul/gemm/rows.wgsl", "matmul/conv/pixels.wgsl"
WINDOW: Spec = {"kernel_height": 3, "kernel_width": 3, "stride": 1, "scale": 1}
WINDOW |= {"pad_top": 1, "pad_left": 1, "wrap_y": 0, "wrap_x": 1}
COMMON: Spec = {"scalar": "f16", "out": "f16", "vector": True, "matrix": True, "flexible": False}
COMMON |= {"bias": True, "residual": True, "batched": False, "unit": 8}
BARE: Spec = {"bias": False, "residual": False}
BATCH: Spec = {**BARE, "batched": True}


def texts() -> list[str]:
    """Return the WGSL of `MATRIX_TILES`."""
    found: list[str] = []
    for tile in MATRIX_TILES:
        found += loaded_texts(tile) if tile.loaders else matrix_texts(tile)
    return found


def tile_spec(tile: Tile) -> Spec:
    return {"bm": tile.bm, "bn": tile.bn, "bk": tile.bk, "wm": tile.wm, "wn": tile.wn}


def loaded_texts(tile: Tile) -> Iterator[str]:
    """Yield the texts of a tile with loaders."""
    spec: Spec = {**COMMON, **tile_spec(tile), "source": ROWS, "k": 320, "bases": tile.bases}
    spec |= {"per_image": False, "two": False, "holes": False}
    spec |= {"loaders": tile.loaders, "stages": tile.stages}
    for full in (True, False):
        for batched in (False, True):
            extent: Spec = {"whole": full, "filled": full, "exact": full, "batched": batched}
            fused: Spec = {"activation": "geglu" if full else "silu"}
            plain: Spec = {**BARE, "activation": "none", "out": "f16" if batched else "f32"}
            for rest in (fused, plain):
                yield render("matmul/gemm/loaders.wgsl", {**spec, **extent, **rest})


def matrix_texts(tile: Tile) -> Iterator[str]:
    """Yield the texts of a tile without loaders."""
    spec: Spec = {**COMMON, **tile_spec(tile), "teams": tile.teams, "even": False, "split": False}
    ragged: Spec = {**spec, "ragged": True, "whole": False, "filled": False, "exact": False}
    names = ("two", "per_image", "holes")
    rows: Spec = {"source": ROWS, "activation": "geglu", **dict.fromkeys(names, False)}
    pixels: Spec = {**WINDOW, "source": PIXELS, "activation": "silu", **dict.fromkeys(names, True)}
    variants: list[Spec] = [{**ragged, **rows}, {**ragged, **pixels}]
    variants += [{**ragged, **pixels, "two": False, "unit": unit} for unit in (1, 2, 4)]
    plain: Spec = {**spec, **dict.fromkeys((*names, "ragged"), False), "source": ROWS}
    plain |= {"activation": "none", "exact": True, "even": True, "whole": True, "filled": True}
    parts: tuple[Spec, ...] = ({}, {"batched": True}, BATCH, {**BARE, "out": "f32"})
    variants += [{**plain, **part} for part in (*parts, {**BARE, "split": True})]
    voxels: Spec = {"source": "nn/voxels.wgsl", "kernel_height": 3, "kernel_width": 1}
    variants.append({**plain, **WINDOW, **voxels, **BATCH, "holes": True, "whole": False})
    for variant in variants:
        yield render("matmul/gemm/matrix.wgsl", variant)
