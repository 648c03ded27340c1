"""Timing tiles: the tile that a launch takes from a table, and the tuner on small tiles."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Generator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore import Device, DeviceLostError, LimitError, f16, f32
from gpucore.backends.null import NullBackend
from gpustd import (
    fused_conv2d,
    gemm,
    upsampling_conv2d,
    upsampling_weights,
    wide_gemm,
    winograd_conv2d,
)
from gpustd.launch.template import Value, render
from gpustd.launch.variants import force_variant
from gpustd.matmul import launching, tile_choice
from gpustd.matmul.dense import multiply_batch
from gpustd.matmul.operation import Matmul
from gpustd.matmul.tile_files import shipped_file, write_tiles
from gpustd.matmul.tiles import MATRIX_TILES, TILED_TILES, Tile, fits, tile_size
from gpustd.matmul.tuned_tiles import (
    SeenMatmul,
    key_of_region,
    matmul_key,
    recorded_matmuls,
    tuned_tile,
    use_tiles,
)
from gpustd.tuning import check, timing
from gpustd.tuning.timing import Outcome, Standing, tune_matmul

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

LARGE, SMALL = Tile(32, 32, 8, 4, 4), Tile(16, 32, 8, 4, 4)
KEY = "tiled f32 m40/2 n24 k12 silu"
SIZES = {"m": 40, "n": 24, "k": 12, "rows": 20}
GEMM = Matmul("gemm", "matmul/gemm/rows.wgsl", 40, 2, 24, (12,), SIZES, {}, "silu")


def test_only_offered_tiles_that_fit_are_taken(null: Device) -> None:
    assert matmul_key(GEMM, "tiled", "f32") == KEY
    tiles = [LARGE, SMALL]
    for size, taken in (
        (None, LARGE),
        (tile_size(SMALL), SMALL),
        (tile_size(LARGE), LARGE),
        (tile_size(TILED_TILES[0]), LARGE),  # exists, and is not offered
        (tile_size(Tile(8, 8, 8, 1, 1)), LARGE),
    ):
        use_tiles(null, {} if size is None else {KEY: size})
        assert tuned_tile(null, GEMM, "tiled", "f32", tiles) is taken
    too_large = Tile(1024, 1024, 8, 8, 8)
    assert not fits(null, "tiled", too_large)
    use_tiles(null, {KEY: tile_size(too_large)})
    assert tuned_tile(null, GEMM, "tiled", "f32", [LARGE, too_large]) is LARGE


def test_tiles_are_read_once_for_a_device(null: Device) -> None:
    assert tuned_tile(null, GEMM, "tiled", "f32", [LARGE, SMALL]) is LARGE
    write_tiles(shipped_file(null.info), null.info, {KEY: tile_size(SMALL)})
    assert tuned_tile(null, GEMM, "tiled", "f32", [LARGE, SMALL]) is LARGE
    use_tiles(null, None)
    assert tuned_tile(null, GEMM, "tiled", "f32", [LARGE, SMALL]) is SMALL


def with_memory(device: Device, nbytes: int) -> Device:
    """Return a null device with so much workgroup memory."""
    limits = {**device.limits, "max_compute_workgroup_storage_size": nbytes}
    return Device(NullBackend(replace(device.info, limits=limits)))


@pytest.mark.parametrize("tile", MATRIX_TILES, ids=lambda t: f"{t.bm}x{t.bn}")
def test_memory_of_matrix_tiles_is_what_the_shader_declares(null: Device, tile: Tile) -> None:
    names = ("two", "holes", "ragged", "whole", "exact", "bias", "per_image", "residual", "split")
    spec: dict[str, Value] = {
        "scalar": "f16",
        "out": "f16",
        "source": "matmul/gemm/rows.wgsl",
        "matrix": True,
    }
    spec |= {"vector": True, "activation": "none", "sizes": "1", **dict.fromkeys(names, False)}
    spec |= {"flexible": False, "batched": False, "even": False, "unit": 8}
    spec |= {name: getattr(tile, name) for name in ("bm", "bn", "bk", "wm", "wn", "teams")}
    shader = "matmul/gemm/matrix.wgsl"
    if tile.loaders:
        shader = "matmul/gemm/loaders.wgsl"
        spec |= {"loaders": tile.loaders, "stages": tile.stages, "filled": True}
        spec |= {"k": 192, "bases": tile.bases}
    declared = re.findall(r"var<workgroup> \w+: array<vec4<u32>, (\d+)>", render(shader, spec))
    nbytes = 16 * sum(map(int, declared))
    assert nbytes
    null = Device(NullBackend(replace(null.info, api="vulkan", driver="NVIDIA: 580.1")))
    assert fits(with_memory(null, nbytes), "matrix", tile)
    assert not fits(with_memory(null, nbytes - 1), "matrix", tile)


def test_a_run_records_its_products(null: Device) -> None:
    a, w = null.buffer(f32, (2, 20, 12)), null.buffer(f32, (12, 24))
    x, image = null.buffer(f32, (1, 6, 6, 4)), null.buffer(f32, (3, 3, 8, 4))
    with recorded_matmuls() as seen, force_variant("matmul", "tiled"):
        gemm(a, w, activation="silu")
        gemm(a, w, activation="silu")
        fused_conv2d(x, image, second=x, stride=2, padding=1)
    gemm(a, w)
    assert {key: each.count for key, each in seen.items()} == {
        KEY: 2,
        "tiled f32 m9/1 n4 k4+4 3x3 stride2": 1,
    }
    assert set(seen[KEY].tiles) == set(TILED_TILES)
    assert seen[KEY].matmul.channels == (12,)


def test_tiles_of_another_split_of_k_are_ignored(
    null: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times with K whole say nothing of its parts, and the other way round."""
    a, w = null.buffer(f32, (2, 20, 96)), null.buffer(f32, (96, 24))
    keys = []
    for splits in (1, 3):
        monkeypatch.setattr(tile_choice, "best_splits", lambda *_, parts=splits: parts)
        with recorded_matmuls() as seen, force_variant("matmul", "tiled"):
            gemm(a, w)
        keys += seen
    assert keys == ["tiled f32 m40/2 n24 k96", "tiled f32 m40/2 n24 k96 in 3"]


def test_only_a_recorded_run_names_products_in_profiles(null: Device) -> None:
    a, w = null.buffer(f32, (2, 20, 12)), null.buffer(f32, (12, 24))
    null.synchronize()
    regions = []
    for recording in (nullcontext(), recorded_matmuls()):
        with recording, force_variant("matmul", "tiled"), null.region("unet"):
            gemm(a, w, activation="silu")
        null.submit()
        (launch,) = null.engine.submitted[-1]  # type: ignore[attr-defined]
        regions.append(launch.region)
    assert regions == ["unet", f"unet/matmul {KEY}"]
    assert [key_of_region(region) for region in regions] == ["", KEY]


def outcome_of(tuning: Generator[Standing, None, Outcome]) -> tuple[list[Standing], Outcome]:
    standings = []
    while True:
        try:
            standings.append(next(tuning))
        except StopIteration as done:
            return standings, done.value


def small_product(device: Device, patch: pytest.MonkeyPatch) -> SeenMatmul:
    """Return a matrix product of odd sizes, as a run records it, with two tiles."""
    patch.setattr(tile_choice, "TILED_TILES", (LARGE, SMALL))
    a, w = device.buffer(f32, (2, 21, 20)), device.buffer(f32, (20, 13))
    with recorded_matmuls() as seen, force_variant("matmul", "tiled"):
        gemm(a, w)
    (only,) = seen.values()
    return only


def test_the_tuner_times_tiles_whose_results_are_the_same(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = small_product(device, monkeypatch)
    standings, outcome = outcome_of(tune_matmul(device, seen, budget=0.0))
    assert outcome.refused == {}
    assert outcome.seconds.keys() == {LARGE, SMALL}
    assert all(seconds > 0 for seconds in outcome.seconds.values())
    assert outcome.tile in (LARGE, SMALL)
    assert standings[-1].seconds is not None
    a, w = (
        np.random.default_rng(i).standard_normal(s) for i, s in enumerate([(2, 21, 20), (20, 13)])
    )
    results = []
    try:
        for table in ({}, {seen.key: tile_size(LARGE)}, {seen.key: tile_size(SMALL)}):
            use_tiles(device, table)
            with force_variant("matmul", "tiled"):
                up = device.buffer_from_array
                results.append(gemm(up(a, f32), up(w, f32)).read())
    finally:
        use_tiles(device, None)
    np.testing.assert_allclose(results[0], a @ w, atol=1e-4)
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


@pytest.mark.parametrize("splits", [1, 3])
def test_an_image_keeps_its_bits_whatever_tables_say_of_its_batch(
    device: Device, monkeypatch: pytest.MonkeyPatch, splits: int
) -> None:
    """Tables name tiles for three images and for one; how K is cut follows from one image."""
    monkeypatch.setattr(tile_choice, "TILED_TILES", (LARGE, SMALL))
    monkeypatch.setattr(tile_choice, "best_splits", lambda *sizes: splits)
    random = np.random.default_rng(7)
    a, w = (random.standard_normal(shape).astype(np.float32) for shape in ((3, 21, 96), (96, 40)))

    def made(images: NDArray[np.float32]) -> NDArray[np.float32]:
        up = device.buffer_from_array
        with force_variant("matmul", "tiled"):
            return gemm(up(images), up(w), activation="silu").read()

    with recorded_matmuls() as seen:
        made(a), made(a[:1])
    together, alone = seen
    bits = []
    try:
        for of_three, of_one in itertools.product((LARGE, SMALL), repeat=2):
            use_tiles(device, {together: tile_size(of_three), alone: tile_size(of_one)})
            bits += [made(a), *(made(a[i : i + 1]) for i in range(3))]
            np.testing.assert_array_equal(np.concatenate(bits[-3:]), bits[-4])
            np.testing.assert_array_equal(bits[-4], bits[0])
    finally:
        use_tiles(device, None)


SPOIL = """\
@group(0) @binding(0) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(1)
fn main() {
    let last = arrayLength(&y) - 1u;
    y[last] = %s;
}
"""


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (None, "its result is wrong"),
        ("y[last] + 0.01", "its result is wrong"),
        ("bitcast<f32>(0x7fc00000u + u32(y[last] > 1e30))", "its result is wrong"),
        ("bitcast<f32>(bitcast<u32>(y[last]) + 1u)", "its result has other bits"),
    ],
    ids=["nothing written", "an element", "a NaN", "a bit"],
)
def test_a_wrong_tile_is_refused_however_fast(
    device: Device, monkeypatch: pytest.MonkeyPatch, spoilt: str | None, reason: str
) -> None:
    """Real kernels; the wrong one takes no time, and is neither timed nor taken."""
    seen = small_product(device, monkeypatch)
    spoil_tiles(device, monkeypatch, 16, spoilt)
    _, outcome = outcome_of(tune_matmul(device, seen, budget=0.0))
    assert outcome.tile == LARGE
    assert outcome.seconds.keys() == {LARGE}
    assert outcome.refused.keys() == {SMALL}
    assert outcome.refused[SMALL].startswith(reason)


@pytest.mark.parametrize("windows", [False, True], ids=["rows", "pixels"])
def test_all_products_of_a_batch_are_checked(
    device: Device, monkeypatch: pytest.MonkeyPatch, windows: bool
) -> None:
    """The first tile is wrong in the last product alone, and the other is taken."""
    monkeypatch.setattr(tile_choice, "TILED_TILES", (LARGE, SMALL))
    with recorded_matmuls() as recorded, force_variant("matmul", "tiled"):
        if windows:
            image = device.buffer(f32, (1, 3, 5, 8))
            upsampling_conv2d(image, upsampling_weights(device.buffer(f32, (3, 3, 8, 8))))
        else:
            a, w = device.buffer(f32, (3, 21, 20)), device.buffer(f32, (3, 20, 8))
            multiply_batch("test", a, w, device.buffer(f32, (3, 21, 8)))
    (seen,) = recorded.values()
    assert seen.matmul.batch == (4 if windows else 3)
    seen = replace(seen, tiles=(LARGE, SMALL))
    _, outcome = outcome_of(tune_matmul(device, seen, budget=0.0))
    assert outcome.refused == {}
    spoil_tiles(device, monkeypatch, 32, "y[last] + 1.0")
    _, outcome = outcome_of(tune_matmul(device, seen, budget=0.0))
    assert outcome.tile == SMALL
    assert outcome.refused == {LARGE: "its result is wrong"}


def wide(device: Device) -> None:
    wide_gemm(device.buffer(f16, (64, 32)), device.buffer(f16, (32, 256)))


def biased(device: Device) -> None:
    a, w = device.buffer(f16, (64, 32)), device.buffer(f16, (32, 256))
    gemm(a, w, bias=device.buffer(f32, 256), activation="silu")


def in_blocks(device: Device) -> None:
    x, u = device.buffer(f16, (1, 32, 32, 32)), device.buffer(f16, (36, 32, 256))
    winograd_conv2d(x, u)


def enlarged(device: Device) -> None:
    image, w = device.buffer(f16, (1, 8, 8, 32)), device.buffer(f16, (3, 3, 32, 256))
    upsampling_conv2d(image, upsampling_weights(w), bias=device.buffer(f32, 256))


@pytest.mark.parametrize("run", [wide, biased, in_blocks, enlarged])
def test_a_trial_launches_the_kernel_that_the_run_does(
    null: Device, monkeypatch: pytest.MonkeyPatch, run: Callable[[Device], None]
) -> None:
    """Its text, too: f32 leaves matrix units by another way than f16, and a bias costs time."""
    real, made = launching.kernel, []

    def seen_kernel(device: Device, name: str, **spec: Any) -> Any:
        made.append((name, spec))
        return real(device, name, **spec)

    monkeypatch.setattr(launching, "kernel", seen_kernel)
    with recorded_matmuls() as recorded:
        run(null)
    (seen,) = recorded.values()
    in_run = [each for each in made if "bm" in each[1]]
    made.clear()
    check.TrialOperands(null, seen).captured_calls(seen.tiles[0], 1)
    assert [each for each in made if "bm" in each[1]] == in_run != []


def spoil_tiles(device: Device, patch: pytest.MonkeyPatch, bm: int, spoilt: str | None) -> None:
    """Let tiles of ``bm`` rows leave the last element so; None: let them do nothing."""
    real = launching.kernel
    spoil = device.compile_kernel(SPOIL % spoilt) if spoilt else None

    def wrong(device: Device, name: str, **spec: Any) -> Any:
        launch = real(device, name, **spec)
        if spec.get("bm") != bm:
            return launch

        def launch_wrong(*arguments: Any, **options: Any) -> None:
            if spoil is not None:
                launch(*arguments, **options)
                spoil(arguments[-1], grid=1)

        return launch_wrong

    patch.setattr(launching, "kernel", wrong)


TRUTH = np.linspace(-1, 1, 40 * 24, dtype=np.float32)
THREE = (LARGE, SMALL, Tile(16, 64, 8, 4, 8))


class Pretended:
    """Results and seconds by tile in the place of a device's."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.results: dict[Tile, Any] = {}
        self.seconds: dict[Tile, float] = {}
        self.samples = dict.fromkeys(THREE, 0)
        patch.setattr(check.TrialOperands, "expected_result", lambda _: TRUTH)
        patch.setattr(timing._Trial, "result", lambda trial, _: self.result(trial.tile))
        patch.setattr(timing._Trial, "sample", lambda trial, _: self.sample(trial.tile))
        patch.setattr(timing, "_WARM_UP_S", 0.0)

    def result(self, tile: Tile) -> Any:
        found = self.results.get(tile, TRUTH)
        if isinstance(found, Exception):
            raise found
        return found

    def sample(self, tile: Tile) -> float:
        self.samples[tile] += 1
        return self.seconds.get(tile, 1.0)


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    return Pretended(monkeypatch)


def tuned(device: Device, budget: float = 60.0) -> Outcome:
    seen = SeenMatmul(KEY, GEMM, "tiled", "f32", THREE, 1)
    return outcome_of(tune_matmul(device, seen, budget))[1]


def test_the_first_of_nearly_equal_tiles_is_kept(null: Device, pretended: Pretended) -> None:
    pretended.seconds = {LARGE: 1.019, SMALL: 1.0, THREE[2]: 1.0}
    assert tuned(null).tile == LARGE
    pretended.seconds[LARGE] = 1.021
    outcome = tuned(null)
    assert outcome.tile == SMALL
    assert outcome.gain == pytest.approx(1.021)


def test_hopeless_tiles_drop_out_and_the_budget_ends_turns(
    null: Device, pretended: Pretended
) -> None:
    pretended.seconds = {LARGE: 1.29, SMALL: 1.0, THREE[2]: 1.31}
    warm = 4  # samples before the turns
    tuned(null)
    assert pretended.samples == {LARGE: warm + 10, SMALL: warm + 10, THREE[2]: warm + 3}
    pretended.samples = dict.fromkeys(THREE, 0)
    tuned(null, budget=0.0)
    assert pretended.samples == {LARGE: warm + 3, SMALL: warm + 3, THREE[2]: warm + 3}


def test_samples_are_long_enough(
    null: Device, pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call of 20 µs and 100 µs of waiting make 5 ms of 224 calls at the second attempt."""
    calls = []

    def sample(trial: Any, _: Device) -> float:
        calls.append(trial.calls)
        return (100e-6 + 20e-6 * trial.calls) / trial.calls

    monkeypatch.setattr(timing._Trial, "sample", sample)
    outcome = tuned(null)
    assert sorted(set(calls)) == [1, 42, 224]
    assert calls.count(224) == 3 * 10
    assert outcome.seconds[LARGE] == pytest.approx(20e-6, rel=0.03)


def test_wrong_tiles_are_refused_with_the_reason(null: Device, pretended: Pretended) -> None:
    other = np.nextafter(TRUTH, np.float32(2))
    pretended.results = {LARGE: LimitError("too large"), THREE[2]: other}
    pretended.seconds = {THREE[2]: 0.1}
    outcome = tuned(null)
    assert outcome.tile == SMALL
    assert outcome.refused[LARGE] == "LimitError: too large"
    assert "other bits" in outcome.refused[THREE[2]]
    assert outcome.gain == 1.0


@pytest.mark.parametrize("wrong", [TRUTH * np.nan, -TRUTH, TRUTH + np.float32(1e-3), TRUTH * 0])
def test_no_tile_is_taken_where_all_are_wrong(
    null: Device, pretended: Pretended, wrong: NDArray[np.float32]
) -> None:
    pretended.results = dict.fromkeys(THREE, wrong)
    outcome = tuned(null)
    assert outcome.tile is None
    assert outcome.seconds == {}
    assert len(outcome.refused) == 3


def test_a_lost_device_is_no_tiles_fault(null: Device, pretended: Pretended) -> None:
    pretended.results = {LARGE: DeviceLostError("gone")}
    with pytest.raises(DeviceLostError):
        tuned(null)


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize("steps", [1, 3, 6])
def test_stopping_gives_all_memory_back(null: Device, steps: int) -> None:
    before = null.memory.live
    tuning = tune_matmul(null, SeenMatmul(KEY, GEMM, "tiled", "f32", THREE, 1))
    for _ in range(steps):
        next(tuning)
    assert null.memory.live > before
    tuning.close()
    assert null.memory.live == before


def test_the_check_of_a_long_product_reads_its_first_rows(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of both sources of a convolution too, whose naive variant then makes fewer rows."""
    x, w = device.buffer(f32, (1, 5, 4, 4)), device.buffer(f32, (3, 3, 8, 4))
    with recorded_matmuls() as recorded, force_variant("matmul", "tiled"):
        fused_conv2d(x, w, second=x, padding=1)
    (seen,) = recorded.values()
    operands = check.TrialOperands(device, seen)
    whole = operands.expected_result()
    assert whole.size == 20 * 4
    monkeypatch.setattr(check, "_MOST_CHECKED_FLOPS", 7 * 2 * 72 * 4 + 1)
    first = operands.expected_result()
    np.testing.assert_array_equal(first, whole[: 7 * 4])
    assert operands.agrees(whole, first)
    assert np.std(whole) > 0.1
