"""Writing a model with quantised weights, one tensor in memory at a time."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.conversion import SingleTensors
from diffusion.checkpoints.gguf import write_gguf
from diffusion.checkpoints.gguf.types import TYPE_NUMBERS
from diffusion.checkpoints.gguf.writer import GgufTensor
from diffusion.checkpoints.model_folder import ModelFolder
from diffusion.checkpoints.nonfinite import NonFiniteCounter
from diffusion.checkpoints.quantizing.rules import Rules
from diffusion.checkpoints.safetensors import SafetensorsFile, write_safetensors
from diffusion.checkpoints.safetensors.element_types import BLOCKS, FLOATING, encode
from diffusion.checkpoints.tensor_files import GGUF_END, open_tensors
from diffusion.drafts import draft_folder
from diffusion.errors import (
    NAME_LENGTH,
    ModelFormatError,
    OutputError,
    SettingsError,
    Shape,
    quote,
)
from gpucore import ArgumentError
from gpustd.quantization import quantize
from gpustd.quantization.float8 import E4M3FN_MAX, E5M2_MAX

__all__ = ["Progress", "save_quantized"]

Progress = Callable[[str, int, int], None]
"""Takes what is done, how many tensors are done, and how many there are."""

_SCALE: Final = ".scale_weight"
_MARKER: Final = "scaled_fp8"
_UNET: Final = "model.diffusion_model."
_LARGEST: Final[Mapping[str, float]] = {"F8_E4M3": E4M3FN_MAX, "F8_E5M2": E5M2_MAX}
# llama.cpp's numbers of kinds of files, by the type of most weights.
_FILE_TYPES: Final[Mapping[str, int]] = {
    "F16": 1,
    "Q4_0": 2,
    "Q4_1": 3,
    "Q8_0": 7,
    "Q5_0": 8,
    "Q5_1": 9,
    "Q2_K": 10,
    "Q3_K": 11,
    "Q4_K": 14,
    "Q5_K": 16,
    "Q6_K": 18,
    "IQ4_NL": 25,
    "IQ4_XS": 30,
}
_ARCHITECTURES: Final[Mapping[int, str]] = {768: "sd1", 1024: "sd2", 1280: "sdxl", 2048: "sdxl"}
"""The names that ComfyUI-GGUF has for families, by the width of the text; sd2 is ours."""


class TensorSource(Protocol):
    """The tensors to write: names, types and shapes, values, and the file's notes."""

    notes: Mapping[str, str]

    def layout(self) -> dict[str, tuple[str, Shape]]:
        """Return the element type and shape of each tensor."""

    def read(self, name: str) -> NDArray[Any]:
        """Return the values of a tensor."""


class _FileTensors:
    """The tensors of a file, whose names stay."""

    def __init__(self, file: SafetensorsFile) -> None:
        self._file = file
        self.notes: Mapping[str, str] = file.metadata
        self.read = file.read

    def layout(self) -> dict[str, tuple[str, Shape]]:
        """Return the element type and shape of each tensor."""
        return {name: (entry.dtype, entry.shape) for name, entry in self._file.entries.items()}


def save_quantized(
    source: ModelFolder | SafetensorsFile, path: Path, rules: Rules, progress: Progress
) -> None:
    """Write a model to ``path``, whose end decides between GGUF and safetensors.

    A folder becomes a single file; the tensors of a file keep their names. The file is read again
    and compared with what was written, then takes its place. Raises ``SettingsError`` for a type
    that the format lacks, ``ModelFormatError`` for weights that have no such number, and
    ``OutputError``.
    """
    is_gguf = path.suffix.lower() == GGUF_END
    for dtype in rules.dtypes:
        if is_gguf and dtype in _LARGEST:
            hint = "must go to a .safetensors file: GGUF has no 8-bit floats"
            raise SettingsError("weights", "fp8", hint)
        if not is_gguf and dtype not in ("F16", *_LARGEST):
            hint = f"must go to a {GGUF_END} file: safetensors has no such type"
            raise SettingsError("weights", dtype.lower(), hint)
    tensors = SingleTensors(source) if isinstance(source, ModelFolder) else _FileTensors(source)
    job = _Job(tensors, path, rules, progress)
    try:
        with draft_folder(path.parent) as draft:
            file = draft / f"model{path.suffix.lower()}"
            job.write_gguf(file) if is_gguf else job.write_safetensors(file)
            job.verify(file)
            file.rename(path)
    except OSError as error:
        hint = "choose a folder that is writable and not full"
        raise OutputError(path, error.strerror or str(error), hint) from error
    job.counter.warn()


class _Job:
    """One file that is written: its tensors' types, and the checksums of what was written."""

    def __init__(self, source: TensorSource, path: Path, rules: Rules, progress: Progress) -> None:
        self._source, self._rules, self._path, self._progress = source, rules, path, progress
        rules.require_use(source.layout())
        self.counter = NonFiniteCounter(path)
        self._layout = {
            name: (rules.type_of(name, dtype, shape), shape)
            for name, (dtype, shape) in source.layout().items()
        }
        self._sums: dict[str, int] = {}
        self._done = 0

    def write_gguf(self, file: Path) -> None:
        """Write a GGUF file with ggml's blocks."""
        for name, (dtype, _) in self._layout.items():
            if dtype not in TYPE_NUMBERS:
                reason = f"must be of a type that GGUF has, got {dtype}"
                self._refuse(name, reason, "write fp8 or f16 to a .safetensors file")
        tensors = {name: GgufTensor(*each) for name, each in self._layout.items()}
        write_gguf(file, tensors, self._read_bits, self._gguf_notes())

    def _gguf_notes(self) -> dict[str, str | int]:
        """Return the key-value pairs: the architecture, kind and name, and the source's own."""
        notes: dict[str, str | int] = {}
        keys = (s for n, (_, s) in self._layout.items() if n.endswith("attn2.to_k.weight"))
        width = next((shape[1] for shape in keys if len(shape) == 2), 0)
        is_whole = any(name.startswith(_UNET) for name in self._layout)
        if width in _ARCHITECTURES:
            notes["general.architecture"] = _ARCHITECTURES[width]
        elif is_whole:
            notes["general.architecture"] = "sd1"
        notes["general.name"] = self._path.stem
        notes["general.file_type"] = _FILE_TYPES[self._rules.dtype]
        notes["general.quantization_version"] = 2
        own = self._source.notes
        # PyTorch's mark of safetensors, and what a GGUF file says of itself, stay behind.
        kept = [key for key in own if key != "format" and not key.startswith("general.")]
        return notes | {key: own[key] for key in kept}

    def write_safetensors(self, file: Path) -> None:
        """Write a safetensors file; 8-bit floats have a scale beside each tensor."""
        tensors = dict(self._layout)
        quantized = [name for name, (dtype, _) in self._layout.items() if dtype in _LARGEST]
        for name in quantized:
            tensors[_scale_name(name)] = ("F32", ())
        if quantized:
            tensors[(_UNET if quantized[0].startswith(_UNET) else "") + _MARKER] = (
                tensors[quantized[0]][0],
                (0,),
            )
        write_safetensors(file, tensors, self._values, self._source.notes, self._observe)

    def verify(self, file: Path) -> None:
        """Read the file and compare each tensor's bits with what was written."""
        written = open_tensors(file)
        for name, expected in self._sums.items():
            stored = written.read_bytes(written.entry(name))
            if zlib.crc32(stored.data) != expected:
                reason = "must be read as it was written, got other bytes"
                self._refuse(name, reason, "check the disk, and try again")

    def _values(self, name: str) -> NDArray[Any]:
        """Return the values to write for a name: a tensor, a scale, or the marker of scales."""
        if name in self._layout:
            values = self._source.read(name)
            largest = _LARGEST.get(self._layout[name][0])
            if largest is None:
                return values
            scaled = values.astype(np.float32) / _scale_of(values, largest)
            return np.asarray(np.clip(scaled, -largest, largest))
        if name.endswith(_MARKER):
            return np.zeros(0, np.float32)
        weight = name.removesuffix(_SCALE) + ".weight"
        return _scale_of(self._source.read(weight), _LARGEST[self._layout[weight][0]])

    def _read_bits(self, name: str) -> NDArray[Any]:
        """Return the bits of a tensor in a GGUF file."""
        dtype, _ = self._layout[name]
        values = self._source.read(name)
        stored = encode(dtype, values) if dtype in FLOATING else self._blocks(name, dtype, values)
        self._observe(name, dtype, values, stored)
        return stored

    def _blocks(self, name: str, dtype: str, values: NDArray[Any]) -> NDArray[Any]:
        """Return the blocks of a tensor; numbers of other kinds as they are."""
        if dtype not in BLOCKS:
            return values
        try:
            return quantize(values, BLOCKS[dtype])
        except ArgumentError as error:
            self._refuse(name, str(error), "keep this tensor (--keep)")

    def _observe(self, name: str, dtype: str, values: NDArray[Any], stored: NDArray[Any]) -> None:
        """Note a tensor's checksum, count its infinities and NaN, and tell how far the work is."""
        self._sums[name] = zlib.crc32(np.ascontiguousarray(stored).reshape(-1).view(np.uint8).data)
        if dtype in FLOATING:
            self.counter.count(name, dtype, values, stored)
        if name in self._layout:
            self._done += 1
            self._progress(name, self._done, len(self._layout))

    def _refuse(self, name: str, reason: str, hint: str) -> NoReturn:
        raise ModelFormatError(self._path, f"tensor {quote(name, NAME_LENGTH)}", reason, hint)


def _scale_name(weight: str) -> str:
    return weight.removesuffix(".weight") + _SCALE


def _scale_of(values: NDArray[Any], largest: float) -> NDArray[np.float32]:
    """Return the factor by which the largest weight becomes the format's largest number."""
    most = np.abs(values.astype(np.float32)).max(initial=0)
    return np.asarray(most / np.float32(largest) if most > 0 else 1, np.float32)
