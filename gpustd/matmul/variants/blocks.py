"""The variants ``tiled`` and ``matrix``: a workgroup makes one tile of results.

Where K is split, a first launch makes the sums of its parts, and a second one adds them in order.
"""

from __future__ import annotations

import math

from gpucore import f32
from gpucore.integers import ceil_div
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, constants
from gpustd.matmul.epilogue import NO_EPILOGUE
from gpustd.matmul.kernel_spec import epilogue_spec, fixed_spec, matmul_params
from gpustd.matmul.operation import Matmul, Operands
from gpustd.matmul.tile_choice import choose_tile, has_even_parts
from gpustd.matmul.tiles import Tile
from gpustd.matmul.tuned_tiles import matmul_region
from gpustd.matmul.variants.launches import Launch

__all__ = ["plan_matrix", "plan_tiled"]

_NOTHING_FUSED: dict[str, Value] = {"activation": "none", **NO_EPILOGUE.flags}


def plan_tiled(matmul: Matmul, operands: Operands) -> list[Launch]:
    """Plan products in invocations, with words of four columns where the extents allow them."""
    vector = not any(c % 4 for c in (*matmul.channels, matmul.n))
    return _block_launches("tiled", matmul, operands, vector=vector)


def plan_matrix(matmul: Matmul, operands: Operands) -> list[Launch]:
    """Plan products on matrix units, in f16 with sums in f32."""
    return _block_launches("matrix", matmul, operands, vector=True)


def _block_launches(
    variant: str, matmul: Matmul, operands: Operands, *, vector: bool
) -> list[Launch]:
    device, scalar = operands.y.device, operands.scalar
    loaders = operands.quantized is None
    tile, splits = choose_tile(
        matmul,
        device,
        variant,
        scalar,
        splittable=vector,
        with_loaders=loaders,
        with_update=operands.update is not None,
    )
    common = fixed_spec(matmul, scalar, operands.y, vector=vector)
    if variant == "matrix":
        common |= {"matrix": True, "unit": math.gcd(8, *matmul.channels)}
    unit = 8 if variant == "matrix" else 4 if vector else 1
    spec = {**common, **operands.weight_spec(unit), **_tile_spec(matmul, tile, splits)}
    spec |= operands.update_spec
    spec["two"] = operands.second is not None
    shader = f"matmul/gemm/{'loaders' if tile.loaders else variant}.wgsl"
    if splits // tile.teams == 1:
        launches = [_whole_launch(shader, spec, matmul, operands, tile)]
    else:
        launches = _split_launches(shader, spec, common, matmul, operands, tile, splits)
    region = matmul_region(matmul, variant, scalar, splits)
    return [launch._replace(region=region) for launch in launches]


def _tile_spec(matmul: Matmul, tile: Tile, splits: int) -> dict[str, Value]:
    spec: dict[str, Value] = {
        "holes": matmul.has_window,
        "ragged": any(c % tile.bk for c in matmul.channels),
        "whole": matmul.m % tile.bm == 0 and not matmul.has_window,
        "filled": matmul.m % tile.bm == 0,
        "exact": matmul.columns % tile.bn == 0,
        "bm": tile.bm,
        "bn": tile.bn,
        "bk": tile.bk,
        "wm": tile.wm,
        "wn": tile.wn,
        "stages": tile.stages,
        "teams": tile.teams,
        "even": has_even_parts(matmul, tile.bk, splits),
    }
    if tile.loaders:
        spec |= {"loaders": tile.loaders, "k": matmul.k, "bases": tile.bases}
    return spec


def _whole_launch(
    shader: str, spec: dict[str, Value], matmul: Matmul, operands: Operands, tile: Tile
) -> Launch:
    epilogue, unit = operands.epilogue, 4 if spec["vector"] else 1
    sizes = constants(matmul_params(matmul, epilogue, unit))
    spec = {**spec, **epilogue_spec(matmul, epilogue), "split": False, "sizes": sizes}
    buffers = [*operands.factors, *epilogue.buffers, operands.y, *operands.update_buffers]
    width, height, _ = flat_grid(tile.blocks(matmul.m, matmul.columns), 1)
    grid = width, height, matmul.batch or 1
    return Launch(shader, spec, buffers, grid, matmul.work(buffers))


def _split_launches(
    shader: str,
    spec: dict[str, Value],
    common: dict[str, Value],
    matmul: Matmul,
    operands: Operands,
    tile: Tile,
    splits: int,
) -> list[Launch]:
    """Return the launch that makes sums of parts of K, and the one that adds them.

    ``common`` are the template variables of both, ``spec`` those of the first.
    """
    epilogue, columns = operands.epilogue, matmul.columns
    pitch = ceil_div(columns, tile.bn) * tile.bn // 4
    plane = ceil_div(matmul.m, tile.bm) * tile.bm * pitch
    partials = operands.y.device.buffer(f32, 4 * plane * splits)
    params = matmul_params(matmul, epilogue, 4 if common["vector"] else 1)
    params |= {"splits": splits, "plane": plane, "pitch": pitch}
    width, height, _ = flat_grid(tile.blocks(matmul.m, columns), 1)
    first = Launch(
        shader,
        {**spec, **_NOTHING_FUSED, "split": True, "sizes": constants({**params, "n": columns})},
        [*operands.factors, partials, *operands.update_buffers],
        (width, height, splits // tile.teams),
        matmul.work([*operands.factors, partials]),
    )
    fused = epilogue_spec(matmul, epilogue)
    reduce: dict[str, Value] = {**common, **fused, "two": False, "reduce": True}
    second = Launch(
        "matmul/gemm/reduce.wgsl",
        {**reduce, "sizes": constants(params)},
        [partials, *epilogue.buffers, operands.y],
        flat_grid(matmul.m * matmul.n // 4, 64),
    )
    return [first, second]
