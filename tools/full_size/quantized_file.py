"""Write a model folder as one file of quantised weights, random ones: in seconds, to measure with.

    python -m tools.full_size.quantized_file FOLDER OUT --weights q4_k

``OUT``, a folder, gets ``model.gguf`` (``model.safetensors`` with fp8) and the tokenizers. Which
tensors are quantised is what ``avila model convert`` decides; their numbers are drawn anew, so that
nothing is searched.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints import ModelFolder
from diffusion.checkpoints.conversion import SingleTensors
from diffusion.checkpoints.gguf import write_gguf
from diffusion.checkpoints.gguf.writer import GgufTensor
from diffusion.checkpoints.quantizing import WEIGHT_NAMES, Rules
from diffusion.checkpoints.safetensors.element_types import BLOCKS, STORED, encode
from tools.full_size.quantized import random_blocks

__all__ = ["write_quantized"]


def write_quantized(folder: Path, target: Path, weights: str) -> Path:
    """Write the file and the tokenizers into ``target``; return the file's path."""
    source, rules = SingleTensors(ModelFolder(folder)), Rules(WEIGHT_NAMES[weights])
    types = {
        name: (rules.type_of(name, dtype, shape), shape)
        for name, (dtype, shape) in source.layout().items()
    }
    target.mkdir(parents=True, exist_ok=True)
    for tokenizer in folder.glob("tokenizer*"):
        shutil.copytree(tokenizer, target / tokenizer.name, dirs_exist_ok=True)

    def read(name: str) -> NDArray[Any]:
        dtype, shape = types[name]
        if dtype in BLOCKS:
            return random_blocks(BLOCKS[dtype], shape).blocks
        return encode(dtype, source.read(name))

    if rules.dtype.startswith("F8"):
        return _write_float8(target / "model.safetensors", types, read, source.notes)
    path = target / "model.gguf"
    write_gguf(path, {name: GgufTensor(*each) for name, each in types.items()}, read, source.notes)
    return path


def _write_float8(
    path: Path,
    types: Mapping[str, tuple[str, tuple[int, ...]]],
    read: Callable[[str], NDArray[Any]],
    notes: Mapping[str, str],
) -> Path:
    """Write safetensors with a scale behind each tensor of 8-bit floats; return the path."""
    header, end = dict[str, object](__metadata__=dict(notes)), 0
    scaled_type = next(dtype for dtype, _ in types.values() if dtype in BLOCKS)
    for name, (dtype, shape) in types.items():
        start, end = end, end + math.prod(shape) * STORED[dtype].itemsize
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
        if dtype in BLOCKS:
            place = {"dtype": "F32", "shape": [], "data_offsets": [end, end + 4]}
            header[name.removesuffix(".weight") + ".scale_weight"] = place
            end += 4
    marker = {"dtype": scaled_type, "shape": [0], "data_offsets": [end, end]}
    header["model.diffusion_model.scaled_fp8"] = marker
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, (dtype, shape) in types.items():
            file.write(read(name).tobytes())
            if dtype in BLOCKS:
                file.write(np.float32(1 / math.sqrt(math.prod(shape[1:]))).tobytes())
    return path


def main() -> None:
    """Write the file that the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.full_size.quantized_file",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--weights", default="q8_0", choices=sorted(WEIGHT_NAMES))
    chosen = parser.parse_args()
    print(write_quantized(chosen.folder, chosen.target, chosen.weights))


if __name__ == "__main__":
    main()
