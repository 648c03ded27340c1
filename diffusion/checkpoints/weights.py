"""The tensors of one part of a model, from one file or several, under the model's own names."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from numpy.typing import NDArray

from diffusion.checkpoints.file_kinds import AGAIN
from diffusion.checkpoints.header import TensorEntry
from diffusion.checkpoints.json_object import INDEX_LIMIT, read_json_object
from diffusion.checkpoints.names import NameTable, translate
from diffusion.checkpoints.parameters import check_parameters
from diffusion.checkpoints.safetensors import SafetensorsFile, open_safetensors
from diffusion.errors import ModelFormatError, Shape, quoted

MAX_SHARDS = 256


class Place(NamedTuple):
    """Where a parameter lies: ``entry`` is the tensor ``stored`` of ``file``, or part of it."""

    name: str
    file: SafetensorsFile
    stored: str
    entry: TensorEntry


class Weights:
    """Tensors by the model's names; ``path`` is the file (or index) that errors name.

    Two places with one name are an error.
    """

    def __init__(self, path: Path, places: Iterable[Place]) -> None:
        self.path = path
        self._places: dict[str, Place] = {}
        for place in places:
            if place.name in self._places:
                reason = f"holds {quoted(place.name)} twice, under two spellings or in two files"
                where = f"tensor {quoted(place.stored)}"
                raise ModelFormatError(place.file.path, where, reason, AGAIN)
            self._places[place.name] = place
        self.entries: Mapping[str, TensorEntry] = MappingProxyType(
            {name: place.entry for name, place in self._places.items()}
        )

    def check(self, expected: Mapping[str, Shape]) -> None:
        """Raise ``ModelMismatchError`` unless these are a model's parameters, shape for shape."""
        check_parameters(expected, self.entries, self.path)

    def read(self, name: str) -> NDArray[Any]:
        """Copy one tensor out; see ``SafetensorsFile.read_entry``."""
        place = self._places[name]
        return place.file.read_entry(place.entry)


def open_weights(path: Path, names: NameTable) -> Weights:
    """Open ``*.safetensors``, or ``*.json``: the index of weights split over several files."""
    files = _open_shards(path) if path.suffix == ".json" else [open_safetensors(path)]
    return Weights(
        path,
        (
            Place(translate(stored, names), file, stored, file.entry(stored))
            for file in files
            for stored in file.names
        ),
    )


def _open_shards(index: Path) -> list[SafetensorsFile]:
    """The files that an index names, each holding exactly the tensors that the index says."""
    weight_map = read_json_object(index, limit=INDEX_LIMIT).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelFormatError(index, "weight_map", "is missing or empty", AGAIN)
    shards: dict[str, set[str]] = {}
    for name, shard in weight_map.items():
        shards.setdefault(_plain_name(shard, index), set()).add(name)
    if len(shards) > MAX_SHARDS:
        reason = f"names {len(shards)} files, and at most {MAX_SHARDS} may be"
        raise ModelFormatError(index, "weight_map", reason, AGAIN)
    files = []
    for shard, wanted in shards.items():
        file = open_safetensors(index.parent / shard)
        if wanted != set(file.names):
            odd = min(wanted.symmetric_difference(file.names))
            reason = f"does not agree with {index.name} about {quoted(odd)}"
            raise ModelFormatError(file.path, "names", reason, AGAIN)
        files.append(file)
    return files


def _plain_name(shard: object, index: Path) -> str:
    """A file name out of a file's content: it must be a plain name within the same folder."""
    if not isinstance(shard, str) or not shard.endswith(".safetensors") or len(shard) > 255:
        reason = f"{quoted(shard)} is not the name of a .safetensors file"
        raise ModelFormatError(index, "weight_map", reason, AGAIN)
    if shard.startswith(".") or any(c in '/\\:*?"<>|' or not c.isprintable() for c in shard):
        reason = f"{quoted(shard)} is not a plain file name, and the index may not lead elsewhere"
        raise ModelFormatError(index, "weight_map", reason, "do not use this model")
    return shard
