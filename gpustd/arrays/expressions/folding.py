"""The part that `ReductionKernel` and `ScanKernel` share: their texts, bound to operands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gpucore import ArgumentError, Buffer, Device, DType, f32, i8, i32, u8, u32
from gpucore.dtypes import DTYPES
from gpustd.arrays.elementwise.operands import broadcast_shape
from gpustd.arrays.expressions.parameters import (
    COMPUTED,
    as_operands,
    bind_types,
    dtype_of_parameter,
    parse_parameters,
    require_text,
    type_aliases,
)

__all__ = ["BoundFold", "FoldTexts", "partial_buffer", "stored_dtype"]

_ACCUMULATORS = {
    f"{prefix}{scalar}{suffix}": (scalar, width)
    for scalar in ("f32", "i32", "u32")
    for prefix, suffix, width in (("", "", 1), ("vec2<", ">", 2), ("vec4<", ">", 4))
}


class BoundFold(NamedTuple):
    """A fold's operands with their dtypes, broadcast shape and template variables."""

    operands: list[Any]
    dtypes: list[type[DType]]
    target: type[DType]
    device: Device
    shape: tuple[int, ...]
    spec: dict[str, Any]


class FoldTexts:
    """The parameters and expressions of a fold. Raises `ArgumentError` and `DTypeError`.

    ``operation``: the name and text of the operation, which the template calls ``reduce``.
    """

    def __init__(
        self,
        name: str,
        inputs: str,
        output: str,
        operation: tuple[str, str],
        others: Mapping[str, str],
        accumulator: str | None,
    ) -> None:
        self.name = name
        self.inputs = parse_parameters(name, inputs)
        outputs = parse_parameters(name, output)
        if len(outputs) != 1 or not self.inputs:
            raise ArgumentError(f"{name}: there must be inputs and one output, got {output!r}")
        self._output = outputs[0]
        self._accumulator = accumulator
        _accumulator_type(name, accumulator, f32)
        self._texts = {"map": require_text(name, "map", others["map"])}
        self._texts["reduce"] = require_text(name, *operation)
        self._texts["preamble"] = ""
        for key in ("identity", "finish"):
            self._texts[key] = require_text(name, key, others[key])

    def declare(self, code: str) -> None:
        """Put functions of WGSL before the expressions."""
        self._texts["preamble"] = code

    def describe(self, kind: str) -> str:
        """Return the ``repr`` of a kernel of this kind."""
        return f"{kind}({self.name}: {', '.join(each.name for each in self.inputs)})"

    def bind(self, operands: Sequence[Any]) -> BoundFold:
        """Return the fold of these operands. Raises `ArgumentError`, `DTypeError`, `ShapeError`."""
        given = as_operands(self.name, self.inputs, operands)
        types = bind_types(self.name, self.inputs, given)
        buffers = [each for each in given if isinstance(each, Buffer)]
        device = buffers[0].device
        dtypes = [dtype_of_parameter(self.name, each, types, device) for each in self.inputs]
        target = dtype_of_parameter(self.name, self._output, types, device)
        shape = broadcast_shape(self.name, [each.shape for each in buffers])
        spec = {
            **self._texts,
            "acc": _accumulator_type(self.name, self._accumulator, target),
            "aliases": type_aliases(types),
            "label": self.name,
            "names": " ".join(each.name for each in self.inputs),
        }
        return BoundFold(given, dtypes, target, device, shape, spec)


def _accumulator_type(op: str, given: str | None, target: type[DType]) -> str:
    """Return the WGSL type that a fold or scan combines in. Raises `ArgumentError`."""
    if given is None:
        return COMPUTED[target.name]
    found = given.replace(" ", "").replace("vec2f", "vec2<f32>").replace("vec4f", "vec4<f32>")
    if found not in _ACCUMULATORS:
        listed = ", ".join(_ACCUMULATORS)
        raise ArgumentError(f"{op}: accumulator must be one of {listed}, got {given!r}")
    return found


def partial_buffer(device: Device, acc: str, shape: tuple[int, ...]) -> Buffer[Any]:
    """Return a buffer for numbers of an accumulator's type, with its parts as the last axis."""
    scalar, width = _ACCUMULATORS[acc]
    made: Buffer[Any] = device.buffer(DTYPES[scalar], (*shape, width))
    return made


def stored_dtype(target: type[DType]) -> type[DType]:
    """Return the dtype that a kernel writes element by element: no bytes."""
    others: dict[type[DType], type[DType]] = {i8: i32, u8: u32}
    return others.get(target, target)
