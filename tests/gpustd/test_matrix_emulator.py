"""The emulator of matrix units against NumPy: every load, store and operation that it has."""

from __future__ import annotations

import numpy as np
import pytest

from gpucore import Device
from tests.conftest import skip_without_f16
from tests.gpustd.matrix_emulator import EmulationError, emulate
from tests.gpustd.null_validator import assert_accepted

LEFT = "subgroup_matrix_left<f16, 16, 16>"
RIGHT = "subgroup_matrix_right<f16, 16, 16>"
RESULT = "subgroup_matrix_result<f32, 16, 16>"
HALF = "subgroup_matrix_result<f16, 16, 16>"
STORE = "subgroupMatrixStore<row_major>"

HEAD = """
enable f16, subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
alias f16x8 = vec4<u32>;
@group(0) @binding(0) var<storage, read> a: array<f16x8>;
@group(0) @binding(1) var<storage, read> b: array<f16x8>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
var<workgroup> words: array<vec4<u32>, 64>;
var<workgroup> halves: array<f16, 512>;
@compute @workgroup_size(64)
fn main(
    @builtin(local_invocation_index) t: u32,
    @builtin(subgroup_id) subgroup: u32, // comment, with a comma
    @builtin(subgroup_invocation_id) lane: u32,
) {
    words[t] = select(b[t % 32u], a[t % 32u], vec4<bool>(t < 32u));
    for (var i = 0u; i < 8u; i++) {
        let word = select(b[t % 32u], a[t % 32u], vec4<bool>(t < 32u))[i / 2u];
        halves[t * 8u + i] = f16(unpack2x16float(word)[i % 2u]);
    }
    workgroupBarrier();
"""

# A product by the second subgroup; the left operand comes from 16-byte words.
PRODUCTS = {
    "words-rows": f"subgroupMatrixLoad<{RIGHT}, row_major>(&words, 32u, 2u)",
    "words-columns": f"subgroupMatrixLoad<{RIGHT}, col_major>(&words, 32u, 2u)",
    "halves-rows": f"subgroupMatrixLoad<{RIGHT}, row_major>(&halves, 256u, 16u)",
    "halves-columns": f"subgroupMatrixLoad<{RIGHT}, col_major>(&halves, 8u << 5u, 16u)",
    "storage-rows": f"subgroupMatrixLoad<{RIGHT}, row_major>(&b, 0u, 2u)",
}


def product(right: str) -> str:
    """2 a b + 1 through every operation on results, stored by columns and by rows."""
    return (
        HEAD
        + f"""
    if (subgroup == 1u) {{
        let left = subgroupMatrixLoad<{LEFT}, row_major>(&words, 0u, 2u);
        let right = {right};
        var sums: array<{RESULT}, 2>;
        sums[1] = subgroupMatrixMultiplyAccumulate(left, right, {RESULT}(0.25));
        sums[1] = subgroupMatrixScalarMultiply(subgroupMatrixScalarAdd(sums[1], 0.25), 2.0);
        subgroupMatrixStore<col_major>(&y, 0u, sums[1], 16u);
        subgroupMatrixStore<row_major>(&y, 256u, sums[0], 16u);
    }}
}}"""
    )


# f32 results through 16-byte words and back.
ROUND_TRIP = (
    HEAD
    + f"""
    let left = subgroupMatrixLoad<{LEFT}, row_major>(&words, 0u, 2u);
    let right = subgroupMatrixLoad<{RIGHT}, row_major>(&words, 32u, 2u);
    var sum = subgroupMatrixMultiplyAccumulate(left, right, {RESULT}());
    workgroupBarrier();
    if (subgroup == 0u) {{ subgroupMatrixStore<row_major>(&words, 0u, sum, 4u); }}
    workgroupBarrier();
    let again = subgroupMatrixLoad<{RESULT}, row_major>(&words, 0u, 4u);
    if (subgroup == 1u) {{ subgroupMatrixStore<row_major>(&y, 0u, again, 16u); }}
    y[256u + t] = f32(subgroup * 100u + lane);
}}"""
)


def run(device: Device, source: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    skip_without_f16(device, "f16")
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 16, 16)).astype(np.float16)
    y = device.buffer_from_array(np.full(512, np.nan, np.float32))
    kernel = device.compile_kernel(emulate(source))
    kernel(device.buffer_from_array(a), device.buffer_from_array(b), y, grid=1)
    return a.astype(np.float64), b.astype(np.float64), y.read()


@pytest.mark.parametrize("kind", PRODUCTS)
def test_products(device: Device, kind: str) -> None:
    a, b, y = run(device, product(PRODUCTS[kind]))
    expected = 2 * (a @ (b.T if kind.endswith("columns") else b)) + 1
    np.testing.assert_allclose(y[:256].reshape(16, 16).T, expected, rtol=0, atol=2e-5)
    np.testing.assert_array_equal(y[256:], 0)


def test_results_through_memory(device: Device) -> None:
    a, b, y = run(device, ROUND_TRIP)
    np.testing.assert_allclose(y[:256].reshape(16, 16), a @ b, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(y[256:320], np.arange(64) // 32 * 100 + np.arange(64) % 32)


def test_emulates_only_what_dawn_accepts() -> None:
    assert_accepted("""
from tests.gpustd.test_matrix_emulator import PRODUCTS, ROUND_TRIP, product
sources += [*map(product, PRODUCTS.values()), ROUND_TRIP]
""")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("let m = subgroupMax(t);", "subgroupMax is not emulated"),
        (f"let m = subgroupMatrixLoad<{LEFT}>(&words, 0u, false, 2u);", "lacks row_major"),
        (f"let m = subgroupMatrixLoad<{LEFT}, row_major>(&t, 0u, 2u);", "&t is not the address"),
        ("var m: subgroup_matrix_left<f16, N, 16>;", "as numbers"),
        ("var m: subgroup_matrix_left<f16, 8, 8>;", "only 16 rows"),
        (f"var m: {LEFT}; var n: subgroup_matrix_left<f32, 16, 16>;", "more than one kind"),
        (f"var m: {RESULT}; var n: {HALF}; {STORE}(&words, 0u, made(), 2u);", "f32 or f16"),
    ],
)
def test_refuses_what_it_does_not_emulate(line: str, message: str) -> None:
    with pytest.raises(EmulationError, match=message):
        emulate(HEAD + line + "}")
