"""Elementwise, reduction and scan kernels from expressions, against NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.expression import DECAY, HYPOT, NORM
from gpucore import ArgumentError, Device, DTypeError, KernelCompileError, ShapeError, f32, i32
from gpucore.dtypes import DTYPES
from gpustd.arrays import ElementwiseKernel, ReductionKernel, ScanKernel
from gpustd.launch import template
from tests.draws import draws
from tests.gpustd.arrays.operators import draw, held_by
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool
from tests.gpustd.reference import expression as oracle
from tests.gpustd.reference.expression import CASES, TOLERANCE, Case

pytestmark = pytest.mark.sampled

NULL = Device.null()
SEED = st.integers(0, 10**6)
KERNELS = {"hypot": "ElementwiseKernel", "norm": "ReductionKernel", "decay": "ScanKernel"}


def numbers(shape: tuple[int, ...], seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(0.25, 4, shape).astype(np.float32)


def close(device: Device, name: str, found: Any, expected: Any) -> None:
    allowed = TOLERANCE[name] * np.abs(expected)
    compare(device, f"arrays.{KERNELS[name]}", found.read(), expected, allowed)


# Half a minute on two cores: 65 537 workgroups with barriers.
TABLE = [
    pytest.param(each, marks=pytest.mark.slow) if each.shape[0:1] == (65537,) else each
    for each in CASES
]


@pytest.mark.parametrize("case", TABLE, ids=str)
def test_table(device: Device, case: Case) -> None:
    a = numbers(case.shape)
    x = device.buffer_from_array(a)
    count = int(a.size)
    poison_pool(device, 4 * count, 4 * count // 256 + 4)
    close(device, "hypot", HYPOT(x, x), oracle.reference(a, a))
    close(device, "norm", NORM(x, axis=case.axis), oracle.norm(a, case.axis))
    close(device, "decay", DECAY(x, axis=case.axis), oracle.decay(a, case.axis))


@pytest.mark.parametrize("kind", sorted(DTYPES))
def test_dtypes(device: Device, kind: str) -> None:
    """A variable takes each dtype; results of bytes wrap, f16 is rounded once."""
    name = held_by(device, kind)
    a, b = draw(name, (5, 33), 1), draw(name, (33,), 2)
    x, y = device.buffer_from_array(a), device.buffer_from_array(b)
    poison_pool(device, a.nbytes)
    add = ElementwiseKernel("x: T, y: T", "z: T", "z = x + y", "add")
    total = ReductionKernel("x: T", "y: T", map="x", reduce="a + b", identity="0", name="total")
    running = ScanKernel("x: T", "y: T", map="x", combine="a + b", identity="0", name="running")
    most = ReductionKernel("x: T", "y: T", map="x", reduce="a + b", identity="0", finish="a + T(n)")
    wide = np.complex128 if name == "c64" else np.float64 if name[0] == "f" else np.int64
    found = [add(x, y), total(x, axis=1), running(x, axis=1), running(x, axis=1, exclusive=True)]
    scanned = np.cumsum(a.astype(wide), axis=1)
    expected = [a.astype(wide) + b, scanned[:, -1], scanned, scanned - a]
    size = float(np.abs(a.astype(np.complex128)).sum(axis=1).max())
    for result, exact in zip(found, expected, strict=True):
        assert result.dtype is DTYPES[name]
        if wide is np.int64:
            np.testing.assert_array_equal(result.read(), exact.astype(a.dtype))
        else:
            # 33 roundings of a sum, and that of f16.
            allowed = 33 * 2.0**-24 * size + (
                2.0**-10 * np.abs(exact) + 6e-8 if name == "f16" else 0
            )
            compare(device, "arrays.ElementwiseKernel", result.read(), exact, allowed)
    if name == "i32":
        np.testing.assert_array_equal(most(x, axis=0).read(), a.sum(axis=0, dtype=np.int32) + 5)


@settings(max_examples=draws(40), deadline=None)
@given(
    st.data(),
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=9),
    SEED,
)
def test_broadcasting(device: Device, data: st.DataObject, shapes: Any, seed: int) -> None:
    a, b = (numbers(s, seed + k) for k, s in enumerate(shapes.input_shapes))
    x, y = device.buffer_from_array(a), device.buffer_from_array(b)
    close(device, "hypot", HYPOT(x, y), oracle.reference(a, b))
    close(device, "hypot", HYPOT(x, 2), oracle.reference(a, np.float64(2)))
    dot = ReductionKernel("x: f32, y: T", "z: T", map="x * y", reduce="a + b", identity="0")
    rank = len(shapes.result_shape)
    axes = data.draw(st.one_of(st.none(), st.sets(st.integers(0, rank - 1)) if rank else st.none()))
    axis = None if axes is None else tuple(axes)
    keep = data.draw(st.booleans())
    poison_pool(device, 4 * int(np.prod(shapes.result_shape)))
    expected = np.sum(np.multiply(a, b, dtype=np.float64), axis=axis, keepdims=keep)
    found = dot(x, y, axis=axis, keepdims=keep).read()
    compare(device, "arrays.ReductionKernel", found, expected, 4.6e-5 * np.abs(expected))
    running = ScanKernel("x: f32, y: T", "z: T", map="x * y", combine="a + b", identity="0")
    along = data.draw(st.one_of(st.none(), st.integers(-rank, rank - 1) if rank else st.none()))
    expected = np.cumsum(np.multiply(a, b, dtype=np.float64), axis=along)
    compare(
        device, "arrays.ScanKernel", running(x, y, axis=along).read(), expected, 4.6e-5 * expected
    )


def test_results_do_not_depend_on_the_batch(device: Device) -> None:
    a = numbers((5, 4097, 3))
    x = device.buffer_from_array(a)
    for axis in (1, (1, 2), 2):
        whole = NORM(x, axis=axis).read()
        for k in range(5):
            alone = NORM(device.buffer_from_array(a[k : k + 1]), axis=axis).read()
            np.testing.assert_array_equal(alone[0], whole[k])
    scans = DECAY(x, axis=1).read()
    np.testing.assert_array_equal(
        DECAY(device.buffer_from_array(a[2:3]), axis=1).read()[0], scans[2]
    )


def test_several_outputs_whole_arrays_and_preambles(device: Device) -> None:
    table = np.arange(7, dtype=np.float32) ** 2
    places = np.array([[3, 0], [6, 1]], np.uint8)
    look = ElementwiseKernel(
        "table: array<f32>, place: u8, scale: f32",
        "z: f32, at: i32, part: c64",
        "z = scaled(table[place], scale); at = i32(i); part = vec2(z, f32(n));",
        preamble="fn scaled(x: f32, by: f32) -> f32 { return x * by; }",
    )
    given_ = device.buffer_from_array(table), device.buffer_from_array(places)
    z, at, part = look(*given_, 0.5)
    np.testing.assert_array_equal(z.read(), table[places] / 2)
    np.testing.assert_array_equal(at.read(), [[0, 1], [2, 3]])
    np.testing.assert_array_equal(part.read(), table[places] / 2 + 4j)
    count = ElementwiseKernel("table: array<f32>", "z: f32", "z = table[n - 1u - i]")
    np.testing.assert_array_equal(count(given_[0], shape=7).read(), table[::-1])
    with pytest.raises(ArgumentError, match="shape must be given where all operands are whole"):
        count(given_[0])


def test_scans_keep_the_order_of_elements(device: Device) -> None:
    """Composition of maps x -> p x + q does not commute."""
    rng = np.random.default_rng(4)
    p, q = rng.integers(-3, 4, (2, 999)).astype(np.int32).view(np.uint32)
    compose = ScanKernel(
        "p: u32, q: u32",
        "y: u32",
        map="vec2(p, q)",
        combine="vec2(a.x * b.x, b.x * a.y + b.y)",
        identity="1, 0",
        finish="a.x + a.y",
        accumulator="vec2<u32>",
    )
    expected, value = [], np.uint32(1)
    with np.errstate(over="ignore"):
        for k in range(999):
            value = p[k] * value + q[k]
            expected.append(value)
    found = compose(*(device.buffer_from_array(each) for each in (p, q))).read()
    np.testing.assert_array_equal(found, expected)


def test_places_of_extremes(device: Device) -> None:
    a = numbers((6, 300, 5), 8)
    place = ReductionKernel(
        "x: f32",
        "y: i32",
        map="vec2(x, f32(i))",
        reduce="select(a, b, b.x > a.x || (b.x == a.x && b.y < a.y))",
        identity="-3.4e38, 0",
        finish="a.y",
        accumulator="vec2f",
    )
    for axis in (0, 1, 2):
        found = place(device.buffer_from_array(a), axis=axis).read()
        np.testing.assert_array_equal(found, a.argmax(axis=axis))


def test_a_text_is_compiled_once(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    x = device.buffer(f32, 100)
    HYPOT(x, x)
    monkeypatch.setattr(Device, "compile_kernel", lambda *_, **__: pytest.fail("compiled again"))
    HYPOT(x, x)
    HYPOT(device.buffer(f32, (7, 3)), device.buffer(f32, (7, 3)))


def test_texts_that_do_not_compile(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not left among the rendered kernels, all of which another test compiles."""
    monkeypatch.setattr(template, "_rendered", {})
    x = device.buffer(f32, 3)
    for body, message in (("z = x +", "does not parse"), ("z = nothing", "nothing")):
        with pytest.raises(KernelCompileError, match=message):
            ElementwiseKernel("x: f32", "z: f32", body)(x)
    with pytest.raises(KernelCompileError):
        ReductionKernel("x: f32", "z: f32", map="x", reduce="a + c", identity="0")(x)


REFUSED: list[tuple[str, Any]] = [
    ("parameters must read like 'x: f32, y: T', got 'float x'", ("float x", "z: f32", "z = x")),
    ("the name 'i' is taken", ("i: f32", "z: f32", "z = i")),
    ("the name 'x' is taken", ("x: f32, x: f32", "z: f32", "z = x")),
    ("the type of x must be one of c64, f16", ("x: f64", "z: f32", "z = x")),
    ("table cannot be an array of u8 here", ("table: array<u8>", "z: f32", "z = 1.0")),
    ("there must be outputs with names of their own", ("x: f32", "", "z = x")),
    ("there must be outputs with names of their own", ("x: f32", "x: f32", "x = x")),
    ("body must assign the output w", ("x: f32", "z: f32, w: f32", "z = x; if (w == x) { }")),
    ("body must be WGSL text, got ' '", ("x: f32", "z: f32", " ")),
]


@pytest.mark.parametrize(("message", "arguments"), REFUSED, ids=[m for m, _ in REFUSED])
def test_wrong_declarations(message: str, arguments: Any) -> None:
    with pytest.raises(ArgumentError) as caught:
        ElementwiseKernel(*arguments, name="mine")
    assert str(caught.value).startswith(f"mine: {message}")


def test_wrong_operands() -> None:
    x, n = NULL.buffer(f32, (2, 3)), NULL.buffer(i32, 3)
    mine = ElementwiseKernel("x: T, y: T", "z: T", "z = x + y", "mine")
    with pytest.raises(ArgumentError, match=r"mine: there must be 2 operands \(x, y\), got 1"):
        mine(x)
    with pytest.raises(DTypeError, match="mine: y must be f32, got Buffer"):
        mine(x, n)
    with pytest.raises(ShapeError, match="mine: extents must be equal or 1 to broadcast"):
        mine(x, NULL.buffer(f32, 2))
    with pytest.raises(ArgumentError, match="mine: x must be a Buffer or number, got ndarray"):
        mine(np.ones(3, np.float32), x)
    with pytest.raises(ArgumentError, match="mine: one operand must be a Buffer, got numbers"):
        mine(1, 2)
    with pytest.raises(DTypeError, match=r"the number must be of a kind that i32 holds, got 0\.5"):
        mine(n, 0.5)
    fold = ReductionKernel("x: T", "y: T", map="x", reduce="a + b", identity="0", name="fold")
    with pytest.raises(ShapeError, match=r"fold: axis 2 of \(2, 3\): it has 2 axes"):
        fold(x, axis=2)
    with pytest.raises(ShapeError, match="fold: axes must differ"):
        fold(x, axis=(0, -2))
    with pytest.raises(ArgumentError, match="fold: accumulator must be one of f32,"):
        ReductionKernel(
            *("x: T", "y: T"), map="x", reduce="a", identity="0", accumulator="f64", name="fold"
        )
    scan = ScanKernel("x: T", "y: T", map="x", combine="a + b", identity="0", name="scan")
    with pytest.raises(ShapeError, match=r"scan: axis 2 of \(2, 3\): it has 2 axes"):
        scan(x, axis=2)
    with pytest.raises(ArgumentError, match="the type U of y must be that of an input"):
        ElementwiseKernel("x: T", "y: U", "y = x")(x)
    assert repr(fold) == "ReductionKernel(fold: x)"
