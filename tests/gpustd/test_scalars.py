"""Errors for wrong numbers and choices name the operation and the argument."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import gpustd
from gpucore import ArgumentError, Device, DTypeError, LimitError, ShapeError, f32, i32, u8
from gpustd import arrays, image, linalg, nn, signal
from gpustd.launch.checks import as_float, as_floats, as_int, choice
from gpustd.linalg.blas1 import as_scale

NULL = Device.null()
X, PICTURE = NULL.buffer(f32, (4, 4)), NULL.buffer(u8, (8, 8))
IMAGES = NULL.buffer(f32, (1, 4, 4, 4))
junk: Any = "x"
vast: Any = 10**400
small: Any = np.uint8
array: Any = np.array

# The message's beginning, and a call.
SCALARS: dict[str, Callable[[], Any]] = {
    "axpy: a must be one real number, got 'x'": lambda: linalg.axpy(X, X, junk),
    "gemm: alpha must be one real number, got 'x'": lambda: linalg.gemm(junk, X, X),
    "gemm: beta must be within the range of f32, got 1e+39": lambda: linalg.gemm(1, X, X, 1e39, X),
    "gemm: alpha must be real for real operands, got 1j": lambda: linalg.gemm(1j, X, X),
    "syrk: alpha must be one real number, got None": lambda: linalg.syrk(None, X),  # type: ignore[arg-type]
    "symm: beta must be one real number, got 'x'": lambda: linalg.symm(1, X, X, junk, X),
    "trsm: alpha must be one real number, got [1]": lambda: linalg.trsm([1], X, X),  # type: ignore[arg-type]
    "lstsq: cond must be one real number, got 'x'": lambda: linalg.lstsq(X, X, junk),
    "pinv: rtol must be one real number, got 1j": lambda: linalg.pinv(X, 1j),  # type: ignore[arg-type]
    "matrix_rank: rtol must be 0 or more, got -1": lambda: linalg.matrix_rank(X, -1),
    "norm: axis must be one whole number, got 'x'": lambda: linalg.norm(X, axis=[junk]),
    "norm: ord must be one real number, got 1j": lambda: linalg.norm(X, 1j),  # type: ignore[arg-type]
    "cond: p must be one real number, got [2, 3]": lambda: linalg.cond(X, [2, 3]),  # type: ignore[arg-type]
    "median: size must be one of 1, 3,": lambda: image.median(PICTURE, 4),
    "var: ddof must be one real number, got array(1.+2.j)": lambda: arrays.var(
        X, ddof=array(1 + 2j)
    ),
    "var: ddof must be one real number, got 'x'": lambda: arrays.var(X, ddof=junk),
    "std: ddof must be one real number, got None": lambda: arrays.std(X, ddof=None),  # type: ignore[arg-type]
    "affine_transform: matrix must hold real numbers, got [['a']]": lambda: image.affine_transform(
        PICTURE, [["a"]]
    ),
    "affine_transform: offset must hold real numbers, got 'x'": lambda: image.affine_transform(
        PICTURE, np.eye(2), junk
    ),
    "affine_transform: mode must be one of": lambda: image.affine_transform(
        PICTURE,
        np.eye(2),
        mode=[],  # type: ignore[arg-type]
    ),
    "perspective_transform: matrix": lambda: image.perspective_transform(PICTURE, 1j * np.eye(3)),
    "rotate: angle must be one real number, got 'x'": lambda: image.rotate(PICTURE, junk),
    "median: mode must be one of": lambda: image.median(PICTURE, mode={}),  # type: ignore[arg-type]
    "median: cval must be one real number, got 'x'": lambda: image.median(PICTURE, cval=junk),
    "crop: top must be one whole number, got 1.5": lambda: image.crop(PICTURE, 1.5, 0, 1, 1),  # type: ignore[arg-type]
    "softplus: beta must be one real number, got 'x'": lambda: nn.softplus(X, junk),
    "layer_norm: eps must be one real number, got 'x'": lambda: nn.layer_norm(X, eps=junk),
    "group_norm: num_groups must be one whole number, got 'x'": lambda: nn.group_norm(IMAGES, junk),
    "fused_conv2d: stride must be one whole number, got 'x'": lambda: gpustd.fused_conv2d(
        IMAGES, IMAGES, stride=junk
    ),
    "fused_conv2d: padding must be one number or (top": lambda: gpustd.fused_conv2d(
        IMAGES,
        IMAGES,
        padding=(1, 1),  # type: ignore[arg-type]
    ),
    "fused_conv2d: padding must be one whole number, got {1, 2, 3, 4}": lambda: gpustd.fused_conv2d(
        IMAGES, IMAGES, padding={1, 2, 3, 4}
    ),  # type: ignore[arg-type]
    "fused_conv2d: padding must be one whole number, got 'x'": lambda: gpustd.fused_conv2d(
        IMAGES, IMAGES, padding="xxxx"
    ),  # type: ignore[arg-type]
    "attention: heads must be one whole number, got 1.5": lambda: gpustd.attention(
        IMAGES, X, X, heads=1.5
    ),  # type: ignore[arg-type]
    "fftn: norm must be one of 'backward'": lambda: signal.fftn(X, norm=junk),
    "fftn: s must be one whole number, got 'x'": lambda: signal.fftn(X, junk),
    "stft: fs must be one real number, got 'x'": lambda: signal.stft(X, junk),
    "get_window: values must be within f32, got more for 1000.0": lambda: signal.get_window(
        1e3, 4, device=NULL
    ),
    "get_window: values must be within f32, got more for ('general_hamming', 1e+300)": lambda: (
        signal.get_window(("general_hamming", 1e300), 4, device=NULL)
    ),
}


@pytest.mark.parametrize("message", SCALARS)
def test_scalars_are_named(message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        SCALARS[message]()
    assert str(caught.value).startswith(message)


# Calls that would take gigabytes of the host's memory if they were not refused first.
VAST: dict[str, Callable[[], Any]] = {
    "gaussian_blur: sigma times truncate must give a window of at most": lambda: (
        image.gaussian_blur(PICTURE, 1e9)
    ),
    "canny: sigma times truncate must give a window of at most": lambda: image.canny(PICTURE, 1e9),
    "unsharp_mask: sigma times truncate must give a window of at most": lambda: image.unsharp_mask(
        PICTURE, 1e9
    ),
    "box_blur: size must be one number or (rows, columns)": lambda: image.box_blur(PICTURE, 2**40),
    "erode: size must be one number or (rows, columns)": lambda: image.erode(PICTURE, (2**40, 1)),
    "pad: a result of shape (4294967304, 4294967304)": lambda: image.pad(PICTURE, 2**31),
    "resize: a result of shape (1, 1099511627776)": lambda: image.resize(PICTURE, (1, 2**40)),
    "rotate: angle must be within the range of f32, got 1e+39": lambda: image.rotate(PICTURE, 1e39),
    "fftfreq: a result of shape (1099511627776,)": lambda: signal.fftfreq(2**40, device=NULL),
    "rfftfreq: a result of shape": lambda: signal.rfftfreq(2**40, device=NULL),
    "get_window: a result of shape": lambda: signal.get_window("hann", 2**40, device=NULL),
    "firwin: numtaps must be at most": lambda: signal.firwin(2**40, 0.5),
    "fft: a result of shape": lambda: signal.fft(X, vast),
    "next_fast_len: target": lambda: signal.next_fast_len(vast),
    "conv_transpose1d: a result of shape": lambda: nn.conv_transpose1d(
        NULL.buffer(f32, (1, 4, 4)), NULL.buffer(f32, (3, 4, 4)), stride=2**31 - 1
    ),
    "max_pool2d: stride": lambda: nn.max_pool2d(IMAGES, 2, vast),
    "arange: a result of shape (1099511627776,)": lambda: arrays.arange(NULL, 2**40, dtype=f32),
}


@pytest.mark.parametrize("message", VAST)
def test_vast_sizes_are_refused_first(message: str) -> None:
    with pytest.raises((ArgumentError, LimitError)) as caught:
        VAST[message]()
    assert str(caught.value).startswith(message)


ARANGES: dict[str, Callable[[], Any]] = {
    "arange: start must be one real number, got 'x'": lambda: arrays.arange(NULL, junk, dtype=f32),
    "arange: stop must be one real number, got [None]": lambda: arrays.arange(
        NULL, 0, [None], dtype=f32
    ),  # type: ignore[arg-type]
    "arange: step must be finite, got nan": lambda: arrays.arange(NULL, 0, 5, math.nan, dtype=f32),
    "arange: stop must be finite, got inf": lambda: arrays.arange(NULL, 0, math.inf, dtype=f32),
    "arange: step must be finite, got -inf": lambda: arrays.arange(
        NULL, 0, 5, -math.inf, dtype=f32
    ),
    "arange: step must not be 0": lambda: arrays.arange(NULL, 0, 5, 0.0, dtype=f32),
    "arange: start must be a whole number for i32, got 0.5": lambda: arrays.arange(
        NULL, 0.5, 5, dtype=i32
    ),
    "arange: step must be a whole number for i32, got 0.5": lambda: arrays.arange(
        NULL, 0, 5, 0.5, dtype=i32
    ),
    "arange: the number must be one that u8 holds, got 256; give another": lambda: arrays.arange(
        NULL, 257, dtype=u8
    ),
    "arange: the number must be one that u8 holds, got -1": lambda: arrays.arange(
        NULL, -1, 3, dtype=u8
    ),
    "arange: a result of shape (9223372036854775808,)": lambda: arrays.arange(
        NULL, 0, 1e38, 1e-38, dtype=f32
    ),
    "arange: stop must be within the range of f32, got 1e+39": lambda: arrays.arange(
        NULL, 0, 1e39, dtype=f32
    ),
}


@pytest.mark.parametrize("message", ARANGES)
def test_arange_refuses_wrong_arguments(message: str) -> None:
    with pytest.raises((ArgumentError, DTypeError, LimitError)) as caught:
        ARANGES[message]()
    assert str(caught.value).startswith(message)


def test_arange_of_the_wrong_sign_is_empty(device: Device) -> None:
    assert arrays.arange(device, 5, 0, dtype=i32).shape == (0,)
    assert arrays.arange(device, 0.0, 5.0, -1.0, dtype=f32).shape == (0,)
    assert arrays.arange(device, 1e38, 0.0, 1e-300, dtype=f32).shape == (0,)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("x", "kernel must hold real numbers, got 'x'"),
        ([[1j]], r"kernel must hold real numbers, got \[\[1j\]\]"),
        (np.array([[1j]]), "must hold real numbers"),
        ([["1"]], "must hold real numbers"),
        (None, "kernel must hold real numbers, got None"),
        ([[1, None]], "must hold real numbers"),
        ([[1, 2], [3]], "must hold real numbers"),
        ([1, 2, 1], r"kernel must be \(rows, columns\).*got \(3,\)"),
        (np.ones((0, 3)), r"kernel must be .*at least one of each, got \(0, 3\)"),
        ([[math.nan]], "kernel must hold finite numbers of f32"),
        ([[1e39]], "kernel must hold finite numbers of f32"),
    ],
)
def test_kernels_that_filter2d_refuses(kernel: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^filter2d: .*{message}"):
        image.filter2d(PICTURE, kernel)


def test_numbers_of_other_kinds_are_numbers() -> None:
    for number in (1, True, np.True_, np.int8(1), np.float16(1), Fraction(1), Decimal(1)):
        assert as_float("op", "name", number) == 1
    assert as_float("op", "name", np.array(1.0)) == as_int("op", "name", np.array(1)) == 1
    assert math.isnan(as_float("op", "name", math.nan))
    assert as_float("op", "name", -math.inf) == -math.inf
    assert choice("op", "name", np.array(1.0), (0, 1)) == 1
    assert as_floats("op", "name", [Fraction(1, 2), True]).tolist() == [0.5, 1.0]


def test_complex_numbers_are_not_cut_down() -> None:
    """NumPy's become floats with no more than a warning."""
    for number in (1 + 2j, np.complex64(1 + 2j), np.array(1 + 2j)):
        with pytest.raises(ArgumentError, match="must be one real number"):
            as_float("op", "name", number)
        assert as_scale("op", "name", number) == 1 + 2j
    with pytest.raises(ArgumentError, match="must hold real numbers"):
        as_floats("op", "name", np.array([np.complex64(1 + 2j)], object))


def test_numbers_of_numpy_do_as_python_s() -> None:
    """Also where they are small, so that products of theirs wrap around."""
    x, w = NULL.buffer(f32, (1, 4, 4, 400)), NULL.buffer(f32, (1, 1, 100, 400))
    assert nn.conv2d(x, w, groups=small(4)).shape == (1, 4, 4, 400)
    qkv = NULL.buffer(f32, (1, 2, 384))
    assert gpustd.self_attention(qkv, heads=small(128)).shape == (1, 2, 128)
    kernel = NULL.buffer(f32, (3, 3, 4, 4))
    for one in (small(1), array(1)):
        assert gpustd.fused_conv2d(IMAGES, kernel, stride=one, padding=one).shape == (1, 4, 4, 4)
    assert gpustd.fused_conv2d(IMAGES, kernel, padding=array([1, 0, 1, 0])).shape == (1, 3, 3, 4)
    assert gpustd.winograd_weights(kernel, array(4)).shape == (36, 4, 4)
    assert arrays.arange(NULL, array(2), array(9), dtype=i32).shape == (7,)
    assert linalg.norm(X, array(2)).shape == ()
    assert image.median(PICTURE, array(3)).shape == (8, 8)
    spectrum = signal.stft(X, nperseg=4)[2]
    assert signal.istft(spectrum, nperseg=array(4))[1].shape == X.shape


def test_an_array_is_no_activation() -> None:
    with pytest.raises(ShapeError, match="gemm: activation must be"):
        gpustd.gemm(X, X, activation=array(["relu", "silu"]))


def test_the_range_of_f32() -> None:
    """Numbers up to half a step beyond the largest round to it; that limit is not included."""
    most = float(np.finfo(np.float32).max)
    beyond = 2.0**128 - 2.0**103
    assert as_float("op", "name", math.nextafter(beyond, 0)) > most
    for number in (beyond, -beyond, 1e300, vast):
        with pytest.raises(ArgumentError, match=r"^op: name .* within the range of f32"):
            as_float("op", "name", number)


def test_lists_are_refused_as_options() -> None:
    with pytest.raises(
        ArgumentError, match=r"must be bool, str or numbers, got {'descending': {}}"
    ):
        arrays.argsort(X, descending={})  # type: ignore[arg-type]


def test_sizes_of_results() -> None:
    with pytest.raises(ShapeError, match=r"affine_transform: output_shape must be .*got 5"):
        image.affine_transform(PICTURE, np.eye(2), output_shape=5)  # type: ignore[arg-type]
