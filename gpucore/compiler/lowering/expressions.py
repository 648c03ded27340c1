"""Expressions: from Python's syntax tree to typed values."""

from __future__ import annotations

import ast
import dataclasses
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.errors import Place
from gpucore.compiler.flexible import describe_type, is_bool, is_integer, seen
from gpucore.compiler.known_numbers import is_known, known_number
from gpucore.compiler.lowering.arguments import make_structure, named_values
from gpucore.compiler.lowering.calls import call_known, expression_of, extent
from gpucore.compiler.lowering.choices import Choice, choose
from gpucore.compiler.lowering.functions.composed import COMPOSED
from gpucore.compiler.lowering.functions.names import function_name, function_names
from gpucore.compiler.lowering.library_calls import call_written
from gpucore.compiler.lowering.members import is_swizzle, no_field, no_member
from gpucore.compiler.lowering.neighbours import neighbour
from gpucore.compiler.lowering.operators import (
    COMPARISONS,
    OPERATORS,
    binary,
    compare,
    constant,
    invert,
    literal_of,
    logical_not,
    negate,
)
from gpucore.compiler.lowering.printing import read_print
from gpucore.compiler.lowering.scope import Scope
from gpucore.compiler.lowering.tables import is_among, item_of
from gpucore.compiler.lowering.values import Fields, Known, Value, Values
from gpucore.compiler.source import MISSING
from gpucore.compiler.suggestions import did_you_mean
from gpucore.wgsl.types.kinds import BOOL, U32, Matrix, Structure, Vector

__all__ = ["ExpressionReader"]

_BUILT_INS: Final = {
    "global_id": "global_invocation_id",
    "local_id": "local_invocation_id",
    "workgroup_id": "workgroup_id",
    "num_workgroups": "num_workgroups",
    "local_index": "local_invocation_index",
    "workgroup_size": "workgroup_size",
    "subgroup_lane": "subgroup_invocation_id",
    "subgroup_size": "subgroup_size",
}
_SCALAR_BUILT_INS: Final = frozenset(("local_index", "subgroup_lane", "subgroup_size"))
_IDS: Final = Vector(3, U32)


class ExpressionReader:
    """Reads the expressions of one function into a scope's current block."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        scope.expression_value = self.value

    def read(self, node: ast.expr) -> ir.Expression:
        """Return a value of the GPU. Raises `PythonKernelError`."""
        return expression_of(self.value(node), self.scope.place(node))

    def condition(self, node: ast.expr) -> ir.Expression:
        """Return a bool. Raises `KernelTypeError`."""
        value = self.read(node)
        if is_bool(value.type):
            return value
        number = literal_of(value)
        if number is not None:
            return ir.Constant(BOOL, value.place, bool(number))
        raise self.scope.type_error(
            f"a condition must be bool, got {describe_type(value.type)}: write a comparison, such "
            "as x != 0",
            node,
        )

    def value(self, node: ast.expr) -> Value:
        """Return what an expression means: a value, an array, or an object of Python."""
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name():
                return self._name(node)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript():
                return self._subscript(node)
            case ast.BinOp():
                return self._binary(node)
            case ast.UnaryOp():
                return self._unary(node)
            case ast.Compare():
                return self._compare(node)
            case _:
                return self._compound(node)

    def _compound(self, node: ast.expr) -> Value:
        match node:
            case ast.BoolOp():
                return self._logical(node)
            case ast.IfExp():
                return self._conditional(node)
            case ast.Call():
                return self._call(node)
            case ast.Tuple():
                return Values(tuple(self.value(each) for each in node.elts))
            case ast.NamedExpr(target=target, value=value):
                self.scope.bind(target.id, self.read(value), node)
                return self._name(target)
        names = {
            ast.List: "lists: take an array, as local(f32, 8)",
            ast.Dict: "dicts",
            ast.Set: "sets",
            ast.Lambda: "lambda: decorate a function of the module with @gpu_function",
            ast.JoinedStr: "formatted texts but in print",
            ast.ListComp: "comprehensions: write a loop",
            ast.GeneratorExp: "generators: write a loop",
            ast.Await: "await",
            ast.Yield: "yield",
            ast.Starred: "*",
            ast.Slice: "a slice",
        }
        what = names.get(type(node), type(node).__name__)
        raise self.scope.syntax_error(f"kernels do not have {what}", node)

    def _constant(self, node: ast.Constant) -> Value:
        if isinstance(node.value, bool | int | float):
            return constant(node.value, self.scope.place(node))
        if node.value is None or isinstance(node.value, str):
            return Known(node.value)
        raise self.scope.syntax_error(
            f"kernels do not have {type(node.value).__name__} values", node
        )

    # Names

    def _name(self, node: ast.Name) -> Value:
        name, scope = node.id, self.scope
        local = scope.values.get(name)
        if isinstance(local, ir.Variable):
            return self._local(local, node)
        if isinstance(local, ir.ArrayRef) and local.space == "private":
            self._require_assigned(node, local.place)
        if local is not None:
            return local  # type: ignore[return-value]
        if name in scope.assignments:
            raise scope.name_error(f"{name} is used before it has a value: assign it first", node)
        found = scope.source.look_up(name)
        if found is MISSING:
            known = (*scope.values, *scope.assignments, *scope.source.variables, *function_names())
            advice = did_you_mean(name, known) or ": assign it first, or import it"
            raise scope.name_error(f"{name} is not defined{advice}", node)
        return self._object(found, node)

    def _local(self, variable: ir.Variable, node: ast.Name) -> ir.Expression:
        scope = self.scope
        self._require_assigned(node, variable.place)
        if variable.constant is not None:
            return constant(variable.constant, scope.place(node))
        return ir.Read(variable.type, scope.place(node), variable)

    def _require_assigned(self, node: ast.Name, place: Place) -> None:
        """Raise `KernelNameError` where a name may have no value."""
        if node.id not in self.scope.assigned:
            raise self.scope.name_error(
                f"{node.id} may have no value here: give it one before the branch or the loop that "
                f"assigns it (line {place.line})",
                node,
            )

    def _object(self, found: object, node: ast.expr) -> Value:
        """Return what an object of Python means in a kernel."""
        place = self.scope.place(node)
        if (number := known_number(found)) is not None:
            return constant(number, place)
        if isinstance(found, tuple) and is_known(found):
            return Values(tuple(self._object(each, node) for each in found))
        name = getattr(found, "gpu_name", None)
        if name in _BUILT_INS:
            kind = U32 if name in _SCALAR_BUILT_INS else _IDS
            return ir.BuiltIn(kind, place, _BUILT_INS[name])
        return Known(found)

    def _attribute(self, node: ast.Attribute) -> Value:
        value = self.value(node.value)
        place = self.scope.place(node)
        if isinstance(value, Known):
            found = getattr(value.object, node.attr, MISSING)
            if found is MISSING:
                advice = did_you_mean(node.attr, dir(value.object))
                raise self.scope.name_error(f"{value} has no {node.attr}{advice}", node)
            return self._object(found, node)
        if isinstance(value, ir.ArrayRef):
            return self._array_attribute(value, node)
        if isinstance(value, Fields):
            if node.attr not in value.items:
                raise self.scope.type_error(
                    no_field(value.name, node.attr, value.items),
                    node,
                )
            return value.items[node.attr]
        if isinstance(value, Values):
            raise self.scope.type_error(f"a tuple has no {node.attr}", node)
        kind = seen(value.type)
        if isinstance(kind, Vector) and is_swizzle(node.attr, kind.count):
            count = len(node.attr)
            result = kind.scalar if count == 1 else Vector(count, kind.scalar)
            return ir.Member(result, place, value, node.attr)
        if isinstance(kind, Structure) and (member := kind.member(node.attr)) is not None:
            return ir.Member(member, place, value, node.attr)
        raise self.scope.type_error(no_member(kind, node.attr), node)

    def _array_attribute(self, array: ir.ArrayRef, node: ast.Attribute) -> Value:
        place = self.scope.place(node)
        if node.attr == "shape":
            return Values(tuple(extent(array, axis, place) for axis in range(array.rank)))
        if node.attr == "ndim":
            return constant(array.rank, place)
        if node.attr == "size":
            size = extent(array, 0, place)
            for axis in range(1, array.rank):
                size = binary("*", size, extent(array, axis, place), place)
            return size
        raise self.scope.type_error(
            f"the array {array.name} has no {node.attr}; there are: shape, size, ndim", node
        )

    def _subscript(self, node: ast.Subscript) -> Value:
        value = self.value(node.value)
        place = self.scope.place(node)
        if isinstance(value, ir.ArrayRef) and value.neighbours is not None:
            return neighbour(self.scope, value, self._indices(value, node), place)
        if isinstance(value, ir.ArrayRef):
            return ir.Load(value.element, place, self.element(value, node))
        if isinstance(value, Values):
            return item_of(self.scope, value, self.read(node.slice), place)
        if isinstance(value, Known | Fields):
            raise self.scope.type_error(
                f"{value} has no elements here: give the kernel an array, or take a tuple of "
                "numbers",
                node,
            )
        kind = seen(value.type)
        if isinstance(kind, Vector | Matrix):
            return self._component(value, kind, node)
        raise self.scope.type_error(f"{describe_type(kind)} has no elements", node)

    def _component(
        self, value: ir.Expression, kind: Vector | Matrix, node: ast.Subscript
    ) -> ir.Item:
        """Return a component of a vector, or a column of a matrix."""
        index = self._index(node.slice)
        number = literal_of(index)
        count = kind.count if isinstance(kind, Vector) else kind.columns
        if number is not None and not 0 <= number < count:
            raise self.scope.type_error(
                f"{describe_type(kind)} has components 0 to {count - 1}, got {number}", node.slice
            )
        type_ = kind.scalar if isinstance(kind, Vector) else Vector(kind.rows, kind.scalar)
        return ir.Item(type_, self.scope.place(node), value, index)

    def element(self, array: ir.ArrayRef, node: ast.Subscript) -> ir.Element:
        """Return a place in an array. Raises `KernelTypeError`."""
        if array.neighbours is not None:
            raise self.scope.type_error(
                f"a stencil reads {array.name} only: return the element of the result", node
            )
        indices = self._indices(array, node)
        nodes = _nodes_of(node.slice)
        for axis, (each, value) in enumerate(zip(nodes, indices, strict=True)):
            self._require_inside(array, axis, value, each)
        if array.packed:  # three numbers are read or written
            indices = tuple(map(self._simple, indices))
        return ir.Element(array.element, self.scope.place(node), array, indices)

    def _indices(self, array: ir.ArrayRef, node: ast.Subscript) -> tuple[ir.Expression, ...]:
        """Return the indices of a subscript, one for each axis. Raises `KernelTypeError`."""
        nodes = _nodes_of(node.slice)
        if len(nodes) != array.rank:
            noun = "index" if array.rank == 1 else "indices"
            raise self.scope.type_error(
                f"{array.name} takes {array.rank} {noun}, got {len(nodes)}"
                + (f": write {array.name}[i, j]" if array.rank == 2 else ""),
                node,
            )
        return tuple(self._index(each) for each in nodes)

    def _require_inside(
        self, array: ir.ArrayRef, axis: int, index: ir.Expression, node: ast.expr
    ) -> None:
        """Raise `KernelTypeError` for a literal index that is outside."""
        number = literal_of(index)
        if number is None:
            return
        if number < 0:
            raise self.scope.type_error(
                f"an index must not be negative, got {number}: count from the end with "
                f"{array.name}.shape[{axis}]",
                node,
            )
        if array.extents and number >= array.extents[axis]:
            raise self.scope.type_error(
                f"axis {axis} of {array.name} has {array.extents[axis]} elements, got index "
                f"{number}",
                node,
            )

    def _index(self, node: ast.expr) -> ir.Expression:
        if isinstance(node, ast.Slice):
            raise self.scope.syntax_error("kernels do not have slices: index one element", node)
        value = self.read(node)
        if not is_integer(value.type) or isinstance(seen(value.type), Vector):
            raise self.scope.type_error(
                f"an index must be an integer, got {describe_type(value.type)}: convert it, as "
                "i32(...)",
                node,
            )
        return value

    # Operators

    def in_order(self, nodes: list[ast.expr]) -> list[Value]:
        """Return several values, computed from left to right.

        Where a later one needs statements of its own, those before it are computed first.
        """
        scope = self.scope
        found: list[tuple[Value, int]] = []
        for node in nodes:
            before = len(scope.block)
            value = self.value(node)
            if len(scope.block) > before:
                found = [self._keep_before(each, at) for each, at in found]
            found.append((value, len(scope.block)))
        return [value for value, _ in found]

    def _keep_before(self, value: Value, at: int) -> tuple[Value, int]:
        """Compute a value where the block had ``at`` statements."""
        plain = ir.Constant | ir.Argument | ir.Extent | ir.BuiltIn
        if not isinstance(value, ir.Expression) or isinstance(value, plain):
            return value, at
        scope = self.scope
        variable = scope.temporary(value.type, value.place)
        variable.assignments += 1
        scope.block.insert(at, ir.Assign(variable, value, value.place))
        return ir.Read(value.type, value.place, variable), at

    def read_in_order(self, nodes: list[ast.expr]) -> list[ir.Expression]:
        """Return several values of the GPU, computed from left to right."""
        values = self.in_order(nodes)
        places = [self.scope.place(node) for node in nodes]
        return [expression_of(v, p) for v, p in zip(values, places, strict=True)]

    def _binary(self, node: ast.BinOp) -> ir.Expression:
        left, right = self.read_in_order([node.left, node.right])
        if isinstance(node.op, ast.Pow):
            left = self._simple(left)
        return binary(OPERATORS[type(node.op)], left, right, self.scope.place(node))

    def _simple(self, value: ir.Expression) -> ir.Expression:
        """Return a value that may be computed several times: one that is not simple is kept."""
        return value if isinstance(value, ir.Constant | ir.Read) else self.scope.keep(value)

    def _unary(self, node: ast.UnaryOp) -> ir.Expression:
        place = self.scope.place(node)
        match node.op:
            case ast.Not():
                return logical_not(self.condition(node.operand), place)
            case ast.USub():
                return negate(self.read(node.operand), place)
            case ast.Invert():
                return invert(self.read(node.operand), place)
            case _:
                return self.read(node.operand)

    def _compare(self, node: ast.Compare) -> ir.Expression:
        """Return a comparison; of a chain, each operand is evaluated once."""
        if isinstance(node.ops[0], ast.In | ast.NotIn):
            found = is_among(self.scope, self.in_order([node.left, *node.comparators]), node)
            return found if isinstance(node.ops[0], ast.In) else logical_not(found, found.place)
        left, *rights = self.read_in_order([node.left, *node.comparators])
        result: ir.Expression | None = None
        for sign, right in zip(node.ops, rights, strict=True):
            symbol = COMPARISONS.get(type(sign))
            if symbol is None:
                raise self.scope.syntax_error(
                    "kernels compare with ==, !=, <, <=, >, >= and in alone", node
                )
            part = compare(symbol, left, right, self.scope.place(node))
            result = part if result is None else _both(result, part)
            left = right
        assert result is not None
        return result

    def _logical(self, node: ast.BoolOp) -> ir.Expression:
        symbol = "&&" if isinstance(node.op, ast.And) else "||"
        result = self.condition(node.values[0])
        for each in node.values[1:]:
            result = self._short_circuit(symbol, result, each)
        return result

    def _short_circuit(self, symbol: str, left: ir.Expression, node: ast.expr) -> ir.Expression:
        """Return ``left and right``; what the right side needs is computed only where it counts."""
        scope, place = self.scope, self.scope.place(node)
        if isinstance(left, ir.Constant):
            stays = bool(left.value) == (symbol == "||")
            return left if stays else self.condition(node)
        before = set(scope.assigned)
        with scope.collect() as block:
            right = self.condition(node)
        if not block:
            return ir.Binary(BOOL, place, symbol, left, right)
        kept = scope.keep(left)
        kept.variable.assignments += 1
        rest = [*block, ir.Assign(kept.variable, right, place)]
        test: ir.Expression = kept if symbol == "&&" else logical_not(kept, place)
        scope.block.append(ir.If(test, rest, [], place))
        scope.assigned = before
        return kept

    def _conditional(self, node: ast.IfExp) -> Value:
        """Return ``a if condition else b``, of numbers or tuples; only one side is computed."""
        scope = self.scope
        condition = self.condition(node.test)
        if isinstance(condition, ir.Constant):
            return self.value(node.body if condition.value else node.orelse)
        before = set(scope.assigned)
        with scope.collect() as yes_block:
            yes = self.value(node.body)
        with scope.collect() as no_block:
            no = self.value(node.orelse)
        scope.assigned = before
        if isinstance(yes, Values):  # it is tested for each item
            condition = self._simple(condition)
        choice = Choice(condition, yes_block, no_block, node)
        if not isinstance(yes, Values) and not isinstance(no, Values):
            return choose(scope, choice, [(yes, no)])[0]
        if isinstance(yes, Values) and isinstance(no, Values) and len(yes.items) == len(no.items):
            pairs = list(zip(yes.items, no.items, strict=True))
            return Values(tuple(choose(scope, choice, pairs)))
        raise scope.type_error("both sides of if ... else must be tuples of one length", node)

    # Calls

    def _call(self, node: ast.Call) -> Value:
        scope = self.scope
        function = self.value(node.func)
        if isinstance(function, Known) and dataclasses.is_dataclass(function.object):
            return make_structure(scope, function, node, self.read_in_order)
        if isinstance(function, Known) and function_name(function.object) == "print":
            return read_print(scope, node)
        values = self.in_order([*node.args, *(each.value for each in node.keywords)])
        given = named_values(scope, node, values)
        target = getattr(function, "object", None)
        if (found := call_written(scope, target, given, scope.place(node))) is not None:
            return found
        if node.keywords:
            name = node.keywords[0].arg
            raise scope.syntax_error(
                f"this function takes no names: give {name} by its place", node.keywords[0].value
            )
        if not isinstance(function, Known):
            shown = ast.unparse(node.func)
            raise scope.type_error(f"{shown} cannot be called: it is no function", node.func)
        arguments = values
        if (name := function_name(function.object)) == "square" or name in COMPOSED:
            arguments = [self._simple(e) if isinstance(e, ir.Expression) else e for e in arguments]
        return call_known(scope, function, arguments, scope.place(node))


def _nodes_of(index: ast.expr) -> list[ast.expr]:
    return index.elts if isinstance(index, ast.Tuple) else [index]


def _both(left: ir.Expression, right: ir.Expression) -> ir.Expression:
    if isinstance(left, ir.Constant):
        return right if left.value else left
    return ir.Binary(BOOL, left.place, "&&", left, right)
