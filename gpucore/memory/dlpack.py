"""DLPack capsules of device memory: libraries hand arrays to each other without a copy.

(DLPack 1.1, https://dmlc.github.io/dlpack/latest/c_api.html.)
"""

from __future__ import annotations

import ctypes as c
import itertools
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

__all__ = ["Taken", "new_capsule", "open_capsule"]

Release = Callable[[], None]

_VERSION: Final = (1, 0)
_CODES: Final = {"i": 0, "u": 1, "f": 2, "c": 5}
_KINDS: Final = {code: kind for kind, code in _CODES.items()}
# A capsule keeps the address of its name.
_NEW: Final = {False: b"dltensor", True: b"dltensor_versioned"}
_USED: Final = {False: b"used_dltensor", True: b"used_dltensor_versioned"}


class _Tensor(c.Structure):
    """DLTensor."""

    _fields_ = (
        ("data", c.c_void_p),
        ("device_kind", c.c_int32),
        ("device_number", c.c_int32),
        ("axes", c.c_int32),
        ("code", c.c_uint8),
        ("bits", c.c_uint8),
        ("lanes", c.c_uint16),
        ("shape", c.POINTER(c.c_int64)),
        ("strides", c.POINTER(c.c_int64)),
        ("byte_offset", c.c_uint64),
    )


_Deleter = c.CFUNCTYPE(None, c.c_void_p)


class _Managed(c.Structure):
    """DLManagedTensor."""

    _fields_ = (("tensor", _Tensor), ("context", c.c_void_p), ("deleter", _Deleter))


class _Versioned(c.Structure):
    """DLManagedTensorVersioned."""

    _fields_ = (
        ("major", c.c_uint32),
        ("minor", c.c_uint32),
        ("context", c.c_void_p),
        ("deleter", _Deleter),
        ("flags", c.c_uint64),
        ("tensor", _Tensor),
    )


_FORMS: Final[dict[bool, Any]] = {False: _Managed, True: _Versioned}


class _Lent(NamedTuple):
    """What a capsule points to, kept until its last user is done."""

    managed: Any
    shape: Any
    strides: Any
    release: Release


_lent: dict[int, _Lent] = {}


def _let_go(address: int) -> None:
    """Release what was lent; any library calls it, in any thread."""
    _lent.pop(address).release()


def _end(capsule: int) -> None:
    """Release what a capsule points to that nobody took."""
    for name in _NEW.values():
        if _is_capsule(capsule, name):
            _let_go(_pointer_of(capsule, name))


_CapsuleEnd = c.PYFUNCTYPE(None, c.c_void_p)
# The callbacks live as long as the process.
_delete, _end_capsule = _Deleter(_let_go), _CapsuleEnd(_end)


def _function(name: str, result: Any, *types: Any) -> Any:
    """Return a function of Python's own interface, with types of ours."""
    return c.PYFUNCTYPE(result, *types)((name, c.pythonapi))


_new_capsule = _function("PyCapsule_New", c.py_object, c.c_void_p, c.c_char_p, _CapsuleEnd)
_is_capsule = _function("PyCapsule_IsValid", c.c_int, c.c_void_p, c.c_char_p)
_pointer_of = _function("PyCapsule_GetPointer", c.c_void_p, c.c_void_p, c.c_char_p)
_rename = _function("PyCapsule_SetName", c.c_int, c.c_void_p, c.c_char_p)


class Taken(NamedTuple):
    """An array of another library: its address, DLPack device, shape and dtype.

    ``release`` is to be called once, when nothing uses the memory any more.
    """

    address: int
    place: tuple[int, int]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    release: Release


def new_capsule(taken: Taken, *, versioned: bool) -> Any:
    """Return a capsule of row-major memory; ``taken.release`` is called when its users are done."""
    shape, dtype = taken.shape, taken.dtype
    sizes = (c.c_int64 * max(len(shape), 1))(*shape)
    products = list(itertools.accumulate(reversed((*shape[1:], 1)), lambda a, b: a * b))
    steps = (c.c_int64 * max(len(shape), 1))(*reversed(products[: len(shape)]))
    managed = _FORMS[versioned]()
    managed.deleter = _delete
    managed.tensor = _Tensor(
        taken.address,
        *taken.place,
        len(shape),
        _CODES[dtype.kind],
        8 * dtype.itemsize,
        1,
        c.cast(sizes, c.POINTER(c.c_int64)),
        c.cast(steps, c.POINTER(c.c_int64)),
        0,
    )
    if versioned:
        managed.major, managed.minor = _VERSION
    address = c.addressof(managed)
    _lent[address] = _Lent(managed, sizes, steps, taken.release)
    return _new_capsule(address, _NEW[versioned], _end_capsule)


def open_capsule(capsule: Any) -> Taken:
    """Take what a capsule has. Raises `BufferError` for what is no row-major array of numbers."""
    versioned = next((each for each in (False, True) if _is_capsule(id(capsule), _NEW[each])), None)
    if versioned is None:
        raise BufferError("it gave no capsule of DLPack, or a used one")
    address = _pointer_of(id(capsule), _NEW[versioned])
    managed = _FORMS[versioned].from_address(address)
    tensor = managed.tensor
    shape = tuple(tensor.shape[: tensor.axes])
    if not _is_row_major(tensor, shape):
        raise BufferError(f"its {shape} elements are not row-major")
    if tensor.code not in _KINDS or tensor.lanes != 1 or tensor.bits % 8:
        raise BufferError(f"its elements are of DLPack type {tensor.code} with {tensor.bits} bits")
    dtype: np.dtype[Any] = np.dtype(f"{_KINDS[tensor.code]}{tensor.bits // 8}")
    place = tensor.device_kind, tensor.device_number
    deleter = managed.deleter
    _rename(id(capsule), _USED[versioned])
    return Taken(
        (tensor.data or 0) + tensor.byte_offset,
        place,
        shape,
        dtype,
        lambda: deleter(address) if deleter else None,
    )


def _is_row_major(tensor: Any, shape: tuple[int, ...]) -> bool:
    if not tensor.strides or 0 in shape:
        return True
    expected = 1
    for axis in reversed(range(len(shape))):
        if shape[axis] != 1 and tensor.strides[axis] != expected:
            return False
        expected *= shape[axis]
    return True
