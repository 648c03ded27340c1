"""The low-rank updates that text encoders have: one set for all rows of text."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np

from diffusion.adapters.rank_bank import RankBank
from diffusion.ambient import Ambient
from diffusion.models.low_rank import Updates
from gpucore import Buffer, Device, u32
from gpustd.matmul.low_rank import NO_UPDATE

__all__ = ["EncodingUpdates", "current_encoding", "encode_with"]


class EncodingUpdates(NamedTuple):
    """The ``slot`` of a bank that all rows of text have."""

    bank: RankBank
    slot: int

    def rows(self, device: Device, count: int) -> Updates:
        """Return the updates of so many rows."""
        chosen = np.full(count, self.slot, np.uint32)
        return self.bank.updates(device.buffer_from_array(chosen, u32))

    def write(self, chosen: Buffer[u32]) -> None:
        """Write the slot of each row."""
        chosen.write(np.full(chosen.shape, self.slot, np.uint32))


_encoding: Ambient[EncodingUpdates | None] = Ambient("encoding", None)


def encode_with(found: EncodingUpdates) -> AbstractContextManager[None]:
    """Let texts that are encoded inside the context have these updates."""
    return _encoding.around(None if found.slot == NO_UPDATE else found)


def current_encoding() -> EncodingUpdates | None:
    """Return the updates of the `encode_with` around; None for none."""
    return _encoding.get()
