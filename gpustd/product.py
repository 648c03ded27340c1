"""The matrix product behind gemm and convolution: choice of rung and tile, and the launch.

The left operand is a list of *segments*, runs of consecutive elements of a source: a plain product
has one, a convolution one for each tap and source. Five rungs share that view and one epilogue
(``shaders/gemm``): ``naive``; ``cpu`` and ``lanes`` for software renderers; ``tiled`` for any GPU;
``matrix`` for matrix units.

An element's sum runs over K in the same order in every tile of a rung, and the rung depends on the
device, dtype and widths only: results do not change with the batch.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, Device, DTypeError, ShapeError, f32
from gpustd.grid import flat_grid
from gpustd.lanes import broadcast_lanes
from gpustd.rungs import wanted_rung, wanted_tile
from gpustd.template import Value, kernel, scalar_of

__all__ = [
    "ACTIVATIONS",
    "MATRIX_TILES",
    "TILED_TILES",
    "Product",
    "Rung",
    "Tile",
    "check_activation",
]

Rung = tuple[str, dict[str, Value], tuple[int, ...]]

ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "quick_gelu", "geglu")

# Rungs of software renderers: what is fused, and a window, are uniforms (see operands.wgsl).
_FLEXIBLE = ("gemm/naive.wgsl", "gemm/cpu.wgsl", "gemm/lanes.wgsl")

_CPU_TILE = 8
_CPU_WORKGROUP = 16
_NAIVE_WORKGROUP = 64


@dataclass(frozen=True)
class Tile:
    """Block of a workgroup (bm, bn, bk) and of an invocation or subgroup (wm, wn)."""

    bm: int
    bn: int
    bk: int
    wm: int
    wn: int
    rate: float = 1.0

    def cost(self, m: int, columns: int) -> float:
        """Relative time on a card with some 132 cores: waves of blocks times work of a block."""
        blocks = -(-m // self.bm) * -(-columns // self.bn)
        return -(-blocks // 132) * self.bm * self.bn / self.rate


TILED_TILES = (Tile(128, 128, 8, 8, 8), Tile(64, 64, 16, 4, 4, rate=0.7))
# Rates are relative speeds of full waves, seen on an H200 (bench/results).
MATRIX_TILES = (
    Tile(128, 256, 32, 64, 64),
    Tile(128, 160, 64, 32, 80, rate=0.9),
    Tile(128, 128, 32, 64, 64, rate=0.9),
    Tile(64, 160, 64, 32, 80, rate=0.8),
    Tile(64, 80, 64, 32, 80, rate=0.6),
    Tile(64, 64, 32, 32, 32, rate=0.5),
)


@dataclass(frozen=True)
class Product:
    """One product to launch.

    ``source`` names the WGSL file with the left operand's addressing and ``sizes`` its uniform
    fields. ``window`` is a convolution's kernel, stride, padding and scale: constants of the
    shader, or uniforms in a flexible one. ``m`` rows in ``images`` images, ``n`` result columns;
    ``channels`` are the lengths of the segments.
    """

    op: str
    source: str
    m: int
    images: int
    n: int
    channels: tuple[int, ...]
    sizes: Mapping[str, int]
    window: Mapping[str, int]
    activation: str | None

    def launch(
        self,
        x: Buffer[Any],
        x2: Buffer[Any] | None,
        w: Buffer[Any],
        bias: Buffer[f32] | None,
        per_image: Buffer[Any] | None,
        residual: Buffer[Any] | None,
        y: Buffer[Any],
    ) -> None:
        """Record the launch that writes ``y``."""
        scalar = scalar_of(
            self.op, *(b for b in (x, x2, w, per_image, residual, y) if b is not None)
        )
        if bias is not None and bias.dtype is not f32:
            raise DTypeError(f"{self.op}: bias must be f32, got {bias!r}")
        device = x.device
        name, variables, grid = self._rung(device, scalar)
        spec: dict[str, Value] = {
            "scalar": scalar,
            "source": self.source,
            "two": x2 is not None,
            "activation": self.activation or "none",
            **variables,
        }
        fused = (bias, per_image, residual)
        if name in _FLEXIBLE:
            # What is not fused is bound to something that the kernel then leaves alone.
            spec |= {"flexible": True, "masked": bool(self.window)}
            stand_ins = (_some_f32(device), w, w)
            extras = [b if b is not None else s for b, s in zip(fused, stand_ins, strict=True)]
        else:
            names = ("bias", "per_image", "residual")
            spec |= {"flexible": False, **self.window}
            spec |= {n: b is not None for n, b in zip(names, fused, strict=True)}
            extras = [b for b in fused if b is not None]
        sources = [x] if x2 is None else [x, x2]
        bits = sum(1 << i for i, b in enumerate(fused) if b is not None)
        sizes = {**self.sizes, **self.window, "fused": bits}
        kernel(device, name, **spec)(*sources, w, *extras, y, sizes, grid=grid)

    def _rung(self, device: Device, scalar: str) -> Rung:
        """Shader, its own template variables, and the grid."""
        name = wanted_rung("product") or self._suited(device, scalar)
        if name == "naive":
            return self._naive()
        if name == "cpu":
            return self._cpu()
        if name == "lanes":
            return self._lanes(device)
        return self._tiled() if name == "tiled" else self._matrix()

    def _suited(self, device: Device, scalar: str) -> str:
        """Name of the fastest rung that can run this product on a device."""
        if device.is_cpu:
            return self._suited_to_cpu(device)
        whole = all(n % 8 == 0 for n in (*self.channels, self.n))
        if device.has_matrix_units and scalar == "f16" and whole and self.n >= 16:
            return "matrix"
        return "tiled"

    def _suited_to_cpu(self, device: Device) -> str:
        if self.n % 4:
            return "naive"
        return "lanes" if self.n >= 16 and broadcast_lanes(device) else "cpu"

    def _naive(self) -> Rung:
        grid = flat_grid(self.m * self.n, _NAIVE_WORKGROUP)
        return "gemm/naive.wgsl", {"vector": False}, grid

    def _cpu(self) -> Rung:
        width = 4 if self.activation == "geglu" else _CPU_TILE
        tiles = -(-self.m // _CPU_TILE) * -(-self.n // width)
        return "gemm/cpu.wgsl", {"vector": True}, flat_grid(tiles, _CPU_WORKGROUP)

    def _lanes(self, device: Device) -> Rung:
        lanes = broadcast_lanes(device)
        quads = 2 if self.activation == "geglu" or self.n % (8 * lanes) == 0 else 1
        rows = 2 * lanes
        width = 4 * lanes if self.activation == "geglu" else 4 * quads * lanes
        tiles = -(-self.m // rows) * -(-self.n // width)
        variables: dict[str, Value] = {
            "vector": True,
            "lanes": lanes,
            "rows": rows,
            "quads": quads,
            "enable_subgroups": device.info.engine == "dawn",
        }
        return "gemm/lanes.wgsl", variables, flat_grid(tiles, 1)

    def _tiled(self) -> Rung:
        t = self._best(TILED_TILES)
        variables: dict[str, Value] = {"bm": t.bm, "bn": t.bn, "bk": t.bk, "tm": t.wm, "tn": t.wn}
        threads = t.bm * t.bn // (t.wm * t.wn)
        grid = (-(-self.m // t.bm), -(-self._columns // t.bn), 1)
        return "gemm/tiled.wgsl", {"vector": False, "threads": threads, **variables}, grid

    def _matrix(self) -> Rung:
        t = self._best(MATRIX_TILES)
        variables: dict[str, Value] = {"bm": t.bm, "bn": t.bn, "bk": t.bk, "wm": t.wm, "wn": t.wn}
        blocks = -(-self.m // t.bm) * -(-self._columns // t.bn)
        spec: dict[str, Value] = {"vector": True, "matrix": True, **variables}
        return "gemm/matrix.wgsl", spec, flat_grid(blocks, 1)

    @property
    def _columns(self) -> int:
        return self.n * (2 if self.activation == "geglu" else 1)

    def _best(self, tiles: tuple[Tile, ...]) -> Tile:
        wanted = wanted_tile("product")
        if isinstance(wanted, Tile):
            return wanted
        rows = self.m // max(self.images, 1)
        return min(tiles, key=lambda t: t.cost(rows, self._columns))


_stand_ins: weakref.WeakKeyDictionary[Device, Buffer[f32]] = weakref.WeakKeyDictionary()


def _some_f32(device: Device) -> Buffer[f32]:
    """A small f32 buffer to bind where no bias is."""
    if device not in _stand_ins:
        _stand_ins[device] = device.buffer(f32, 4)
    return _stand_ins[device]


def check_activation(op: str, activation: str | None) -> None:
    """Raise `ShapeError` for an unknown activation."""
    if activation is not None and activation not in ACTIVATIONS:
        raise ShapeError(f"{op}: unknown activation {activation!r}; there are {ACTIVATIONS}")
