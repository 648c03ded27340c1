"""Reference, cases and tolerance of fused_conv2d."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.gpustd.reference.gemm import activate

__all__ = ["AUTOENCODERS", "CASES", "FEW_CHANNELS", "SMALL", "UNET", "Case", "bound", "reference"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Sizes of one convolution; ``second`` is the width of the second source."""

    images: int
    height: int
    width: int
    channels: int
    outputs: int
    kernel: int = 3
    stride: int = 1
    padding: tuple[int, int, int, int] = (1, 1, 1, 1)
    upsample: tuple[int, int] | None = None
    second: int = 0
    per_image: bool = False
    residual: bool = False
    activation: str | None = None
    wrap: str = ""

    @property
    def name(self) -> str:
        """Name in test ids and benchmark rows."""
        parts = [
            f"{self.images}x{self.height}x{self.width}x{self.channels}",
            f"to{self.outputs}k{self.kernel}",
            f"s{self.stride}" if self.stride > 1 else "",
            f"p{''.join(map(str, self.padding))}" if self.padding != (1, 1, 1, 1) else "",
            f"up{self.upsample[0]}x{self.upsample[1]}" if self.upsample else "",
            f"with{self.second}" if self.second else "",
            "image" if self.per_image else "",
            "residual" if self.residual else "",
            self.activation or "",
            f"wrap{self.wrap}" if self.wrap else "",
        ]
        return "-".join(part for part in parts if part)


_NONE = (0, 0, 0, 0)

SMALL = (
    Case(2, 32, 32, 64, 64),
    Case(2, 16, 16, 128, 128),
    Case(1, 256, 256, 32, 32),
)
"""Sizes that are timed on every device, and tested."""

UNET = (
    Case(2, 64, 64, 320, 320),
    Case(2, 32, 32, 640, 640),
    Case(2, 16, 16, 1280, 1280),
    Case(2, 16, 16, 2560, 1280),
    Case(2, 8, 8, 1280, 1280),
    Case(2, 8, 8, 2560, 1280),
)
AUTOENCODERS = (
    Case(1, 128, 128, 512, 512),
    Case(1, 512, 512, 256, 256),
    Case(1, 512, 512, 256, 128),
    Case(1, 512, 512, 128, 128),
)
FEW_CHANNELS = (
    Case(2, 64, 64, 4, 320),
    Case(1, 64, 64, 4, 512),
    Case(2, 64, 64, 320, 4),
    Case(1, 512, 512, 128, 3),
)
"""Sizes of Stable Diffusion that are timed on GPUs: in the UNet, in autoencoders, at their ends."""

CASES = (
    Case(1, 1, 1, 1, 1),
    Case(2, 5, 7, 3, 5),
    Case(1, 9, 6, 4, 12, per_image=True),
    Case(2, 8, 8, 8, 16, residual=True),
    Case(1, 7, 5, 16, 8, second=8, per_image=True),
    Case(2, 6, 5, 8, 4, second=24, residual=True, activation="silu"),
    Case(1, 8, 9, 16, 24, stride=2),
    Case(1, 8, 6, 8, 16, stride=2, padding=(0, 1, 0, 1)),
    Case(1, 4, 3, 16, 8, upsample=(8, 6)),
    Case(2, 4, 3, 8, 20, upsample=(7, 5), residual=True),
    Case(2, 5, 4, 8, 8, kernel=1, padding=_NONE, second=8),
    Case(1, 3, 3, 24, 3, kernel=1, padding=_NONE),
    Case(2, 3, 4, 8, 16, kernel=1, padding=(0, 2, 0, 1)),
    Case(1, 6, 6, 40, 72, activation="gelu"),
    Case(2, 5, 7, 12, 12, residual=True, activation="relu"),
    Case(0, 4, 4, 4, 4),
    Case(1, 11, 13, 8, 8, kernel=5, padding=(2, 2, 2, 2), stride=3),
    Case(2, 5, 7, 8, 16, wrap="xy"),
    Case(1, 4, 6, 8, 8, stride=2, padding=(0, 1, 0, 1), wrap="x"),
    Case(1, 3, 4, 8, 8, upsample=(6, 7), wrap="y", second=8),
    *SMALL,
)


def reference(
    case: Case,
    x: Array,
    w: Array,
    bias: Array,
    per_image: Array | None,
    residual: Array | None,
) -> Array:
    """Return the result of fused_conv2d in float64; ``x`` holds both sources."""
    result = convolve(case, x, w) + bias
    if per_image is not None:
        result = result + per_image[:, None, None]
    result = activate(result, case.activation)
    return result if residual is None else result + residual


def convolve(case: Case, x: Array, w: Array) -> Array:
    """Return the convolution without bias and epilogue."""
    if case.upsample:
        x = x.repeat(2, axis=1).repeat(2, axis=2)[:, : case.upsample[0], : case.upsample[1]]
    top, bottom, left, right = case.padding
    for axis, name, pads in ((1, "y", (top, bottom)), (2, "x", (left, right))):
        widths = [(0, 0)] * 4
        widths[axis] = pads
        x = np.pad(x, widths, mode="wrap" if name in case.wrap else "constant")
    height = (x.shape[1] - case.kernel) // case.stride + 1
    width = (x.shape[2] - case.kernel) // case.stride + 1
    result = np.zeros((x.shape[0], height, width, w.shape[3]))
    for i in range(case.kernel):
        for j in range(case.kernel):
            rows = slice(i, i + (height - 1) * case.stride + 1, case.stride)
            columns = slice(j, j + (width - 1) * case.stride + 1, case.stride)
            result += x[:, rows, columns] @ w[i, j]
    return result


def bound(case: Case, x: Array, w: Array, result: Array, eps_out: float) -> Array:
    """Return the greatest error allowed for each element; `gemm.bound` gives the reasons."""
    k = max(w.shape[0] * w.shape[1] * w.shape[2], 1)
    spread = convolve(case, np.abs(x), np.abs(w))
    eps = float(np.finfo(np.float32).eps)
    rounding = 16 * eps * (1 + np.abs(result)) + eps_out * (np.abs(result) + 1e-3)
    return np.asarray(4 * eps * np.sqrt(k) * (spread + 1) + rounding)
