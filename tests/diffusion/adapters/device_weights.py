"""All buffers that a loaded network holds, whatever was made of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion.models.fused_linear import FusedLinear
from diffusion.models.module import Module
from diffusion.models.weights import Parameter
from gpucore import Buffer

__all__ = ["device_weights"]


def device_weights(network: Module) -> list[NDArray[Any]]:
    """Return every buffer of a network's modules, in a fixed order."""
    owners = [each for module in network.modules() for each in _owners(module)]
    return [np.array(buffer.read()) for owner in owners for buffer in _buffers(owner)]


def _owners(module: Module) -> Iterator[object]:
    """Yield what may hold buffers."""
    yield module
    values = vars(module).values()
    yield from (each for each in values if isinstance(each, Parameter | FusedLinear))


def _buffers(owner: object) -> Iterator[Buffer[Any]]:
    for value in vars(owner).values():
        items = value if isinstance(value, list) else [value]
        yield from (each for each in items if isinstance(each, Buffer))
