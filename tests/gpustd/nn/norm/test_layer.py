"""Layer norm against NumPy float64, on every variant and engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device, DType, DTypeError, ShapeError, f16, f32
from gpustd import layer_norm
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.variants import force_variant
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.poison import poison_pool
from tests.gpustd.reference import layer_norm as oracle
from tests.gpustd.reference.layer_norm import CASES

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]
EPS: dict[type[DType], float] = {f32: float(np.finfo(np.float32).eps), f16: 2.0**-10}
# Outermost below, so that each variant has some of the sampled cases.
VARIANTS = ("naive", "workgroup", "subgroup")
# f16 changes the variants of GPUs by the widths of words only: 8, 1 and 4 elements. (A software
# renderer compiles them for seconds.)
HALVES = ((9, 320), (5, 127), (3, 2500))
MATCHES = [
    pytest.param(variant, dtype, shape, id=f"{dtype.name}-{variant}-{'x'.join(map(str, shape))}")
    for variant in VARIANTS
    for shape in CASES
    for dtype in (f32, f16)
    if dtype is f32 or shape in HALVES or variant == "naive"
]


def draw(shape: tuple[int, ...], dtype: type[DType], offset: float) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(1)
    x = (rng.standard_normal(shape) * 2 + offset).astype(dtype.numpy)
    gamma, beta = rng.standard_normal((2, shape[-1])).astype(np.float32)
    return x, gamma, beta


def run(device: Device, variant: str, *arrays: Array) -> Array:
    if variant == "subgroup" and not row_lanes(device):
        pytest.skip(f"{device!r} has no subgroups of one known width")
    x, gamma, beta = (device.buffer_from_array(a) for a in arrays)
    poison_pool(device, x.nbytes)
    with force_variant("layer_norm", variant):
        return layer_norm(x, gamma, beta, eps=1e-5).read()


def check(arrays: tuple[Array, Array, Array], result: Array, eps: float) -> None:
    x, gamma, beta = (a.astype(np.float64) for a in arrays)
    expected = oracle.reference(x, gamma, beta, 1e-5)
    error = np.abs(result.astype(np.float64) - expected)
    allowed = oracle.bound(x, gamma, beta, 1e-5, eps)
    assert result.shape == expected.shape
    assert np.all(error <= allowed), f"worst {np.max(error / allowed)} of what is allowed"


@pytest.mark.parametrize(("variant", "dtype", "shape"), MATCHES)
def test_matches_float64(
    device: Device, variant: str, dtype: type[DType], shape: tuple[int, ...]
) -> None:
    skip_without_f16(device, dtype.name)
    arrays = draw(shape, dtype, 1.0)
    check(arrays, run(device, variant, *arrays), EPS[dtype])


@settings(max_examples=draws(15), deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 5, 31, 64, 131]), min_size=1, max_size=3).map(tuple),
    st.sampled_from([f32, f16]),
    st.sampled_from([0.0, 1.0, -100.0]),
)
def test_drawn_shapes(
    device: Device, shape: tuple[int, ...], dtype: type[DType], offset: float
) -> None:
    dtype = dtype if device.has_f16 else f32
    arrays = draw(shape, dtype, offset)
    check(arrays, run(device, "naive", *arrays), EPS[dtype])


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_large_mean_does_not_cancel(device: Device, variant: str) -> None:
    arrays = draw((3, 640), f32, 10_000.0)
    check(arrays, run(device, variant, *arrays), EPS[f32])


@pytest.mark.parametrize("variant", VARIANTS)
def test_result_does_not_depend_on_the_batch(device: Device, variant: str) -> None:
    x, gamma, beta = draw((3, 13, 36), f32, 1.0)
    together = run(device, variant, x, gamma, beta)
    for image in range(3):
        alone = run(device, variant, x[[image]], gamma, beta)
        np.testing.assert_array_equal(together[image], alone[0])


def test_the_device_takes_its_own_variant(device: Device) -> None:
    arrays = draw((5, 24), f32, 0.0)
    x, gamma, beta = (device.buffer_from_array(a) for a in arrays)
    result = layer_norm(x, gamma, beta, eps=1e-5).read()
    suited = "subgroup" if row_lanes(device) else "workgroup"
    same = run(device, "naive" if device.is_cpu else suited, *arrays)
    np.testing.assert_array_equal(result, same)


def test_refuses_what_does_not_fit(device: Device) -> None:
    x, gamma = device.buffer(f32, (2, 8)), device.buffer(f32, 8)
    with pytest.raises(ShapeError, match=r"bias must be \(8,\), got \(7,\)"):
        layer_norm(x, gamma, device.buffer(f32, 7), eps=1e-5)
    with pytest.raises(DTypeError, match="weight must be f32"):
        layer_norm(x, device.buffer(f16, 8), gamma, eps=1e-5)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"must be \(\.\.\., C\)"):
        layer_norm(device.buffer(f32, ()), gamma, gamma, eps=1e-5)
