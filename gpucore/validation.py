"""Checks of a kernel's text before an engine sees it: the engines' messages are less plain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gpucore.errors import ArgumentError, KernelCompileError
from gpucore.wgsl import (
    Binding,
    EntryPoint,
    WgslLayoutError,
    WgslSyntaxError,
    parse,
    reflect,
    reflect_outline,
)

__all__ = ["Constants", "validate_source"]

Constants = Mapping[str, int | float | bool]


def validate_source(
    source: str,
    entry: str,
    constants: Constants,
    limits: Mapping[str, int],
    *,
    parses_bodies: bool = True,
) -> tuple[dict[str, float], tuple[Binding, ...]]:
    """Return the values of the overrides as engines take them, and the entry point's bindings.

    ``limits`` are the device's. Without ``parses_bodies``, the bodies of functions are left to the
    engine, which is several times quicker. Raises `KernelCompileError`; `ArgumentError` where
    ``source`` is no WGSL text, and for constants that it does not declare.
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
        reflection = reflect(parse(source)) if parses_bodies else reflect_outline(source)
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
    _require_workgroup_size_fits(point, values, limits)
    _require_workgroup_memory_fits(point, values, limits)
    used = tuple(b for b in reflection.bindings if b.name in point.resources)
    _require_uniforms_fit(used, limits)
    # WebGPU knows an override that has an @id by this number.
    numbers = {name: o.id for name, o in reflection.overrides.items() if o.id is not None}
    values = {str(numbers.get(name, name)): value for name, value in values.items()}
    return values, used


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
    try:
        return {name: float(value) for name, value in given.items()}
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(f"constants {dict(given)!r}: values must be numbers: {error}") from None


def _require_uniforms_fit(bindings: Sequence[Binding], limits: Mapping[str, int]) -> None:
    """Raise `KernelCompileError` for a uniform struct that is over the device's limit."""
    for binding in bindings:
        limit = limits.get("max_uniform_buffer_binding_size", binding.size)
        if binding.address_space == "uniform" and binding.size > limit:
            raise KernelCompileError(
                f"{binding.name!r} is a uniform of {binding.size} bytes, over the device's limit "
                f"of {limit}: make it var<storage, read>, and give a Buffer"
            )


def _require_workgroup_size_fits(
    point: EntryPoint, constants: Mapping[str, float], limits: Mapping[str, int]
) -> None:
    """Raise `KernelCompileError` for a workgroup of more invocations than the device runs."""
    try:
        size = point.workgroup_size(constants)
    except WgslLayoutError:
        return  # an override without a value: the engine names it
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
