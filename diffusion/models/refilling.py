"""Filling some parameters of a loaded network anew, with all that was made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from numpy.typing import NDArray

from diffusion.models.module import Module, settle, trim_idle_memory
from diffusion.models.weights import Parameter
from gpucore import Buffer, Device, DType, f32

__all__ = ["Source", "refill"]

Source = Callable[[str], NDArray[Any] | Buffer[f32]]
"""A function of a parameter's name: an array as in the file, or an f32 buffer of that shape."""


def refill(
    network: Module, names: Iterable[str], source: Source, device: Device, dtype: type[DType]
) -> None:
    """Fill the parameters ``names`` anew, and rearrange weights as `load` does.

    Layers that are fused are filled together, so ``source`` is asked for others, too. Captured
    graphs and results computed from the weights are out of date afterwards.
    """
    parameters = dict(network.parameters())
    names_of = {id(parameter): name for name, parameter in parameters.items()}
    left = {id(parameters[name]) for name in names}
    for module in network.modules():
        group = module.rearranged_parameters()
        if any(id(parameter) in left for parameter in group):
            for parameter in group:
                _fill(parameter, source(names_of[id(parameter)]), device, dtype)
                left.discard(id(parameter))
            module.after_load()
            settle(module)
            trim_idle_memory(device)
    for name, parameter in parameters.items():
        if id(parameter) in left:
            _fill(parameter, source(name), device, dtype)
            trim_idle_memory(device)
    for module in network.modules():
        settle(module)


def _fill(
    parameter: Parameter,
    weight: NDArray[Any] | Buffer[f32],
    device: Device,
    dtype: type[DType],
) -> None:
    if isinstance(weight, Buffer):
        parameter.fill_from(weight, dtype)
    else:
        parameter.fill(weight, device, dtype)
