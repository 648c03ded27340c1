"""The matrix product behind gemm and convolution: choice of variant and tile, and the launch.

The left operand is a list of *segments*, runs of consecutive elements of a source: a plain product
has one, a convolution one for each tap and source. Seven variants share that view and one epilogue
(``shaders/matmul/gemm``): ``naive``; ``cpu`` and ``lanes`` for software renderers; ``tiled`` for
any GPU, ``narrow`` where there are few columns, ``few`` where the caller tells of few rows;
``matrix`` for matrix units.

An element's sum runs over K in the same order in every tile of a variant, which depends on the
device, dtype, widths and what the caller tells: results do not change with the batch. Where K is
cut into parts, by workgroups or by teams of one, the sums of the parts are added in order; how many
there are follows from the sizes of one image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, Device, DTypeError, PerDevice, ShapeError, Work, f32
from gpucore.integers import ceil_div
from gpustd.launch.elements import float_scalar
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import broadcast_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant
from gpustd.matmul.tiles import MATRIX_TILES, TILED_TILES, Tile, best_splits, best_teams
from gpustd.tuning.lookup import fits, product_region, tuned_tile

__all__ = ["ACTIVATIONS", "Extras", "Product", "Variant", "check_activation", "constants"]

Variant = tuple[str, dict[str, Value], tuple[int, ...]]
Extras = tuple[Buffer[Any] | None, ...]

ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "quick_gelu", "relu", "geglu")

_EXTRAS = ("bias", "per_image", "residual")
_NOTHING_FUSED: dict[str, Value] = {"activation": "none", **dict.fromkeys(_EXTRAS, False)}
_POINTWISE = {
    "kernel_height": 1,
    "kernel_width": 1,
    "stride": 1,
    "scale": 1,
    "pad_top": 0,
    "pad_left": 0,
    "wrap_y": 0,
    "wrap_x": 0,
}

# Few columns take "narrow"; a bit for each tap limits the variants that have such masks.
_NARROW = 16
_NARROW_WORKGROUP = 128
# Rows that "few" takes at once, and the words of a row of weights from which lanes stand
# side by side along whole lines of the cache; with fewer there would be too few workgroups.
_FEW = 8
_MANY_WORDS = 1024
_MOST_TAPS = 30
_CPU_TILE = 8
_CPU_WORKGROUP = 16
_NAIVE_WORKGROUP = 64


@dataclass(frozen=True)
class Product:
    """One product to launch.

    ``source`` names the WGSL file with the left operand's addressing and ``sizes`` its uniform
    fields. ``window`` is a convolution's kernel, stride, padding and scale: constants of the
    shader, or uniforms in a flexible one. ``m`` rows in ``images`` images, ``n`` result columns;
    ``channels`` are the lengths of the segments. Of ``per_image``, the columns from ``image_first``
    on count. ``batch`` products of this size are made at once, their operands one behind the other;
    the sum of a batch's product is never split, not even where there is one. ``few_rows``: there
    are few of them, one an image perhaps, which the ``m`` of one batch cannot tell. ``wide``: of
    f16 operands results are f32.
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
    image_first: int = 0
    batch: int | None = None
    few_rows: bool = False
    wide: bool = False

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
        scalar = float_scalar(
            self.op, *(b for b in (x, x2, w, per_image, residual) if b is not None)
        )
        if bias is not None and bias.dtype is not f32:
            raise DTypeError(f"{self.op}: bias must be f32, got {bias!r}")
        device = x.device
        operands = [x, w] if x2 is None else [x, x2, w]
        fused = (bias, per_image, residual)
        variant = forced_variant("product") or self._best_variant(device, scalar)
        if variant == "narrow":
            self._launch_narrow(scalar, operands, fused, y)
        elif variant == "few":
            self._launch_few(scalar, operands, fused, y)
        elif variant in ("tiled", "matrix"):
            tile, splits = self._tile(device, variant, scalar, self._in_words(variant))
            with product_region(device, self, variant, scalar, splits):
                self._launch_blocks(variant, scalar, operands, fused, y, tile, splits)
        else:
            self._launch_flexible(variant, scalar, operands, fused, y)

    def finish(
        self,
        name: str,
        partials: Buffer[Any],
        extras: Extras,
        y: Buffer[Any],
        part: Mapping[str, int],
        form: Mapping[str, int],
    ) -> None:
        """Record the shader ``name``, which makes results of sums, and the epilogue.

        Its first binding is ``partials``, of the dtype of ``y``, its last the uniform struct
        ``part``; ``form`` are variables of its own, of which ``count`` is its invocations.
        """
        scalar = float_scalar(self.op, y)
        vector = self.n % 4 == 0
        spec: dict[str, Value] = {
            **self._fixed(scalar, y, vector),
            **self._fused(extras),
            **form,
            "two": False,
            "reduce": True,
            "sizes": constants(self._sizes(0, extras[1], 4 if vector else 1)),
        }
        rest = [b for b in extras if b is not None]
        grid = flat_grid(form["count"], 64)
        kernel(y.device, name, **spec)(partials, *rest, y, part, grid=grid)

    def _launch_flexible(
        self, variant: str, scalar: str, operands: list[Buffer[Any]], fused: Extras, y: Buffer[Any]
    ) -> None:
        """By a kernel that is told what is fused: the rest is bound to a stand-in, left alone."""
        device = y.device
        name, variables, grid = self._variant(variant, device)
        spec: dict[str, Value] = {
            "scalar": scalar,
            "out": y.dtype.name,
            "source": self.source,
            "two": len(operands) > 2,
            "activation": self.activation or "none",
            "flexible": True,
            "masked": bool(self.window),
            "batched": self.batch is not None,
            **variables,
        }
        stand_ins = (_stand_in(device), operands[-1], operands[-1])
        extras = [b if b is not None else s for b, s in zip(fused, stand_ins, strict=True)]
        bits = sum(1 << i for i, b in enumerate(fused) if b is not None)
        sizes = self._sizes(bits, fused[1], 4 if variables["vector"] else 1)
        work = self._work(operands, fused, y)
        grid = (*grid[:2], self.batch or 1)
        kernel(device, name, **spec)(*operands, *extras, y, sizes, grid=grid, work=work)

    def _launch_narrow(
        self, scalar: str, operands: list[Buffer[Any]], extras: Extras, y: Buffer[Any]
    ) -> None:
        """Few columns: a word of x is 16 bytes where channels fill such words."""
        unit = _word(scalar)
        if any(c % unit for c in self.channels):
            unit = 1
        words = self._k // unit
        lanes = 32 if words >= 256 else 16 if words >= 64 else 8
        spec: dict[str, Value] = {
            **self._fixed(scalar, y, False),
            **self._fused(extras),
            "two": len(operands) > 2,
            "holes": self._holes,
            "unit": unit,
            "lanes": lanes,
            "columns": self._columns,
            "sizes": constants(self._sizes(0, extras[1], 1)),
        }
        rest = [b for b in extras if b is not None]
        rows = 4 * (_NARROW_WORKGROUP // lanes)
        launch = kernel(y.device, "matmul/gemm/narrow.wgsl", **spec)
        work = self._work(operands, extras, y)
        launch(*operands, *rest, y, grid=flat_grid(ceil_div(self.m, rows), 1), work=work)

    def _launch_few(
        self, scalar: str, operands: list[Buffer[Any]], extras: Extras, y: Buffer[Any]
    ) -> None:
        """Few rows: a word is 16 bytes; how many rows are made at once changes no bits."""
        unit = _word(scalar)
        words = self.n // unit
        across = 8 if words >= _MANY_WORDS else 2
        rows = min(1 << (self.m - 1).bit_length(), _FEW)
        spec: dict[str, Value] = {
            **self._fixed(scalar, y, False),
            **self._fused(extras),
            "two": False,
            "unit": unit,
            "across": across,
            "rows": rows,
            "sizes": constants(self._sizes(0, extras[1], 1)),
        }
        rest = [b for b in extras if b is not None]
        width, height, _ = flat_grid(ceil_div(words, across), 1)
        launch = kernel(y.device, "matmul/gemm/few.wgsl", **spec)
        work = self._work(operands, extras, y)
        launch(*operands, *rest, y, grid=(width, height, ceil_div(self.m, rows)), work=work)

    def _launch_blocks(
        self,
        variant: str,
        scalar: str,
        operands: list[Buffer[Any]],
        extras: Extras,
        y: Buffer[Any],
        tile: Tile,
        splits: int,
    ) -> None:
        """By tiles: one launch, or partial sums of parts of K and their reduction."""
        device, matrix, vector = y.device, variant == "matrix", self._in_words(variant)
        common = self._fixed(scalar, y, vector)
        if matrix:
            common |= {"matrix": True, "unit": math.gcd(8, *self.channels)}
        spec: dict[str, Value] = {
            **common,
            "two": len(operands) > 2,
            "holes": self._holes,
            "ragged": any(c % tile.bk for c in self.channels),
            "whole": self.m % tile.bm == 0 and not self._holes,
            "filled": self.m % tile.bm == 0,
            "exact": self._columns % tile.bn == 0,
            "bm": tile.bm,
            "bn": tile.bn,
            "bk": tile.bk,
            "wm": tile.wm,
            "wn": tile.wn,
            "stages": tile.stages,
            "teams": tile.teams,
            "even": self._even(tile.bk, splits),
        }
        if tile.loaders:
            spec |= {"loaders": tile.loaders, "k": self._k, "bases": tile.bases}
        sizes = self._sizes(0, extras[1], 4 if vector else 1)
        rest = [b for b in extras if b is not None]
        width, height, _ = flat_grid(tile.blocks(self.m, self._columns), 1)
        name = "matmul/gemm/loaders.wgsl" if tile.loaders else f"matmul/gemm/{variant}.wgsl"
        planes = splits // tile.teams
        if planes == 1:
            spec |= {**self._fused(extras), "split": False, "sizes": constants(sizes)}
            work = self._work(operands, extras, y)
            launch = kernel(device, name, **spec)
            launch(*operands, *rest, y, grid=(width, height, self.batch or 1), work=work)
            return
        pitch = ceil_div(self._columns, tile.bn) * tile.bn // 4
        plane = ceil_div(self.m, tile.bm) * tile.bm * pitch
        partials = device.buffer(f32, 4 * plane * splits)
        sizes |= {"splits": splits, "plane": plane, "pitch": pitch}
        columns = constants({**sizes, "n": self._columns})
        spec |= {**_NOTHING_FUSED, "split": True, "sizes": columns}
        launch = kernel(device, name, **spec)
        work = self._work(operands, (), partials)
        launch(*operands, partials, grid=(width, height, planes), work=work)
        spec = {**common, **self._fused(extras), "two": False, "reduce": True}
        reduce = kernel(device, "matmul/gemm/reduce.wgsl", **spec, sizes=constants(sizes))
        reduce(partials, *rest, y, grid=flat_grid(self.m * self.n // 4, 64))

    def _in_words(self, variant: str) -> bool:
        """Tell whether operands and results are read and written in words of several columns."""
        return variant == "matrix" or not any(c % 4 for c in (*self.channels, self.n))

    def _fixed(self, scalar: str, y: Buffer[Any], vector: bool) -> dict[str, Value]:
        """Template variables of the variants whose window is part of the text."""
        return {
            "scalar": scalar,
            "out": y.dtype.name,
            "source": self.source,
            "vector": vector,
            "flexible": False,
            "batched": self.batch is not None,
            **self.window,
        }

    def _fused(self, extras: Extras) -> dict[str, Value]:
        present = {n: b is not None for n, b in zip(_EXTRAS, extras, strict=True)}
        return {"activation": self.activation or "none", **present}

    def _tile(
        self, device: Device, variant: str, scalar: str, splittable: bool
    ) -> tuple[Tile, int]:
        """Tile, and the parts that K is cut into."""
        splittable = splittable and self.batch is None and not self.few_rows
        listed = MATRIX_TILES if variant == "matrix" else TILED_TILES
        tiles = [t for t in listed if fits(device, variant, t)]
        splits = self._suited_splits(tiles) if splittable else 1
        wanted = forced_tile("product")
        if isinstance(wanted, Tile):
            parts = wanted.splits or splits if splittable else 1
            parts = ceil_div(parts, wanted.teams) * wanted.teams
            if wanted.loaders and not self._loadable(wanted, parts):
                raise ShapeError(
                    f"{self.op}: {wanted} takes plain products, K ({self._k} here) being whole "
                    f"turns of its loaders and in one part ({parts} here)"
                )
            return wanted, parts
        # A part of K is a number of slices: where it begins must not depend on the batch.
        widest = max(t.bk for t in tiles)
        alike = splits == 1 or self._even(widest, splits)
        offered = [t for t in tiles if splits % t.teams == 0 and (alike or t.bk == widest)]
        offered = [t for t in offered if not t.loaders or self._loadable(t, splits)]
        sizes = self.m, self._columns, self._k, splits, self.batch or 1
        offered.sort(key=lambda tile: tile.cost(*sizes))
        return tuned_tile(device, self, variant, scalar, offered, splits), splits

    def _suited_splits(self, tiles: Sequence[Tile]) -> int:
        """Parts that K is cut into, by the sizes of one image."""
        sizes = self.m // max(self.images, 1), self._columns, self._k
        splits = best_splits(*sizes)
        if splits > 1 or not any(t.teams > 1 for t in tiles):
            return splits
        loaded = any(t.loaders and self._loadable(t, 1) for t in tiles)
        return best_teams(*sizes, loaded=loaded)

    def _even(self, bk: int, splits: int) -> bool:
        """Tell whether all parts of K have equally many slices of bk, none of them ragged."""
        return all(c % bk == 0 for c in self.channels) and self._k % (splits * bk) == 0

    def _variant(self, name: str, device: Device) -> Variant:
        """Shader, its own template variables, and the grid."""
        if name == "naive":
            return self._naive()
        return self._cpu() if name == "cpu" else self._lanes(device)

    def _best_variant(self, device: Device, scalar: str) -> str:
        if device.is_cpu:
            return self._suited_to_cpu(device)
        if self._taps > _MOST_TAPS:
            return "naive"
        if self._columns < _NARROW and self.batch is None:
            return "narrow"
        if self.few_rows and not any(n % _word(scalar) for n in (*self.channels, self.n)):
            return "few"
        words = not any(c % 8 for c in self.channels) or (self._holes and len(self.channels) == 1)
        whole = words and self.n % 8 == 0 and self.n >= 16
        return "matrix" if device.has_matrix_units and scalar == "f16" and whole else "tiled"

    def _suited_to_cpu(self, device: Device) -> str:
        if self.n % 4:
            return "naive"
        return "lanes" if self.n >= 16 and broadcast_lanes(device) else "cpu"

    def _naive(self) -> Variant:
        grid = flat_grid(self.m * self.n, _NAIVE_WORKGROUP)
        return "matmul/gemm/naive.wgsl", {"vector": False}, grid

    def _cpu(self) -> Variant:
        width = 4 if self.activation == "geglu" else _CPU_TILE
        tiles = ceil_div(self.m, _CPU_TILE) * ceil_div(self.n, width)
        return "matmul/gemm/cpu.wgsl", {"vector": True}, flat_grid(tiles, _CPU_WORKGROUP)

    def _lanes(self, device: Device) -> Variant:
        lanes = broadcast_lanes(device)
        quads = 2 if self.activation == "geglu" or self.n % (8 * lanes) == 0 else 1
        rows = 2 * lanes
        width = 4 * lanes if self.activation == "geglu" else 4 * quads * lanes
        tiles = ceil_div(self.m, rows) * ceil_div(self.n, width)
        variables: dict[str, Value] = {
            "vector": True,
            "lanes": lanes,
            "rows": rows,
            "quads": quads,
            "enable_subgroups": device.info.engine == "dawn",
        }
        return "matmul/gemm/lanes.wgsl", variables, flat_grid(tiles, 1)

    def _sizes(self, fused: int, per_image: Buffer[Any] | None, unit: int) -> dict[str, int]:
        """The fields of Params in order; ``unit`` columns are one word of the epilogue."""
        pitch = 0 if per_image is None else per_image.shape[1]
        return {
            **self.sizes,
            **self.window,
            "fused": fused,
            "image_pitch": pitch // unit,
            "image_first": self.image_first // unit,
            "splits": 1,
            "plane": 0,
            "pitch": 0,
        }

    def _work(self, operands: list[Buffer[Any]], extras: Extras, y: Buffer[Any]) -> Work:
        moved = [b for b in (*operands, *extras, y) if b is not None]
        operations = 2.0 * self.m * self._k * self._columns * (self.batch or 1)
        return Work(operations, sum(b.nbytes for b in moved))

    @property
    def _columns(self) -> int:
        return self.n * (2 if self.activation == "geglu" else 1)

    @property
    def _taps(self) -> int:
        return self.window.get("kernel_height", 1) * self.window.get("kernel_width", 1)

    @property
    def _k(self) -> int:
        return self._taps * sum(self.channels)

    def _loadable(self, tile: Tile, parts: int) -> bool:
        """Tell whether the loaders of a tile can do it: K in one part, without taps."""
        plain = not self._holes and len(self.channels) == 1
        return parts == 1 and plain and tile.loads(self._k)

    @property
    def _holes(self) -> bool:
        """Tell whether rows are more than a pixel each: a window, or a border behind the image."""
        if self.window != _POINTWISE:
            return bool(self.window)
        return any(self.sizes[f"out_{side}"] != self.sizes[side] for side in ("height", "width"))


def _word(scalar: str) -> int:
    """Elements in 16 bytes."""
    return 8 if scalar == "f16" else 4


def constants(sizes: Mapping[str, int]) -> str:
    """Sizes in the order of the shaders' Params: as constants, they save divisions."""
    return ", ".join(str(value) for value in sizes.values())


# Bound where no bias is.
_unread_bias: PerDevice[Buffer[f32]] = PerDevice(lambda device: device.buffer(f32, 4))


def _stand_in(device: Device) -> Buffer[f32]:
    """The unread bias, made anew where a capture that made it found no room."""
    if _unread_bias.of(device).is_released:
        _unread_bias.forget(device)
    return _unread_bias.of(device)


def check_activation(op: str, activation: str | None) -> None:
    """Raise `ShapeError` for an unknown activation."""
    known = isinstance(activation, str) and activation in ACTIVATIONS
    if activation is not None and not known:
        raise ShapeError(f"{op}: unknown activation {activation!r}; there are {ACTIVATIONS}")
