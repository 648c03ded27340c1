"""Tensor maps: how the copy engine of a card sees a buffer (CUtensorMap, CUDA driver API)."""

from __future__ import annotations

import ctypes as c
from collections.abc import Iterable
from typing import Any, Final, Self

from gpucore.backends.drivers.driver import Driver
from gpucore.backends.native import TileMap

__all__ = ["TensorMap"]

_ALIGNMENT: Final = 64
_F16: Final = 6  # CU_TENSOR_MAP_DATA_TYPE_FLOAT16
_SWIZZLES: Final = {32: 1, 64: 2, 128: 3}  # CU_TENSOR_MAP_SWIZZLE_32B, 64B, 128B
_L2_256B: Final = 3  # CU_TENSOR_MAP_L2_PROMOTION_L2_256B


class TensorMap(c.Structure):
    """128 opaque bytes at a multiple of 64, which go to the kernel by value."""

    _fields_ = (("words", c.c_uint64 * 16),)
    _memory: Any

    @classmethod
    def encode(cls, driver: Driver, address: int, tiles: TileMap) -> Self:
        """Return the map of a buffer at ``address``. Raises `DriverError`."""
        memory = c.create_string_buffer(c.sizeof(cls) + _ALIGNMENT)
        made = cls.from_address(-(-c.addressof(memory) // _ALIGNMENT) * _ALIGNMENT)
        made._memory = memory
        rank = len(tiles.extents)
        array = (
            c.byref(made),
            _F16,
            rank,
            address + tiles.offset,
            _array(c.c_uint64, tiles.extents),
            _array(c.c_uint64, tiles.strides),
        )
        layout = 0, _SWIZZLES[tiles.row_bytes], _L2_256B, 0
        if tiles.corners is None:
            box, steps = _array(c.c_uint32, tiles.box), _array(c.c_uint32, [1] * rank)
            driver("tile_boxes", *array, box, steps, *layout)
        else:
            first, last = _array(c.c_int, tiles.corners[:2]), _array(c.c_int, tiles.corners[2:])
            steps = _array(c.c_uint32, [1, *[tiles.step] * (rank - 2), 1])
            driver("tile_windows", *array, first, last, *tiles.box, steps, *layout)
        return made


def _array(kind: Any, values: Iterable[int]) -> Any:
    values = tuple(values)
    return (kind * len(values))(*values)
