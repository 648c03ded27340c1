"""Template variables and sizes that the kernels of matrix products share."""

from __future__ import annotations

from typing import Any

from gpucore import Buffer
from gpustd.launch.template import Value
from gpustd.matmul.epilogue import Epilogue
from gpustd.matmul.operation import Matmul

__all__ = ["epilogue_spec", "fixed_spec", "matmul_params"]


def fixed_spec(matmul: Matmul, scalar: str, y: Buffer[Any], *, vector: bool) -> dict[str, Value]:
    """Return the template variables of kernels whose window is part of the text.

    ``vector``: operands and results are read and written in words of several columns.
    """
    return {
        "scalar": scalar,
        "out": y.dtype.name,
        "source": matmul.source,
        "vector": vector,
        "flexible": False,
        "batched": matmul.batch is not None,
        **matmul.window,
    }


def epilogue_spec(matmul: Matmul, epilogue: Epilogue) -> dict[str, Value]:
    """Return the template variables of the epilogue."""
    return {"activation": matmul.activation or "none", **epilogue.flags}


def matmul_params(
    matmul: Matmul, epilogue: Epilogue, unit: int, *, fused: int = 0
) -> dict[str, int]:
    """Return the fields of the shaders' Params in order.

    ``unit`` columns are one word of the epilogue. Bits of ``fused`` tell flexible kernels which
    buffers of the epilogue are given.
    """
    pitch = 0 if epilogue.per_image is None else epilogue.per_image.shape[1]
    return {
        **matmul.sizes,
        **matmul.window,
        "fused": fused,
        "image_pitch": pitch // unit,
        "image_first": matmul.image_first // unit,
        "splits": 1,
        "plane": 0,
        "pitch": 0,
    }
