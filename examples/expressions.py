"""Standardise rows with operators, then filter and measure them with kernels from expressions.

Operators, slices and methods of buffers are NumPy's. A few words of WGSL make a kernel that
broadcasts, folds or scans; it is compiled once for each device.
"""

import numpy as np

import gpustd
from gpucore import Device

# The logistic function, element by element; T takes the dtype of the operand.
LOGISTIC = gpustd.ElementwiseKernel("x: T", "y: T", "y = 1 / (1 + exp(-x))", "logistic")

# The root of the mean square: n is the count.
RMS = gpustd.ReductionKernel(
    "x: f32", "y: f32", map="x * x", reduce="a + b", identity="0", finish="sqrt(a / f32(n))"
)

# y[k] = 0.9 y[k - 1] + 0.1 x[k]: steps (factor, sum) that follow each other make one step.
SMOOTH = gpustd.ScanKernel(
    "x: f32",
    "y: f32",
    map="vec2(0.9, 0.1 * x)",
    combine="vec2(a.x * b.x, b.x * a.y + b.y)",
    identity="1, 0",
    finish="a.y",
    accumulator="vec2<f32>",
)


def smooth_on_host(rows: np.ndarray) -> np.ndarray:
    """Return the same filter, one step after the other."""
    y = np.zeros_like(rows)
    for k in range(rows.shape[1]):
        y[:, k] = 0.9 * y[:, k - 1] * (k > 0) + 0.1 * rows[:, k]
    return y


def main() -> None:
    """Compare each step with NumPy."""
    device = Device.auto()
    a = np.random.default_rng(0).normal(3, 2, (64, 1000)).astype(np.float32)
    x = device.buffer_from_array(a)

    x -= x.mean(axis=1, keepdims=True)
    x /= x.std(axis=1, keepdims=True)
    x[abs(x) > 3] = 0
    a = (a - a.mean(1, keepdims=True)) / a.std(1, keepdims=True)
    a[abs(a) > 3] = 0

    assert np.allclose(RMS(x, axis=1).read(), np.sqrt(np.square(a).mean(1)), rtol=1e-4)
    assert np.allclose(SMOOTH(x, axis=1).read(), smooth_on_host(a), atol=1e-4)
    assert np.allclose(LOGISTIC(x)[:, ::10].read(), 1 / (1 + np.exp(-a[:, ::10])), atol=1e-5)
    print(f"{a.shape[0]} rows on {device.name} ({device.info.backend}), equal to NumPy's")


if __name__ == "__main__":
    main()
