"""Wrong operands, axes and sizes are refused with a message that says what must be."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpustd
from gpucore import ArgumentError, Buffer, Device, DTypeError, ShapeError, f16, f32, i32
from gpucore.dtypes import DTYPES
from gpustd import arrays, nn, signal
from tests.draws import draws

PACKAGES = ("arrays", "image", "linalg", "nn", "signal")
# What other parameters without a default take, by their annotations.
OTHERS = {"int": 1, "float": 1.0, "complex": 1.0, "Shape": 1}


def takers() -> dict[str, Callable[..., Any]]:
    """Return the packages' own functions that take a buffer, and the matrix products."""
    found: dict[str, Callable[..., Any]] = {}
    for package in PACKAGES:
        module = importlib.import_module(f"gpustd.{package}")
        for name in module.__all__:
            member = getattr(module, name)
            own = inspect.isfunction(member) and member.__module__.startswith(module.__name__)
            if own and any(
                is_operand(p.annotation) for p in inspect.signature(member).parameters.values()
            ):
                found[f"{package}.{name}"] = member
    for name in ("attention", "gemm", "self_attention", "wide_gemm"):
        found[name] = getattr(gpustd, name)
    return found


def is_operand(annotation: str) -> bool:
    return "Buffer[" in annotation or "Operand[" in annotation


def argument(annotation: str, junk: Any) -> Any:
    if annotation.startswith("Sequence[Buffer"):
        return [junk]
    if annotation.startswith("tuple[Buffer"):
        return (junk, junk)
    if annotation == "ArrayLike":
        return np.eye(3)
    return junk if is_operand(annotation) else OTHERS.get(annotation, [1.0])


TAKERS = takers()


@pytest.mark.parametrize("path", TAKERS)
def test_an_array_is_refused(path: str) -> None:
    """NumPy's arrays, above all, which have shapes and dtypes too."""
    parameters = inspect.signature(TAKERS[path]).parameters.values()
    required = [p for p in parameters if p.default is p.empty and p.kind != p.VAR_POSITIONAL]
    for junk in (np.ones((3, 3), np.float32), None, [[1.0]], "text"):
        given = [argument(p.annotation, junk) for p in required if p.kind < p.KEYWORD_ONLY]
        named = {p.name: OTHERS[p.annotation] for p in required if p.kind == p.KEYWORD_ONLY}
        with pytest.raises(ArgumentError, match=r"must be a Buffer, got .*; upload an array"):
            TAKERS[path](*given, **named)


ALONG: tuple[Callable[[Buffer[Any], Any], Any], ...] = (
    arrays.sum,
    arrays.argmax,
    arrays.cumsum,
    arrays.sort,
    arrays.flip,
    lambda x, axis: arrays.roll(x, 1, axis),
    lambda x, axis: arrays.repeat(x, 2, axis),
    lambda x, axis: arrays.topk(x, 1, axis)[0],
    lambda x, axis: arrays.concat([x, x], axis),
    lambda x, axis: arrays.stack([x, x], axis),
    lambda x, axis: signal.fft(x, axis=axis),
    signal.fftshift,
)


def test_axes_are_whole_numbers(device: Device) -> None:
    x = device.buffer_from_array(np.arange(6, dtype=np.float32).reshape(2, 3))
    for function in ALONG:
        for axis in (1.0, "1", ("1",)):
            with pytest.raises(ArgumentError, match="must be one whole number"):
                function(x, axis)
        of_numpy, plain = function(x, np.int64(1)), function(x, 1)
        np.testing.assert_array_equal(of_numpy.read(), plain.read())


ALONG_AXES = [
    path
    for path, function in TAKERS.items()
    if path.startswith("arrays.") and "axis" in inspect.signature(function).parameters
]


@settings(max_examples=draws(40), deadline=None)
@given(
    st.sampled_from(ALONG_AXES),
    st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
    st.integers(1, 5),
    st.booleans(),
)
def test_axes_that_are_not_there(
    device: Device, path: str, shape: tuple[int, ...], far: int, negative: bool
) -> None:
    """Every function of arrays that takes an axis names itself and the shape."""
    function, name = TAKERS[path], path.rpartition(".")[2]
    x = device.buffer(f32, shape)
    places = device.buffer(i32, shape)
    axis = len(shape) + (name == "stack") + far - 1
    given = {
        "indices": places,
        "parts": [x, x],
        "shift": 1,
        "axis": -axis - 1 if negative else axis,
    }
    parameters = inspect.signature(function).parameters.values()
    wanted_ones = [p for p in parameters if p.default is p.empty or p.name == "axis"]
    arguments = [given.get(p.name, argument(p.annotation, x)) for p in wanted_ones]
    with pytest.raises(ShapeError, match=f"^{name}: axis "):
        function(*arguments)


OF_ANY_DTYPE = ("linalg.copy", "linalg.swap")


@settings(max_examples=draws(40), deadline=None)
@given(
    st.sampled_from([p for p in TAKERS if p.startswith("linalg.") and p not in OF_ANY_DTYPE]),
    st.sampled_from(["i8", "i32", "u8", "u32"]),
)
def test_linear_algebra_takes_no_integers(device: Device, path: str, dtype: str) -> None:
    function, name = TAKERS[path], path.rpartition(".")[2]
    x = device.buffer(DTYPES[dtype], (3, 3))
    parameters = inspect.signature(function).parameters.values()
    required = [p for p in parameters if p.default is p.empty]
    with pytest.raises(DTypeError, match=f"^{name}: "):
        function(*[argument(p.annotation, x) for p in required])


def test_counts_are_whole_numbers(device: Device) -> None:
    x = device.buffer_from_array(np.arange(3, dtype=np.float32))
    calls: tuple[Callable[[Any], Any], ...] = (
        lambda n: arrays.roll(x, n),
        lambda n: arrays.repeat(x, n),
        lambda n: arrays.tile(x, n),
        lambda n: arrays.broadcast_to(x, (n, 3)),
        lambda n: signal.fft(x, n),
        lambda n: signal.get_window("hann", n, device=device),
        lambda n: signal.fftfreq(n, device=device),
    )
    for call in calls:
        for count in (1.5, "2", None):
            if count is not None or call is not calls[4]:
                with pytest.raises(ArgumentError, match="must be one whole number"):
                    call(count)
        np.testing.assert_array_equal(call(np.int64(2)).read(), call(2).read())


def test_numbers_beside_buffers(device: Device) -> None:
    """NumPy's numbers and truths are numbers, arrays without axes are not."""
    x, whole = (device.buffer_from_array([1, 2], dtype) for dtype in (f32, i32))
    for number in (True, np.True_, np.float64(1), np.float16(1), np.int8(1)):
        np.testing.assert_array_equal(arrays.add(x, number).read(), [2, 3])
    np.testing.assert_array_equal(arrays.add(whole, np.True_).read(), [2, 3])
    with pytest.raises(ArgumentError, match="add: operand must be a Buffer, got ndarray"):
        arrays.add(x, np.array(1.0))  # type: ignore[arg-type]
    c = device.buffer_from_array(np.array([1j], np.complex64))
    with pytest.raises(ArgumentError, match="multiply: operand must be a Buffer, got str"):
        arrays.multiply(c, "2")  # type: ignore[arg-type]


def test_an_array_is_refused_at_the_top() -> None:
    """Also where its device, which NumPy calls "cpu", would be asked first."""
    junk: Any = np.ones((1, 4, 4, 3), np.float32)
    calls: tuple[Callable[[], Any], ...] = (
        lambda: gpustd.cast(junk, i32),
        lambda: gpustd.fused_conv2d(junk, junk),
        lambda: gpustd.embedding(junk, junk),
        lambda: gpustd.repeat_batch(junk, 2),
        lambda: gpustd.slice_axis(junk, 0, 0, 1),
        lambda: gpustd.softmax(junk),
        lambda: gpustd.to_image(junk),
        lambda: gpustd.upsample_nearest(junk),
    )
    for call in calls:
        with pytest.raises(ArgumentError, match="must be a Buffer, got ndarray; upload"):
            call()


def test_weights_are_refused_without_being_printed(device: Device) -> None:
    x, w = device.buffer(f32, (1, 4, 4, 3)), device.buffer(f32, (3, 3, 3, 5))
    junk: Any = np.ones(5, np.float32)
    calls: tuple[Callable[[], Any], ...] = (
        lambda: nn.conv2d(x, w, junk),
        lambda: nn.conv2d(x, np.ones((3, 3, 3, 5), np.float32)),  # type: ignore[arg-type]
        lambda: nn.linear(x, device.buffer(f32, (3, 5)), junk),
        lambda: nn.batch_norm(x, junk, junk),
        lambda: nn.layer_norm(x, junk[:3], junk[:3]),
    )
    for call in calls:
        with pytest.raises(ArgumentError, match="must be a Buffer, got ndarray; upload"):
            call()


@pytest.mark.parametrize("dtype", [np.float32, np.dtype("float32"), "f32", float, None])
def test_markers_are_wanted_for_dtypes(device: Device, dtype: Any) -> None:
    calls: tuple[Callable[[], Any], ...] = (
        lambda: device.buffer(dtype, 3),
        lambda: gpustd.cast(device.buffer(i32, 3), dtype),
        lambda: arrays.zeros(device, 3, dtype),
        lambda: arrays.arange(device, 3, dtype=dtype),
        lambda: arrays.linspace(device, 0, 1, dtype=dtype),
    )
    for call in calls:
        with pytest.raises(DTypeError, match="gpucore's"):
            call()


def test_forgotten_devices_and_brackets_are_refused(device: Device) -> None:
    """The device of new arrays, the brackets around several."""
    x: Any = device.buffer(f32, (2, 3))
    with pytest.raises(
        ArgumentError, match=r"zeros: the first argument must be a Device .* got tuple"
    ):
        arrays.zeros((2, 3), f32, device)  # type: ignore[arg-type, type-var]
    for function in (arrays.concat, arrays.stack):
        with pytest.raises(ArgumentError, match="must be a list of buffers, got Buffer"):
            function(x)
    for padding in ((1, 2), "12", [(1, 1), (1, -1)], 1.5):
        with pytest.raises(ArgumentError, match=r"2 pairs \(before, after\) of numbers"):
            nn.pad(device.buffer(f32, (1, 4, 4, 1)), padding)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"decimals must be .* got 40"):
        arrays.round(x, 40)
    if device.has_f16:
        with pytest.raises(ArgumentError, match="round: decimals must be -4 to 4 for f16, got 5"):
            arrays.round(device.buffer(f16, 3), 5)
