"""The tensors that an adapter file has for one module."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.noted_alphas import NotedAlpha
from diffusion.checkpoints.nonfinite import count_nonfinite
from diffusion.checkpoints.safetensors import SafetensorsFile
from diffusion.errors import MisfitError, ModelFormatError, Shape, quote
from gpucore import Buffer, Device, f32

__all__ = ["Array", "Scalars", "TensorGroup", "read_scalars", "upload"]

Array = NDArray[np.float32]
Scalars = Mapping[tuple[SafetensorsFile, str], float]
"""Numbers in files, by the tensor's name."""

_FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
_SCALARS: Final = frozenset({"alpha", "scale", "on_input", "scaled_oft"})
_MOST_SCALE: Final = 1e6
DAMAGED: Final = "no picture can be made of these; download the file again"


@dataclass(frozen=True)
class TensorGroup:
    """The tensors of one module, by role.

    ``shape``: of the weight that they change, as in the model's file. ``noted``: the alpha
    that the file's metadata gives where no tensor does. ``most_rank``: rows of a low-rank
    down-projection that count, None for all.
    """

    file: SafetensorsFile
    names: Mapping[str, str]
    shape: Shape
    noted: NotedAlpha | None = None
    most_rank: int | None = None

    @property
    def rows(self) -> int:
        """The outputs of the weight."""
        return self.shape[0]

    @property
    def columns(self) -> int:
        """The inputs of the weight, times the elements of its kernel."""
        return math.prod(self.shape[1:])

    @property
    def inputs(self) -> int:
        """The inputs of the weight; 1 for a norm or a bias."""
        return self.shape[1] if len(self.shape) > 1 else 1

    @property
    def kernel(self) -> Shape:
        """The sides of a convolution's kernel; nothing for other weights."""
        return self.shape[2:]

    def __contains__(self, role: str) -> bool:
        return role in self.names

    def take(self, rank: int | None) -> TensorGroup:
        """Return the same with so many ranks, None for all."""
        return self if rank == self.most_rank else replace(self, most_rank=rank)

    def shape_of(self, role: str) -> Shape:
        """Return the shape of a tensor."""
        return self.file.entry(self.names[role]).shape

    def rank_of(self, role: str, axis: int) -> int:
        """Return the size of an axis, at least 1. Raises `MisfitError`."""
        shape = self.shape_of(role)
        if len(shape) <= axis or shape[axis] < 1:
            raise MisfitError(self.names[role], tuple(max(size, 1) for size in shape), shape)
        return shape[axis]

    def require(self, role: str, *expected: int) -> None:
        """Raise `MisfitError` unless a tensor has a shape; axes of size 1 at its end are free."""
        found = self.shape_of(role)
        if _strip(found) != _strip(expected):
            raise MisfitError(self.names[role], expected, found)

    def check_types(self) -> None:
        """Raise `MisfitError` for a tensor that holds no floats."""
        for role, name in self.names.items():
            entry = self.file.entry(name)
            if role in _SCALARS:
                if math.prod(entry.shape) != 1:
                    raise MisfitError(name, (), entry.shape)
            elif entry.dtype not in _FLOATS:
                raise MisfitError(name, entry.shape, entry.shape, entry.dtype)

    def read(self, role: str, *shape: int) -> Array:
        """Return a tensor in f32, in another shape if one is given. Raises `ModelFormatError`."""
        name = self.names[role]
        with np.errstate(over="ignore"):
            values = self.file.read(name).astype(np.float32)
        if count := count_nonfinite(values):
            reason = f"numbers must be finite, got {count} infinities or NaN"
            raise ModelFormatError(self.file.path, f"tensor {quote(name)}", reason, DAMAGED)
        return values.reshape(shape) if shape else values

    def read_stored(self, role: str) -> NDArray[Any]:
        """Return a tensor as the file has it, unchecked. Raises `ModelFormatError`."""
        return self.file.read(self.names[role])

    def scalar(self, role: str, known: Scalars | None = None) -> float | None:
        """Return a number, or None where there is none. Raises `ModelFormatError`.

        ``known``: numbers that were read before.
        """
        if role not in self:
            return None
        if known is not None:
            return known[self.file, self.names[role]]
        return float(self.read(role).reshape(-1)[0])

    def scale_of(self, rank: int, known: Scalars | None = None) -> float:
        """Return alpha over rank: 1 where there is none, or it is 0. Raises `ModelFormatError`."""
        scale, alpha = self.scalar("scale", known), self.scalar("alpha", known)
        if scale is None:
            noted = 1.0 if self.noted is None else self.noted.scale(rank)
            scale = alpha / rank if alpha else noted
        if abs(scale) > _MOST_SCALE:
            name = self.names.get("scale", self.names.get("alpha", ""))
            reason = f"must make a factor of at most {_MOST_SCALE:g}, got {scale:g}"
            raise ModelFormatError(self.file.path, f"tensor {quote(name)}", reason, DAMAGED)
        return scale


def read_scalars(groups: Iterable[TensorGroup]) -> Scalars:
    """Return the numbers ``alpha`` and ``scale`` of groups, each file opened once.

    Raises `ModelFormatError`.
    """
    owners: dict[SafetensorsFile, dict[str, tuple[TensorGroup, str]]] = {}
    for group in groups:
        for role in ("alpha", "scale"):
            if role in group:
                owners.setdefault(group.file, {})[group.names[role]] = group, role
    found: dict[tuple[SafetensorsFile, str], float] = {}
    for file, names in owners.items():
        with np.errstate(over="ignore"):
            values = [np.float32(each.reshape(-1)[0]) for each in file.read_several(names)]
        for (name, (group, role)), value in zip(names.items(), values, strict=True):
            if not math.isfinite(value):
                group.read(role)  # raises the error
            found[file, name] = float(value)
    return found


def upload(device: Device, array: NDArray[np.floating]) -> Buffer[f32]:
    """Return an array on the device, in f32."""
    return device.buffer_from_array(np.ascontiguousarray(array, np.float32), f32)


def _strip(shape: Shape) -> Shape:
    """Return a shape without the axes of size 1 at its end."""
    last = len(shape)
    while last and shape[last - 1] == 1:
        last -= 1
    return shape[:last]
