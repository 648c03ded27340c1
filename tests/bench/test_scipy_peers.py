"""Peers in NumPy and SciPy compute what `gpustd` does, or their times would say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from bench.__main__ import entries
from bench.entry import Entry
from gpucore import Device

FOUND = [e for e in entries(["image", "nn"], Device.null()) if e.cpu and e.numpy is not None]


def test_most_operations_have_a_peer() -> None:
    assert len(FOUND) >= 32


@pytest.mark.parametrize("entry", FOUND, ids=lambda e: e.name)
def test_peers_compute_the_same(device: Device, entry: Entry) -> None:
    pytest.importorskip("scipy")
    assert entry.numpy is not None
    ours = np.asarray(entry.setup(device)().read()).astype(np.float64)  # type: ignore[attr-defined]
    theirs = np.asarray(entry.numpy()).astype(np.float64)
    off = np.abs(ours.squeeze() - theirs.squeeze()) / max(1, np.abs(theirs).max() / 256)
    # Half a level may be rounded either way; pictures of f32 have numbers up to 1.
    assert off.max() <= (1 if entry.name.endswith("u8") else 1e-4)
    assert (off > 1e-4).mean() < 1e-2
