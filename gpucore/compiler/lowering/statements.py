"""Statements: from Python's syntax tree to lists of typed ones."""

from __future__ import annotations

import ast
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.flexible import (
    AnyType,
    describe_type,
    is_integer,
    meet,
    seen,
    settle,
)
from gpucore.compiler.lowering.arrays import name_array
from gpucore.compiler.lowering.calls import expression_of
from gpucore.compiler.lowering.expressions import ExpressionReader
from gpucore.compiler.lowering.names import function_name
from gpucore.compiler.lowering.operators import OPERATORS, binary, constant, literal_of
from gpucore.compiler.lowering.scope import Scope
from gpucore.compiler.lowering.values import Known, Value, Values
from gpucore.wgsl.types.kinds import U32, Vector

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


_MOST_UNROLLED: Final = 1024


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
            case ast.Tuple(elts=targets):
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
        if not isinstance(value, Values):
            raise self.scope.type_error("only a tuple can be unpacked into several names", node)
        if len(targets) != len(value.items):
            raise self.scope.type_error(f"{len(targets)} names for {len(value.items)} values", node)
        for target, item in zip(targets, self._keep_items(value).items, strict=True):
            self.assign_to(target, item)

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
        if not isinstance(node.target, ast.Name):
            raise scope.syntax_error("a for loop must have one name", node.target)
        arguments, static = self._range(node)
        if static:
            self._unroll(node, arguments)
            return
        start, stop, step = self._bounds(arguments, node)
        counted = self._common_type(start, stop, step, node)
        name = node.target.id
        variable = scope.declare(name, settle(counted), node.target)
        before = set(scope.assigned)
        counter = scope.temporary(variable.type, variable.place, name)
        with scope.loop(), scope.collect() as body:
            scope.assign(variable, ir.Read(counter.type, counter.place, counter), counter.place)
            scope.assigned.add(name)
            self.read_body(node.body)
        scope.ended = False
        scope.assigned = before
        scope.block.append(ir.For(counter, start, stop, step, body, scope.place(node)))

    def _unroll(self, node: ast.For, arguments: list[ast.expr]) -> None:
        """Read the body once for each number of a range that is known."""
        scope = self.scope
        assert isinstance(node.target, ast.Name)
        numbers = [literal_of(each) for each in self.expressions.read_in_order(arguments)]
        if not all(isinstance(each, int) for each in numbers):
            raise scope.type_error(
                "the ends of static_range must be integers that are known before the launch",
                node.iter,
            )
        found = range(*(each for each in numbers if isinstance(each, int)))
        if len(found) > _MOST_UNROLLED:
            raise scope.syntax_error(
                f"static_range repeats its body at most {_MOST_UNROLLED} times, got {len(found)}: "
                "write range",
                node.iter,
            )
        for each in ast.walk(node):
            if isinstance(each, ast.Break | ast.Continue) and not _in_inner_loop(node, each):
                raise scope.syntax_error(
                    "a loop over static_range cannot have break or continue: write range", each
                )
        for number in found:
            scope.bind_constant(node.target.id, number, node.target)
            self.read_body(node.body)

    def _range(self, node: ast.For) -> tuple[list[ast.expr], bool]:
        """Return the arguments of a range, and if it is unrolled. Raises `KernelSyntaxError`."""
        if isinstance(node.iter, ast.Call) and not node.iter.keywords:
            function = self.expressions.value(node.iter.func)
            name = function_name(function.object) if isinstance(function, Known) else None
            if name in ("range", "static_range") and 1 <= len(node.iter.args) <= 3:
                return node.iter.args, name == "static_range"
        raise self.scope.syntax_error(
            "a for loop must be over range(stop), range(start, stop) or range(start, stop, step)",
            node.iter,
        )

    def _bounds(
        self, nodes: list[ast.expr], node: ast.For
    ) -> tuple[ir.Expression, ir.Expression, int]:
        """Return start, stop and step; the bounds are computed once, before the loop."""
        scope = self.scope
        values = self.expressions.read_in_order(nodes)
        for value, each in zip(values, nodes, strict=True):
            if not is_integer(value.type) or isinstance(seen(value.type), Vector):
                raise scope.type_error(
                    f"range takes integers, got {describe_type(value.type)}: convert it, as "
                    "i32(...)",
                    each,
                )
        step = 1
        if len(values) == 3:
            number = literal_of(values[2])
            if not isinstance(number, int) or number == 0:
                raise scope.type_error("the step of range must be a literal other than 0", nodes[2])
            step = number
        start = constant(0, scope.place(node)) if len(values) == 1 else values[0]
        stop = values[0] if len(values) == 1 else values[1]
        if not isinstance(stop, ir.Constant | ir.Argument | ir.Extent):
            stop = scope.keep(stop, "stop")
        return start, stop, step

    def _common_type(
        self, start: ir.Expression, stop: ir.Expression, step: int, node: ast.For
    ) -> AnyType:
        scope = self.scope
        type_ = meet(start.type, stop.type)
        if type_ is None:
            raise scope.type_error(
                f"both ends of range must have one type, got {describe_type(start.type)} and "
                f"{describe_type(stop.type)}: convert one of them",
                node.iter,
            )
        if step < 0 and seen(type_) == U32:
            raise scope.type_error(
                "a range of u32 cannot count down below 0: convert its ends, as i32(...)",
                node.iter,
            )
        return type_

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


def _in_inner_loop(outer: ast.For, node: ast.AST) -> bool:
    """Tell whether a statement is in a loop inside of another."""
    loops = (each for each in ast.walk(outer) if isinstance(each, ast.For | ast.While))
    return any(node in ast.walk(each) for each in loops if each is not outer)


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
