"""Products of workgroups with matrix units, run thread by thread: right, and without faults.

No engine here runs `gemm/loaders.wgsl` in its form for cards whose barriers meet in two loops.
Operands are small integers, which f16 holds, and sums of their products, which f32 does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore import Buffer, Device
from gpustd import gemm, product, template, wide_gemm
from gpustd.reference.gemm import reference
from gpustd.rungs import forced_rung
from gpustd.tiles import Tile
from tests.gpustd.products import SMALL_LOADERS, SMALL_MATRIX, SMALL_TEAMS
from tests.gpustd.wgsl_to_python import UntranslatedError
from tests.gpustd.workgroup_interpreter import WorkgroupError, interpret

Array = NDArray[Any]
Change = Callable[[str], str]

LOADERS = SMALL_LOADERS["matrix loaders"]
MATRIX = SMALL_MATRIX["matrix"]
TEAMS = SMALL_TEAMS["matrix teams"]
BARRIER = "workgroupBarrier();"


def integers(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).integers(-2, 3, shape).astype(np.float16)


def interpreted(apart: bool, change: Change) -> Callable[..., Callable[..., None]]:
    """In place of `template.kernel`: what it makes runs here and now, on a null device's bytes."""

    def kernel(device: Device, name: str, **spec: template.Value) -> Callable[..., None]:
        if "apart" in spec:
            spec["apart"] = apart
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
    apart: bool = True,
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
    patch.setattr(product, "kernel", interpreted(apart, change))
    null = Device.null()
    x, y = null.buffer_from_array(a), null.buffer_from_array(w)
    with forced_rung("product", "matrix", tile):
        if epilogue == "f32":
            return wide_gemm(x, y).read(), reference(a, w, None, None, None)
        extras = [None if e is None else null.buffer_from_array(e) for e in (bias, residual)]
        found = gemm(x, y, bias=extras[0], activation=activation, residual=extras[1]).read()
    return found, reference(a, w, bias, activation, residual)


def check(found: Array, wanted: Array) -> None:
    np.testing.assert_array_equal(found, wanted.astype(found.dtype))


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("k", [64, 128, 192])
def test_loaders_are_right(monkeypatch: pytest.MonkeyPatch, k: int, *, apart: bool) -> None:
    """Rows and columns whole and ragged, results through workgroup memory and without."""
    for m, n, epilogue in [(64, 128, "plain"), (33, 72, "fused"), (64, 128, "f32")]:
        check(*multiplied(monkeypatch, LOADERS, (m, k, n), epilogue, apart))


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("k", [64, 128, 192])
def test_loaders_are_right_with_gates(
    monkeypatch: pytest.MonkeyPatch, k: int, *, apart: bool
) -> None:
    found, wanted = multiplied(monkeypatch, LOADERS, (33, k, 40), "geglu", apart)
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


STORE = "tile[to + sb + 72u] = vb0_1;"
TURN = "while (pair <= PAIRS)"
EARLY = "row_major>(&tile, 1u * STAGE_WORDS + (wm"
ROW, STAGE = "m0 + wm + r + 0u", "team * STAGE_WORDS"
# Tile, form, what is replaced (first, or number so-and-so), by what, and the fault that is found.
FAULTS: dict[str, tuple[Tile, bool, str, int, str, str]] = {
    "loaders wait less": (LOADERS, True, BARRIER, 0, "", "written while subgroup 0 reads"),
    "all wait less": (LOADERS, False, BARRIER, 2, "", "is used: written while subgroup 0 reads"),
    "too few turns": (LOADERS, True, TURN, 0, "while (pair < PAIRS)", "threads come to barrier"),
    "wrong slot": (LOADERS, True, "slot = STAGE_WORDS", 0, "slot = 0u", "is used: written while"),
    "too early": (LOADERS, True, EARLY, 0, EARLY.replace("1", "2"), "is used: written while"),
    "one address": (LOADERS, True, "+ kb * LB + cb", 0, "+ kb * LB", "written while thread"),
    "not stored": (LOADERS, True, STORE, 0, "", "is used: read before anything is written"),
    "past rows": (LOADERS, True, "params.m - 1u", 0, "params.m", "past the end"),
    "one row": (LOADERS, True, ROW, 0, "m0 + wm", "written twice"),
    "few columns": (LOADERS, True, "NONE, n >=", 0, "NONE, n + 1u >=", "never written"),
    "lanes differ": (LOADERS, True, "160u + 0u", 0, "160u + lane", "threads 0 and 1 differ"),
    "first barrier": (MATRIX, False, BARRIER, 0, "", "written while subgroup 0 reads"),
    "second barrier": (MATRIX, False, BARRIER, 1, "", "is used: read while thread"),
    "last barrier": (MATRIX, False, BARRIER, 3, "", "read while subgroup 0 writes"),
    "teams in one place": (TEAMS, False, STAGE, 0, "0u", "written while thread 0 does"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    tile, apart, old, number, new, message = FAULTS[fault]

    def change(text: str) -> str:
        parts = text.split(old)
        return old.join(parts[: number + 1]) + new + old.join(parts[number + 1 :])

    with pytest.raises(WorkgroupError, match=message):
        multiplied(monkeypatch, tile, (33, 128, 72), "fused", apart, change)


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
