"""Memory that tensors are read into."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from diffusion.checkpoints.safetensors.room import room_for


@pytest.mark.parametrize("nbytes", [0, 1, 4096, (1 << 20) - 1, 1 << 20, (3 << 20) + 5])
def test_room_has_the_bytes_and_may_be_written(nbytes: int) -> None:
    room = room_for(nbytes)
    assert room.shape == (nbytes,)
    room[:] = 7
    assert np.all(room == 7)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_room_goes_back_to_the_system() -> None:
    def pages() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])

    for nbytes in (40 << 20, 20 << 20):  # the first one raises the threshold of glibc's own
        before, room = pages(), room_for(nbytes)
        room[:] = 1
        kept = np.empty(3 << 18, np.uint8)  # above it in a heap
        del room
        assert pages() - before < (nbytes >> 1) // 4096
        del kept
