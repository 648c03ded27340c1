"""Multiply matrices twice: with the kernel below, and with gpustd.gemm, which is tuned."""

import numpy as np

from gpucore import Device, f32
from gpustd import gemm

# Each workgroup computes a 16x16 block of c. It loads parts of a and b into fast shared memory.
# In WGSL, reads past the edge are safe but return any number: `select` replaces it by zero.
MULTIPLY = """
struct Sizes { m: u32, n: u32, k: u32 }
@group(0) @binding(0) var<storage, read> a: array<f32>;        // m x k
@group(0) @binding(1) var<storage, read> b: array<f32>;        // k x n
@group(0) @binding(2) var<storage, read_write> c: array<f32>;  // m x n
@group(0) @binding(3) var<uniform> size: Sizes;
var<workgroup> block_a: array<array<f32, 16>, 16>;
var<workgroup> block_b: array<array<f32, 16>, 16>;

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_id) local: vec3u) {
    var sum = 0.0;
    for (var start = 0u; start < size.k; start += 16u) {
        let column = start + local.x;
        let row = start + local.y;
        block_a[local.y][local.x] =
            select(0.0, a[id.y * size.k + column], id.y < size.m && column < size.k);
        block_b[local.y][local.x] =
            select(0.0, b[row * size.n + id.x], row < size.k && id.x < size.n);
        workgroupBarrier();
        for (var i = 0u; i < 16u; i++) {
            sum = fma(block_a[local.y][i], block_b[i][local.x], sum);
        }
        workgroupBarrier();
    }
    if (id.y < size.m && id.x < size.n) { c[id.y * size.n + id.x] = sum; }
}
"""


def main(m: int = 250, n: int = 190, k: int = 130) -> None:
    """Compare both products with NumPy's in float64."""
    device = Device.auto()
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
    a, b, c = device.buffer_from_array(x), device.buffer_from_array(y), device.buffer(f32, (m, n))

    multiply = device.compile_kernel(MULTIPLY)
    multiply(a, b, c, {"m": m, "n": n, "k": k}, grid=(-(-n // 16), -(-m // 16)))

    exact = x.astype(np.float64) @ y.astype(np.float64)
    for name, product in (("the kernel above", c), ("gpustd.gemm", gemm(a, b))):
        error = np.linalg.norm(product.read() - exact) / np.linalg.norm(exact)
        assert error < 1e-5
        print(f"{name} on {device.name}: relative error {error:.1e}")


if __name__ == "__main__":
    main()
