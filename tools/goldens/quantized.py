"""`python -m tools.goldens.quantized LIBRARY`: make tests/data/goldens/quantized.npz.

The blocks that ggml makes of `tests/goldens/quantized_weights.py`. LIBRARY is ggml as a shared
library, compiled without fused multiply-add; from the sources in llama-cpp-python 0.3.36:

    pip download --no-deps --no-binary :all: llama-cpp-python==0.3.36 && tar xzf llama_cpp*.tar.gz
    cmake -S llama_cpp_python-0.3.36/vendor/llama.cpp/ggml -B build -DBUILD_SHARED_LIBS=ON \
        -DGGML_NATIVE=OFF -DGGML_CPU=OFF -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_C_FLAGS=-ffp-contract=off && cmake --build build
    python -m tools.goldens.quantized build/src/libggml-base.so
"""

import ctypes
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpustd.quantization import block_format
from tests.goldens.loader import FOLDER
from tests.goldens.quantized_weights import TYPES, cases
from tests.goldens.weights import Array


def main(library: str) -> None:
    """Make the file."""
    ggml = ctypes.CDLL(library)
    arrays: dict[str, Any] = {
        f"{case}/{name}": quantize(ggml, weights, name)
        for case, weights in cases().items()
        for name in TYPES
    }
    np.savez_compressed(FOLDER / "quantized.npz", **arrays)
    print(f"{len(arrays)} arrays, {(FOLDER / 'quantized.npz').stat().st_size} bytes")


def quantize(ggml: ctypes.CDLL, weights: Array, name: str) -> NDArray[np.uint8]:
    """Return the blocks of a row of weights."""
    row = np.ascontiguousarray(weights)
    blocks = np.zeros(block_format(name).size_of(row.size), np.uint8)
    count = ctypes.c_int64
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    written = ggml.ggml_quantize_chunk(
        TYPES[name],
        row.ctypes.data_as(ctypes.c_void_p),
        blocks.ctypes.data_as(ctypes.c_void_p),
        count(0),
        count(1),
        count(row.size),
        None,
    )
    assert written == blocks.size, name
    return blocks


if __name__ == "__main__":
    main(sys.argv[1])
