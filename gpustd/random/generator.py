"""`Generator`: random numbers from a counter, the same bits on every device."""

from __future__ import annotations

import math
from typing import Any

from gpucore import (
    ArgumentError,
    Buffer,
    Device,
    DType,
    DTypeError,
    PerDevice,
    ShapeError,
    T,
    f32,
    i32,
    u32,
)
from gpucore.buffer import extents
from gpustd.arrays import argsort, take
from gpustd.arrays.layout import slice_axis
from gpustd.arrays.operands import number_as
from gpustd.launch.checks import as_float, as_int
from gpustd.launch.elements import launch_each, words_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.random.normal_quantiles import normal_table

__all__ = ["Generator"]

# Of a workgroup that draws normal numbers: lanes, words of each.
_LANES = 256
_WORDS = 8
_tables: PerDevice[Buffer[u32]] = PerDevice(lambda device: device.buffer_from_array(normal_table()))
_INTEGERS = {"i8": (-(2**7), 8), "i32": (-(2**31), 32), "u8": (0, 8), "u32": (0, 32)}

Shape = int | tuple[int, ...]


class Generator:
    """Random numbers on ``device`` from a ``seed``, 0 to 2^64 - 1, and a ``stream``, 0 to 2^32 - 1.

    Philox4x32-10 (Salmon et al. 2011): each call is a draw with a number of its own, so that what
    it gives does not depend on how many numbers earlier calls took. Streams of a seed are
    independent, as seeds are.

    The same bits on every device and engine: `integers`, `random`, `standard_normal`,
    `standard_exponential`, `permutation`, which are made with integers alone. `uniform`, `normal`
    and `exponential` scale and shift those in f32, rounded once or twice as the engine likes.

    ``size`` is the shape of what is drawn; None, the default, draws one number, of no axes.

    Attributes:
        device, seed, stream: as given. draws: how many calls there were; set it to go back.

    >>> from gpucore import Device; from gpustd.random import Generator
    >>> rng = Generator(Device.auto(), seed=7)
    >>> rng.integers(0, 100, size=5).read()
    array([95, 75, 11,  8, 40], dtype=int32)

    Raises `ArgumentError` for another seed or stream.
    """

    def __init__(self, device: Device, seed: int = 0, *, stream: int = 0) -> None:
        seed, stream = as_int("Generator", "seed", seed), as_int("Generator", "stream", stream)
        if not 0 <= seed < 2**64 or not 0 <= stream < 2**32:
            raise ArgumentError(
                f"Generator: seed {seed}, stream {stream}: 0 to 2**64 - 1 and 0 to 2**32 - 1"
            )
        self.device = device
        self.seed = seed
        self.stream = stream
        self.draws = 0

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed}, stream={self.stream}, draws={self.draws})"

    def jumped(self, streams: int = 1) -> Generator:
        """A new generator of the same seed, so many streams on, from its first draw."""
        return Generator(
            self.device, self.seed, stream=self.stream + as_int("jumped", "streams", streams)
        )

    def random(self, size: Shape | None = None) -> Buffer[f32]:
        """Uniform numbers in [0, 1): multiples of 2^-24."""
        return self._drawn("uniform", f32, size)

    def uniform(
        self, low: float = 0.0, high: float = 1.0, size: Shape | None = None
    ) -> Buffer[f32]:
        """Uniform numbers from ``low`` to ``high``, which rounding may reach."""
        low, high = as_float("uniform", "low", low), as_float("uniform", "high", high)
        return self._drawn("uniform", f32, size, (low, high - low))

    def standard_normal(self, size: Shape | None = None) -> Buffer[f32]:
        """Normal numbers of mean 0 and variance 1, within ±6.34.

        The inverse of the distribution, of 32-bit words in fixed point: within 1.5 2^-24 of the
        exact inverse where it is below 1, else within 2^-23 of it relatively.
        """
        return self._drawn("normal", f32, size)

    def normal(
        self, loc: float = 0.0, scale: float = 1.0, size: Shape | None = None
    ) -> Buffer[f32]:
        """Normal numbers of mean ``loc`` and standard deviation ``scale``.

        Raises `ArgumentError` for a negative ``scale``, and numbers that f32 does not hold.
        """
        loc, scale = as_float("normal", "loc", loc), _scale("normal", scale)
        return self._drawn("normal", f32, size, (loc, scale))

    def standard_exponential(self, size: Shape | None = None) -> Buffer[f32]:
        """Exponential numbers of mean 1, from 0 to 22.2."""
        return self._drawn("exponential", f32, size)

    def exponential(self, scale: float = 1.0, size: Shape | None = None) -> Buffer[f32]:
        """Exponential numbers of mean ``scale``. Raises `ArgumentError` as `normal`."""
        return self._drawn("exponential", f32, size, (0.0, _scale("exponential", scale)))

    def integers(
        self,
        low: int,
        high: int | None = None,
        size: Shape | None = None,
        dtype: type[DType] = i32,
        endpoint: bool = False,
    ) -> Buffer[Any]:
        """Integers from ``low``, below ``high`` (from 0, below ``low`` with one), all as likely.

        With ``endpoint`` the last of them is the bound itself.

        Raises `DTypeError` for a dtype other than i8, i32, u8, u32, `ArgumentError` for none or
        such that it does not hold.
        """
        name = getattr(dtype, "name", None)
        if name not in _INTEGERS:
            raise DTypeError(f"integers: {name or dtype}: takes {', '.join(_INTEGERS)}")
        low = as_int("integers", "low", low)
        begin, end = (0, low) if high is None else (low, as_int("integers", "high", high))
        end += bool(endpoint)
        least, bits = _INTEGERS[dtype.name]
        if not least <= begin < end <= least + 2**bits:
            raise ArgumentError(
                f"integers: from {begin}, below {end}, in {dtype.name}: none, or not held: "
                f"give low < high from {least} to {least + 2**bits}"
            )
        count = end - begin
        bounds = {
            "low": begin % 2**32,
            "range": count % 2**32,
            "threshold": (2**32 - count) % count,
        }
        return self._drawn("integers", dtype, size, bounds=bounds)

    def permutation(self, x: int | Buffer[T]) -> Buffer[Any]:
        """0 to x - 1 in random order as i32, or a buffer's rows (axis 0) in random order.

        By sorting random keys of 32 bits: equal keys, of n²/2³³ pairs, keep their order.
        """
        if not isinstance(x, Buffer):
            return argsort(self._drawn("words", u32, as_int("permutation", "x", x)))
        if not x.shape:
            raise ShapeError("permutation: a number without axes has no rows")
        order = argsort(self._drawn("words", u32, x.shape[0]))
        return take(x, order, 0)

    def choice(self, n: int, size: Shape | None = None, replace: bool = True) -> Buffer[i32]:
        """The integers 0 to n - 1 in the shape ``size``, each at most once without ``replace``."""
        n, shape = as_int("choice", "n", n), extents(() if size is None else size)
        count = math.prod(shape)
        if n < 1 or min(shape, default=0) < 0:
            raise ArgumentError(f"choice: {size} of {n}: give n >= 1 and size >= 0")
        if replace:
            return self.integers(0, n, shape)
        if count > n:
            raise ArgumentError(f"choice: {count} of {n} without replace: take n at most")
        return slice_axis(self.permutation(n), 0, 0, count).view(shape)

    def _drawn(
        self,
        draw: str,
        dtype: type[DType],
        size: Shape | None,
        affine: tuple[float, float] | None = None,
        bounds: dict[str, int] | None = None,
    ) -> Buffer[Any]:
        """The next draw; ``affine`` is shift and scale."""
        if self.draws >= 2**32:
            raise ArgumentError(f"{self!r}: 2**32 draws are all: take another stream")
        y: Buffer[Any] = self.device.buffer(dtype, () if size is None else size)
        shift, scale = (_number(draw, each) for each in affine or (0.0, 1.0))
        sizes: dict[str, Any] = {"draw": self.draws, "stream": self.stream}
        sizes |= {"seed": [self.seed % 2**32, self.seed >> 32], "shift": shift, "scale": scale}
        self.draws += 1
        if y.size and draw == "normal":
            _launch_normal(y, sizes, affine is not None)
        elif y.size:
            sizes |= {"low": 0, "range": 0, "threshold": 0, **(bounds or {})}
            spec: dict[str, Value] = {
                "draw": draw,
                "kind": dtype.name,
                "affine": affine is not None,
            }
            launch_each("random/draw.wgsl", spec, (y,), words_of(y.size), sizes)
        return y


def _launch_normal(y: Buffer[Any], sizes: dict[str, Any], affine: bool) -> None:
    """Record a draw of normal numbers into ``y``."""
    count = words_of(y.size)
    launch = kernel(y.device, "random/normal.wgsl", affine=affine, lanes=_LANES, each=_WORDS)
    grid = flat_grid(count, _LANES * _WORDS)
    launch(_tables.of(y.device), y, sizes | {"count": count}, grid=grid)


def _number(op: str, value: float) -> float:
    """As f32. Raises `ArgumentError` beyond its range."""
    rounded: float = number_as(op, value, f32)
    return rounded


def _scale(op: str, scale: float) -> float:
    number = as_float(op, "scale", scale)
    if not number >= 0:
        raise ArgumentError(f"{op}: scale {scale}: wants a number >= 0")
    return number
