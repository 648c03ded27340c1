"""Checks of a kernel's text before an engine sees it: the engines' messages are less plain."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gpucore.arguments.constants import override_value
from gpucore.errors import ArgumentError, KernelCompileError
from gpucore.wgsl import (
    Binding,
    EntryPoint,
    Reflection,
    WgslLayoutError,
    WgslSyntaxError,
    parse,
    reflect,
    reflect_outline,
)
from gpucore.wgsl.errors import syntax_error
from gpucore.wgsl.layout import Array, Layout, Matrix, Record
from gpucore.wgsl.lexer import blank_comments

__all__ = ["Constants", "Interface", "validate_source"]

Constants = Mapping[str, int | float | bool]


_WIDE = re.compile(r"(?<![.\w])(?:[fiu]64(?!\s*:)\b|[0-9][\w.]*l[fiu]\b)")


class Interface(NamedTuple):
    """An entry point for the host: overrides as engines take them, bindings, workgroup."""

    constants: dict[str, float]
    bindings: tuple[Binding, ...]
    workgroup_size: tuple[int, int, int]


def validate_source(
    source: str,
    entry: str,
    constants: Constants,
    limits: Mapping[str, int],
    *,
    api: str = "",
    parses_bodies: bool = True,
) -> Interface:
    """Return what the host must know of the entry point.

    ``limits`` and ``api`` are the device's. Without ``parses_bodies``, the bodies of functions are
    left to the engine, which is several times quicker. Raises `KernelCompileError`; `ArgumentError`
    where ``source`` is no WGSL text, and for constants that it does not declare.
    """
    if not _is_wgsl_text(source):
        raise ArgumentError(
            f"compile_kernel: source must be the WGSL text itself, got {source!r}; "
            "device.compile_file(path) reads it from a file"
        )
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise ArgumentError(
            f"compile_kernel: the WGSL must be valid Unicode, got {error}; read the file as UTF-8"
        ) from None
    try:
        reflection = _reflect_checked(source) if parses_bodies else reflect_outline(source)
    except (WgslSyntaxError, WgslLayoutError) as error:
        raise KernelCompileError(
            f"WGSL does not parse: {error.message}", source, error.line, error.column
        ) from None
    point = reflection.entry_points.get(entry)
    if point is None or point.stage != "compute":
        found = [n for n, p in reflection.entry_points.items() if p.stage == "compute"]
        raise KernelCompileError(
            f"no compute entry point {entry!r}; there are: {', '.join(found) or 'none'}; give "
            "one's name as `entry`, or write `@compute @workgroup_size(64) fn main(...)`"
        )
    values = _constant_values(constants, reflection.overrides)
    size = _workgroup_size(point, values, limits)
    _require_workgroup_memory_fits(point, values, limits)
    used = tuple(b for b in reflection.bindings if b.name in point.resources)
    _require_uniforms_fit(used, limits)
    if api == "gl":
        _require_no_columns_of_two(used)
    # WebGPU knows an override that has an @id by this number.
    numbers = {name: o.id for name, o in reflection.overrides.items() if o.id is not None}
    values = {str(numbers.get(name, name)): value for name, value in values.items()}
    return Interface(values, used, size)


def _reflect_checked(source: str) -> Reflection:
    """Reflect a source whose functions keep WGSL's rules."""
    # They take time to load, and kernels that are trusted do without.
    from gpucore.wgsl.memory_limits import require_invocation_memory
    from gpucore.wgsl.uniformity import require_uniformity

    module = parse(source)
    _require_no_wide_numbers(source)
    reflection = reflect(module)
    require_invocation_memory(module)
    require_uniformity(module)
    return reflection


def _require_no_wide_numbers(source: str) -> None:
    """Raise `WgslSyntaxError` for numbers of 64 bits: naga names them in words of its own."""
    if _WIDE.search(source) is None:
        return
    text = blank_comments(source)
    for found in _WIDE.finditer(text):
        name = found[0]
        if not re.search(rf"\b(struct|alias|fn|var(<[^>]*>)?|let|const)\s+{name}\b", text):
            raise syntax_error(
                f"WGSL has no numbers of 64 bits, got {name}: use f32, i32 or u32, or two of them",
                source,
                found.start(),
            )


def _is_wgsl_text(source: object) -> bool:
    """Tell whether ``source`` is text and not the name of a file."""
    return isinstance(source, str) and not ("{" not in source and source.endswith(".wgsl"))


def _constant_values(given: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, float]:
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise ArgumentError(
            f"no override {', '.join(unknown)} in the WGSL; there are: "
            f"{', '.join(declared) or 'none'}; `constants` sets what the WGSL declares as "
            "`override name: type;`"
        )
    return {name: override_value(declared[name], value) for name, value in given.items()}


def _require_uniforms_fit(bindings: Sequence[Binding], limits: Mapping[str, int]) -> None:
    """Raise `KernelCompileError` for a uniform struct that is over the device's limit."""
    for binding in bindings:
        limit = limits.get("max_uniform_buffer_binding_size", binding.size)
        if binding.address_space == "uniform" and binding.size > limit:
            raise KernelCompileError(
                f"{binding.name!r} is a uniform of {binding.size} bytes, over the device's limit "
                f"of {limit}: make it var<storage, read>, and give a Buffer"
            )


def _require_no_columns_of_two(bindings: Sequence[Binding]) -> None:
    """Raise `KernelCompileError` for uniform matrices that OpenGL reads from wrong places.

    wgpu-native 29 declares them in GLSL's std140 layout, whose columns are 16 bytes apart.
    """
    for binding in bindings:
        if binding.address_space == "uniform" and _has_columns_of_two(binding.layout):
            raise KernelCompileError(
                f"{binding.name!r} is a uniform with a matrix of two rows, which wgpu reads from "
                "wrong places on OpenGL: use an array<vec4f>, or var<storage, read> and a Buffer"
            )


def _has_columns_of_two(layout: Layout | None) -> bool:
    """Tell whether a type is or contains a matrix whose columns have two numbers."""
    if isinstance(layout, Record):
        return any(_has_columns_of_two(member.layout) for member in layout.members)
    if isinstance(layout, Array):
        return _has_columns_of_two(layout.element)
    return isinstance(layout, Matrix) and layout.column.count == 2


def _workgroup_size(
    point: EntryPoint, constants: Mapping[str, float], limits: Mapping[str, int]
) -> tuple[int, int, int]:
    """Return ``@workgroup_size``; (1, 1, 1) where an override has no value: the engine names it.

    Raises `KernelCompileError` for a workgroup of more invocations than the device runs.
    """
    try:
        size = point.workgroup_size(constants)
    except WgslLayoutError:
        return 1, 1, 1
    axis_limits = tuple(
        limits.get(f"max_compute_workgroup_size_{axis}", n)
        for axis, n in zip("xyz", size, strict=True)
    )
    limit = limits.get("max_compute_invocations_per_workgroup", math.prod(size))
    if math.prod(size) > limit or any(n > m for n, m in zip(size, axis_limits, strict=True)):
        raise KernelCompileError(
            f"@workgroup_size{size} of {point.name!r} is over the device's limits of {limit} "
            f"invocations and {axis_limits} along x, y, z: use smaller workgroups and a larger grid"
        )
    return size


def _require_workgroup_memory_fits(
    point: EntryPoint, constants: Mapping[str, float], limits: Mapping[str, int]
) -> None:
    """Raise `KernelCompileError` for more workgroup memory than the device has."""
    try:
        nbytes = point.workgroup_bytes(constants)
    except WgslLayoutError:
        return  # an override without a value, or a type that the engine refuses
    limit = limits.get("max_compute_workgroup_storage_size", nbytes)
    if nbytes > limit:
        raise KernelCompileError(
            f"{point.name!r} has {nbytes} bytes of var<workgroup>, over the device's limit of "
            f"{limit}: make its arrays smaller"
        )
