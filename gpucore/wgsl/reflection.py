"""Reflection of a module for the host: entry points, bindings, overrides, extensions.

Errors are ``WgslLayoutError``, except that a name declared twice is a ``WgslSyntaxError``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Final

from gpucore.wgsl.constants import (
    Constants,
    find_attribute,
)
from gpucore.wgsl.errors import (
    MissingOverrideError,
    PackError,
    layout_error,
    line_starts,
    syntax_error,
)
from gpucore.wgsl.layout import (
    Layout,
    Layouts,
    Record,
    element_dtype,
    fixed_size,
    host_shareable,
    round_up,
    runtime_array,
    uniform_fault,
)
from gpucore.wgsl.lexer import blank_comments
from gpucore.wgsl.packing import FORMATS, Field, Packer, flatten
from gpucore.wgsl.printer import print_declaration, print_expression
from gpucore.wgsl.syntax import (
    ConstAssert,
    Declaration,
    Enable,
    Expression,
    Function,
    Module,
    Name,
    Requires,
    Variable,
)
from gpucore.wgsl.usage import names_used
from gpucore.wgsl.values import Number

_STAGES: Final = ("compute", "vertex", "fragment")
_NO_CONSTANTS: Final[Mapping[str, Number]] = MappingProxyType({})


@dataclass(frozen=True)
class Binding:
    """A resource variable: ``@group(group) @binding(binding) var<...> name: type``.

    ``address_space`` is ``storage``, ``uniform``, or ``handle`` (textures and samplers, which have
    no size); ``access`` is ``read``, ``write`` or ``read_write``. ``scalar`` is the dtype of the
    elements (``f16`` for ``array<f16x8>``), ``None`` where the type mixes several. ``min_size`` and
    ``size`` are in bytes, with one element of a runtime-sized array and without it. ``stride`` is
    the number of bytes from one element of the runtime-sized array to the next.
    """

    name: str
    group: int
    binding: int
    address_space: str
    access: str
    type_text: str
    scalar: str | None
    min_size: int
    size: int
    stride: int | None
    fields: tuple[Field, ...]
    declaration: str
    line: int
    packer: Packer | None = field(default=None, compare=False, repr=False)
    layout: Layout | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Override:
    """A pipeline-overridable constant; ``default`` is ``None`` where it must be given.

    ``id`` is the number of its ``@id``. A default that depends on other overrides is computed from
    their defaults, and is ``None`` where those have none.
    """

    name: str
    type: str
    id: int | None
    default: Number | None


@dataclass(frozen=True)
class EntryPoint:
    """An entry point; ``resources`` names the bindings it uses, called functions included."""

    name: str
    stage: str
    resources: tuple[str, ...]
    _module: _Scope = field(compare=False, repr=False)
    _sizes: tuple[Expression, ...] = field(compare=False, repr=False)
    _workgroup: tuple[Variable, ...] = field(compare=False, repr=False)

    def workgroup_size(
        self, constants: Mapping[str, Number] = _NO_CONSTANTS
    ) -> tuple[int, int, int]:
        """Return ``@workgroup_size`` with overrides set by name or ``@id`` number.

        Omitted sizes are 1, and so are all sizes of a stage without workgroups.

        Raises ``WgslLayoutError`` for a missing or unknown override and for sizes below 1.
        """
        values = self._module.constants(constants)
        x, y, z = (
            *(values.count(size, "@workgroup_size") for size in self._sizes),
            *[1] * (3 - len(self._sizes)),
        )
        return x, y, z

    def workgroup_bytes(self, constants: Mapping[str, Number] = _NO_CONSTANTS) -> int:
        """Return the bytes of all ``var<workgroup>`` in use, each rounded up to 16 as in WebGPU."""
        layouts = self._module.layouts(constants)
        return sum(
            round_up(16, layouts.of(self._module.type_of(variable)).size)
            for variable in self._workgroup
        )


@dataclass(frozen=True)
class Reflection:
    """A module as the host sees it; ``bindings`` are in the order of (group, binding)."""

    entry_points: Mapping[str, EntryPoint]
    bindings: tuple[Binding, ...]
    overrides: Mapping[str, Override]
    enables: frozenset[str]


def reflect(module: Module) -> Reflection:
    """Find a module's interface. Raises ``WgslLayoutError`` and ``WgslSyntaxError``."""
    scope = _Scope(module)
    variables = [d for d in module.declarations if isinstance(d, Variable)]
    bindings = [scope.binding(v) for v in variables if v.kind == "var" and _is_resource(v)]
    bindings.sort(key=lambda b: (b.group, b.binding))
    overrides = [scope.override(v) for v in variables if v.kind == "override"]
    enables = (d.names for d in module.directives if isinstance(d, Enable))
    return Reflection(
        MappingProxyType({point.name: point for point in scope.entry_points(bindings)}),
        tuple(bindings),
        MappingProxyType({override.name: override for override in overrides}),
        frozenset(name for names in enables for name in names),
    )


def _is_resource(variable: Variable) -> bool:
    return find_attribute(variable.attributes, "group") is not None or variable.address_space in (
        "storage",
        "uniform",
    )


class _Scope:
    """The names of a module, with the constants and layouts that depend on no override."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.source = module.source
        self.names: dict[str, Declaration] = {}
        for declaration in module.declarations:
            if isinstance(declaration, ConstAssert):
                continue
            if declaration.name in self.names:
                message = f"'{declaration.name}' is declared twice"
                raise syntax_error(message, self.source, declaration.at)
            self.names[declaration.name] = declaration
        required = (d.names for d in module.directives if isinstance(d, Requires))
        self._relaxed = any("uniform_buffer_standard_layout" in names for names in required)
        self._fixed = Constants(self.names, self.source)
        self._layouts = Layouts(self.names, self._fixed, self.source)

    @cached_property
    def _starts(self) -> list[int]:
        """Where the lines start, up to that of the last resource."""
        variables = (each for each in self.names.values() if isinstance(each, Variable))
        last = max(each.at for each in variables if _is_resource(each))
        return line_starts(self.source[: last + 1])

    def constants(self, given: Mapping[str, Number]) -> Constants:
        """Return the constants with overrides set. Raises ``WgslLayoutError`` for unknown names."""
        known: dict[str, str] = {}
        for name, declaration in self.names.items():
            if isinstance(declaration, Variable) and declaration.kind == "override":
                known[name] = known[self._fixed.override_key(declaration)] = name
        for name in given:
            if name not in known:
                there = ", ".join(sorted(set(known.values()))) or "none"
                raise layout_error(f"no override '{name}'; there are: {there}", "", -1)
        return Constants(self.names, self.source, given)

    def layouts(self, given: Mapping[str, Number]) -> Layouts:
        """Return layouts with overrides set, which workgroup memory may depend on."""
        return Layouts(self.names, self.constants(given), self.source)

    def type_of(self, variable: Variable) -> Name:
        """Return the declared type of a module-scope variable."""
        if variable.type is None:
            raise layout_error(f"'{variable.name}' needs a type", self.source, variable.at)
        return variable.type

    def override(self, variable: Variable) -> Override:
        """Describe an override."""
        mark = find_attribute(variable.attributes, "id")
        number = None
        if mark is not None and mark.arguments:
            number = int(self._fixed.evaluate(mark.arguments[0]).value)
        defaults = Constants(self.names, self.source, _NO_CONSTANTS)
        try:
            default = defaults.evaluate(Name(variable.name, at=variable.at)).value
        except MissingOverrideError:
            default = None
        return Override(variable.name, defaults.override_type(variable), number, default)

    def binding(self, variable: Variable) -> Binding:
        """Describe a resource variable."""
        type_ = self.type_of(variable)
        space = variable.address_space or "handle"
        layout = None if space == "handle" else self._host_layout(variable, type_)
        fields = () if layout is None else self._fields(variable, layout)
        size = 0 if layout is None else fixed_size(layout)
        runtime = None if layout is None else runtime_array(layout)
        return Binding(
            name=variable.name,
            group=self._number(variable, "group"),
            binding=self._number(variable, "binding"),
            address_space=space,
            access=_access(variable, type_),
            type_text=print_expression(type_),
            scalar=None if layout is None else element_dtype(layout),
            min_size=0 if layout is None else layout.size,
            size=size,
            stride=None if runtime is None else runtime.stride,
            fields=fields,
            declaration=self._text(variable),
            line=bisect_right(self._starts, variable.at) if self.source else 0,
            packer=_packer(variable.name, fields, size),
            layout=layout,
        )

    def _number(self, variable: Variable, name: str) -> int:
        """Return the value of ``@group`` or ``@binding``."""
        mark = find_attribute(variable.attributes, name)
        if mark is None or len(mark.arguments) != 1:
            message = f"'{variable.name}' needs @{name}(n), as in @group(0) @binding(0)"
            raise layout_error(message, self.source, variable.at)
        constant = self._fixed.evaluate(mark.arguments[0])
        if constant.type not in ("int", "i32", "u32") or constant.value < 0:
            message = f"@{name} of '{variable.name}' must be an integer >= 0"
            raise layout_error(message, self.source, mark.at)
        return int(constant.value)

    def _host_layout(self, variable: Variable, type_: Name) -> Layout:
        """Return the layout of a buffer's type, checked for its address space."""
        layout = self._layouts.of(type_)
        fault = None if host_shareable(layout) else "a buffer cannot hold bool: use u32"
        if fault is None and variable.address_space == "uniform" and not self._relaxed:
            fault = uniform_fault(layout)
        if fault is not None:
            raise layout_error(f"'{variable.name}': {fault}", self.source, type_.at)
        return layout

    def _fields(self, variable: Variable, layout: Layout) -> tuple[Field, ...]:
        """Return the leaves of a structure; a uniform of another type is one leaf of its name."""
        if isinstance(layout, Record):
            name = ""
        elif variable.address_space == "uniform":
            name = variable.name
        else:
            return ()
        try:
            return tuple(flatten(name, print_expression(self.type_of(variable)), layout))
        except PackError as error:
            raise layout_error(str(error), self.source, variable.at) from None

    def _text(self, variable: Variable) -> str:
        """Return a declaration as written, on one line."""
        if variable.at < 0 or not self.source:
            return print_declaration(variable)
        text = blank_comments(self.source[variable.at : variable.end])
        return " ".join(text.split()) + ";"

    def entry_points(self, bindings: list[Binding]) -> Iterator[EntryPoint]:
        """Yield the functions with a stage attribute."""
        for declaration in self.names.values():
            if not isinstance(declaration, Function):
                continue
            stages = [a.name for a in declaration.attributes if a.name in _STAGES]
            if not stages:
                continue
            used = names_used(declaration, self.names)
            yield EntryPoint(
                declaration.name,
                stages[0],
                tuple(binding.name for binding in bindings if binding.name in used),
                self,
                self._workgroup_size(declaration, stages[0]),
                tuple(self._workgroup_variables(used)),
            )

    def _workgroup_size(self, function: Function, stage: str) -> tuple[Expression, ...]:
        """Return the arguments of ``@workgroup_size``, which a compute entry point must have."""
        mark = find_attribute(function.attributes, "workgroup_size")
        if mark is None and stage == "compute":
            message = f"compute entry point '{function.name}' needs @workgroup_size"
            raise layout_error(message, self.source, function.at)
        if mark is not None and not 1 <= len(mark.arguments) <= 3:
            message = f"@workgroup_size takes one to three sizes, got {len(mark.arguments)}"
            raise layout_error(message, self.source, mark.at)
        return () if mark is None else mark.arguments

    def _workgroup_variables(self, used: set[str]) -> Iterator[Variable]:
        for name in sorted(used):
            declaration = self.names[name]
            if isinstance(declaration, Variable) and declaration.address_space == "workgroup":
                yield declaration


def _packer(name: str, fields: tuple[Field, ...], size: int) -> Packer | None:
    """Return a packer, if ``struct`` has a code for every field."""
    if not fields or any(field.scalar not in FORMATS for field in fields):
        return None
    return Packer(name, fields, size)


def _access(variable: Variable, type_: Name) -> str:
    if variable.address_space is not None:
        return variable.access or "read"
    last = type_.arguments[-1] if type_.arguments else None
    storage = type_.name.startswith("texture_storage")
    return last.name if storage and isinstance(last, Name) else "read"
