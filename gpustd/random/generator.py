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
from gpustd.arrays.elementwise.operands import number_as
from gpustd.arrays.moving.blocks import slice_axis
from gpustd.launch.checks import as_float, as_int
from gpustd.launch.elements import launch_each, words_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.random.normal_quantiles import normal_table

__all__ = ["Generator"]

# Invocations of a workgroup that draws normal numbers, and words of each.
_LANES = 256
_WORDS = 8
_tables: PerDevice[Buffer[u32]] = PerDevice(lambda device: device.buffer_from_array(normal_table()))
_INTEGERS = {"i8": (-(2**7), 8), "i32": (-(2**31), 32), "u8": (0, 8), "u32": (0, 32)}

Shape = int | tuple[int, ...]


class Generator:
    """Random numbers on ``device`` from a ``seed``, 0 to 2^64 - 1, and a ``stream``, 0 to 2^32 - 1.

    The generator is Philox4x32-10 (Salmon et al. 2011). Each call is a draw with a number of its
    own, so that its numbers do not depend on how many earlier calls took. Streams of a seed are
    independent, as seeds are.

    `integers`, `random`, `standard_normal`, `standard_exponential` and `permutation` give the same
    bits on every device and engine, since they compute with integers alone. `uniform`, `normal` and
    `exponential` scale and shift those in f32, rounded once or twice as the engine likes.

    ``size`` is the shape of the result; None, the default, draws one number, without axes.

    Attributes:
        device, seed, stream: the arguments.
        draws: how many calls there were; set it to go back.

    >>> rng = random.Generator(device, seed=7)
    >>> rng.integers(0, 100, size=5).read()
    array([95, 75, 11,  8, 40], dtype=int32)

    Raises `ArgumentError` for another seed or stream.
    """

    def __init__(self, device: Device, seed: int = 0, *, stream: int = 0) -> None:
        seed, stream = as_int("Generator", "seed", seed), as_int("Generator", "stream", stream)
        if not 0 <= seed < 2**64 or not 0 <= stream < 2**32:
            raise ArgumentError(
                "Generator: seed must be from 0 to 2**64 - 1 and stream from 0 to 2**32 - 1, got "
                f"seed {seed}, stream {stream}"
            )
        self.device = device
        self.seed = seed
        self.stream = stream
        self.draws = 0

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed}, stream={self.stream}, draws={self.draws})"

    def jumped(self, streams: int = 1) -> Generator:
        """Return a new generator of the same seed, ``streams`` further, at its first draw."""
        return Generator(
            self.device, self.seed, stream=self.stream + as_int("jumped", "streams", streams)
        )

    def random(self, size: Shape | None = None) -> Buffer[f32]:
        """Return uniform numbers in [0, 1): multiples of 2^-24."""
        return self._draw("uniform", f32, size)

    def uniform(
        self, low: float = 0.0, high: float = 1.0, size: Shape | None = None
    ) -> Buffer[f32]:
        """Return uniform numbers from ``low`` to ``high``, which rounding may reach."""
        low, high = as_float("uniform", "low", low), as_float("uniform", "high", high)
        return self._draw("uniform", f32, size, (low, high - low))

    def standard_normal(self, size: Shape | None = None) -> Buffer[f32]:
        """Return normal numbers of mean 0 and variance 1, within ±6.34.

        They are the inverse of the distribution, of 32-bit words in fixed point. They lie within
        1.5 2^-24 of the exact inverse where it is below 1, else within 2^-23 of it relatively.
        """
        return self._draw("normal", f32, size)

    def normal(
        self, loc: float = 0.0, scale: float = 1.0, size: Shape | None = None
    ) -> Buffer[f32]:
        """Return normal numbers of mean ``loc`` and standard deviation ``scale``.

        Raises `ArgumentError` for a negative ``scale``, and for numbers beyond f32.
        """
        loc, scale = as_float("normal", "loc", loc), _as_scale("normal", scale)
        return self._draw("normal", f32, size, (loc, scale))

    def standard_exponential(self, size: Shape | None = None) -> Buffer[f32]:
        """Return exponential numbers of mean 1, from 0 to 22.2."""
        return self._draw("exponential", f32, size)

    def exponential(self, scale: float = 1.0, size: Shape | None = None) -> Buffer[f32]:
        """Return exponential numbers of mean ``scale``. Raises `ArgumentError` as `normal`."""
        return self._draw("exponential", f32, size, (0.0, _as_scale("exponential", scale)))

    def integers(
        self,
        low: int,
        high: int | None = None,
        size: Shape | None = None,
        dtype: type[DType] = i32,
        endpoint: bool = False,
    ) -> Buffer[Any]:
        """Return integers from ``low`` to below ``high``, all equally likely.

        With one bound they lie from 0 to below it. With ``endpoint`` the last one is the bound
        itself.

        Raises `DTypeError` for a dtype other than i8, i32, u8, u32, and `ArgumentError` for an
        empty range or one that the dtype does not hold.
        """
        name = getattr(dtype, "name", None)
        if name not in _INTEGERS:
            raise DTypeError(
                f"integers: dtype must be one of {', '.join(_INTEGERS)}, got {name or dtype}"
            )
        low = as_int("integers", "low", low)
        begin, end = (0, low) if high is None else (low, as_int("integers", "high", high))
        end += bool(endpoint)
        least, bits = _INTEGERS[dtype.name]
        if not least <= begin < end <= least + 2**bits:
            raise ArgumentError(
                f"integers: bounds must be low < high, from {least} to {least + 2**bits} for "
                f"{dtype.name}, got {begin} to below {end}"
            )
        count = end - begin
        bounds = {
            "low": begin % 2**32,
            "range": count % 2**32,
            "threshold": (2**32 - count) % count,
        }
        return self._draw("integers", dtype, size, bounds=bounds)

    def permutation(self, x: int | Buffer[T]) -> Buffer[Any]:
        """Return 0 to x - 1 in random order as i32, or a buffer's rows (axis 0) in random order.

        The order is that of random keys of 32 bits. Equal keys, of n²/2³³ pairs, keep their order.
        """
        if not isinstance(x, Buffer):
            return argsort(self._draw("words", u32, as_int("permutation", "x", x)))
        if not x.shape:
            raise ShapeError(f"permutation: x must have rows, got {x!r} without axes")
        order = argsort(self._draw("words", u32, x.shape[0]))
        return take(x, order, 0)

    def choice(self, n: int, size: Shape | None = None, replace: bool = True) -> Buffer[i32]:
        """Return integers 0 to n - 1 of shape ``size``, each at most once without ``replace``."""
        n, shape = as_int("choice", "n", n), extents(() if size is None else size)
        count = math.prod(shape)
        if n < 1 or min(shape, default=0) < 0:
            raise ArgumentError(f"choice: n must be >= 1 and size >= 0, got n {n}, size {size}")
        if replace:
            return self.integers(0, n, shape)
        if count > n:
            raise ArgumentError(
                f"choice: size must be at most n {n} without replace, got {count} numbers"
            )
        return slice_axis(self.permutation(n), 0, 0, count).view(shape)

    def _next_draw(self) -> int:
        """Count a draw, and return its number: each thread that draws gets another."""
        with self.device.lock:
            if self.draws >= 2**32:
                raise ArgumentError(
                    f"Generator: draws must be below 2**32, got {self!r}; take another stream"
                )
            self.draws += 1
            return self.draws - 1

    def _draw(
        self,
        draw: str,
        dtype: type[DType],
        size: Shape | None,
        affine: tuple[float, float] | None = None,
        bounds: dict[str, int] | None = None,
    ) -> Buffer[Any]:
        """Return the next draw; ``affine`` is shift and scale. Raises `ArgumentError`."""
        y: Buffer[Any] = self.device.buffer(dtype, () if size is None else size)
        shift, scale = (_round_to_f32(draw, number) for number in affine or (0.0, 1.0))
        sizes: dict[str, Any] = {"draw": self._next_draw(), "stream": self.stream}
        sizes |= {"seed": [self.seed % 2**32, self.seed >> 32], "shift": shift, "scale": scale}
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


def _round_to_f32(op: str, value: float) -> float:
    """Return a number rounded to f32. Raises `ArgumentError` beyond its range."""
    rounded: float = number_as(op, value, f32)
    return rounded


def _as_scale(op: str, scale: float) -> float:
    """Return a scale as a float. Raises `ArgumentError` unless it is >= 0."""
    number = as_float(op, "scale", scale)
    if not number >= 0:
        raise ArgumentError(f"{op}: scale must be a number >= 0, got {scale}")
    return number
