"""Statements: from Python's syntax tree to lists of typed ones."""

from __future__ import annotations

import ast
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.flexible import describe_type, meet, seen, settle
from gpucore.compiler.lowering.arrays import name_array
from gpucore.compiler.lowering.calls import expression_of
from gpucore.compiler.lowering.expressions import ExpressionReader
from gpucore.compiler.lowering.loops import read_range, unrolled_items
from gpucore.compiler.lowering.operators import OPERATORS, binary, literal_of
from gpucore.compiler.lowering.scope import Scope
from gpucore.compiler.lowering.values import Known, Value, Values
from gpucore.wgsl.types.kinds import Vector

__all__ = ["StatementReader"]

_MISSING_FORMS: Final = {
    ast.Try: "try: nothing in a kernel raises",
    ast.With: "with",
    ast.Raise: "raise: write the fault into an array",
    ast.FunctionDef: "functions inside of functions: decorate one of the module with @gpu_function",
    ast.ClassDef: "classes",
    ast.Import: "import: import outside of the function",
    ast.ImportFrom: "import: import outside of the function",
    ast.Delete: "del",
    ast.Global: "global: give an array, and store into it",
    ast.Nonlocal: "nonlocal: give an array, and store into it",
    ast.Match: "match: write if and elif",
    ast.AsyncFor: "async",
    ast.AsyncWith: "async",
    ast.AsyncFunctionDef: "async",
}


class StatementReader:
    """Reads the statements of one function into its scope."""

    def __init__(self, scope: Scope, expressions: ExpressionReader) -> None:
        self.scope = scope
        self.expressions = expressions

    def read_body(self, nodes: list[ast.stmt]) -> None:
        """Read statements into the current block; those after its end are not read."""
        for node in nodes:
            if self.scope.ended:
                return
            self.read(node)

    def read(self, node: ast.stmt) -> None:
        """Read one statement. Raises `PythonKernelError`."""
        match node:
            case ast.Assign():
                self._assign(node)
            case ast.AugAssign():
                self._augment(node)
            case ast.AnnAssign():
                self._annotate(node)
            case ast.Expr():
                self._evaluate(node)
            case ast.If():
                self._if(node)
            case ast.For():
                self._for(node)
            case ast.While():
                self._while(node)
            case ast.Return():
                self.read_return(node)
            case _:
                self._simple(node)

    def _simple(self, node: ast.stmt) -> None:
        scope, place = self.scope, self.scope.place(node)
        match node:
            case ast.Pass():
                return
            case ast.Break():
                scope.block.append(ir.Break(place))
                scope.leave_loop()
            case ast.Continue():
                scope.block.append(ir.Continue(place))
                scope.end()
            case ast.Assert():
                raise scope.syntax_error(
                    "kernels do not have assert: write the fault into an array", node
                )
            case _:
                what = _MISSING_FORMS.get(type(node), type(node).__name__)
                raise scope.syntax_error(f"kernels do not have {what}", node)

    # Assignments

    def _assign(self, node: ast.Assign) -> None:
        value = self.expressions.value(node.value)
        if len(node.targets) > 1 and isinstance(value, ir.Expression):
            value = self.scope.keep(value)
        for target in node.targets:
            self.assign_to(target, value)

    def assign_to(self, target: ast.expr, value: Value) -> None:
        """Give a name, an element or a tuple of them a value."""
        scope = self.scope
        match target:
            case ast.Name(id=name) if isinstance(value, ir.ArrayRef):
                name_array(scope, name, value, scope.place(target))
            case ast.Name(id=name) if isinstance(value, Values):
                if scope.assignments[name] > 1:
                    raise scope.type_error(
                        f"{name} is a tuple and is assigned to more than once: take a name for "
                        "each of its items",
                        target,
                    )
                scope.values[name] = self._keep_items(value)
            case ast.Name(id=name):
                scope.bind(name, expression_of(value, scope.place(target)), target)
            case ast.Subscript():
                self._store(target, expression_of(value, scope.place(target)))
            case ast.Attribute():
                self._set_part(target, expression_of(value, scope.place(target)))
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                self._unpack(targets, value, target)
            case _:
                raise scope.syntax_error("kernels do not assign to this", target)

    def _keep_items(self, values: Values) -> Values:
        """Return a tuple whose items are computed now."""
        return Values(
            tuple(
                self.scope.keep(each)
                if isinstance(each, ir.Expression) and not isinstance(each, ir.Constant)
                else each
                for each in values.items
            )
        )

    def _unpack(self, targets: list[ast.expr], value: Value, node: ast.expr) -> None:
        if isinstance(value, ir.Expression) and isinstance(seen(value.type), Vector):
            value = self._components(value)
        if not isinstance(value, Values):
            raise self.scope.type_error(
                "only tuples and vectors can be unpacked into several names", node
            )
        for each in targets:
            if isinstance(each, ast.Starred):
                raise self.scope.syntax_error("kernels do not have *: give each item a name", each)
        if len(targets) != len(value.items):
            raise self.scope.type_error(f"{len(targets)} names for {len(value.items)} values", node)
        for target, item in zip(targets, self._keep_items(value).items, strict=True):
            self.assign_to(target, item)

    def _components(self, vector: ir.Expression) -> Values:
        """Return the numbers of a vector, which is computed once."""
        kind = seen(vector.type)
        assert isinstance(kind, Vector)
        names = "xyzw"[: kind.count]
        if isinstance(vector, ir.Member) and isinstance(seen(vector.value.type), Vector):
            names, vector = vector.name, vector.value
        if not isinstance(vector, ir.BuiltIn | ir.Read):
            vector = self.scope.keep(vector)
        return Values(tuple(ir.Member(kind.scalar, vector.place, vector, n) for n in names))

    def _store(self, target: ast.Subscript, value: ir.Expression) -> None:
        scope, place = self.scope, self.scope.place(target)
        owner = self.expressions.value(target.value)
        if not isinstance(owner, ir.ArrayRef):
            self._set_part(target, value)
            return
        before = len(scope.block)
        element = self.expressions.element(owner, target)
        if len(scope.block) > before:  # the value comes first, as in Python
            value = self._keep_at(value, before)
        self._require_type(owner.name, element, value, target)
        if owner.packed:
            value = scope.keep(value)
        scope.block.append(ir.Store(element, value, place))

    def _set_part(self, target: ast.expr, value: ir.Expression) -> None:
        """Assign to a part of a value: ``v.x``, ``m[0].y``, ``particles[i].position``."""
        scope, place = self.scope, self.scope.place(target)
        before = len(scope.block)
        part = self.expressions.value(target)
        if len(scope.block) > before:
            value = self._keep_at(value, before)
        path: list[str | ir.Expression] = []
        owner = part
        while isinstance(owner, ir.Member | ir.Item):
            path.insert(0, owner.name if isinstance(owner, ir.Member) else owner.index)
            owner = owner.value
        if not isinstance(part, ir.Member | ir.Item) or not isinstance(owner, ir.Read | ir.Load):
            raise scope.type_error(
                "this cannot be assigned to: assign to names, elements of arrays, or parts of them",
                target,
            )
        vector = isinstance(seen(part.value.type), Vector)
        if vector and isinstance(path[-1], str) and len(path[-1]) > 1:
            raise scope.syntax_error("assign to one component at a time", target)
        if isinstance(owner, ir.Load):
            self._require_type(owner.element.array.name, part, value, target)
            scope.block.append(ir.Store(owner.element, value, place, tuple(path)))
            return
        self._require_type(owner.variable.name, part, value, target)
        owner.variable.assignments += 1
        scope.block.append(ir.Assign(owner.variable, value, place, tuple(path)))

    def _require_type(
        self, name: str, target: ir.Expression, value: ir.Expression, node: ast.expr
    ) -> None:
        if meet(target.type, value.type) is None:
            wanted = describe_type(target.type)
            raise self.scope.type_error(
                f"elements of {name} are {wanted}, got {describe_type(value.type)}: convert the "
                f"value, as {wanted}(...)",
                node,
            )

    def _augment(self, node: ast.AugAssign) -> None:
        """Read ``target += value``; the indices of the target are computed once."""
        scope = self.scope
        symbol, place = OPERATORS[type(node.op)], scope.place(node)
        if isinstance(node.target, ast.Subscript):
            owner = self.expressions.value(node.target.value)
            if isinstance(owner, ir.ArrayRef):
                self._augment_element(node, owner)
                return
        left, right = self.expressions.read_in_order([_load_of(node.target), node.value])
        self.assign_to(node.target, binary(symbol, left, right, place))

    def _augment_element(self, node: ast.AugAssign, array: ir.ArrayRef) -> None:
        scope = self.scope
        assert isinstance(node.target, ast.Subscript)
        element = self.expressions.element(array, node.target)
        indices = tuple(
            each if isinstance(each, ir.Constant | ir.Read) else scope.keep(each, "index")
            for each in element.indices
        )
        element = ir.Element(element.type, element.place, array, indices)
        load: ir.Expression = ir.Load(element.type, element.place, element)
        before = len(scope.block)
        value = self.expressions.read(node.value)
        if len(scope.block) > before:
            load = self._keep_at(load, before)
        result = binary(OPERATORS[type(node.op)], load, value, scope.place(node))
        self._require_type(array.name, element, result, node.target)
        if array.packed:
            result = scope.keep(result)
        scope.block.append(ir.Store(element, result, scope.place(node)))

    def _keep_at(self, value: ir.Expression, at: int) -> ir.Expression:
        variable = self.scope.temporary(value.type, value.place)
        variable.assignments += 1
        self.scope.block.insert(at, ir.Assign(variable, value, value.place))
        return ir.Read(value.type, value.place, variable)

    def _annotate(self, node: ast.AnnAssign) -> None:
        scope = self.scope
        type_ = scope.type_of(scope.source.evaluate(node.annotation))
        if type_ is None or not isinstance(node.target, ast.Name):
            raise scope.type_error(
                "the type of a local name must be a scalar or a vector, such as f32", node
            )
        name = node.target.id
        scope.declare(name, type_, node)
        if node.value is not None:
            scope.bind(name, self.expressions.read(node.value), node)

    def _evaluate(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return  # a docstring
        value = self.expressions.value(node.value)
        if isinstance(value, ir.Atomic | ir.Call):
            self.scope.block.append(ir.Evaluate(value, self.scope.place(node)))
        elif value != Known(None) and isinstance(value, ir.Expression):
            raise self.scope.syntax_error(
                "this value is not used: assign it, or remove the line", node
            )

    # Branches and loops

    def _if(self, node: ast.If) -> None:
        scope = self.scope
        condition = self.expressions.condition(node.test)
        if isinstance(condition, ir.Constant):
            self.read_body(node.body if condition.value else node.orelse)
            return
        before = set(scope.assigned)
        body, after_body, body_ended = self._branch(node.body, before)
        otherwise, after_else, else_ended = self._branch(node.orelse, before)
        scope.block.append(ir.If(condition, body, otherwise, scope.place(node)))
        if body_ended and else_ended:
            scope.end()
        elif body_ended:
            scope.assigned = after_else
        elif else_ended:
            scope.assigned = after_body
        else:
            scope.assigned = after_body & after_else

    def _branch(self, nodes: list[ast.stmt], before: set[str]) -> tuple[ir.Block, set[str], bool]:
        """Return a branch, the names that have a value after it, and whether it ends the block."""
        scope = self.scope
        scope.assigned = set(before)
        with scope.collect() as block:
            self.read_body(nodes)
        ended, scope.ended = scope.ended, False
        return block, scope.assigned, ended

    def _while(self, node: ast.While) -> None:
        scope = self.scope
        if node.orelse:
            raise scope.syntax_error("kernels do not have else after a loop", node.orelse[0])
        with scope.collect() as test:
            condition = self.expressions.condition(node.test)
        if isinstance(condition, ir.Constant) and not condition.value:
            return
        after_test = set(scope.assigned)
        with scope.loop() as loop, scope.collect() as body:
            self.read_body(node.body)
        scope.ended = False
        scope.block.append(ir.While(test, condition, body, scope.place(node)))
        if isinstance(condition, ir.Constant):
            if not loop.at_breaks:
                scope.end()
                scope.assigned = after_test
            else:
                scope.assigned = set.intersection(*loop.at_breaks)
        else:
            scope.assigned = after_test

    def _for(self, node: ast.For) -> None:
        scope = self.scope
        if node.orelse:
            raise scope.syntax_error("kernels do not have else after a loop", node.orelse[0])
        items = unrolled_items(self.expressions, node)
        if items is not None:
            for item in items:
                self._bind_item(node.target, item)
                self.read_body(node.body)
            return
        if not isinstance(node.target, ast.Name):
            raise scope.syntax_error("a loop over range must have one name", node.target)
        bounds = read_range(self.expressions, node)
        name = node.target.id
        variable = scope.declare(name, settle(bounds.type), node.target)
        before = set(scope.assigned)
        counter = scope.temporary(variable.type, variable.place, name)
        with scope.loop(), scope.collect() as body:
            scope.assign(variable, ir.Read(counter.type, counter.place, counter), counter.place)
            scope.assigned.add(name)
            self.read_body(node.body)
        scope.ended = False
        scope.assigned = before
        scope.block.append(
            ir.For(counter, bounds.start, bounds.stop, bounds.step, body, scope.place(node))
        )

    def _bind_item(self, target: ast.expr, item: Value) -> None:
        """Give the names of a loop that is unrolled one of its items."""
        match target, item:
            case ast.Name(id=name), ir.Constant() if (number := literal_of(item)) is not None:
                self.scope.bind_constant(name, number, target)
            case ast.Tuple(elts=targets), Values(items=items) if len(targets) == len(items):
                for each, value in zip(targets, items, strict=True):
                    self._bind_item(each, value)
            case _:
                self.assign_to(target, item)

    def read_return(self, node: ast.Return) -> None:
        """Read ``return`` of a kernel, which has no value."""
        if node.value is not None and not (
            isinstance(node.value, ast.Constant) and node.value.value is None
        ):
            raise self.scope.syntax_error(
                "a kernel returns nothing unless its result is annotated, as in "
                "-> Array[f32]: store into an array",
                node,
            )
        self.scope.block.append(ir.Return(None, self.scope.place(node)))
        self.scope.end()


def _load_of(target: ast.expr) -> ast.expr:
    """Return a target of an assignment as an expression that reads it."""
    match target:
        case ast.Name(id=name):
            return ast.copy_location(ast.Name(name, ast.Load()), target)
        case ast.Attribute(value=value, attr=attribute):
            return ast.copy_location(ast.Attribute(value, attribute, ast.Load()), target)
        case ast.Subscript(value=value, slice=index):
            return ast.copy_location(ast.Subscript(value, index, ast.Load()), target)
        case _:
            return target
