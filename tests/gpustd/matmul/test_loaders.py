"""Products of workgroups with matrix units, run thread by thread: right, and without faults.

No software renderer runs `matmul/gemm/loaders.wgsl`, whose barriers meet in two loops.
Operands are small integers, which f16 holds, and sums of their products, which f32 does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore import Buffer, Device, f16
from gpustd import gemm, wide_gemm
from gpustd.launch import template
from gpustd.launch.variants import force_variant
from gpustd.matmul import launching
from gpustd.matmul.dense import multiply_batch
from gpustd.matmul.tiles import MATRIX_TILES, Tile
from tests.gpustd.matmul.small_tiles import SMALL_LOADERS, SMALL_MATRIX, SMALL_TEAMS
from tests.gpustd.reference.gemm import reference
from tests.gpustd.wgsl_to_python import UntranslatedError
from tests.gpustd.workgroup_interpreter import WorkgroupError, interpret

Array = NDArray[Any]
Change = Callable[[str], str]

PAIRS = SMALL_LOADERS["matrix loaders"]
LINES = SMALL_LOADERS["matrix loaders of lines"]
MATRIX = SMALL_MATRIX["matrix"]
TEAMS = SMALL_TEAMS["matrix teams"]
BARRIER = "workgroupBarrier();"


def integers(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).integers(-2, 3, shape).astype(np.float16)


def interpreted(change: Change) -> Callable[..., Callable[..., None]]:
    """In place of `template.kernel`: what it makes runs here and now, on a null device's bytes."""

    def kernel(device: Device, name: str, **spec: template.Value) -> Callable[..., None]:
        text = change(template.render(name, spec))

        def launch(*buffers: Buffer[Any], grid: tuple[int, ...], work: object) -> None:
            arrays = [buffer.read() for buffer in buffers]
            interpret(text, arrays, grid)
            buffers[-1].write(arrays[-1])

        return launch

    return kernel


def multiplied(
    patch: pytest.MonkeyPatch,
    tile: Tile,
    shape: tuple[int, int, int],
    epilogue: str = "plain",
    change: Change = str,
) -> tuple[Array, Array]:
    """Result and reference of an M x K by K x N product.

    ``epilogue``: plain; f32, without rounding to f16; fused or geglu, with bias and residual.
    """
    m, k, n = shape
    activation = "geglu" if epilogue == "geglu" else None
    columns = n if activation is None else 2 * n
    a, w = integers(m, k), integers(k, columns)
    bias: Array | None = None
    residual: Array | None = None
    if epilogue in ("fused", "geglu"):
        bias, residual = integers(columns).astype(np.float32), integers(m, n)
    patch.setattr(launching, "kernel", interpreted(change))
    null = Device.null()
    x, y = null.buffer_from_array(a), null.buffer_from_array(w)
    with force_variant("matmul", "matrix", tile):
        if epilogue == "f32":
            return wide_gemm(x, y).read(), reference(a, w, None, None, None)
        extras = [None if e is None else null.buffer_from_array(e) for e in (bias, residual)]
        found = gemm(x, y, bias=extras[0], activation=activation, residual=extras[1]).read()
    return found, reference(a, w, bias, activation, residual)


def multiplied_at_once(patch: pytest.MonkeyPatch, tile: Tile) -> tuple[Array, Array]:
    """Results and reference of three products, of more weights than that."""
    a, w = integers(3, 40, 192), integers(4, 192, 72)
    patch.setattr(launching, "kernel", interpreted(str))
    null = Device.null()
    y = null.buffer(f16, (3, 40, 72))
    with force_variant("matmul", "matrix", tile):
        multiply_batch("test", null.buffer_from_array(a), null.buffer_from_array(w), y)
    return y.read(), np.stack([reference(a[i], w[i], None, None, None) for i in range(3)])


def check(found: Array, wanted: Array) -> None:
    np.testing.assert_array_equal(found, wanted.astype(found.dtype))


@pytest.mark.parametrize("loaders", SMALL_LOADERS)
@pytest.mark.parametrize("k", [192, 256, 448])
def test_loaders_are_right(monkeypatch: pytest.MonkeyPatch, k: int, loaders: str) -> None:
    """Rows and columns whole and ragged, results through workgroup memory and without."""
    tile = SMALL_LOADERS[loaders]
    for m, n, epilogue in ((64, 2 * tile.bn, "plain"), (33, 88, "fused"), (32, tile.bn, "f32")):
        check(*multiplied(monkeypatch, tile, (m, k, n), epilogue))


@pytest.mark.parametrize("loaders", SMALL_LOADERS)
def test_loaders_are_right_in_batches(monkeypatch: pytest.MonkeyPatch, loaders: str) -> None:
    check(*multiplied_at_once(monkeypatch, SMALL_LOADERS[loaders]))


@pytest.mark.parametrize("tile", [t for t in MATRIX_TILES if t.loaders], ids=lambda t: str(t.bn))
def test_tiles_that_are_offered_are_right(monkeypatch: pytest.MonkeyPatch, tile: Tile) -> None:
    tile = replace(tile, splits=1)
    check(*multiplied(monkeypatch, tile, (tile.bm, 320, tile.bn)))
    check(*multiplied(monkeypatch, tile, (tile.bm + 3, 448, tile.bn - 8), "fused"))


@pytest.mark.parametrize("loaders", SMALL_LOADERS)
def test_each_group_has_a_turn_at_least(monkeypatch: pytest.MonkeyPatch, loaders: str) -> None:
    tile = SMALL_LOADERS[loaders]
    least = next(k for k in range(32, 256, 32) if tile.fills_turns(k))
    check(*multiplied(monkeypatch, tile, (32, least, tile.bn)))


@pytest.mark.parametrize("loaders", SMALL_LOADERS)
@pytest.mark.parametrize("k", [192, 256])
def test_loaders_are_right_with_gates(
    monkeypatch: pytest.MonkeyPatch, k: int, loaders: str
) -> None:
    found, wanted = multiplied(monkeypatch, SMALL_LOADERS[loaders], (33, k, 48), "geglu")
    # Gelu is right to 4 ulp of f32, below zero to v * v / 2 more (activation/activations.wgsl), so
    # a result is to one of f16. Where product and residual cancel, both are at most 2, with gates
    # from -3 on (lower ones leave products below 1): 8.5 ulp of 2 are less than 2 ** -18.
    limit = np.spacing(np.abs(wanted).astype(np.float16)).astype(np.float64)
    assert np.all(np.abs(found - wanted) <= np.maximum(limit, 2.0**-18))


@pytest.mark.parametrize("tile", [MATRIX, TEAMS], ids=["alone", "teams"])
@pytest.mark.parametrize("shape", [(32, 64, 64), (33, 72, 72)], ids=str)
def test_matrix_is_right(
    monkeypatch: pytest.MonkeyPatch, tile: Tile, shape: tuple[int, int, int]
) -> None:
    check(*multiplied(monkeypatch, tile, shape, "fused"))


STORE = "tile[to + sb0 + 72u] = vb0_1;"
EARLY = "early_a0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tile, 1u"
ROW, STAGE = "m0 + wm + r + 0u", "team * STAGE_WORDS"
NO_BOUND = "NONE, n + 1u >="
# Tile, what is replaced (first, or number so-and-so), by what, and the fault that is found.
FAULTS: dict[str, tuple[Tile, str, int, str, str]] = {
    "loaders wait less": (PAIRS, BARRIER, 0, "", "written while subgroup 0 reads"),
    "loaders of a slice wait less": (LINES, BARRIER, 0, "", "written while subgroup 0 reads"),
    "too few turns": (PAIRS, "step < STEPS)", 0, "step + 1u < STEPS)", "threads come to barrier"),
    "wrong slot": (PAIRS, "= next_slot(slot)", 0, "= slot", "written while"),
    "too early": (PAIRS, EARLY, 0, EARLY[:-2] + "2u", "is used: written while"),
    "one address": (LINES, "+ kb0 * LB + cb0", 0, "+ kb0 * LB", "written while thread"),
    "one row": (LINES, "sa0 = row * LA", 0, "sa0 = (row & 3u) * LA", "written while thread"),
    "not stored": (PAIRS, STORE, 0, "", "is used: read before anything is written"),
    "past rows": (PAIRS, "params.m - 1u", 2, "params.m", "past the end"),
    "results of one row": (PAIRS, ROW, 0, "m0 + wm", "written twice"),
    "few columns": (PAIRS, "NONE, n >=", 0, NO_BOUND, "never written"),
    "lanes differ": (
        PAIRS,
        "step < 12u;",
        0,
        "step < 12u * (lane / 31u);",
        "threads 0 and 31 differ",
    ),
    "first barrier": (MATRIX, BARRIER, 0, "", "written while subgroup 0 reads"),
    "second barrier": (MATRIX, BARRIER, 1, "", "is used: read while thread"),
    "last barrier": (MATRIX, BARRIER, 3, "", "read while subgroup 0 writes"),
    "teams in one place": (TEAMS, STAGE, 0, "0u", "written while thread 0 does"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    tile, old, number, new, message = FAULTS[fault]

    def change(text: str) -> str:
        parts = text.split(old)
        assert len(parts) > number + 1
        return old.join(parts[: number + 1]) + new + old.join(parts[number + 1 :])

    with pytest.raises(WorkgroupError, match=message):
        multiplied(monkeypatch, tile, (33, 192, 72), "fused", change)


@pytest.mark.parametrize(
    "text",
    [
        "var<private> p: array<vec4<u32>, 2>;",
        "fn f() { loop { break; } }",
        "fn f() { workgroupBarrier(); }",
        "fn f() { let i = 1i; }",
        "fn f(v: vec2<f32>) { var r = v; r.x = 1.0; }",
        "fn f() -> f32 { return tanh(1.0); }",
        "fn f() { var c: subgroup_matrix_result<f16, 16, 16>; }",
    ],
)
def test_the_interpreter_refuses_what_it_does_not_know(text: str) -> None:
    with pytest.raises(UntranslatedError, match=", line 1: "):
        interpret(text, [], (1,))
