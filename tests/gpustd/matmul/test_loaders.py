"""Products of workgroups with matrix units, run in the interpreter: right, and without faults.

No software renderer runs `matmul/gemm/loaders.wgsl`, whose barriers meet in two loops.
Operands are small integers, which f16 holds, and sums of their products, which f32 does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore import Buffer, Device, SanitizerError, f16
from gpustd import gemm, wide_gemm
from gpustd.launch import template
from gpustd.launch.variants import force_variant
from gpustd.matmul import launching
from gpustd.matmul.dense import multiply_batch
from gpustd.matmul.tiles import MATRIX_TILES, Tile
from tests.gpustd.interpreted import run_kernel
from tests.gpustd.matmul.small_tiles import SMALL_LOADERS, SMALL_MATRIX, SMALL_TEAMS
from tests.gpustd.reference.gemm import reference

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]
Change = Callable[[str], str]

PAIRS = SMALL_LOADERS["matrix loaders"]
LINES = SMALL_LOADERS["matrix loaders of lines"]
MATRIX = SMALL_MATRIX["matrix"]
TEAMS = SMALL_TEAMS["matrix teams"]
BARRIER = "workgroupBarrier();"


def integers(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).integers(-2, 3, shape).astype(np.float16)


def interpreting_kernel(change: Change) -> Callable[..., Callable[..., None]]:
    """Return a `template.kernel` whose kernels run in the interpreter, on a null device's bytes."""

    def kernel(device: Device, name: str, **spec: template.Value) -> Callable[..., None]:
        text = change(template.render(name, spec))

        def launch(*buffers: Buffer[Any], grid: tuple[int, ...], work: object) -> None:
            arrays = [buffer.read() for buffer in buffers]
            run_kernel(text, arrays, grid)
            buffers[-1].write(arrays[-1])

        return launch

    return kernel


def multiply(
    patch: pytest.MonkeyPatch,
    tile: Tile,
    shape: tuple[int, int, int],
    epilogue: str = "plain",
    change: Change = str,
) -> tuple[Array, Array]:
    """Multiply M x K by K x N; return the result and the reference.

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
    patch.setattr(launching, "kernel", interpreting_kernel(change))
    null = Device.null()
    x, y = null.buffer_from_array(a), null.buffer_from_array(w)
    with force_variant("matmul", "matrix", tile):
        if epilogue == "f32":
            return wide_gemm(x, y).read(), reference(a, w, None, None, None)
        extras = [None if e is None else null.buffer_from_array(e) for e in (bias, residual)]
        found = gemm(x, y, bias=extras[0], activation=activation, residual=extras[1]).read()
    return found, reference(a, w, bias, activation, residual)


def multiply_three(patch: pytest.MonkeyPatch, tile: Tile) -> tuple[Array, Array]:
    """Multiply three pairs, out of more weights than that; return results and reference."""
    a, w = integers(3, 40, 192), integers(4, 192, 72)
    patch.setattr(launching, "kernel", interpreting_kernel(str))
    null = Device.null()
    y = null.buffer(f16, (3, 40, 72))
    with force_variant("matmul", "matrix", tile):
        multiply_batch("test", null.buffer_from_array(a), null.buffer_from_array(w), y)
    return y.read(), np.stack([reference(a[i], w[i], None, None, None) for i in range(3)])


def check(found: Array, expected: Array) -> None:
    np.testing.assert_array_equal(found, expected.astype(found.dtype))


@pytest.mark.parametrize("loaders", SMALL_LOADERS)
@pytest.mark.parametrize("k", [192, 256, 448])
def test_loaders_are_right(monkeypatch: pytest.MonkeyPatch, k: int, loaders: str) -> None:
    """Check full and partial tiles, with results through workgroup memory and without."""
    tile = SMALL_LOADERS[loaders]
    for m, n, epilogue in ((64, 2 * tile.bn, "plain"), (33, 88, "fused"), (32, tile.bn, "f32")):
        check(*multiply(monkeypatch, tile, (m, k, n), epilogue))


@pytest.mark.parametrize("loaders", SMALL_LOADERS)
def test_loaders_are_right_in_batches(monkeypatch: pytest.MonkeyPatch, loaders: str) -> None:
    check(*multiply_three(monkeypatch, SMALL_LOADERS[loaders]))


@pytest.mark.parametrize("tile", [t for t in MATRIX_TILES if t.loaders], ids=lambda t: str(t.bn))
def test_tiles_that_are_offered_are_right(monkeypatch: pytest.MonkeyPatch, tile: Tile) -> None:
    tile = replace(tile, splits=1)
    check(*multiply(monkeypatch, tile, (tile.bm, 320, tile.bn)))
    check(*multiply(monkeypatch, tile, (tile.bm + 3, 448, tile.bn - 8), "fused"))


@pytest.mark.parametrize("loaders", SMALL_LOADERS)
def test_each_group_has_a_turn_at_least(monkeypatch: pytest.MonkeyPatch, loaders: str) -> None:
    tile = SMALL_LOADERS[loaders]
    least = next(k for k in range(32, 256, 32) if tile.fills_turns(k))
    check(*multiply(monkeypatch, tile, (32, least, tile.bn)))


@pytest.mark.parametrize("loaders", SMALL_LOADERS)
@pytest.mark.parametrize("k", [192, 256])
def test_loaders_are_right_with_gates(
    monkeypatch: pytest.MonkeyPatch, k: int, loaders: str
) -> None:
    found, expected = multiply(monkeypatch, SMALL_LOADERS[loaders], (33, k, 48), "geglu")
    # Gelu is right to 4 ulp of f32, below zero to v * v / 2 more (activation/activations.wgsl), so
    # a result is to one of f16. Where product and residual cancel, both are at most 2, with gates
    # from -3 on (lower ones leave products below 1): 8.5 ulp of 2 are less than 2 ** -18.
    limit = np.spacing(np.abs(expected).astype(np.float16)).astype(np.float64)
    assert np.all(np.abs(found - expected) <= np.maximum(limit, 2.0**-18))


@pytest.mark.parametrize("tile", [MATRIX, TEAMS], ids=["alone", "teams"])
@pytest.mark.parametrize("shape", [(32, 64, 64), (33, 72, 72)], ids=str)
def test_matrix_is_right(
    monkeypatch: pytest.MonkeyPatch, tile: Tile, shape: tuple[int, int, int]
) -> None:
    check(*multiply(monkeypatch, tile, shape, "fused"))


class Fault(NamedTuple):
    """A change of a kernel's text that makes it wrong, and what is found."""

    tile: Tile
    old: str
    new: str
    message: str
    occurrence: int = 0  # of the old text


LOAD_EARLY = "early_a0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tile, "
READ_TOO_EARLY = "race in .* is read, and written"
TWO_WRITERS = "race in .* is written, and written"
FAULTS = {
    "loaders wait less": Fault(PAIRS, BARRIER, "", READ_TOO_EARLY),
    "loaders of a slice wait less": Fault(LINES, BARRIER, "", READ_TOO_EARLY),
    "too few turns": Fault(PAIRS, "step < STEPS)", "step + 1u < STEPS)", "barrier in .* is met by"),
    "wrong slot": Fault(PAIRS, "= next_slot(slot)", "= slot", "race in"),
    "too early": Fault(PAIRS, LOAD_EARLY + "1u", LOAD_EARLY + "2u", READ_TOO_EARLY),
    "one address": Fault(LINES, "+ kb0 * LB + cb0", "+ kb0 * LB", TWO_WRITERS),
    "one row": Fault(LINES, "sa0 = row * LA", "sa0 = (row & 3u) * LA", TWO_WRITERS),
    "not stored": Fault(PAIRS, "tile[to + sb0 + 72u] = vb0_1;", "", "uninitialized in .*: tile"),
    "past rows": Fault(
        PAIRS, "params.m - 1u", "params.m", r"bounds in .* x has 792 elements", occurrence=2
    ),
    "results of one row": Fault(PAIRS, "m0 + wm + r + 0u", "m0 + wm", TWO_WRITERS),
    "lanes differ": Fault(
        PAIRS, "step < 12u;", "step < 12u * (lane / 31u);", "subgroup in .* only some invocations"
    ),
    "first barrier": Fault(MATRIX, BARRIER, "", "race in .* is written, and read"),
    "second barrier": Fault(MATRIX, BARRIER, "", READ_TOO_EARLY, occurrence=1),
    "last barrier": Fault(MATRIX, BARRIER, "", READ_TOO_EARLY, occurrence=3),
    "teams in one place": Fault(TEAMS, "team * STAGE_WORDS", "0u", TWO_WRITERS),
}


def exchange(text: str, old: str, new: str, occurrence: int = 0) -> str:
    """Return a text with one occurrence of a part exchanged, which must be there."""
    parts = text.split(old)
    assert len(parts) > occurrence + 1
    return old.join(parts[: occurrence + 1]) + new + old.join(parts[occurrence + 1 :])


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    tile, old, new, message, occurrence = FAULTS[name]
    with pytest.raises(SanitizerError, match=message):
        multiply(
            monkeypatch, tile, (33, 192, 72), "fused", lambda t: exchange(t, old, new, occurrence)
        )


def test_results_that_are_not_written_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="y is never written"):
        multiply(
            monkeypatch,
            PAIRS,
            (33, 192, 72),
            "fused",
            lambda t: exchange(t, "NONE, n >=", "NONE, n + 1u >="),
        )
