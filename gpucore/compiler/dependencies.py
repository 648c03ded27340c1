"""What a kernel depends on outside of its text: numbers, functions and types that it names.

When one of them changes, as in a notebook, the kernel is compiled again. Together with the text
they make the key under which a compiled kernel is kept on disk.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
from collections.abc import Iterator

from gpucore.compiler.annotations import fields_of
from gpucore.compiler.known_numbers import is_known
from gpucore.compiler.source import MISSING, FunctionSource

__all__ = ["Dependencies"]


class Dependencies:
    """The values that the names of a function, and of the functions that it calls, have now."""

    def __init__(self, source: FunctionSource) -> None:
        self._values: list[tuple[FunctionSource, str, object]] = []
        self._sources: list[FunctionSource] = []
        self._add(source)

    def _add(self, source: FunctionSource) -> None:
        self._sources.append(source)
        for name in sorted(set(_names(source.tree))):
            value = _resolve(source, name)
            if value is MISSING:
                continue
            self._values.append((source, name, value))
            inner = getattr(value, "gpu_source", None)
            if callable(inner) and (found := inner()) not in self._sources:
                self._add(found)

    @property
    def changed(self) -> bool:
        """True where a name means something else by now."""
        return any(
            (now := _resolve(source, name)) is not value and not _same_numbers(now, value)
            for source, name, value in self._values
        )

    def key(self, *parts: str) -> str:
        """Return a hash of all texts and values, and of other ``parts``."""
        digest = hashlib.sha256()
        for source in self._sources:
            digest.update(f"{source.file}:{source.first_line}\n{source.text}\0".encode())
        for _, name, value in self._values:
            digest.update(f"{name}={_describe(value)}\0".encode())
        for part in parts:
            digest.update(f"{part}\0".encode())
        return digest.hexdigest()


def _same_numbers(one: object, other: object) -> bool:
    return is_known(one) and type(one) is type(other) and repr(one) == repr(other)


def _names(tree: ast.FunctionDef) -> Iterator[str]:
    """Yield the names, with dots, that a function reads."""
    named = [each for each in ast.walk(tree) if isinstance(each, ast.Name)]
    local = {each.id for each in named if isinstance(each.ctx, ast.Store)}
    for node in ast.walk(tree):
        dotted = _dotted_name(node)
        if dotted is not None and dotted.partition(".")[0] not in local:
            yield dotted


def _dotted_name(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            owner = _dotted_name(value)
            return None if owner is None else f"{owner}.{attribute}"
        case _:
            return None


def _resolve(source: FunctionSource, dotted: str) -> object:
    first, *rest = dotted.split(".")
    value = source.look_up(first)
    for name in rest:
        if value is MISSING or hasattr(value, "gpu_name"):
            break  # the language's own words have no value here
        value = getattr(value, name, MISSING)
    return value


def _describe(value: object) -> str:
    """Return a text that differs where the meaning in a kernel does."""
    if isinstance(value, bool | int | float | str) or is_known(value):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, type) and dataclasses.is_dataclass(value):
        return f"dataclass {value.__name__} {fields_of(value)!r}"
    module = getattr(value, "__module__", "") or ""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    return f"{module}.{name or type(value).__qualname__}"
