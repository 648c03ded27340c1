"""Helpers for tests of your own kernels: every device, poisoned results, canaries, clear failures.

    @on_all_devices
    def test_double(device):
        x = random_array((1000,), np.float32)
        with guarded_buffer(device, f32, 1000) as y:
            device.compile_kernel(DOUBLE)(device.buffer_from_array(x), y.buffer, grid=16)
            assert_allclose(y.read(), 2 * x, rtol=1e-6)

Only `on_all_devices` imports pytest, and only when it is called.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from gpucore import adapters
from gpucore.buffer import Buffer, extents
from gpucore.device import Device
from gpucore.dtypes import T
from gpucore.errors import GpuError, ShapeError

__all__ = [
    "GuardedBuffer",
    "all_devices",
    "assert_allclose",
    "guarded_buffer",
    "on_all_devices",
    "poisoned_buffer",
    "random_array",
]

F = TypeVar("F", bound=Callable[..., Any])

_CANARIES = 256  # elements after a guarded buffer's own


@functools.cache
def all_devices() -> tuple[Device, ...]:
    """Return one device of each engine and API present, the best first.

    They are opened once per process; adapters that do not open are left out.

    >>> len({device.backend for device in all_devices()}) == len(all_devices())
    True
    """
    opened: dict[str, Device] = {}
    for info in adapters.all_adapters():
        if info.backend not in opened:
            try:
                opened[info.backend] = Device.open(info)
            except (GpuError, RuntimeError):
                continue
    return tuple(opened.values())


def on_all_devices(test: F) -> F:
    """Decorate a pytest test that takes ``device``, so that it runs on each of `all_devices`.

    >>> @on_all_devices
    ... def test_upload(device):
    ...     x = random_array(5)
    ...     assert_allclose(device.buffer_from_array(x), x)
    """
    pytest = importlib.import_module("pytest")  # the caller's own: no dependency of gpucore
    devices = all_devices()
    names = [device.backend for device in devices]
    marked: F = pytest.mark.parametrize("device", devices, ids=names)(test)
    return marked


def assert_allclose(
    actual: Buffer[Any] | ArrayLike,
    expected: Buffer[Any] | ArrayLike,
    rtol: float = 1e-5,
    atol: float = 0.0,
) -> None:
    """Fail unless ``|actual - expected| <= atol + rtol |expected|`` at every element.

    Buffers are read. Shapes must be equal, nothing is broadcast. NaN equals NaN, and an infinity
    equals itself. The difference is taken in float64 (complex128), where integers up to 2^53 are
    exact. The `AssertionError` says how many elements differ, and shows the worst and the first.

    >>> assert_allclose([1.0, 2.0, 3.5], [1.0, 2.0, 3.0], atol=0.1)
    Traceback (most recent call last):
    AssertionError: 1 of 3 elements differ by more than atol=0.1 + rtol=1e-05 |expected|
    worst: at (2,) got 3.5, expected 3.0, difference 0.5
    """
    found, reference = _as_host_array(actual), _as_host_array(expected)
    if found.shape != reference.shape:
        raise AssertionError(f"shapes differ: got {found.shape}, expected {reference.shape}")
    wide = np.complex128 if "c" in (found.dtype.kind, reference.dtype.kind) else np.float64
    a, b = found.astype(wide), reference.astype(wide)
    with np.errstate(invalid="ignore"):
        error = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
        allowed = np.where(np.isfinite(b), atol + rtol * np.abs(b), 0.0)
    wrong = ~(error <= allowed)
    if not wrong.any():
        return
    excess = np.where(wrong, np.nan_to_num(error - allowed, nan=np.inf, posinf=np.inf), -np.inf)
    worst, first = int(np.argmax(excess)), int(np.argmax(wrong))
    allowance = f"atol={atol:g} + rtol={rtol:g} |expected|"
    lines = [
        f"{np.count_nonzero(wrong)} of {wrong.size} elements differ by more than {allowance}",
        _element_text("worst", worst, found, reference, error),
    ]
    if first != worst:
        lines.append(_element_text("first", first, found, reference, error))
    raise AssertionError("\n".join(lines))


def _as_host_array(values: Buffer[Any] | ArrayLike) -> NDArray[Any]:
    return values.read() if isinstance(values, Buffer) else np.asarray(values)


def _element_text(
    title: str, at: int, found: NDArray[Any], reference: NDArray[Any], error: NDArray[Any]
) -> str:
    """Describe the element at a flat index."""
    index = tuple(int(i) for i in np.unravel_index(at, found.shape))
    return (
        f"{title}: at {index} got {found[index]!s}, expected {reference[index]!s}, "
        f"difference {error[index]:.6g}"
    )


def poisoned_buffer(device: Device, dtype: type[T], shape: int | tuple[int, ...]) -> Buffer[T]:
    """Return a buffer full of values that no result should have: NaN, or bytes 0xA5 in integers.

    They show an element that a kernel forgets to write.

    >>> poisoned_buffer(device, f32, 3).read()
    array([nan, nan, nan], dtype=float32)
    """
    buffer = device.buffer(dtype, shape)
    buffer.write(_poison(dtype, buffer.shape))
    return buffer


def _poison(dtype: type[T], shape: tuple[int, ...]) -> NDArray[Any]:
    if dtype.numpy.kind in "fc":
        return np.full(shape, np.nan, dtype.numpy)
    size = math.prod(shape) * dtype.itemsize
    return np.full(size, 0xA5, np.uint8).view(dtype.numpy).reshape(shape)


def random_array(
    shape: int | tuple[int, ...], dtype: DTypeLike = np.float32, seed: int = 0
) -> NDArray[Any]:
    """Return normal numbers, or integers over the whole range; equal for equal arguments.

    >>> random_array((2, 3), np.uint8, seed=1).shape
    (2, 3)
    """
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "c":
        return np.asarray(rng.normal(size=shape) + 1j * rng.normal(size=shape), kind)
    if kind.kind == "f":
        return np.asarray(rng.normal(size=shape), kind)
    span = np.iinfo(kind)
    return np.asarray(rng.integers(span.min, span.max, shape, kind, endpoint=True))


class GuardedBuffer(Generic[T]):
    """A poisoned buffer with canaries after its own elements, made by `guarded_buffer`.

    Attributes:
        buffer: the kernel's argument: one dimension, own elements and canaries. shape: of the part
            that the kernel may write.

    >>> guarded_buffer(device, f32, 3).buffer.shape
    (259,)
    """

    def __init__(self, device: Device, dtype: type[T], shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._size = math.prod(shape)
        self.buffer: Buffer[T] = poisoned_buffer(device, dtype, self._size + _CANARIES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.check()

    def read(self) -> NDArray[Any]:
        """Read the part that the kernel may write."""
        return self.buffer.read()[: self._size].reshape(self.shape)

    def check(self) -> None:
        """Raise `AssertionError` if a kernel has written past its part."""
        found = self.buffer.read()[self._size :]
        expected = _poison(self.buffer.dtype, found.shape)
        size = self.buffer.dtype.itemsize
        same = found.view(np.uint8).reshape(-1, size) == expected.view(np.uint8).reshape(-1, size)
        touched = np.flatnonzero(~same.all(axis=1))
        if touched.size:
            at = int(touched[0])
            raise AssertionError(
                f"a kernel wrote past its part of {self._size} elements (shape {self.shape}): "
                f"{touched.size} of {found.size} canaries changed, the first is element "
                f"{self._size + at}, now {found[at]!s}; compare the invocation's index with the "
                "count before it writes"
            )


def guarded_buffer(
    device: Device, dtype: type[T], shape: int | tuple[int, ...]
) -> GuardedBuffer[T]:
    """Return a buffer that detects writes past its own part; ``with`` checks it at the end.

    It is for kernels that get their element count as a uniform or an override. A kernel that uses
    ``arrayLength`` counts the canaries, too, and engines' checks stop it at the buffer's end.
    Raises `ShapeError`, and at the end `AssertionError`.

    >>> with guarded_buffer(device, f32, (2, 3)) as result:
    ...     result.buffer.shape, result.read().shape        # canaries follow the six
    ((262,), (2, 3))
    """
    sizes = extents(shape)
    if min(sizes, default=0) < 0:
        raise ShapeError(
            f"guarded_buffer: shape must not be negative, got {sizes}; give the number of "
            "elements along each axis"
        )
    return GuardedBuffer(device, dtype, sizes)
