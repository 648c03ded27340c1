"""Reference, cases and tolerance of gemm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.gpustd.reference import activation as activations

__all__ = [
    "CASES",
    "CUBE",
    "FEW_ROWS",
    "SMALL",
    "UNET",
    "UNET_XL",
    "Case",
    "activate",
    "bound",
    "reference",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Shape of ``a`` without K, then K, N and what is fused."""

    rows: tuple[int, ...]
    k: int
    n: int
    bias: bool = False
    activation: str | None = None
    residual: bool = False

    @property
    def name(self) -> str:
        """Name in test ids and benchmark rows."""
        fused = [self.activation or "", "bias" * self.bias, "residual" * self.residual]
        extra = "".join(f"-{part}" for part in fused if part)
        return f"{'x'.join(map(str, self.rows))}x{self.n}x{self.k}{extra}"


SMALL = (
    Case((512,), 512, 512),
    Case((1024,), 512, 512),
)
"""Sizes that are timed on every device, and tested."""

CUBE = Case((4096,), 4096, 4096)
UNET = (
    Case((8192,), 320, 320),
    Case((8192,), 320, 2560),
    Case((8192,), 1280, 320),
    Case((2048,), 640, 640),
    Case((2048,), 640, 5120),
    Case((512,), 1280, 1280),
    Case((8192,), 320, 960),
    Case((2048,), 640, 1920),
    Case((2048,), 2560, 640),
    Case((512,), 1280, 3840),
    Case((512,), 1280, 10240),
    Case((512,), 5120, 1280),
    Case((128,), 1280, 1280),
)
UNET_XL = (
    Case((8192,), 640, 640),
    Case((2048,), 1280, 1280),
    Case((2048,), 1280, 3840),
    Case((2048,), 1280, 10240),
    Case((2048,), 5120, 1280),
)
FEW_ROWS = (
    Case((2,), 1280, 1280),
    Case((2,), 1280, 20160),
)
"""Sizes that are timed on GPUs: a cube, and the linear layers of Stable Diffusion's UNets."""

CASES = (
    Case((1,), 1, 1),
    Case((3,), 5, 7, bias=True),
    Case((17,), 31, 13, bias=True, residual=True),
    Case((64,), 64, 64),
    Case((65,), 63, 68, bias=True, activation="silu"),
    Case((127,), 33, 40, bias=True, activation="gelu"),
    Case((2, 77), 96, 160, bias=True, activation="quick_gelu", residual=True),
    Case((2, 33), 40, 24, bias=True, activation="geglu"),
    Case((130,), 72, 176, activation="geglu", residual=True),
    Case((3, 5, 7), 24, 12, activation="gelu_tanh"),
    Case((0,), 8, 8),
    Case((4,), 0, 8, bias=True),
    Case((1,), 1280, 320, bias=True, activation="silu"),
    *SMALL,
)


def reference(
    a: Array,
    w: Array,
    bias: Array | None,
    activation: str | None,
    residual: Array | None,
) -> Array:
    """Return the result of gemm in float64."""
    product = a @ w + (0.0 if bias is None else bias)
    result = activate(product, activation)
    return result if residual is None else result + residual


def activate(x: Array, name: str | None) -> Array:
    """Return an activation by the name that gemm knows; ``geglu`` halves the last axis."""
    if name is None:
        return x
    if name == "geglu":
        value, gate = np.split(x, 2, axis=-1)
        return np.asarray(value * activations.reference(gate, "gelu"))
    return activations.reference(x, name)


def bound(a: Array, w: Array, result: Array, eps_out: float) -> Array:
    """Return the greatest error allowed for each element.

    A sum of K products in f32 is off by at most eps * K * sum |a||w|, typically by eps * sqrt(K)
    times it; four times the typical value is allowed. Activations have slopes below 1.13, GEGLU
    multiplies two sums, and exp in WGSL is off by 3 + 2|x| units in the last place. The result is
    then rounded to the storage type.
    """
    k = max(a.shape[-1], 1)
    spread = np.abs(a) @ np.abs(w)
    if spread.shape[-1] != result.shape[-1]:
        half = spread.shape[-1] // 2
        spread = (spread[..., :half] + 1) * (spread[..., half:] + 1)
    eps = float(np.finfo(np.float32).eps)
    return np.asarray(
        4 * eps * np.sqrt(k) * (spread + 1)
        + 16 * eps * (1 + np.abs(result))
        + eps_out * (np.abs(result) + 1e-3)
    )
