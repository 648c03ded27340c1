"""Plain kernels of gpustd that are functions of Python, each beside the operation that launches it.

They suit kernels of one variant over arrays of f32, f16, i32 and u32. A template in ``shaders/``
suits those that are cut into words, or made of parts. Such a kernel is compiled at its first
launch, and kept on disk as those of `gpucore.gpu_kernel` are. It may trust its callers: integers
are divided by WGSL's operators, without checks for zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from gpucore import Buffer, Device, GpuKernel, Kernel, PerDevice
from gpucore.arguments.grids import Grid
from gpucore.compiler import CompiledKernel, Variant
from gpucore.integers import ceil_div
from gpucore.kernels.binding import bind_arguments
from gpucore.kernels.decorator import KernelDecorator
from gpucore.kernels.specializing import constant_values, type_values
from gpustd.launch.grid import MOST_GROUPS
from gpustd.launch.template import note_rendered

__all__ = ["KNOWN", "PlainKernel", "plain_kernel"]

KNOWN: list[PlainKernel] = []
"""All kernels of the modules that are imported."""

_Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Number:
    """A member of the uniform: an argument, or the extent of one along ``axis``.

    An extent along axis -1 is the size in elements of ``width`` numbers.
    """

    name: str
    argument: int
    axis: int | None = None
    width: int = 1

    def of(self, arguments: Sequence[Any]) -> Any:
        """Return its value in a launch."""
        given = arguments[self.argument]
        if self.axis is None:
            return given
        return given.size // self.width if self.axis == -1 else given.shape[self.axis]


@dataclass(frozen=True, slots=True)
class _Plan:
    """The arguments of a launch that a compiled kernel binds, by their places in the call."""

    variant: Variant
    arrays: tuple[int, ...]
    numbers: tuple[_Number, ...]
    covered: tuple[_Number, ...]
    invocations: int

    @classmethod
    def of(cls, compiled: CompiledKernel, variant: Variant) -> _Plan:
        """Return how the arguments of a call are bound."""
        names = compiled.signature.parameters
        known = {each.name: each for each in compiled.signature.arrays}

        def extent(name: str, array: str, axis: int) -> _Number:
            flat = known[array].rank == 1
            return _Number(name, names.index(array), -1 if flat else axis, known[array].width)

        return cls(
            variant,
            tuple(names.index(each.name) for each in compiled.arrays),
            tuple(
                extent(each.name, each.parameter, each.axis)
                if each.kind == "extent"
                else _Number(each.name, names.index(each.parameter))
                for each in compiled.fields
            ),
            tuple(extent("", each.array, each.array_axis) for each in compiled.covered),
            compiled.workgroup[0],
        )

    def groups(self, arguments: Sequence[Any]) -> int:
        """Return the workgroups that cover the arrays."""
        return ceil_div(max(each.of(arguments) for each in self.covered), self.invocations)


class PlainKernel(GpuKernel[Any, None]):
    """A kernel of gpustd in Python, made by `plain_kernel`.

    An ``Array[T]`` takes a buffer of any shape, row by row. The grid covers the arrays that
    `gpucore.global_id` indexes, or is given: ``kernel[grid](...)``.
    """

    def __init__(self, function: Callable[..., object], workgroup_size: int) -> None:
        super().__init__(function, workgroup_size)
        self._size = workgroup_size
        KNOWN.append(self)
        self._area = function.__module__.split(".")[1]
        self._plans: dict[_Key, _Plan] = {}
        self._compiled: PerDevice[dict[Variant, Kernel]] = PerDevice(lambda device: {})

    @cached_property
    def _known(self) -> tuple[int, ...]:
        """The places of arguments that are known when the kernel is compiled."""
        interface = self._source.interface
        return tuple(map(interface.parameters.index, interface.constants))

    def kernel_on(self, device: Device, variant: Variant | None = None) -> Kernel:
        """Return the kernel on a device, compiled once, in the background."""
        variant = variant or self._default_variant()
        kernels = self._compiled.of(device)
        found = kernels.get(variant)
        if found is not None:
            return found
        with device.lock:
            if variant not in kernels:
                compiled, label = self.compile(variant), self._label(variant)
                note_rendered(label, compiled.wgsl)
                made = device.compile_kernel(compiled.wgsl, compiled.entry, wait=False, label=label)
                source = self._source
                made.listing.checked = lambda: source.text_to_check(variant)
                kernels[variant] = made
            return kernels[variant]

    def _default_variant(self) -> Variant:
        return Variant((self._size, 1, 1), plain=True)

    def _label(self, variant: Variant) -> str:
        """Return the name in profiles, such as ``arrays/claim i32``."""
        scalars = [scalar for _, scalar in variant.types]
        known = [f"{name}{value:g}" for name, value in variant.constants if value]
        return " ".join([f"{self._area}/{self.__name__}", *scalars, *known])

    def _launch(self, grid: Grid | None, arguments: Sequence[Any], named: dict[str, Any]) -> None:
        """Record a launch."""
        if named:
            names = self._source.interface.parameters
            call = bind_arguments(self.__name__, names, arguments, named)
            arguments = [call[name] for name in names]
        buffers = [each for each in arguments if isinstance(each, Buffer)]
        key = (*(each.dtype for each in buffers), *(arguments[at] for at in self._known))
        plan = self._plans.get(key) or self._plan(key, arguments)
        variant = plan.variant
        if grid is None:
            groups = plan.groups(arguments)
            grid = groups
            if groups > MOST_GROUPS:
                rows = ceil_div(groups, MOST_GROUPS)
                variant, grid = replace(variant, wide=True), (ceil_div(groups, rows), rows, 1)
        bound: list[Any] = [arguments[at] for at in plan.arrays]
        if plan.numbers:
            bound.append({each.name: each.of(arguments) for each in plan.numbers})
        self.kernel_on(buffers[0].device, variant)(*bound, grid=grid)

    def _plan(self, key: _Key, arguments: Sequence[Any]) -> _Plan:
        """Return how these dtypes and known numbers are launched, and keep it."""
        interface = self._source.interface
        call = bind_arguments(self.__name__, interface.parameters, arguments, {})
        variant = replace(
            self._default_variant(),
            constants=constant_values(self.__name__, interface, call),
            types=type_values(self.__name__, interface, call),
        )
        self._plans[key] = plan = _Plan.of(self.compile(variant), variant)
        return plan


def plain_kernel(*, workgroup_size: int = 64) -> KernelDecorator:
    """Make a kernel of gpustd of a Python function, as `gpucore.gpu_kernel` does.

    Workgroups have ``workgroup_size`` invocations along x. The function has no result.
    """
    made: Any = lambda function: PlainKernel(function, workgroup_size)  # noqa: E731
    return made  # type: ignore[no-any-return]
