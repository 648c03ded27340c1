"""Whole kernels: the entry point around the statements, and what stands outside of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.compiled import (
    ArrayBinding,
    CompiledKernel,
    Field,
    PrintSite,
    Signature,
    Variant,
)
from gpucore.compiler.emission.atomics import atomic_function
from gpucore.compiler.emission.beyond_numbers import beyond_function
from gpucore.compiler.emission.declarations import (
    array_binding,
    array_variable,
    features_of,
    print_buffer,
    shared_variable,
    structures_of,
    table_variable,
    uniform_of,
)
from gpucore.compiler.emission.division import division_function
from gpucore.compiler.emission.elements import element_preamble
from gpucore.compiler.emission.functions import write_function
from gpucore.compiler.emission.own_arrays import drop_first_clears, homes_of
from gpucore.compiler.emission.printing import print_function, site_of
from gpucore.compiler.emission.several import fits_several, several_of
from gpucore.compiler.emission.source_map import map_positions
from gpucore.compiler.emission.statements import StatementWriter
from gpucore.compiler.emission.trees import array_type, call, number
from gpucore.compiler.emission.wgsl_names import Names
from gpucore.compiler.errors import Place
from gpucore.compiler.flexible import close
from gpucore.compiler.passes.coverage import axes_of, covered_arrays
from gpucore.compiler.passes.storage_order import barriers_of_storage
from gpucore.compiler.walking import (
    walk_expressions,
    walk_program,
    walk_program_statements,
    walk_statements,
)
from gpucore.wgsl.parser import parse
from gpucore.wgsl.printer import print_module
from gpucore.wgsl.syntax import (
    Assign,
    Attribute,
    Binary,
    Block,
    Call,
    Declaration,
    Enable,
    Expression,
    Function,
    Literal,
    Member,
    Module,
    Name,
    Parameter,
    Return,
    Statement,
    Variable,
)
from gpucore.wgsl.types.kinds import BOOL, F16, F32, U32, Matrix, Scalar, Type, Vector

__all__ = ["write_functions", "write_kernel"]

_WORKGROUPS: Final = {1: (256, 1, 1), 2: (16, 16, 1), 3: (8, 8, 4)}
_NUMBERS: Final = frozenset(("local_invocation_index", "subgroup_size", "subgroup_invocation_id"))


def write_kernel(program: ir.Program, variant: Variant) -> CompiledKernel:
    """Return the WGSL of a kernel. Raises `PythonKernelError`."""
    return _KernelWriter(program, variant).write()


def write_functions(
    program: ir.Program, called: Sequence[ir.Function]
) -> tuple[str, tuple[str, ...]]:
    """Return the WGSL of a program's functions alone, and the names of those that are called.

    Names open with ``user_``, which no template's do. Raises `PythonKernelError`.
    """
    writer = _KernelWriter(program, Variant(), prefix="user_")
    return writer.write_functions(), tuple(map(writer.function, called))


@dataclass(slots=True)
class _Known:
    """The names that have been given so far."""

    arrays: dict[ir.ArrayRef, str] = field(default_factory=dict)
    functions: dict[ir.Function, str] = field(default_factory=dict)
    fields: dict[tuple[str, str, int], Field] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    offsets: dict[str, Expression] = field(default_factory=dict)
    divisions: dict[tuple[str, Type], str] = field(default_factory=dict)
    beyond_numbers: dict[str, str] = field(default_factory=dict)
    tables: dict[tuple[Type, tuple[float, ...]], tuple[str, Variable]] = field(default_factory=dict)
    atomics: dict[tuple[str, ir.ArrayRef, Place], Function] = field(default_factory=dict)
    prints: list[PrintSite] = field(default_factory=list)


class _KernelWriter:
    """Writes one kernel; it is what stands outside of the statements."""

    def __init__(self, program: ir.Program, variant: Variant, prefix: str = "") -> None:
        self._program = program
        self._kernel = program.kernel
        self._variant = variant
        self._places: list[Place] = []
        self._numbers: dict[Place, int] = {}
        self._names = Names()
        self._members = Names()
        self._known = _Known()
        self._elementwise = program.kernel.result is not None and variant.stencil is None
        self._structures = structures_of(program)
        for structure in self._structures:
            self._names.unique(structure.name)
        self._entry_name = self._names.unique(self._kernel.name)
        self._uniform = self._names.unique("arguments")
        self._struct = self._names.unique("Arguments")
        self.atomics = _atomic_arrays(program)
        self._written = _written_arrays(program)
        self.storage_barriers = barriers_of_storage(program)
        self._used = {e.array for e in walk_program(program) if isinstance(e, ir.Element)}
        # Built-in values that functions read, too, are variables of the module.
        self._private = {
            e.name
            for body in program.bodies[:-1]
            for e in walk_expressions(body)
            if isinstance(e, ir.BuiltIn)
        }
        if any(
            isinstance(s, ir.Print) for body in program.bodies[:-1] for s in walk_statements(body)
        ):
            self._private.add("global_invocation_id")
        self._print_names = (
            self._names.unique("print_line"),
            self._names.unique("printed"),
            self._names.unique("print_at"),
        )
        self._covered, self._axes = covered_arrays(program), axes_of(program)
        self._fits_several = fits_several(program, variant)
        self._several = several_of(program, variant)
        self._homes = homes_of(program)
        drop_first_clears(program, self._homes)
        for array in [*self._arrays(), *program.shared, *program.private]:
            self._known.arrays[array] = self._names.unique(array.name)
        for function in program.functions:
            self._known.functions[function] = self._names.unique(prefix + function.name)
        shapes = _WORKGROUPS if self._several is None else self._several.workgroups
        self.workgroup = variant.workgroup or shapes[max(self._axes, 1)]

    def _arrays(self) -> list[ir.ArrayRef]:
        """Return the arrays that a launch binds: parameters that the kernel uses."""
        arrays = [p.array for p in self._kernel.parameters if p.array is not None]
        return [each for each in arrays if each in self._used]

    # What stands outside of a function

    def unique(self, name: str) -> str:
        """Return a name that nothing else in the module has."""
        return self._names.unique(name)

    def at(self, place: Place) -> int:
        """Return the number of a place."""
        if place not in self._numbers:
            self._numbers[place] = len(self._places)
            self._places.append(place)
        return self._numbers[place]

    def array(self, array: ir.ArrayRef) -> Name:
        """Return the variable of an array."""
        return Name(self._known.arrays[array])

    def print_site(self, node: ir.Print) -> tuple[int, tuple[str, str, str]]:
        """Return the number of a print, from 1, and the names that its statement needs."""
        self._known.prints.append(site_of(node))
        return len(self._known.prints), self._print_names

    def own_arrays(self, body: ir.Block) -> tuple[Variable, ...]:
        """Return the declarations of the arrays of an invocation that only one function uses."""
        mine = (a for a in self._program.private if self._homes.get(a) == id(body))
        return tuple(self._own_array(array, None) for array in mine)

    def _own_array(self, array: ir.ArrayRef, space: str | None) -> Variable:
        name, at = self._known.arrays[array], self.at(array.place)
        return Variable("var", name, array_type(array), address_space=space, at=at)

    def function(self, function: ir.Function) -> str:
        """Return the name of a function."""
        return self._known.functions[function]

    def division(self, operator: str, type_: Type) -> str | None:
        """Return the name of the function that divides integers; None for WGSL's operator."""
        if self._variant.plain:
            return None
        known = self._known.divisions
        if (operator, type_) not in known:
            word = "quotient" if operator == "/" else "remainder"
            shape = f"vec{type_.count}_" if isinstance(type_, Vector) else ""
            scalar = type_.scalar if isinstance(type_, Vector) else type_
            assert isinstance(scalar, Scalar)
            known[operator, type_] = self._names.unique(f"{word}_{shape}{scalar.name}")
        return known[operator, type_]

    def table(self, node: ir.Table) -> str:
        """Return the name of a table of numbers; equal ones are one."""
        key = close(node.type), tuple(each.value for each in node.numbers)
        known = self._known.tables
        if key not in known:
            name = self._names.unique("table")
            known[key] = name, table_variable(name, node, self.at(node.place))
        return known[key][0]

    def beyond_number(self, word: str) -> str:
        """Return the name of the function that gives a float without a literal."""
        known = self._known.beyond_numbers
        if word not in known:
            known[word] = self._names.unique(word)
        return known[word]

    def atomic(self, node: ir.Atomic) -> str:
        """Return the name of the function of an atomic function that WGSL does not have."""
        array = node.element.array
        key = (node.function, array, node.place)
        known = self._known.atomics
        if key not in known:
            name = self._names.unique(f"{node.function}_{array.name}")
            known[key] = atomic_function(
                node, name, self._known.arrays[array], self._names, self.at(node.place)
            )
        return known[key].name

    def argument(self, name: str, at: int) -> Expression:
        """Return the value of a parameter: bool and f16 travel as numbers of 32 bits."""
        type_ = next(
            close(e.type)
            for e in walk_program(self._program)
            if isinstance(e, ir.Argument) and e.name == name
        )
        scalar = type_.scalar if isinstance(type_, Vector | Matrix) else type_
        carrier = {BOOL: U32, F16: F32}.get(scalar, scalar)  # type: ignore[arg-type]
        member = self.field("argument", name, type_text=_carrier_text(type_, carrier), at=at)
        if type_ == BOOL:
            return Binary("!=", member, number(0, U32), at=at)
        if carrier == scalar:
            return member
        return Call(_name_of(type_), (member,), at=at)

    def extent(self, array: ir.ArrayRef, axis: int, at: int) -> Expression:
        """Return the size of an array along an axis."""
        return self.field("extent", array.name, axis, at=at)

    def field(
        self, kind: str, parameter: str = "", axis: int = 0, type_text: str = "u32", at: int = -1
    ) -> Member:
        """Return a member of the uniform, which is declared when it is first used."""
        key = (kind, parameter, axis)
        fields = self._known.fields
        if key not in fields:
            parts = [parameter.replace(".", "_")]
            if kind != "argument":
                parts += [kind] if kind == "count" else [kind, str(axis)]
            name = self._members.unique("_".join(part for part in parts if part))
            fields[key] = Field(name, kind, parameter, axis, type_text)
        return Member(Name(self._uniform, at=at), fields[key].name, at=at)

    def built_in(self, name: str, at: int) -> Expression:
        """Return a value that the GPU gives, or the index of an element."""
        if name.startswith("element_of_"):
            return self._known.offsets[name.removeprefix("element_of_")]
        if name == "workgroup_size":
            return call("vec3u", *(number(n, U32) for n in self.workgroup), at=at)
        ids = self._known.ids
        if name not in ids:
            ids[name] = self._names.unique(name.replace("invocation_", ""))
        return Name(ids[name], at=at)

    # The module

    def write(self) -> CompiledKernel:
        """Return the kernel."""
        program, kernel = self._program, self._kernel
        preamble = self._element_preamble() if self._elementwise and self._several is None else []
        functions = [write_function(each, self, self._names, -1) for each in program.functions]
        writer = StatementWriter(kernel.body, self, self._names.child())
        body = (*self.own_arrays(kernel.body), *writer.block(kernel.body))
        if body and isinstance(body[-1], Return):
            body = body[:-1]
        if self._several is not None:
            made, statements = self._several.entry(self)
            functions += made
            body = (*body, *statements)
        parameters, declared, first = self._ids()
        entry = self._entry((*first, *preamble, *body), parameters)
        features = features_of(program)
        module = Module(
            (Enable(features),) if features else (),
            (*self._declarations(), *declared, *self._written_functions(), *functions, entry),
        )
        wgsl = print_module(module)
        return CompiledKernel(
            kernel.name,
            self._entry_name,
            wgsl,
            self._signature(),
            tuple(map(self._array_binding, self._arrays())),
            tuple(self._known.fields.values()),
            self.workgroup,
            self._covered,
            self._axes,
            frozenset(features),
            tuple(sorted(program.least.items())),
            tuple(self._known.prints),
            map_positions(module, parse(wgsl), self._places),
            self._fits_several,
        )

    def write_functions(self) -> str:
        """Return the functions without a kernel."""
        functions = [
            write_function(each, self, self._names, -1) for each in self._program.functions
        ]
        declared: list[Declaration] = [*self._structures, *self._tables()]
        return print_module(Module((), (*declared, *self._written_functions(), *functions)))

    def _declarations(self) -> list[Declaration]:
        found: list[Declaration] = [*self._structures]
        fields = list(self._known.fields.values())
        arrays = self._arrays()
        uniform = uniform_of(self._struct, self._uniform, fields, len(arrays))
        if fields:
            found.append(uniform[0])
        for i, array in enumerate(arrays):
            atomic, written = array in self.atomics, array in self._written
            name = self._known.arrays[array]
            seen = array if self._several is None else self._several.seen(array)
            found.append(array_variable(name, seen, atomic, written, i))
        if fields:
            found.append(uniform[1])
        if self._known.prints:
            line, buffer, _ = self._print_names
            found.append(print_buffer(buffer, len(arrays) + bool(fields)))
            found.append(print_function(line, buffer))
        for array in self._program.shared:
            name, at = self._known.arrays[array], self.at(array.place)
            found.append(shared_variable(name, array, array in self.atomics, at))
        found += self._tables()
        outside = (a for a in self._program.private if a not in self._homes)
        return found + [self._own_array(array, "private") for array in outside]

    def _tables(self) -> list[Variable]:
        return [variable for _, variable in self._known.tables.values()]

    def _written_functions(self) -> list[Function]:
        return [
            division_function(name, operator, type_)
            for (operator, type_), name in self._known.divisions.items()
        ] + [
            *(beyond_function(word, name) for word, name in self._known.beyond_numbers.items()),
            *self._known.atomics.values(),
        ]

    def _entry(self, body: tuple[Statement, ...], parameters: tuple[Parameter, ...]) -> Function:
        sizes = list(self.workgroup)
        while len(sizes) > 1 and sizes[-1] == 1:
            sizes.pop()
        size = Attribute("workgroup_size", tuple(Literal(str(n)) for n in sizes))
        attributes = (Attribute("compute"), size)
        return Function(self._entry_name, parameters, Block(body), attributes=attributes)

    def _array_binding(self, array: ir.ArrayRef) -> ArrayBinding:
        written, bits = array in self._written, array in self.atomics
        return array_binding(array, written, self._elementwise, bits)

    def _signature(self) -> Signature:
        parameters = self._kernel.parameters
        arrays = [self._array_binding(p.array) for p in parameters if p.array is not None]
        names = [p.name for p in parameters]
        if self._kernel.result is None:
            return Signature(tuple(names), tuple(arrays))
        return Signature(tuple(names[:-1]), tuple(arrays[:-1]), arrays[-1])

    # The ids of an invocation

    def _ids(self) -> tuple[tuple[Parameter, ...], list[Declaration], list[Statement]]:
        """Return parameters of the entry, variables of the module, and what gives them values."""
        ids = self._known.ids
        wide = self._wide_id() if self._variant.wide else None
        parameters: list[Parameter] = []
        declared: list[Declaration] = []
        first: list[Statement] = []
        for built_in, name in list(ids.items()):
            if wide is not None and built_in == "global_invocation_id":
                continue
            given = self._names.unique(f"{name}_in") if built_in in self._private else name
            attribute = Attribute("builtin", (Name(built_in),))
            parameters.append(Parameter(given, _id_type(built_in), (attribute,)))
            if given != name:
                first.append(Assign(Name(name), "=", Name(given)))
        if wide is not None:
            own = ids["global_invocation_id"]
            private = "global_invocation_id" in self._private
            assign = Assign(Name(own), "=", wide)
            first.append(assign if private else Variable("let", own, None, wide))
        declared += [
            Variable("var", ids[each], _id_type(each), address_space="private")
            for each in sorted(self._private & ids.keys())
        ]
        return tuple(parameters), declared, first

    def _wide_id(self) -> Expression | None:
        """Return the global id where the workgroups are spread over x and y."""
        if "global_invocation_id" not in self._known.ids:
            return None
        group, groups = self.built_in("workgroup_id", -1), self.built_in("num_workgroups", -1)
        local = self.built_in("local_invocation_id", -1)
        row = Binary("*", Member(group, "y"), Member(groups, "x"))
        linear = Binary("+", row, Member(group, "x"))
        start = Binary("*", linear, number(self.workgroup[0], U32))
        x = Binary("+", start, Member(local, "x"))
        return call("vec3u", x, number(0, U32), number(0, U32))

    def _element_preamble(self) -> list[Statement]:
        names = [p.name for p in self._kernel.parameters if p.array is not None]
        modes = self._variant.modes or ("same",) * len(names)
        index = Name(self._names.unique("index"))
        offsets: dict[str, Expression] = {}
        for name, mode in zip(names, modes, strict=True):
            self._known.offsets[name] = index if mode == "same" else number(0, U32)
            if mode == "strided":
                offsets[name] = Name(self._names.unique(f"{name}_offset"))
                self._known.offsets[name] = offsets[name]
        ids = self.built_in("global_invocation_id", -1)
        return element_preamble(self, index, ids, offsets, self._variant.rank)


def _id_type(built_in: str) -> Name:
    return Name("u32") if built_in in _NUMBERS else Name("vec3u")


def _carrier_text(type_: Type, carrier: Type) -> str:
    assert isinstance(carrier, Scalar)
    match type_:
        case Vector(count=count):
            return f"vec{count} {carrier.name}"
        case Matrix(columns=columns, rows=rows):
            return f"mat{columns}x{rows} {carrier.name}"
        case _:
            return carrier.name


def _name_of(type_: Type) -> Name:
    head, *inner = _carrier_text(type_, F16).split()
    return Name(head, tuple(Name(each) for each in inner))


def _atomic_arrays(program: ir.Program) -> frozenset[ir.ArrayRef]:
    found = walk_program(program)
    return frozenset(e.element.array for e in found if isinstance(e, ir.Atomic))


def _written_arrays(program: ir.Program) -> frozenset[ir.ArrayRef]:
    stores = (s for s in walk_program_statements(program) if isinstance(s, ir.Store))
    return frozenset(s.element.array for s in stores) | _atomic_arrays(program)
