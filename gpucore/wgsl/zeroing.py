"""A rewrite of kernels that zeroes workgroup memory, for engines that do not do it themselves.

A variable in the workgroup address space holds zeros when a workgroup starts (WGSL specification,
section 7.3, var declarations).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gpucore.wgsl.constants import find_attribute
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

__all__ = ["zero_workgroup_memory"]

_WORKGROUP: Final = re.compile(r"\bworkgroup\b")
_INDEX: Final = Name("local_invocation_index")


def zero_workgroup_memory(source: str, entry: str) -> str:
    """Make the compute entry point zero the workgroup variables that it uses, before all else.

    A function after the last line does it: invocations share the elements of arrays, and a barrier
    ends it. Every line keeps its number. A source without such variables is returned as it is, and
    so is one with a fault, which the engine reports.
    """
    if _WORKGROUP.search(source) is None:
        return source
    try:
        return _rewrite(parse(source), entry)
    except (WgslError, RecursionError):
        return source


def _rewrite(module: Module, entry: str) -> str:
    named = (d for d in module.declarations if not isinstance(d, ConstAssert))
    names: dict[str, Declaration] = {declaration.name: declaration for declaration in named}
    function = names.get(entry)
    if not isinstance(function, Function):
        return module.source
    size = find_attribute(function.attributes, "workgroup_size")
    targets = list(_targets(function, names))
    if size is None or not targets:
        return module.source
    zeroing = _Zeroing(names, _unused_name(module.source), _product(map(_count, size.arguments)))
    called = _insert_call(module.source, entry, zeroing.name, _index_argument(function, names))
    return f"{called}\n{zeroing.function(targets)}\n"


def _targets(function: Function, names: dict[str, Declaration]) -> Iterator[_Target]:
    """Yield the workgroup variables that an entry point uses."""
    for name in sorted(names_used(function, names)):
        found = names[name]
        if isinstance(found, Variable) and found.address_space == "workgroup" and found.type:
            yield _Target(name, found.type)


def _unused_name(source: str) -> str:
    """Return a name that does not occur in ``source``, nor begins another name."""
    tries = (f"zero_workgroup{number}" for number in itertools.count())
    return next(name for name in tries if name not in source)


def _index_argument(function: Function, names: Mapping[str, Declaration]) -> str | None:
    """Return the entry point's name for its local invocation index, if it has one."""
    for parameter in function.parameters:
        if _is_index(parameter.attributes):
            return parameter.name
        struct = names.get(_resolve_alias(parameter.type, names).name)
        for member in struct.members if isinstance(struct, Struct) else ():
            if _is_index(member.attributes):
                return f"{parameter.name}.{member.name}"
    return None


def _is_index(attributes: tuple[Attribute, ...]) -> bool:
    mark = find_attribute(attributes, "builtin")
    return mark is not None and mark.arguments == (_INDEX,)


def _resolve_alias(type_: Name, names: Mapping[str, Declaration]) -> Name:
    """Return a type with its aliases resolved. Raises `RecursionError` for circular ones."""
    for _ in names:
        declaration = names.get(type_.name)
        if not isinstance(declaration, Alias):
            return type_
        type_ = declaration.type
    raise RecursionError


def _insert_call(source: str, entry: str, name: str, index: str | None) -> str:
    """Make the entry point call the function ``name`` first."""
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
class _Target:
    """Memory to zero: its WGSL expression and its type."""

    text: str
    type: Name


class _Zeroing:
    """Writes the zeroing function; ``stride`` is the number of invocations in a workgroup."""

    def __init__(self, names: Mapping[str, Declaration], name: str, stride: str) -> None:
        self.name = name
        self._names = names
        self._stride = stride
        self._index = f"{name}_index"
        self._loops = itertools.count()

    def function(self, targets: list[_Target]) -> str:
        """Return the function as one line."""
        single: list[str] = []
        spread: list[str] = []
        for target in targets:
            self._divide(target, single, spread)
        once = f"if ({self._index} == 0u) {{ {' '.join(single)} }}" if single else ""
        body = " ".join(filter(None, [*spread, once, "workgroupBarrier();"]))
        return f"fn {self.name}({self._index}: u32) {{ {body} }}"

    def _divide(self, target: _Target, single: list[str], spread: list[str]) -> None:
        """Append to ``single`` what one invocation zeroes, to ``spread`` loops that all share."""
        type_ = _resolve_alias(target.type, self._names)
        struct = self._names.get(type_.name)
        if isinstance(struct, Struct):
            for member in struct.members:
                self._divide(_Target(f"{target.text}.{member.name}", member.type), single, spread)
        elif type_.name == "array":
            spread.append(self._loop(target, self._index, self._stride))
        else:
            single.append(self._assign(target))

    def _loop(self, target: _Target, start: str, step: str) -> str:
        """Return a loop over all elements of an array, or of nested arrays together."""
        counts: list[str] = []
        type_ = _resolve_alias(target.type, self._names)
        while type_.name == "array" and len(type_.arguments) == 2:
            counts.append(_count(type_.arguments[1]))
            element = type_.arguments[0]
            assert isinstance(element, Name)
            type_ = _resolve_alias(element, self._names)
        at = f"{self.name}_i{next(self._loops)}"
        text = target.text
        for axis, count in enumerate(counts):
            inner = _product(counts[axis + 1 :])
            text += f"[{at} / ({inner}) % {count}]"
        head = f"for (var {at} = {start}; {at} < {_product(counts)}; {at} += {step})"
        return f"{head} {{ {self._assign(_Target(text, type_))} }}"

    def _assign(self, target: _Target) -> str:
        """Zero one target; a type with atomics part by part, since it cannot be assigned."""
        type_ = _resolve_alias(target.type, self._names)
        if type_.name == "atomic":
            return f"atomicStore(&{target.text}, {print_expression(type_.arguments[0])}());"
        if not self._has_atomics(type_):
            return f"{target.text} = {print_expression(type_)}();"
        if type_.name == "array":
            return self._loop(target, "0u", "1u")
        struct = self._names[type_.name]
        assert isinstance(struct, Struct)
        parts = (_Target(f"{target.text}.{m.name}", m.type) for m in struct.members)
        return " ".join(map(self._assign, parts))

    def _has_atomics(self, type_: Name) -> bool:
        type_ = _resolve_alias(type_, self._names)
        if type_.name == "atomic":
            return True
        struct = self._names.get(type_.name)
        if isinstance(struct, Struct):
            return any(self._has_atomics(member.type) for member in struct.members)
        element = type_.arguments[0] if type_.name == "array" and type_.arguments else None
        return isinstance(element, Name) and self._has_atomics(element)


def _count(size: Expression) -> str:
    """Return a size, which may be of either integer type, as u32."""
    return f"u32({print_expression(size)})"


def _product(counts: Iterable[str]) -> str:
    return " * ".join(counts) or "1u"
