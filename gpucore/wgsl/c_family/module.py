"""A compute entry point as one C++ source: types, memory, functions, and the kernel itself.

The functions are members of a structure, ``w_module``, whose other members are the private
variables and the addresses of the bindings. Everything is inlined, so that the structure costs
nothing. A uniform of up to `MAX_BY_VALUE` bytes is a parameter of the kernel; other bindings are an
address and a number of bytes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from gpucore.wgsl.c_family.errors import UnsupportedError, unsupported_error
from gpucore.wgsl.c_family.expressions import ExpressionPrinter
from gpucore.wgsl.c_family.printed_kernel import PrintedKernel
from gpucore.wgsl.c_family.spelling import (
    structure_text,
    symbol_name,
    type_name,
    user_name,
    value_text,
)
from gpucore.wgsl.c_family.statements import StatementPrinter, indent
from gpucore.wgsl.c_family.targets import CUDA, KERNEL, MAX_BY_VALUE, Target
from gpucore.wgsl.constants import Constants, find_attribute
from gpucore.wgsl.errors import locate
from gpucore.wgsl.layout import (
    Layouts,
    Record,
    fixed_size,
    host_shareable,
    round_up,
    runtime_array,
)
from gpucore.wgsl.parser import parse
from gpucore.wgsl.reflection import Reflection, reflect
from gpucore.wgsl.syntax import (
    ConstAssert,
    Declaration,
    Diagnostic,
    Expression,
    Function,
    Member,
    Module,
    Name,
    Parameter,
    Struct,
    StructMember,
    Unary,
    Variable,
)
from gpucore.wgsl.types.facts import Symbol
from gpucore.wgsl.types.inference import infer_types
from gpucore.wgsl.types.kinds import Array, Pointer, Scalar, Structure, is_abstract
from gpucore.wgsl.uniformity import keeps_subgroups_whole
from gpucore.wgsl.values import Number

__all__ = ["print_kernel"]

_XYZ: Final = "w_vec<unsigned, 3>{{{0}.x, {0}.y, {0}.z}}"
_BUILT_INS: Final = {
    "local_invocation_id": "w_vec<unsigned, 3>{W_THREAD_X, W_THREAD_Y, W_THREAD_Z}",
    "workgroup_id": _XYZ.format("blockIdx"),
    "num_workgroups": _XYZ.format("gridDim"),
    "global_invocation_id": (
        "w_vec<unsigned, 3>{blockIdx.x * W_X + W_THREAD_X, blockIdx.y * W_Y + W_THREAD_Y, "
        "blockIdx.z * W_Z + W_THREAD_Z}"
    ),
    "local_invocation_index": "w_index",
    "subgroup_invocation_id": "w_index % W_WAVE",
    "subgroup_size": "W_WAVE",
    "subgroup_id": "w_index / W_WAVE",
    "num_subgroups": "(W_X * W_Y * W_Z + W_WAVE - 1u) / W_WAVE",
}


def print_kernel(
    source: str,
    entry: str,
    constants: Mapping[str, Number],
    *,
    checks: bool,
    target: Target = CUDA,
) -> PrintedKernel:
    """Print a compute entry point of a WGSL source for a target. Raises `WgslError`.

    With ``checks``, an index past an end becomes the last one, and workgroup memory is zero at the
    start.
    """
    module = parse(source)
    return _Kernel(module, reflect(module), entry, constants, checks, target).print_all()


@functools.cache
def _prelude(name: str) -> str:
    return Path(__file__).with_name(f"{name}.cuh").read_text(encoding="utf-8")


class _Kernel:
    def __init__(
        self,
        module: Module,
        reflection: Reflection,
        entry: str,
        constants: Mapping[str, Number],
        checks: bool,
        target: Target,
    ) -> None:
        self._module = module
        self._checks = checks
        self._target = target
        self._facts = infer_types(module, entry, constants)
        self._point = reflection.entry_points[entry]
        self._bindings = [b for b in reflection.bindings if b.name in self._point.resources]
        self._size = self._point.workgroup_size(_by_name(reflection, constants))
        named = [d for d in module.declarations if not isinstance(d, ConstAssert)]
        self._names: dict[str, Declaration] = {
            declaration.name: declaration for declaration in named
        }
        values = Constants(self._names, module.source, constants)
        self._layouts = Layouts(self._names, values, module.source)
        self._printer = ExpressionPrinter(self._facts, module.source, checks=checks)
        self._printer.count_of = self._count
        self._printer.place_of = self._place
        self._counted: dict[str, str] = {}
        self._shared: dict[str, int] = {}
        entry_function = self._names[entry]
        assert isinstance(entry_function, Function)
        self._entry = entry_function
        self._memory = self._share_out()

    def print_all(self) -> PrintedKernel:
        """Print the whole source."""
        functions = [line for f in self._facts.functions for line in self._function(f)]
        body = [*self._types(), *self._module_struct(functions), *self._kernel()]
        launch_memory = self._memory if self._is_asked_for else 0
        return PrintedKernel(_text_of(self._head()), _text_of(body), self._size, launch_memory)

    # Head: macros and the prelude

    def _head(self) -> Iterator[str]:
        x, y, z = self._size
        yield f"#define W_X {x}u"
        yield f"#define W_Y {y}u"
        yield f"#define W_Z {z}u"
        yield f"#define W_WAVE {self._target.lanes}u"
        yield _prelude(self._target.head)
        yield _prelude("prelude")
        yield _prelude("functions")
        mentioned = self._module.source
        if "subgroup" in mentioned or "quad" in mentioned:
            yield f"#define W_LANES {self._lanes()}"
            yield _prelude("subgroups")
        if "subgroup_matrix" in mentioned:
            if not self._target.units:
                message = f"matrix units cannot be printed for {self._target.name}"
                at = mentioned.index("subgroup_matrix")
                raise UnsupportedError(message, *locate(mentioned, at))
            yield _prelude(self._target.units)

    @property
    def _is_off(self) -> bool:
        """True where the rule is off that all invocations call a subgroup's function together."""
        return any(
            isinstance(d, Diagnostic) and d.rule == "subgroup_uniformity" and d.severity != "error"
            for d in self._module.directives
        )

    @functools.cached_property
    def _is_whole(self) -> bool:
        """True where the rule is off, and yet all lanes of a subgroup make each call together."""
        return self._is_off and keeps_subgroups_whole(self._module, self._target.lanes)

    def _lanes(self) -> str:
        """Return the mask of the lanes that call a subgroup's function together."""
        if self._is_off and not self._is_whole:
            return "W_ACTIVE"
        last, present = divmod(math.prod(self._size), self._target.lanes)
        if not present:
            return "W_EVERY"
        return f"(W_INDEX / W_WAVE == {last}u ? (w_mask){(1 << present) - 1}ull : W_EVERY)"

    # Types and memory outside of functions

    def _types(self) -> Iterator[str]:
        for structure in self._facts.structures.values():
            yield from self._structure(structure)
        for _, symbol in self._facts.variables:
            if self._is_table(symbol) and symbol.value is not None:
                text = value_text(symbol.value, symbol.type)
                yield f"static __constant__ const {type_name(symbol.type)} {symbol_name(symbol)} = "
                yield f"    {text};"
        if self._is_asked_for:
            yield "extern __shared__ __align__(16) unsigned char w_shared[];"
            return
        for _, symbol in self._workgroup_variables():
            yield f"static __shared__ __align__(16) {type_name(symbol.type)} {symbol_name(symbol)};"

    def _structure(self, structure: Structure) -> Iterator[str]:
        """Yield a structure, with the offsets that WGSL gives its members."""
        declared = self._names[structure.name]
        assert isinstance(declared, Struct)
        layout = self._record(declared)
        name = user_name(structure.name)
        if layout is None:
            yield f"struct {name} {{"
            for member, type_ in structure.members:
                yield f"    {type_name(type_)} {user_name(member)};"
            yield "};"
            return
        yield f"struct alignas({layout.align}) {name} {{"
        end, pads = 0, 0
        for (member, type_), place in zip(structure.members, layout.members, strict=True):
            align = place.layout.align
            if round_up(align, end) != place.offset:
                yield f"    unsigned char w_pad{pads}[{place.offset - end}];"
                pads += 1
            yield f"    alignas({align}) {type_name(type_)} {user_name(member)};"
            end = place.offset + place.layout.size
        if runtime_array(layout) is None:
            if round_up(layout.align, end) != layout.size:
                yield f"    unsigned char w_pad{pads}[{layout.size - end}];"
            yield "};"
            yield f'static_assert(sizeof({name}) == {layout.size}, "{structure.name}");'
        else:
            yield "};"

    def _record(self, declared: Struct) -> Record | None:
        """Return the layout of a structure; None for one with a bool, which no host sees."""
        layout = self._layouts.of(Name(declared.name, at=declared.at))
        return layout if isinstance(layout, Record) and host_shareable(layout) else None

    def _workgroup_variables(self) -> list[tuple[Variable, Symbol]]:
        return [pair for pair in self._facts.variables if pair[1].kind.startswith("workgroup")]

    @property
    def _is_asked_for(self) -> bool:
        """True where a launch must ask for the workgroup memory."""
        return self._memory > self._target.static_memory

    def _share_out(self) -> int:
        """Give each workgroup variable its place; return the bytes of all."""
        end = 0
        for variable, symbol in self._workgroup_variables():
            self._shared[symbol.name] = end
            assert variable.type is not None
            end += round_up(16, self._layouts.of(variable.type).size)
        return end

    # Names of memory, and lengths

    def _place(self, symbol: Symbol) -> str:
        """Return a symbol as an expression of C."""
        space = symbol.kind.partition(" ")[0]
        if space in ("storage", "uniform"):
            return f"(*{symbol_name(symbol)})"
        if space == "workgroup" and self._is_asked_for:
            place = f"w_shared + {self._shared[symbol.name]}"
            return f"(*({type_name(symbol.type)}*)({place}))"
        return symbol_name(symbol)

    def _count(self, node: Expression) -> str:
        """Return the length of a runtime-sized array, given itself or its address."""
        symbol = self._facts.symbols.get(id(_root(node)))
        while symbol is not None and symbol.kind == "let":
            pointee = self._printer.pointers[symbol.name, symbol.number]
            symbol = self._facts.symbols.get(id(_root(pointee)))
        if symbol is not None and (symbol.name, symbol.number) in self._printer.counts:
            return self._printer.counts[symbol.name, symbol.number]
        binding = next((b for b in self._bindings if symbol and b.name == symbol.name), None)
        if symbol is None or binding is None or binding.layout is None or symbol.number:
            raise unsupported_error("the length of this array", self._module.source, node)
        name = f"{user_name(binding.name)}count"
        runtime = runtime_array(binding.layout)
        assert runtime is not None
        offset = fixed_size(binding.layout)
        size = f"{user_name(binding.name)}bytes"
        self._counted[name] = f"(unsigned)(({size} - {offset}ull) / {runtime.stride}ull)"
        return name

    # Functions and the kernel

    def _function(self, function: Function) -> Iterator[str]:
        yield from StatementPrinter(self._printer).function(function)

    def _module_struct(self, functions: list[str]) -> Iterator[str]:
        yield "struct w_module {"
        for binding in self._bindings:
            symbol = self._symbol(binding.name)
            yield f"    {self._pointer(symbol)} {symbol_name(symbol)};"
        for name in self._counted:
            yield f"    unsigned {name};"
        for variable, symbol in self._facts.variables:
            if symbol.kind.startswith("private") or self._is_member(symbol):
                value = (
                    "{}" if variable.value is None else f" = {self._printer.text(variable.value)}"
                )
                yield f"    {type_name(symbol.type)} {symbol_name(symbol)}{value};"
        yield from indent(functions)
        yield "};"

    def _is_member(self, symbol: Symbol) -> bool:
        """Tell whether a constant is no number and no table: it is made in each invocation."""
        if symbol.kind != "const" or isinstance(symbol.type, Scalar) or is_abstract(symbol.type):
            return False
        return not self._is_table(symbol)

    def _is_table(self, symbol: Symbol) -> bool:
        """Tell whether a constant is an array whose numbers are known."""
        known = symbol.kind == "const" and symbol.value is not None
        return known and isinstance(symbol.type, Array) and not is_abstract(symbol.type)

    def _symbol(self, name: str) -> Symbol:
        return next(symbol for _, symbol in self._facts.variables if symbol.name == name)

    def _pointer(self, symbol: Symbol) -> str:
        space, _, access = symbol.kind.partition(" ")
        return type_name(Pointer(space, symbol.type, access))

    def _kernel(self) -> Iterator[str]:
        parameters, setting = [], []
        for binding in self._bindings:
            symbol = self._symbol(binding.name)
            name, pointer = symbol_name(symbol), self._pointer(symbol)
            if binding.address_space == "uniform" and binding.min_size <= MAX_BY_VALUE:
                mark = self._target.by_value
                parameters.append(f"const {mark}{type_name(symbol.type)} {name}value")
                setting.append(f"w_m.{name} = &{name}value;")
                continue
            restrict = " __restrict__" if pointer.startswith("const ") else ""
            parameters.append(f"{pointer}{restrict} {name}given")
            parameters.append(f"unsigned long long {name}bytes")
            setting.append(f"w_m.{name} = {name}given;")
        setting += [f"w_m.{name} = {count};" for name, count in self._counted.items()]
        threads = math.prod(self._size)
        yield f'extern "C" __global__ void __launch_bounds__({threads})'
        yield f"{KERNEL}({', '.join(parameters)}) {{"
        yield "    w_module w_m;"
        yield from (f"    {line}" for line in setting)
        by_subgroup = threads % self._target.lanes == 0 and self._is_whole
        index = "W_INDEX_BY_SUBGROUP" if by_subgroup else "W_INDEX"
        yield f"    const unsigned w_index = {index};"
        yield from self._zeroing()
        arguments = ", ".join(self._argument(p) for p in self._entry.parameters)
        yield f"    w_m.{user_name(self._entry.name)}({arguments});"
        yield "}"

    def _zeroing(self) -> Iterator[str]:
        if not self._checks or not self._workgroup_variables():
            return
        for _, symbol in self._workgroup_variables():
            place = self._place(symbol)
            words = f"(unsigned)(sizeof({place}) + 3) / 4u"
            yield f"    w_zero(&{place}, {words}, w_index, {math.prod(self._size)}u);"
        yield "    __syncthreads();"

    def _argument(self, parameter: Parameter) -> str:
        if find_attribute(parameter.attributes, "builtin") is not None:
            return self._built_in(parameter)
        type_ = self._facts.declared[id(parameter)].type
        if not isinstance(type_, Structure):
            raise unsupported_error("this parameter", self._module.source, parameter)
        declared = self._names[type_.name]
        assert isinstance(declared, Struct)
        return structure_text(type_, [self._built_in(member) for member in declared.members])

    def _built_in(self, node: Parameter | StructMember) -> str:
        mark = find_attribute(node.attributes, "builtin")
        name = mark.arguments[0] if mark is not None and mark.arguments else None
        if not isinstance(name, Name) or name.name not in _BUILT_INS:
            raise unsupported_error("this input of the entry point", self._module.source, node)
        return _BUILT_INS[name.name]


def _root(node: Expression) -> Expression:
    """Return what a member is of, or an operator is applied to."""
    while isinstance(node, Member | Unary):
        node = node.value if isinstance(node, Member) else node.operand
    return node


def _text_of(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _by_name(reflection: Reflection, constants: Mapping[str, Number]) -> Mapping[str, Number]:
    """Return the values of the overrides that a module declares."""
    known = {str(o.id) for o in reflection.overrides.values()} | set(reflection.overrides)
    return {name: value for name, value in constants.items() if name in known}
