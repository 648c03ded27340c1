"""What is checked of a kernel's text before an engine sees it: engines say it less plainly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gpucore.buffer import Buffer
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

__all__ = ["validate_source"]

Constants = Mapping[str, int | float | bool]


def validate_source(
    source: str, entry: str, constants: Constants, limits: Mapping[str, int], *, whole: bool = True
) -> tuple[dict[str, float], tuple[Binding, ...]]:
    """Values of the overrides as engines want them, and the bindings that the entry point uses.

    ``limits`` are the device's. Without ``whole``, what stands in functions is left to the engine,
    which is several times quicker. Raises `KernelCompileError`, and `ArgumentError` for what is no
    WGSL text and for constants that it does not declare.
    """
    if not _is_text(source):
        raise ArgumentError(
            f"compile_kernel of {source!r}: it takes the WGSL text itself; "
            "device.compile_file(path) reads it from a file"
        )
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise ArgumentError(f"the WGSL holds characters that are no Unicode: {error}") from None
    try:
        reflection = reflect(parse(source)) if whole else reflect_outline(source)
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
    values = _known_constants(constants, reflection.overrides)
    _fit_workgroup(point, values, limits)
    used = tuple(b for b in reflection.bindings if b.name in point.resources)
    _fit_uniforms(used, limits)
    # WebGPU wants the number of an override that has one.
    numbers = {name: o.id for name, o in reflection.overrides.items() if o.id is not None}
    values = {str(numbers.get(name, name)): value for name, value in values.items()}
    return values, used


def _is_text(source: object) -> bool:
    """False for what is no text, and for the name of a file."""
    return isinstance(source, str) and not ("{" not in source and source.endswith(".wgsl"))


def _known_constants(given: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, float]:
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise ArgumentError(
            f"no override {', '.join(unknown)} in the WGSL; there are: "
            f"{', '.join(declared) or 'none'}; `constants` sets what the WGSL declares as "
            "`override name: type;`"
        )
    if buffers := [name for name, value in given.items() if isinstance(value, Buffer)]:
        raise ArgumentError(
            f"constants {', '.join(buffers)}: a Buffer, where a number belongs: wait for it with "
            "float(buffer)"
        )
    try:
        return {name: float(value) for name, value in given.items()}
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(f"constants {dict(given)!r}: values must be numbers: {error}") from None


def _fit_uniforms(bindings: Sequence[Binding], limits: Mapping[str, int]) -> None:
    """Refuse a uniform struct that no device of these limits binds."""
    for binding in bindings:
        most = limits.get("max_uniform_buffer_binding_size", binding.size)
        if binding.address_space == "uniform" and binding.size > most:
            raise KernelCompileError(
                f"{binding.name!r} is a uniform of {binding.size} bytes, over the device's {most}: "
                "make it var<storage, read>, and give a Buffer"
            )


def _fit_workgroup(
    point: EntryPoint, constants: Mapping[str, float], limits: Mapping[str, int]
) -> None:
    """Refuse a workgroup that no device of these limits runs."""
    try:
        size = point.workgroup_size(constants)
    except WgslLayoutError:
        return  # an override without a value: the engine names it
    most = [
        limits.get(f"max_compute_workgroup_size_{axis}", n)
        for axis, n in zip("xyz", size, strict=True)
    ]
    together = limits.get("max_compute_invocations_per_workgroup", math.prod(size))
    if math.prod(size) > together or any(n > m for n, m in zip(size, most, strict=True)):
        raise KernelCompileError(
            f"@workgroup_size{size} of {point.name!r} is over the device's limits of {together} "
            f"invocations and {tuple(most)} along x, y, z: use smaller workgroups and a larger grid"
        )
