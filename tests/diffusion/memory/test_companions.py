"""Runs of two models where memory runs out: planned for both, once, with the same bits."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion import Pipeline, Result, Settings
from diffusion.memory import EVERYTHING
from diffusion.pipeline.refiner import Companions, load_beside
from diffusion.tasks import Hires
from gpucore import Device, OutOfMemoryError
from gpucore.memory.host import host_bytes

# What finds room is the host's; `test_budget` moves weights on every engine.
pytestmark = pytest.mark.one_engine

PLAIN = Settings("a red apple", "a dog", width=64, height=64, steps=2, guidance=4.0, seed=3)
SETTINGS = {"refiner": PLAIN, "hires": replace(PLAIN, hires=Hires(1.5, steps=2))}


@pytest.fixture
def own(device: Device) -> Iterator[Device]:
    """Return a device that nothing else is on."""
    with closing(Device.open(device.info, checks=False)) as opened:
        yield opened


def load_pair(device: Device, role: str) -> tuple[Pipeline, Companions]:
    """Load the bundled model twice: as a base, and in a role beside it."""
    base, other = (Pipeline.load(None, device) for _ in range(2))
    if role == "refiner":
        return base, Companions(refiner=other, switch=0.5)
    return base, Companions(hires=other)


def draw(base: Pipeline, companions: Companions, settings: Settings) -> NDArray[Any]:
    *_, last = companions.events(base, settings)
    assert isinstance(last, Result)
    return np.asarray(last.images[0])


def release_all(base: Pipeline, companions: Companions) -> None:
    for each in (base, companions.refiner, companions.hires):
        if each is not None:
            each.release()
    base.device.trim()


@pytest.mark.parametrize("role", SETTINGS)
def test_a_run_without_room_begins_again_with_less(own: Device, role: str) -> None:
    base, companions = load_pair(own, role)
    settings = SETTINGS[role]
    release_all(base, companions)
    loaded = own.memory.live
    own.pool.reset_peak()
    expected = draw(base, companions, settings)
    peak = own.memory.peak_reserved
    release_all(base, companions)
    own.pool.limit = max(own.memory.reserved, int(0.85 * peak))
    with pytest.warns(ResourceWarning, match="drawing with") as told:
        found = draw(base, companions, settings)
    assert len(told) == 1
    np.testing.assert_array_equal(found, expected)
    other = companions.refiner or companions.hires
    assert other is not None
    assert base.networks.placement == other.networks.placement
    np.testing.assert_array_equal(draw(base, companions, settings), expected)
    release_all(base, companions)
    assert own.memory.live < loaded
    base.close()
    other.close()
    del base, other, companions
    gc.collect()
    assert own.memory.live <= 4096  # tables that modules keep for a device
    assert host_bytes(own) == 0


@pytest.mark.parametrize("role", ["refiner", pytest.param("hires", marks=pytest.mark.slow)])
def test_a_model_without_room_beside_its_base_is_placed_with_it(own: Device, role: str) -> None:
    base, companions = load_pair(own, role)
    settings = SETTINGS[role]
    expected = draw(base, companions, settings)
    del companions
    base.release()
    gc.collect()
    own.trim()
    own.pool.limit = own.memory.reserved + (16 << 20)
    own.pool.reset_peak()
    parts: dict[str, Callable[[Pipeline], Companions]] = {
        "refiner": lambda other: Companions(refiner=other, switch=0.5),
        "hires": lambda other: Companions(hires=other),
    }
    other = load_beside(base, lambda place: Pipeline.load(None, place), parts[role], settings)
    assert base.networks.placement == other.networks.placement != EVERYTHING
    np.testing.assert_array_equal(draw(base, parts[role](other), settings), expected)
    assert own.memory.peak_reserved <= own.pool.limit
    # The base alone has room for more of its weights once the other model has left.
    del other
    gc.collect()
    own.trim()
    assert len(base.draw(PLAIN)) == 1
    assert base.networks.placement == EVERYTHING


def test_a_run_that_fits_nowhere_leaves_the_ledger_as_it_was(own: Device) -> None:
    base, companions = load_pair(own, "refiner")
    draw(base, companions, PLAIN)
    release_all(base, companions)
    before = own.memory.live
    own.pool.limit = own.memory.reserved
    with pytest.raises(OutOfMemoryError, match=r"needs .* and may take .*: draw a smaller picture"):
        draw(base, companions, replace(PLAIN, width=1024, height=1024))
    assert own.memory.live == before
