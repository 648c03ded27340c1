"""Quantised weights against NumPy: their values bit by bit, products in float64 and bit by bit."""

from __future__ import annotations

import math
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore import ArgumentError, Buffer, Device, DType, DTypeError, ShapeError, f16, f32
from gpustd import QuantizedWeight, fused_conv2d, gemm, wide_gemm
from gpustd.launch.subgroups import broadcast_lanes
from gpustd.launch.variants import force_variant
from gpustd.quantization import BLOCK_FORMATS, QuantizedTensor
from tests.conftest import skip_without_f16
from tests.gpustd.matmul.small_tiles import on_variant
from tests.gpustd.reference import gemm as oracle

# Where the f16 factors of a block begin: bytes are drawn, but factors must be finite.
FACTORS = {
    **dict.fromkeys(("q8_0", "q4_0", "q5_0", "iq4_nl", "iq4_xs"), (0,)),
    **dict.fromkeys(("q4_1", "q5_1", "q4_k", "q5_k"), (0, 2)),
    "q2_k": (80, 82),
    "q3_k": (108,),
    "q6_k": (208,),
}
MATRICES = ((12, 512), (5, 256), (32, 24), (7, 64))
FILTERS = ((8, 32, 3, 3), (32, 8, 3, 3), (4, 64, 2, 2))


def draw(name: str, shape: tuple[int, ...], seed: int = 1) -> QuantizedTensor:
    """Return a tensor of random blocks; factors of all sizes, subnormal ones among them."""
    rng, layout = np.random.default_rng(seed), BLOCK_FORMATS[name]
    blocks = rng.integers(0, 256, (math.prod(shape) // layout.elements, layout.nbytes), np.uint8)
    for at in FACTORS.get(name, ()):
        sizes = 2.0 ** rng.uniform(-22, -5, len(blocks))
        factors = (sizes * rng.choice([-1, 1], len(blocks))).astype("<f2")
        blocks[:, at : at + 2] = factors.view(np.uint8).reshape(-1, 2)
    if layout.elements > 1:
        return QuantizedTensor(name, shape, blocks.reshape(-1))
    blocks[(blocks & 0x7F) >= 0x7C] = 0x40  # NaN and infinities have tests of their own
    scale = rng.uniform(0.001, 0.1, shape[0]).astype(np.float32)
    return QuantizedTensor(name, shape, blocks.reshape(-1), scale)


def as_weight(tensor: QuantizedTensor) -> NDArray[np.float32]:
    """Return values (K, N) or (kh, kw, C, Cout)."""
    values = tensor.values()
    return np.ascontiguousarray(values.transpose((1, 0) if values.ndim == 2 else (2, 3, 1, 0)))


def fitting(name: str, shapes: tuple[tuple[int, ...], ...]) -> list[tuple[int, ...]]:
    """Return the shapes that whole blocks fill."""
    return [each for each in shapes if math.prod(each) % BLOCK_FORMATS[name].elements == 0]


@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_values_have_the_bits_of_numpy(device: Device, name: str, dtype: type[DType]) -> None:
    """Of matrices and filters, also where blocks go on from one column into the next."""
    skip_without_f16(device, dtype.name)
    shapes = fitting(name, MATRICES + FILTERS)
    assert len(shapes) >= 3
    for shape in shapes:
        tensor = draw(name, shape)
        weight = QuantizedWeight.upload(tensor, device)
        expected = as_weight(tensor)
        assert weight.shape == expected.shape
        assert weight.nbytes <= tensor.nbytes + 8 * shape[0]
        np.testing.assert_array_equal(weight.expand(dtype).read(), expected.astype(dtype.numpy))


@pytest.mark.parametrize("name", ["fp8_e4m3fn", "fp8_e5m2"])
def test_all_codes_of_8_bit_floats(device: Device, name: str) -> None:
    """NaN, infinities and the least numbers, too, with one scale for all."""
    codes = np.arange(256, dtype=np.uint8)
    tensor = QuantizedTensor(name, (4, 64), codes, np.asarray(np.float32(0.5)))
    with np.errstate(invalid="ignore"):
        expected = as_weight(tensor)
    values = QuantizedWeight.upload(tensor, device).expand(f32).read()
    np.testing.assert_array_equal(values, expected)


def multiply(
    how: str, a: Buffer[Any], w: Buffer[Any] | QuantizedWeight, options: dict[str, Any]
) -> NDArray[Any]:
    """Return a product; ``load``: its kernel expands the weights, ``expand``: another one does."""
    with force_variant("quantized", how):
        return gemm(a, w, **options).read()


def check_product(
    device: Device, tensor: QuantizedTensor, dtype: type[DType], rows: int, **options: Any
) -> None:
    """Compare a product with that of the values, bit by bit, and with float64."""
    w = as_weight(tensor).astype(dtype.numpy)
    drawn = np.random.default_rng(2).standard_normal((rows, len(w))).astype(dtype.numpy)
    a, weight = device.buffer_from_array(drawn), QuantizedWeight.upload(tensor, device)
    expected = multiply("load", a, device.buffer_from_array(w), options)
    for how in ("load", "expand"):
        np.testing.assert_array_equal(multiply(how, a, weight, options), expected)
    if "activation" not in options:
        exact = oracle.reference(drawn.astype(np.float64), w.astype(np.float64), None, None, None)
        allowed = oracle.bound(drawn, w, exact, 2.0**-10 if dtype is f16 else 2.0**-23)
        assert np.all(np.abs(expected - exact) <= allowed)


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_every_format_in_the_loop_of_a_product(device: Device, name: str) -> None:
    """In columns of whole blocks, and with blocks that go on (K is no multiple of them)."""
    with force_variant("matmul", "cpu"):
        check_product(device, draw(name, (12, 256)), f32, 9)
        if BLOCK_FORMATS[name].elements > 1:
            check_product(device, draw(name, (32, 24)), f32, 9)


CASES = [
    ("naive", f32, "q8_0"),
    ("cpu", f16, "q8_0"),
    ("lanes", f32, "q4_k"),
    ("few", f16, "q8_0"),
    ("tiled", f16, "q4_k"),
    ("tiled split", f32, "fp8_e4m3fn"),
    ("matrix", f16, "q8_0"),
    *(
        pytest.param(variant, dtype, name, marks=pytest.mark.slow)
        for variant, dtype, name in (
            ("naive", f16, "q4_k"),
            ("cpu", f32, "fp8_e4m3fn"),
            ("lanes", f16, "q8_0"),
            ("few", f32, "q4_k"),
            ("tiled", f32, "q8_0"),
            ("tiled split", f16, "q8_0"),
            ("matrix", f16, "q4_k"),
            ("matrix", f16, "fp8_e4m3fn"),
            ("matrix split", f16, "q8_0"),
            ("matrix teams", f16, "q8_0"),
        )
    ),
]


@pytest.mark.parametrize(("variant", "dtype", "name"), CASES)
def test_variants_expand_what_they_load(
    device: Device,
    variant: str,
    dtype: type[DType],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bits are those of the product with the values in the dtype, whoever expands them."""
    skip_without_f16(device, dtype.name)
    if variant == "lanes" and not broadcast_lanes(device):
        pytest.skip(f"{device!r} has no subgroups to broadcast in")
    options = {"few_rows": True} if variant == "few" else {}
    with on_variant(device, variant, monkeypatch):
        # K is no multiple of a tile's slices; blocks of 256 go on from column to column.
        check_product(device, draw(name, (64, 72)), dtype, 2 if options else 37, **options)
        if variant in ("cpu", "tiled"):
            check_product(device, draw(name, (64, 256)), dtype, 5, activation="geglu")


@pytest.mark.parametrize("dtype", [f32, pytest.param(f16, marks=pytest.mark.slow)])
@pytest.mark.parametrize("columns", [48, 64])
def test_lanes_take_four_steps_of_bytes_at_once(
    device: Device, columns: int, dtype: type[DType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Q8_0, and for more rows than other formats, which are expanded first."""
    skip_without_f16(device, dtype.name)
    if not broadcast_lanes(device):
        pytest.skip(f"{device!r} has no subgroups to broadcast in")
    with force_variant("matmul", "lanes"):
        check_product(device, draw("q8_0", (columns, 96)), dtype, 37)
        check_product(device, draw("q8_0", (2 * columns, 32)), dtype, 5, activation="geglu")
        a = device.buffer_from_array(np.ones((37, 96), dtype.numpy))
        monkeypatch.setattr(QuantizedWeight, "expand", lambda *_: pytest.fail("expanded"))
        gemm(a, QuantizedWeight.upload(draw("q8_0", (columns, 96)), device)).read()
        with pytest.raises(pytest.fail.Exception, match="expanded"):
            gemm(a, QuantizedWeight.upload(draw("q4_0", (columns, 96)), device))


@pytest.mark.parametrize("shape", [(16, 32, 3, 3), (32, 8, 3, 3)], ids=str)
@pytest.mark.parametrize("variant", ["cpu", pytest.param("tiled", marks=pytest.mark.slow)])
def test_convolutions(device: Device, variant: str, shape: tuple[int, ...]) -> None:
    """Of two sources, also where blocks cross columns."""
    tensor = draw("q8_0", shape)
    w, weight = as_weight(tensor), QuantizedWeight.upload(tensor, device)
    rng, first = np.random.default_rng(4), shape[1] // 2
    x, second = (
        device.buffer_from_array(rng.standard_normal((2, 5, 6, c)).astype(np.float32))
        for c in (first, shape[1] - first)
    )
    with force_variant("matmul", variant):
        plain = device.buffer_from_array(w)
        expected = fused_conv2d(x, plain, padding=1, second=second).read()
        for how in ("load", "expand"):
            with force_variant("quantized", how):
                result = fused_conv2d(x, weight, padding=1, second=second).read()
            np.testing.assert_array_equal(result, expected)
    assert np.abs(expected).max() > 0


def test_images_do_not_change_with_their_batch(device: Device) -> None:
    """Though few rows are multiplied with weights that the kernel expands, and many are not."""
    weight = QuantizedWeight.upload(draw("q5_1", (24, 64)), device)
    images = np.random.default_rng(5).standard_normal((40, 4, 64)).astype(np.float32)
    together = gemm(device.buffer_from_array(images), weight).read()
    for number in (0, 39):
        alone = gemm(device.buffer_from_array(images[number : number + 1]), weight).read()
        np.testing.assert_array_equal(alone[0], together[number])


def test_wide_results(device: Device) -> None:
    skip_without_f16(device, "f16")
    tensor = draw("q4_1", (8, 32))
    a = np.random.default_rng(6).standard_normal((3, 32)).astype(np.float16)
    result = wide_gemm(device.buffer_from_array(a), QuantizedWeight.upload(tensor, device))
    plain = device.buffer_from_array(as_weight(tensor).astype(np.float16))
    np.testing.assert_array_equal(
        result.read(), wide_gemm(device.buffer_from_array(a), plain).read()
    )


@pytest.mark.parametrize("names", [("q8_0", "q8_0"), ("q8_0", "q4_0", "fp8_e5m2")])
def test_matrices_side_by_side(device: Device, names: tuple[str, ...]) -> None:
    """Of one format, and of several."""
    tensors = [draw(name, (6 + 2 * n, 64), n) for n, name in enumerate(names)]
    joined = QuantizedWeight.join([QuantizedWeight.upload(each, device) for each in tensors])
    expected = np.concatenate([as_weight(each) for each in tensors], axis=1)
    assert joined.formats == tuple(dict.fromkeys(names))
    assert len(joined.parts) == len(set(names))
    np.testing.assert_array_equal(joined.expand(f32).read(), expected)
    a = device.buffer_from_array(np.eye(64, dtype=np.float32))
    np.testing.assert_array_equal(gemm(a, joined).read(), expected)


@pytest.mark.one_engine
@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_a_reserved_weight_takes_what_an_uploaded_one_does(name: str) -> None:
    """At the end, and in between."""
    for shape in fitting(name, MATRICES + FILTERS):
        found = []
        for is_reserved in (False, True):
            with closing(Device.null()) as own:
                if is_reserved:
                    weight = QuantizedWeight.reserve(name, shape, own)
                else:
                    weight = QuantizedWeight.upload(draw(name, shape), own)
                (part,) = weight.parts
                shapes = weight.shape, part.words.shape, part.depth, part.columns, part.taps
                found.append((shapes, own.memory))
        assert found[0] == found[1]


def test_errors(device: Device) -> None:
    weight = QuantizedWeight.upload(draw("q8_0", (4, 32)), device)
    deeper = QuantizedWeight.upload(draw("q8_0", (4, 64)), device)
    x = device.buffer_from_array(np.ones((2, 33), np.float32))
    with pytest.raises(ShapeError, match=r"a @ w must be .* got \(2, 33\) @ \(32, 4\)"):
        gemm(x, weight)
    with pytest.raises(ShapeError, match="must have the same rows"):
        QuantizedWeight.join([weight, deeper])
    with pytest.raises(ShapeError, match="must be"):
        QuantizedWeight.upload(draw("q8_0", (2, 4, 32)), device)
    with pytest.raises(ShapeError, match="must be"):
        QuantizedWeight.reserve("q8_0", (2, 4, 32), device)
    with pytest.raises(DTypeError, match="dtype must be f16 or f32"):
        weight.expand(ArgumentError)  # type: ignore[type-var]
    with pytest.raises(ArgumentError, match="weights must lie on"):
        gemm(Device.null().buffer(f32, (2, 32)), weight)
    with pytest.raises(ShapeError, match="a view of"):
        weight.view((4, 32))
