"""`ElementwiseKernel`: results element by element, from a few statements of WGSL."""

from __future__ import annotations

import re
from typing import Any

from gpucore import ArgumentError, Buffer
from gpustd.arrays.elementwise.operands import access_plan, broadcast_shape, operand_sizes
from gpustd.arrays.expressions.parameters import (
    COMPUTED,
    as_operands,
    bind_types,
    dtype_of_parameter,
    parse_parameters,
    require_text,
    type_aliases,
)
from gpustd.launch.elements import WORKGROUP, words_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import kernel

__all__ = ["ElementwiseKernel"]

_ASSIGNED = r"(?<![\w.]){}\s*(?:\.\w+\s*|\[[^\]]*\]\s*)?(?:[-+*/%&|^]|<<|>>)?=(?!=)"


class ElementwiseKernel:
    """A function of buffers and numbers that computes each element alone.

    ``inputs`` and ``outputs`` are lists as in WGSL, ``"x: f32, y: T"``: a dtype, or a letter that
    takes the operand's dtype. ``body`` assigns each output; ``i`` is the element's index in the
    result and ``n`` their count. An input ``table: array<f32>`` is a whole array, read by index.
    ``preamble`` declares functions and constants before it.

    Operands broadcast as NumPy's; those of fixed dtype are not converted. f16 is computed as f32,
    i8 as i32, u8 as u32, c64 as ``vec2<f32>``. ``name`` stands in errors and profiles. Raises
    `ArgumentError`, `DTypeError`, `ShapeError`, and `KernelCompileError` at the first call.

    >>> hypot = gpustd.ElementwiseKernel("x: T, y: T", "z: T", "z = sqrt(x * x + y * y)", "hypot")
    >>> x = device.buffer_from_array(np.array([3, 5], np.float32))
    >>> hypot(x, 4).read().round(3)
    array([5.   , 6.403], dtype=float32)
    """

    def __init__(
        self,
        inputs: str,
        outputs: str,
        body: str,
        name: str = "elementwise kernel",
        *,
        preamble: str = "",
    ) -> None:
        self.name = name
        self._inputs = parse_parameters(name, inputs, whole=True)
        self._outputs = parse_parameters(name, outputs)
        shared = {each.name for each in self._inputs} & {each.name for each in self._outputs}
        if not self._outputs or shared:
            raise ArgumentError(
                f"{name}: there must be outputs with names of their own, got {outputs!r}"
            )
        text = require_text(name, "body", body)
        self._body = text if text.endswith((";", "}")) else f"{text};"
        self._preamble = preamble
        for each in self._outputs:
            if not re.search(_ASSIGNED.format(each.name), self._body):
                raise ArgumentError(f"{name}: body must assign the output {each.name}, got {text}")

    def __repr__(self) -> str:
        inputs = ", ".join(each.name for each in self._inputs)
        return f"ElementwiseKernel({self.name}: {inputs})"

    def __call__(self, *operands: Any, shape: int | tuple[int, ...] | None = None) -> Any:
        """Return the output, or a tuple of several.

        ``shape`` is that of the result where all inputs are whole arrays or numbers. Raises as the
        class says.
        """
        given = as_operands(self.name, self._inputs, operands)
        types = bind_types(self.name, self._inputs, given)
        device = next(each.device for each in given if isinstance(each, Buffer))
        single = [k for k, each in enumerate(self._inputs) if not each.whole]
        elements = [given[k] for k in single]
        extents = self._result_shape(elements, shape)
        dtypes = [
            dtype_of_parameter(self.name, each, types, device)
            for each in (*self._inputs, *self._outputs)
        ]
        inputs, targets = dtypes[: len(given)], dtypes[len(given) :]
        results: list[Buffer[Any]] = [device.buffer(dtype, extents) for dtype in targets]
        if results[0].size:
            plan = access_plan(elements, extents)
            numbered = [inputs[k] for k in single]
            sizes = operand_sizes(self.name, elements, numbered, plan)
            count = words_of(results[0].size)
            sizes |= {"count": count, "last": results[0].size - 1}
            arrays = [k for k, each in enumerate(self._inputs) if each.whole]
            launch = kernel(
                device,
                "arrays/expressions/elementwise.wgsl",
                label=self.name,
                names=" ".join(self._inputs[k].name for k in single),
                kinds=" ".join(dtype.name for dtype in numbered),
                modes=" ".join(plan.modes),
                rank=len(plan.extents),
                arrays=" ".join(f"{self._inputs[k].name}={inputs[k].name}" for k in arrays),
                outputs=" ".join(each.name for each in self._outputs),
                targets=" ".join(dtype.name for dtype in targets),
                computed=" ".join(COMPUTED[dtype.name] for dtype in targets),
                aliases=type_aliases(types),
                body=self._body,
                preamble=self._preamble,
            )
            launch.wait()
            buffers = [each for each in elements if isinstance(each, Buffer)]
            bound = [*buffers, *(given[k] for k in arrays), *results]
            launch(*bound, sizes, grid=flat_grid(count, WORKGROUP))
        return results[0] if len(results) == 1 else tuple(results)

    def _result_shape(self, elements: list[Any], shape: Any) -> tuple[int, ...]:
        """Return the shape that operands and ``shape`` broadcast to."""
        shapes = [each.shape for each in elements if isinstance(each, Buffer)]
        if shape is not None:
            shapes.append(shape if isinstance(shape, tuple) else (shape,))
        if not shapes:
            raise ArgumentError(
                f"{self.name}: shape must be given where all operands are whole arrays or numbers"
            )
        return broadcast_shape(self.name, shapes)
