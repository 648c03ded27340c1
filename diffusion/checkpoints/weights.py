"""The tensors of one part of a model, from one file or several, under the model's own names."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from numpy.typing import NDArray

from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.checkpoints.json_files import INDEX_LIMIT, read_json_object
from diffusion.checkpoints.parameter_names import NameTable, translate_name
from diffusion.checkpoints.parameters import check_parameters
from diffusion.checkpoints.safetensors import SafetensorsFile, TensorEntry, open_safetensors
from diffusion.checkpoints.safetensors.element_types import BLOCKS, STORED
from diffusion.checkpoints.safetensors.read_ahead import ReadAhead
from diffusion.checkpoints.safetensors.scales import with_scales
from diffusion.errors import ModelFormatError, Shape, quote
from gpustd.quantization import QuantizedTensor

MAX_SHARDS = 256
"""How many files the weights of one part may be split into."""


class ParameterSource(NamedTuple):
    """The source of a parameter: ``entry`` is the tensor ``stored_name`` of ``file``, or a part."""

    name: str
    file: SafetensorsFile
    stored_name: str
    entry: TensorEntry


_Read = Callable[[str], QuantizedTensor | NDArray[Any]]


class Weights:
    """Tensors by the model's names; ``path`` is the file (or index) that errors name.

    Two sources of one parameter are an error.
    """

    def __init__(self, path: Path, sources: Iterable[ParameterSource]) -> None:
        self.path = path
        self._sources: dict[str, ParameterSource] = {}
        for source in sources:
            if source.name in self._sources:
                reason = f"must hold {quote(source.name)} once, got it under two spellings or files"
                where = f"tensor {quote(source.stored_name)}"
                raise ModelFormatError(source.file.path, where, reason, DOWNLOAD_AGAIN)
            self._sources[source.name] = source
        self.entries: Mapping[str, TensorEntry] = MappingProxyType(
            {name: source.entry for name, source in self._sources.items()}
        )

    @property
    def order(self) -> list[str]:
        """The names in the order of their places in the files, one file after another."""
        files = {id(source.file): number for number, source in enumerate(self._sources.values())}
        places = ((files[id(s.file)], s.entry.offset, name) for name, s in self._sources.items())
        return [name for _, _, name in sorted(places)]

    @contextmanager
    def reading(self, *, quantized: bool = False) -> Iterator[_Read]:
        """Return `read` for a context in which the tensors are asked for in their `order`.

        ``quantized``: return `read_quantized`. The next ones are read by threads meanwhile, at most
        some 100 MB. Others than the next are read when they are asked for.
        """

        def size(name: str) -> int:
            return _bytes_read(self.entries[name], quantized=quantized)

        read = self.read_quantized if quantized else self.read
        with ReadAhead(self.order, read, size) as ahead:
            yield ahead.read

    def without(self, prefixes: tuple[str, ...]) -> "Weights":
        """Return the tensors whose names begin with none of ``prefixes``."""
        kept = (each for each in self._sources.values() if not each.name.startswith(prefixes))
        return Weights(self.path, kept)

    def check(self, expected: Mapping[str, Shape]) -> None:
        """Raise ``ModelMismatchError`` unless these are a model's parameters, shape for shape."""
        check_parameters(expected, self.entries, self.path)

    def read(self, name: str) -> NDArray[Any]:
        """Copy one tensor out of its file; see ``SafetensorsFile.read_entry``."""
        source = self._sources[name]
        return source.file.read_entry(source.entry)

    def read_quantized(self, name: str) -> QuantizedTensor | NDArray[Any]:
        """Copy one tensor out as it is stored; see ``SafetensorsFile.read_quantized``."""
        source = self._sources[name]
        return source.file.read_quantized(source.entry)

    def block_format(self, name: str) -> str | None:
        """Return the format of the blocks that `read_quantized` gives for a tensor, if it does."""
        entry = self._sources[name].entry
        plain = entry.axes in (None, tuple(range(len(entry.shape))))
        return BLOCKS.get(entry.dtype) if plain else None


def _bytes_read(entry: TensorEntry, *, quantized: bool) -> int:
    """Return the bytes of a tensor that was read, as it was stored where it is ``quantized``."""
    if quantized and entry.dtype in BLOCKS:
        return entry.nbytes
    stored = STORED.get(entry.dtype)
    width = 4 if stored is None or entry.dtype == "BF16" else max(2, stored.itemsize)
    return math.prod(entry.shape) * (width if entry.scale is None else 4)


def open_weights(path: Path, names: NameTable) -> Weights:
    """Open ``*.safetensors``, or ``*.json``: the index of weights split over several files."""
    files = _open_shards(path) if path.suffix == ".json" else [open_safetensors(path)]
    files = [with_scales(file) for file in files]
    return Weights(
        path,
        (
            ParameterSource(translate_name(stored, names), file, stored, file.entry(stored))
            for file in files
            for stored in file.names
        ),
    )


def _open_shards(index: Path) -> list[SafetensorsFile]:
    """Open the files that an index names; each must hold exactly the tensors listed for it."""
    weight_map = read_json_object(index, limit=INDEX_LIMIT).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelFormatError(
            index, "weight_map", "must be an object with entries", DOWNLOAD_AGAIN
        )
    shards: dict[str, set[str]] = {}
    for name, shard in weight_map.items():
        shards.setdefault(_check_file_name(shard, index), set()).add(name)
    if len(shards) > MAX_SHARDS:
        reason = f"must name at most {MAX_SHARDS} files, got {len(shards)}"
        raise ModelFormatError(index, "weight_map", reason, DOWNLOAD_AGAIN)
    files = []
    for shard, expected in shards.items():
        file = open_safetensors(index.parent / shard)
        if expected != set(file.names):
            odd = min(expected.symmetric_difference(file.names))
            reason = f"must have the tensors that {index.name} lists; they differ in {quote(odd)}"
            raise ModelFormatError(file.path, "names", reason, DOWNLOAD_AGAIN)
        files.append(file)
    return files


def _check_file_name(shard: object, index: Path) -> str:
    """Return a file name that an index holds, which must lie in the index's own folder."""
    if not isinstance(shard, str) or not shard.endswith(".safetensors") or len(shard) > 255:
        reason = f"must name .safetensors files, got {quote(shard)}"
        raise ModelFormatError(index, "weight_map", reason, DOWNLOAD_AGAIN)
    if shard.startswith(".") or any(c in '/\\:*?"<>|' or not c.isprintable() for c in shard):
        reason = f"must name files in the index's own folder, got {quote(shard)}"
        raise ModelFormatError(index, "weight_map", reason, "do not use this model")
    return shard
