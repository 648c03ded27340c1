"""`GpuKernel`: a Python function as a kernel, compiled when it is called."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpucore.arguments.grids import Grid, Groups
from gpucore.compiler import CompiledKernel, PythonKernelError, Variant
from gpucore.compiler.compiled import COTANGENT
from gpucore.compiler.source import FunctionSource, read_function
from gpucore.device import Device
from gpucore.dtypes import DTYPES
from gpucore.errors import ArgumentError, FeatureError, KernelCompileError, ShapeError
from gpucore.integers import ceil_div
from gpucore.kernel import Kernel
from gpucore.kernels.binding import bind_arguments, bound_buffer, require_arrays
from gpucore.kernels.call_types import R_co, S_co, TypedCall
from gpucore.kernels.disk_cache import compiler_stamp, load_kernel, store_kernel
from gpucore.kernels.launching import (
    broadcast_modes,
    broadcast_shape,
    covering_groups,
    fits_shape,
    result_buffer,
    spread,
    uniform_values,
    words_of_invocation,
)
from gpucore.kernels.printing import are_prints_shown, line_buffer, show_lines
from gpucore.kernels.specializing import constant_values, type_values
from gpucore.per_device import PerDevice
from gpucore.sanitizer import CheckedText
from gpucore.wgsl.c_family import TARGETS

__all__ = ["GpuKernel"]


_WGSL = re.compile(r"^WGSL does not (parse|compile): ")
_SUBGROUP = re.compile(r"'(subgroup\w+)'")


class GpuKernel(TypedCall[S_co, R_co]):
    """A kernel made of a Python function by `gpu_kernel`; call it with buffers and numbers.

    The grid follows from the arrays that the function indexes with `global_id`;
    ``kernel[grid](...)`` gives the number of workgroups instead. The launch is recorded, and
    nothing waits.

    >>> from gpucore import Array, Device, f32, global_id, gpu_kernel
    >>> @gpu_kernel
    ... def scale(a: f32, x: Array[f32]):
    ...     i = global_id.x
    ...     if i < len(x):
    ...         x[i] = a * x[i]
    >>> x = Device.null().buffer(f32, 1000)
    >>> scale(2.0, x)
    >>> scale[4](2.0, x)
    """

    def __init__(self, function: Callable[..., object], workgroup_size: Grid | None = None) -> None:
        self.__wrapped__ = function
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self._workgroup = _workgroup(function.__name__, workgroup_size)
        self._read: _Source | None = None
        self._kernels: PerDevice[dict[Variant, Kernel]] = PerDevice(lambda device: {})

    def __repr__(self) -> str:
        return f"GpuKernel({self.__name__})"

    if not TYPE_CHECKING:

        def __call__(self, *arguments: Any, **named: Any) -> Any:
            """Record a launch; return the result of an elementwise kernel.

            Raises `PythonKernelError` where the function cannot become a kernel, `ArgumentError`,
            `DTypeError` and `ShapeError` where arguments do not fit.
            """
            return self._launch(None, arguments, named)

    def __getitem__(self, grid: Grid) -> Callable[..., Any]:
        """Return the kernel with a grid: the number of workgroups as x, (x, y) or (x, y, z)."""

        def launch(*arguments: Any, **named: Any) -> Any:
            return self._launch(grid, arguments, named)

        return launch

    @property
    def floats(self) -> tuple[str, ...]:
        """The parameters that are floats or arrays of them, or of a type variable."""
        return self._source.interface.floats

    def bound_arguments(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call by name. Raises `ArgumentError`."""
        return bind_arguments(self.__name__, self._source.interface.parameters, arguments, named)

    def derivative(
        self, parameter: str, cotangent: Any, arguments: Sequence[Any], named: Mapping[str, Any]
    ) -> Any:
        """Return ``cotangent`` times the derivative of each element of the result by a parameter.

        It has the shape of the kernel's result, to which ``cotangent`` is broadcast; None is 1.
        Where the parameter is broadcast, the caller adds up. Raises `ArgumentError` for a kernel
        that has no result, `PythonKernelError` where it has no derivative, `ShapeError`,
        `DTypeError`.
        """
        interface = self._source.interface
        call = self.bound_arguments(arguments, named)
        if parameter not in call:
            raise ArgumentError(
                f"kernel {self.__name__} has no argument {parameter}; there are: {', '.join(call)}"
            )
        variant = replace(
            self._default_variant(),
            constants=constant_values(self.__name__, interface, call),
            types=type_values(self.__name__, interface, call),
        )
        plain = self.compile(variant).signature
        if any(each.width > 1 for each in (plain.result, *plain.arrays) if each is not None):
            raise ArgumentError(
                f"kernel {self.__name__} has no derivative: its arrays must have numbers, not "
                "vectors; give it one array for each component"
            )
        if plain.result is None or variant.stencil is not None:
            raise ArgumentError(
                f"kernel {self.__name__} has no derivative: only elementwise kernels have, which "
                "return an element, as in -> Array[f32]"
            )
        shape = broadcast_shape(self.__name__, plain.arrays, call)
        if cotangent is None:
            device = require_arrays(self.__name__, plain.arrays, call)
            cotangent = device.buffer_from_array(np.ones(()), DTYPES[plain.result.dtype])
        if not fits_shape(cotangent.shape, shape):
            raise ShapeError(
                f"kernel {self.__name__}: cotangent must have the shape {shape} of the result, got "
                f"{cotangent.shape}"
            )
        variant = replace(variant, derivative=parameter)
        call[COTANGENT] = cotangent
        device = require_arrays(self.__name__, self.compile(variant).signature.arrays, call)
        return self._launch_form(device, None, variant, call)

    def compile(self, variant: Variant | None = None) -> CompiledKernel:
        """Return the WGSL with what a launch binds. Raises `PythonKernelError`."""
        return self._source.compile(variant or self._default_variant())

    def source(self, language: str = "wgsl", **constants: float) -> str:
        """Return the kernel in a language: wgsl, cuda, hip, or hip-64 for subgroups of 64.

        ``constants`` are values of ``Const`` parameters; 1 for those that are not given. Raises
        `PythonKernelError`, `ArgumentError`.
        """
        if language not in ("wgsl", *TARGETS):
            known = ", ".join(["wgsl", *TARGETS])
            raise ArgumentError(f"language must be one of {known}, got {language!r}")
        from gpucore.wgsl.c_family.module import print_kernel  # seldom needed

        variant = replace(self._default_variant(), constants=tuple(constants.items()))
        compiled = self.compile(variant)
        if language == "wgsl":
            return compiled.wgsl
        target = TARGETS[language]
        return print_kernel(compiled.wgsl, compiled.entry, {}, checks=True, target=target).body

    @property
    def version(self) -> object:
        """An object that is another one after the function, or what it depends on, has changed."""
        return self._source

    def key(self) -> str:
        """Return a hash of the function's text and of what it depends on."""
        return self._source.dependencies.key(repr(self._default_variant()))

    @property
    def _source(self) -> _Source:
        if self._read is None or self._read.dependencies.changed:
            self._read = _Source(self._function_source())
            self._kernels = PerDevice(lambda device: {})
        return self._read

    def _function_source(self) -> FunctionSource:
        """Return what is compiled. Raises `PythonKernelError` where there is no source."""
        return read_function(self.__wrapped__)

    # Launching

    def _launch(self, grid: Grid | None, arguments: Sequence[Any], named: dict[str, Any]) -> Any:
        interface = self._source.interface
        call = bind_arguments(self.__name__, interface.parameters, arguments, named)
        variant = replace(
            self._default_variant(),
            constants=constant_values(self.__name__, interface, call),
            types=type_values(self.__name__, interface, call),
        )
        compiled = self.compile(variant)
        device = require_arrays(self.__name__, compiled.signature.arrays, call)
        if compiled.signature.result is not None:
            return self._launch_form(device, grid, variant, call)
        if grid is None:
            grid = covering_groups(compiled, call)
            if (wide := spread(device, grid)) is not None:
                variant, grid = replace(variant, wide=True), wide
        self._record(device, variant, call, grid)
        return None

    def _default_variant(self) -> Variant:
        """Return what is compiled without a call."""
        return Variant(self._workgroup, prints=are_prints_shown())

    def _require_no_grid(self, grid: Grid | None) -> None:
        """Raise `ArgumentError` for a grid of a kernel that has a result."""
        if grid is not None:
            raise ArgumentError(
                f"kernel {self.__name__} makes its result: its grid follows from its arrays, call "
                f"{self.__name__}(...)"
            )

    def _launch_form(
        self, device: Device, grid: Grid | None, variant: Variant, call: dict[str, Any]
    ) -> Any:
        """Allocate the result and record a launch over its elements; arrays are broadcast."""
        self._require_no_grid(grid)
        compiled = self.compile(variant)
        signature = compiled.signature
        assert signature.result is not None
        shape = broadcast_shape(self.__name__, signature.arrays, call)
        modes = broadcast_modes(signature.arrays, call, shape)
        rank = len(shape) if "strided" in modes else 1
        words = words_of_invocation(device, compiled, modes, math.prod(shape))
        variant = replace(variant, modes=modes, rank=rank, words=words)
        made = result_buffer(device, signature.result, shape)
        elements = self.compile(variant).workgroup[0] * max(4 * words, 1)
        groups = (ceil_div(math.prod(shape), elements), 1, 1)
        if (wide := spread(device, groups)) is not None:
            variant, groups = replace(variant, wide=True), wide
        self._record(device, variant, {**call, signature.result.name: made}, groups, shape)
        return made

    def _record(
        self,
        device: Device,
        variant: Variant,
        call: Mapping[str, Any],
        groups: Grid,
        shape: tuple[int, ...] = (),
    ) -> None:
        compiled = self.compile(variant)
        arguments: list[Any] = [bound_buffer(array, call) for array in compiled.arrays]
        if compiled.fields:
            arguments.append(uniform_values(compiled, call, shape))
        if not compiled.prints:
            self.kernel_on(device, variant)(*arguments, grid=groups)
            return
        lines = line_buffer(device)
        self.kernel_on(device, variant)(*arguments, lines, grid=groups)
        show_lines(compiled, lines.read())

    def kernel_on(self, device: Device, variant: Variant | None = None) -> Kernel:
        """Return the kernel on a device, compiled once. Raises `PythonKernelError`."""
        variant = variant or self._default_variant()
        kernels = self._kernels.of(device)
        if variant not in kernels:
            compiled = self.compile(variant)
            _require_features(device, compiled)
            try:
                kernels[variant] = device.compile_kernel(
                    compiled.wgsl, compiled.entry, label=self._source.label
                )
            except KernelCompileError as error:
                raise _in_python(compiled, error) from None
            listing = kernels[variant].listing
            listing.title = self.__name__
            source = self._source  # not self, which may end before the device does
            listing.checked = lambda: source.text_to_check(variant)
        return kernels[variant]


class _Source:
    """A function's source, what it depends on, and what has been compiled of it."""

    def __init__(self, function: FunctionSource) -> None:
        # What reads functions takes time to load: most processes call no kernel in Python.
        from gpucore.compiler.dependencies import Dependencies
        from gpucore.compiler.interface import read_interface

        self._function = function
        self._compiled: dict[Variant, CompiledKernel] = {}
        self.interface = read_interface(function)
        self.dependencies = Dependencies(function)

    @property
    def label(self) -> str:
        """The name of its rows in profiles: with file and line, as ``saxpy demo.py:12``."""
        place = self._function.place(self._function.tree)
        return f"{self._function.name} {Path(place.file).name}:{place.line}"

    def compile(self, variant: Variant) -> CompiledKernel:
        """Return a variant, compiled once: here, or by an earlier process."""
        if variant not in self._compiled:
            key = self.dependencies.key(repr(variant), compiler_stamp())
            kernel = load_kernel(key)
            if kernel is None:
                from gpucore.compiler.compilation import compile_kernel  # 40 ms, for new ones alone

                kernel = compile_kernel(self._function, variant)
                store_kernel(key, kernel)
            self._compiled[variant] = kernel
        return self._compiled[variant]

    def text_to_check(self, variant: Variant) -> CheckedText:
        """Return what the sanitizer runs for a variant: it shows divisions by zero."""
        from gpucore.interpreter import SourceLine

        compiled = self.compile(replace(variant, plain=True))

        def origin(at: int) -> SourceLine | None:
            place = compiled.place_of(at)
            return None if place is None else SourceLine(*place)

        return CheckedText(compiled.wgsl, origin)


def _workgroup(kernel: str, given: Grid | None) -> Groups | None:
    """Return three sizes. Raises `ArgumentError`."""
    if given is None:
        return None
    sizes = given if isinstance(given, tuple) else (given,)
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
        raise ArgumentError(
            f"kernel {kernel}: workgroup_size must be 1 to 3 integers above 0, got {given!r}"
        )
    x, y, z = (*sizes, 1, 1)[:3]
    return x, y, z


def _in_python(compiled: CompiledKernel, error: KernelCompileError) -> KernelCompileError:
    """Return an error about WGSL as one about the Python that it was made of."""
    place = compiled.place_at(error.line, error.column)
    if place is None:
        return error
    message = _WGSL.sub("", error.message).replace("'workgroupBarrier'", "barrier()")
    return PythonKernelError(_SUBGROUP.sub(_in_snake_case, message), place)


def _in_snake_case(found: re.Match[str]) -> str:
    """Return the name in Python of a function of WGSL, such as subgroup_add."""
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", found[1]) + "(...)"


def _require_features(device: Device, compiled: CompiledKernel) -> None:
    """Raise `FeatureError` where a device lacks what a kernel needs."""
    if missing := sorted(compiled.features - device.features):
        raise FeatureError(
            f"kernel {compiled.name} uses {' and '.join(missing)}, which {device!r} does not "
            "have: take another device or engine (Device.list() shows their features), or write "
            "it without"
        )
