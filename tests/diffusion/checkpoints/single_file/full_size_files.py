"""Full-size single files as far as their names and shapes go, with no data behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints import SafetensorsFile, TensorEntry
from diffusion.checkpoints.safetensors import Header
from tests.goldens.loader import load

__all__ = ["FAMILIES", "Source", "bare_file", "parameters", "single_shapes"]

FAMILIES = ("sd1", "sd1_inpaint", "sd2", "sdxl", "sdxl_refiner")
Shapes = dict[str, tuple[int, ...]]


class Source(NamedTuple):
    """Where diffusers takes a parameter from: a tensor of the file, and which third of it."""

    shape: tuple[int, ...]
    single: str
    third: int


def _shape(padded: NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(size) for size in padded if size >= 0)


def single_shapes(family: str) -> Shapes:
    """Return the shapes of a single file's tensors by name."""
    golden = load("single_files")
    names, shapes = golden[f"{family}/single"], golden[f"{family}/shapes"]
    return {str(name): _shape(shape) for name, shape in zip(names, shapes, strict=True)}


def parameters(family: str) -> dict[str, dict[str, Source]]:
    """Return each part's parameters as diffusers names and shapes them, by part."""
    golden = SimpleNamespace(
        **{key: load("single_files")[f"{family}/{key}"] for key in ("single", "sources", "thirds")}
    )
    found: dict[str, dict[str, Source]] = {}
    names = load("single_files")[f"{family}/parameters"]
    shapes = load("single_files")[f"{family}/parameter_shapes"]
    for index, (joined, shape) in enumerate(zip(names, shapes, strict=True)):
        part, name = str(joined).split(" ")
        single = str(golden.single[golden.sources[index]])
        found.setdefault(part, {})[name] = Source(_shape(shape), single, int(golden.thirds[index]))
    return found


class BareFile(SafetensorsFile):
    """A file that was never written, but for the ``values`` of some tensors."""

    values: Mapping[TensorEntry, NDArray[Any]] = MappingProxyType({})

    def read_entry(self, entry: TensorEntry) -> NDArray[Any]:
        return self.values[entry]


def bare_file(
    shapes: Shapes,
    name: str = "model.safetensors",
    metadata: dict[str, str] | None = None,
    values: Mapping[str, NDArray[Any]] | None = None,
) -> SafetensorsFile:
    """Return an opened file of F16 tensors that were never written: reading one fails.

    ``values``: tensors that can be read, where they are there.
    """
    entries, end = {}, 1000
    for tensor, shape in shapes.items():
        nbytes = 2 * math.prod(shape)
        entries[tensor] = TensorEntry("F16", shape, end, nbytes)
        end += nbytes
    file = BareFile(Path(name), Header(entries, metadata or {}), (0, 0, end, 0))
    file.values = {
        entries[tensor]: array for tensor, array in (values or {}).items() if tensor in entries
    }
    return file


def bytes_of(entry: TensorEntry) -> NDArray[np.int64]:
    """Return the first byte and the end of an entry."""
    return np.array([entry.offset, entry.offset + entry.nbytes])
