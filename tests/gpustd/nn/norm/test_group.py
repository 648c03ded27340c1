"""Group norm against NumPy float64, on every variant and engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device, DType, DTypeError, ShapeError, f16, f32
from gpustd import group_norm
from gpustd.launch.variants import force_variant
from gpustd.nn.norm.group_plan import NormSizes, Plan
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.poison import poison_pool
from tests.gpustd.reference import group_norm as oracle
from tests.gpustd.reference.group_norm import CASES, Case

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]
Operands = tuple[Array, Array | None, Array, Array]
EPS: dict[type[DType], float] = {f32: float(np.finfo(np.float32).eps), f16: 2.0**-10}
VARIANTS = ("naive", "channels_cpu", "group", "runs")
# f16 changes the variants of GPUs by the widths of words only: 8, 4, 2 and 1 channels. (A software
# renderer compiles them for seconds.)
HALVES = (
    Case((2, 20, 21, 64), 8, second=64, silu=True),
    Case((1, 129, 131, 8), 2, silu=True, offset=100.0),
    Case((1, 37, 41, 40), 4, silu=True, offset=1000.0),
    Case((2, 16, 17, 40), 10, second=20, silu=True),
    Case((1, 13, 17, 36), 6, second=18),
    Case((1, 1, 1, 5), 4, second=7),
)
MATCHES = [
    pytest.param(variant, dtype, case, id=f"{dtype.name}-{variant}-{case.name}")
    for case in CASES
    for dtype in (f32, f16)
    for variant in VARIANTS
    if dtype is f32 or case in HALVES or variant not in ("group", "runs")
]


def draw(case: Case, dtype: type[DType]) -> Operands:
    """Both sources, gamma and beta; each channel has a mean and a spread of its own."""
    rng = np.random.default_rng(1)
    shape = (*case.shape[:-1], case.channels)
    means, spreads = rng.standard_normal(case.channels), rng.uniform(0.5, 2, case.channels)
    x = (rng.standard_normal(shape) * spreads + means + case.offset).astype(dtype.numpy)
    gamma, beta = rng.standard_normal((2, case.channels)).astype(np.float32)
    first, second = x[..., : case.shape[-1]], x[..., case.shape[-1] :]
    return np.ascontiguousarray(first), second if case.second else None, gamma, beta


def run(device: Device, variant: str, case: Case, operands: Operands) -> Array:
    x, second, gamma, beta = (
        None if a is None else device.buffer_from_array(np.ascontiguousarray(a)) for a in operands
    )
    assert x is not None
    assert gamma is not None
    assert beta is not None
    nbytes = x.nbytes + (second.nbytes if second is not None else 0)
    statistics = 8 * case.shape[0] * case.groups
    poison_pool(device, nbytes, statistics, 8 * 16 * case.shape[0] * case.channels)
    with force_variant("group_norm", variant):
        y = group_norm(x, case.groups, gamma, beta, silu=case.silu, second=second)
    return y.read()


def check(case: Case, operands: Operands, result: Array, eps: float) -> None:
    x, second, gamma, beta = operands
    joined = x if second is None else np.concatenate([x, second], axis=-1)
    exact = joined.astype(np.float64)
    scale, shift = gamma.astype(np.float64), beta.astype(np.float64)
    expected = oracle.reference(case, exact, scale, shift, 1e-5)
    error = np.abs(result.astype(np.float64) - expected)
    allowed = oracle.bound(case, exact, scale, shift, 1e-5, eps)
    assert result.shape == expected.shape
    assert np.all(error <= allowed), f"worst {np.max(error / allowed)} of what is allowed"


@pytest.mark.parametrize(("variant", "dtype", "case"), MATCHES)
def test_matches_float64(device: Device, variant: str, dtype: type[DType], case: Case) -> None:
    skip_without_f16(device, dtype.name)
    operands = draw(case, dtype)
    check(case, operands, run(device, variant, case, operands), EPS[dtype])


@settings(max_examples=draws(15), deadline=None)
@given(
    st.integers(0, 2),
    st.lists(st.sampled_from([0, 1, 2, 5, 13]), min_size=0, max_size=3),
    st.sampled_from([1, 2, 4, 5]),
    st.sampled_from([1, 2, 3, 8]),
    st.booleans(),
    st.sampled_from([f32, f16]),
    st.data(),
)
def test_drawn_cases(
    device: Device,
    images: int,
    extents: list[int],
    groups: int,
    size: int,
    silu: bool,
    dtype: type[DType],
    data: st.DataObject,
) -> None:
    """By the device's own variant; groups may lie in both sources."""
    dtype = dtype if device.has_f16 else f32
    second = data.draw(st.integers(0, groups * size - 1))
    offset = data.draw(st.sampled_from([0.0, -30.0]))
    case = Case((images, *extents, groups * size - second), groups, second, silu, offset)
    operands = draw(case, dtype)
    variant = data.draw(st.sampled_from(["naive", "channels_cpu"]))
    check(case, operands, run(device, variant, case, operands), EPS[dtype])


@pytest.mark.parametrize("dtype", [f32, f16])
@pytest.mark.parametrize("share", [1.0, 0.4])
def test_groups_begin_inside_words(device: Device, dtype: type[DType], share: float) -> None:
    """The widths of groups of the large models, where two launches take words of 16 bytes."""
    skip_without_f16(device, dtype.name)
    for size in (10, 20, 30, 60):
        first = round(share * 4 * size)
        case = Case((2, 19, 21, first), 4, second=4 * size - first, silu=True, offset=-3.0)
        operands = draw(case, dtype)
        result = run(device, "runs", case, operands)
        check(case, operands, result, EPS[dtype])
        x, second, gamma, beta = operands
        one = Case((1, *case.shape[1:]), 4, second=case.second, silu=True)
        last = (x[[1]], None if second is None else second[[1]], gamma, beta)
        np.testing.assert_array_equal(run(device, "runs", one, last)[0], result[1])


@pytest.mark.parametrize("dtype", [f32, f16])
def test_a_workgroup_goes_down_its_run_in_steps(
    device: Device, dtype: type[DType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the autoencoder's images, here with fewer workgroups instead of more pixels."""
    skip_without_f16(device, dtype.name)
    monkeypatch.setattr("gpustd.nn.norm.group_plan._WORKGROUPS_OF_AN_IMAGE", 3)
    case = Case((1, 129, 131, 8), 2, second=8, silu=True, offset=100.0)
    plan = Plan.two_launches(NormSizes(1, 129 * 131, (8, 8), 2), dtype.itemsize, 256, 2**14)
    assert plan is not None
    assert plan.run > 2 * plan.depth * (plan.lanes // plan.across)
    operands = draw(case, dtype)
    check(case, operands, run(device, "runs", case, operands), EPS[dtype])


def test_rounding_of_the_mean_does_not_gather(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All 128 lanes on a word see the same 1024 values, so that their errors do not cancel."""
    monkeypatch.setattr("gpustd.nn.norm.group_plan._WORKGROUPS_OF_AN_IMAGE", 1)
    case = Case((1, 1024, 128, 8), 2)
    down = np.random.default_rng(3).standard_normal((1, 1024, 1, 1)) + 513
    x = np.broadcast_to(down, case.shape).astype(np.float32)
    operands = (x, None, np.ones(8, np.float32), np.zeros(8, np.float32))
    check(case, operands, run(device, "runs", case, operands), EPS[f32])


def test_wide_groups_take_larger_workgroups(device: Device) -> None:
    case = Case((1, 5, 7, 1100), 1)
    operands = draw(case, f32)
    check(case, operands, run(device, "runs", case, operands), EPS[f32])


def test_statistics_survive_an_outlier_at_the_start(device: Device) -> None:
    """Sums of distances from a first value alone would lose these digits."""
    case = Case((1, 64, 65, 8), 2)
    x, _, gamma, beta = draw(case, f32)
    x[0, 0, 0] = 3e4
    check(case, (x, None, gamma, beta), run(device, "runs", case, (x, None, gamma, beta)), EPS[f32])


@pytest.mark.parametrize("variant", VARIANTS)
def test_result_does_not_depend_on_the_batch(device: Device, variant: str) -> None:
    case = Case((3, 17, 23, 12), 4, second=8, silu=True)
    x, second, gamma, beta = draw(case, f32)
    assert second is not None
    together = run(device, variant, case, (x, second, gamma, beta))
    one = Case((1, 17, 23, 12), 4, second=8, silu=True)
    for image in range(3):
        alone = run(device, variant, one, (x[[image]], second[[image]], gamma, beta))
        np.testing.assert_array_equal(together[image], alone[0])


def test_a_constant_image_gives_beta(device: Device) -> None:
    case = Case((1, 9, 7, 8), 2)
    gamma, beta = np.ones(8, np.float32), np.arange(8, dtype=np.float32)
    x = np.full(case.shape, 1234.5, np.float32)
    for variant in VARIANTS:
        result = run(device, variant, case, (x, None, gamma, beta))
        np.testing.assert_array_equal(result, np.broadcast_to(beta, case.shape))


def test_the_device_takes_its_own_variant(device: Device) -> None:
    case = Case((1, 8, 9, 16), 4, silu=True)
    operands = draw(case, f32)
    x, _, gamma, beta = (None if a is None else device.buffer_from_array(a) for a in operands)
    assert x is not None
    assert gamma is not None
    assert beta is not None
    result = group_norm(x, 4, gamma, beta, silu=True).read()
    same = run(device, "channels_cpu" if device.is_cpu else "group", case, operands)
    np.testing.assert_array_equal(result, same)


def launches(side: int, channels: int, second: int = 0, groups: int = 32) -> int:
    """Return the launches for one image on a card of no maker."""
    device = Device.null()
    gamma = device.buffer(f32, channels + second)
    x = device.buffer(f16, (1, side, side, channels))
    other = device.buffer(f16, (1, side, side, second)) if second else None
    group_norm(x, groups, gamma, gamma, second=other)
    device.synchronize()
    return len(device.engine.submitted[-1])  # type: ignore[attr-defined]


def test_small_images_take_one_launch_and_large_ones_two() -> None:
    assert launches(8, 1280) == 1
    assert launches(16, 1280) == 1
    assert launches(16, 1280, second=1280) == 1
    assert launches(32, 1280) == 2
    assert launches(32, 1280, second=640) == 2
    assert launches(64, 320) == 2


def test_groups_too_wide_for_a_kernel_take_another() -> None:
    assert launches(32, 4096, groups=1) == 2
    assert launches(32, 8192, groups=1) == 1
    assert launches(32, 16384, groups=1) == 3
    assert launches(1, 1031, groups=1) == 3


def planned(side: int, widths: tuple[int, ...], itemsize: int = 2) -> tuple[NormSizes, Plan]:
    """Two launches of 32 groups on a large GPU."""
    norm = NormSizes(1, side * side, widths, 32)
    plan = Plan.two_launches(norm, itemsize, 1024, 49152)
    assert plan is not None
    return norm, plan


def test_large_images_are_spread_over_many_workgroups() -> None:
    """Two images fill a large GPU, a lane has some words, and a workgroup unites few runs."""
    vae = ((512, (128,)), (512, (256,)), (256, (512,)), (128, (512,)))
    unet = ((64, (320,)), (64, (640, 320)), (128, (320,)), (32, (1280,)), (32, (1280, 640)))
    for side, widths in (*vae, *unet):
        norm, plan = planned(side, widths)
        blocks, runs, _ = plan.grid(norm)
        assert plan.width == 8
        assert 132 <= blocks * runs <= 330
        assert plan.depth >= 4
        assert plan.lanes // plan.across * plan.across >= 240
        assert runs * norm.groups // blocks <= 2048


def test_a_workgroups_words_hold_whole_groups() -> None:
    for channels in (32, 96, 320, 640, 960, 992, 1920, 1280):
        norm, plan = planned(64, (channels,))
        assert (plan.across * plan.width) % norm.group_size == 0
        assert norm.channels % (plan.across * plan.width) == 0
        assert plan.across * plan.width // norm.group_size <= plan.lanes
        assert plan.run * (plan.runs - 1) < norm.pixels <= plan.run * plan.runs


def test_words_lie_in_one_source_and_one_group() -> None:
    def width(widths: tuple[int, ...], groups: int, itemsize: int) -> int:
        return NormSizes(1, 1, widths, groups).word_width(itemsize)

    assert [width((c,), 32, 2) for c in (320, 640, 960, 1280, 128, 31 * 32)] == [2, 4, 2, 8, 4, 1]
    assert width((1280, 640), 32, 2) == 4
    assert width((36, 28), 8, 2) == 4
    assert width((34, 30), 8, 2) == 2
    assert width((1280,), 32, 4) == 4


def test_refuses_what_does_not_fit(device: Device) -> None:
    def check_refused(
        error: type[Exception], message: str, width: int, groups: int, second: Any
    ) -> None:
        gamma = device.buffer(f32, width)
        with pytest.raises(error, match=message):
            group_norm(x, groups, gamma, gamma, second=second)

    x = device.buffer(f32, (2, 4, 4, 8))
    check_refused(ShapeError, "must divide the 8 channels, got 3", 8, 3, None)
    check_refused(ShapeError, "got 0", 8, 0, None)
    check_refused(
        ShapeError, r"weight must be \(12,\), got \(8,\)", 8, 4, device.buffer(f32, (2, 4, 4, 4))
    )
    check_refused(ShapeError, "differ in C only", 12, 4, device.buffer(f32, (2, 4, 5, 4)))
    check_refused(DTypeError, "one float dtype", 16, 4, device.buffer(f16, (2, 4, 4, 8)))
