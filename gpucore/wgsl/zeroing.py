"""Workgroup memory set to zero by the kernel itself, for engines that do not keep WGSL's promise.

A variable in the workgroup address space holds zeros when a workgroup starts (WGSL specification,
section 7.3, var declarations).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gpucore.wgsl.constants import attribute
from gpucore.wgsl.errors import WgslError
from gpucore.wgsl.lexer import tokenize
from gpucore.wgsl.parser import parse
from gpucore.wgsl.printer import print_expression
from gpucore.wgsl.syntax import (
    Alias,
    Attribute,
    ConstAssert,
    Declaration,
    Expression,
    Function,
    Module,
    Name,
    Struct,
    Variable,
)
from gpucore.wgsl.usage import names_used

__all__ = ["zeroed"]

_WORKGROUP: Final = re.compile(r"\bworkgroup\b")
_INDEX: Final = Name("local_invocation_index")


def zeroed(source: str, entry: str) -> str:
    """``source`` whose compute entry point zeroes the workgroup variables it uses before all else.

    A function behind the last line does it, arrays spread over the invocations, and ends with a
    barrier. Every line keeps its number. A source without such variables comes back as it is, and
    so does one with a fault: to say so is the engine's part.
    """
    if _WORKGROUP.search(source) is None:
        return source
    try:
        return _rewritten(parse(source), entry)
    except (WgslError, RecursionError):
        return source


def _rewritten(module: Module, entry: str) -> str:
    named = (d for d in module.declarations if not isinstance(d, ConstAssert))
    names: dict[str, Declaration] = {declaration.name: declaration for declaration in named}
    function = names.get(entry)
    if not isinstance(function, Function):
        return module.source
    size = attribute(function.attributes, "workgroup_size")
    places = list(_places(function, names))
    if size is None or not places:
        return module.source
    zeroing = _Zeroing(names, _unused(module.source), _product(map(_count, size.arguments)))
    called = _calling(module.source, entry, zeroing.name, _given_index(function, names))
    return f"{called}\n{zeroing.function(places)}\n"


def _places(function: Function, names: dict[str, Declaration]) -> Iterator[_Place]:
    """The workgroup variables that an entry point uses."""
    for name in sorted(names_used(function, names)):
        found = names[name]
        if isinstance(found, Variable) and found.address_space == "workgroup" and found.type:
            yield _Place(name, found.type)


def _unused(source: str) -> str:
    """A name that stands nowhere in ``source``, nor is the beginning of one."""
    tries = (f"zero_workgroup{number}" for number in itertools.count())
    return next(name for name in tries if name not in source)


def _given_index(function: Function, names: Mapping[str, Declaration]) -> str | None:
    """What the entry point calls its local invocation index, if it has it."""
    for parameter in function.parameters:
        if _is_index(parameter.attributes):
            return parameter.name
        struct = names.get(_resolved(parameter.type, names).name)
        for member in struct.members if isinstance(struct, Struct) else ():
            if _is_index(member.attributes):
                return f"{parameter.name}.{member.name}"
    return None


def _is_index(attributes: tuple[Attribute, ...]) -> bool:
    mark = attribute(attributes, "builtin")
    return mark is not None and mark.arguments == (_INDEX,)


def _resolved(type_: Name, names: Mapping[str, Declaration]) -> Name:
    """A type with its aliases followed; `RecursionError` where they go round."""
    for _ in names:
        declaration = names.get(type_.name)
        if not isinstance(declaration, Alias):
            return type_
        type_ = declaration.type
    raise RecursionError


def _calling(source: str, entry: str, name: str, index: str | None) -> str:
    """``source`` whose entry point calls the function ``name`` first."""
    tokens = tokenize(source)
    heads = zip(tokens.kinds, tokens.texts[1:], strict=False)
    opened = next(i for i, head in enumerate(heads) if head == ("fn", entry)) + 2
    body = tokens.offsets[tokens.kinds.index("{", opened)] + 1
    call = f" {name}({index or f'{name}_index'}); "
    if index is not None:
        return source[:body] + call + source[body:]
    at = tokens.offsets[opened] + 1
    comma = "" if tokens.kinds[opened + 1] == ")" else ", "
    parameter = f"@builtin({_INDEX.name}) {name}_index: u32{comma}"
    return source[:at] + parameter + source[at:body] + call + source[body:]


@dataclass(frozen=True)
class _Place:
    """Memory as WGSL names it, and its type."""

    text: str
    type: Name


class _Zeroing:
    """Writes the function ``name``; ``stride`` is the number of invocations in a workgroup."""

    def __init__(self, names: Mapping[str, Declaration], name: str, stride: str) -> None:
        self.name = name
        self._names = names
        self._stride = stride
        self._index = f"{name}_index"
        self._loops = itertools.count()

    def function(self, places: list[_Place]) -> str:
        """The function as one line."""
        single: list[str] = []
        spread: list[str] = []
        for place in places:
            self._divide(place, single, spread)
        once = f"if ({self._index} == 0u) {{ {' '.join(single)} }}" if single else ""
        body = " ".join(filter(None, [*spread, once, "workgroupBarrier();"]))
        return f"fn {self.name}({self._index}: u32) {{ {body} }}"

    def _divide(self, place: _Place, single: list[str], spread: list[str]) -> None:
        """What one invocation zeroes, and the loops over arrays that all of them share."""
        type_ = _resolved(place.type, self._names)
        struct = self._names.get(type_.name)
        if isinstance(struct, Struct):
            for member in struct.members:
                self._divide(_Place(f"{place.text}.{member.name}", member.type), single, spread)
        elif type_.name == "array":
            spread.append(self._loop(place, self._index, self._stride))
        else:
            single.append(self._assign(place))

    def _loop(self, place: _Place, start: str, step: str) -> str:
        """A loop over all elements of an array, of nested arrays together."""
        counts: list[str] = []
        type_ = _resolved(place.type, self._names)
        while type_.name == "array" and len(type_.arguments) == 2:
            counts.append(_count(type_.arguments[1]))
            element = type_.arguments[0]
            assert isinstance(element, Name)
            type_ = _resolved(element, self._names)
        at = f"{self.name}_i{next(self._loops)}"
        text = place.text
        for axis, count in enumerate(counts):
            inner = _product(counts[axis + 1 :])
            text += f"[{at} / ({inner}) % {count}]"
        head = f"for (var {at} = {start}; {at} < {_product(counts)}; {at} += {step})"
        return f"{head} {{ {self._assign(_Place(text, type_))} }}"

    def _assign(self, place: _Place) -> str:
        """Zero one place; what holds atomics by its parts, since it cannot be assigned."""
        type_ = _resolved(place.type, self._names)
        if type_.name == "atomic":
            return f"atomicStore(&{place.text}, {print_expression(type_.arguments[0])}());"
        if not self._has_atomics(type_):
            return f"{place.text} = {print_expression(type_)}();"
        if type_.name == "array":
            return self._loop(place, "0u", "1u")
        struct = self._names[type_.name]
        assert isinstance(struct, Struct)
        parts = (_Place(f"{place.text}.{m.name}", m.type) for m in struct.members)
        return " ".join(map(self._assign, parts))

    def _has_atomics(self, type_: Name) -> bool:
        type_ = _resolved(type_, self._names)
        if type_.name == "atomic":
            return True
        struct = self._names.get(type_.name)
        if isinstance(struct, Struct):
            return any(self._has_atomics(member.type) for member in struct.members)
        element = type_.arguments[0] if type_.name == "array" and type_.arguments else None
        return isinstance(element, Name) and self._has_atomics(element)


def _count(size: Expression) -> str:
    """A size, which may be of either integer type."""
    return f"u32({print_expression(size)})"


def _product(counts: Iterable[str]) -> str:
    return " * ".join(counts) or "1u"
