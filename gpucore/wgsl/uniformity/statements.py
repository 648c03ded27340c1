"""Statements in the graph: each takes the control flow before it and returns that at its end."""

from __future__ import annotations

from collections.abc import Iterable

from gpucore.wgsl.syntax import (
    Assign,
    Block,
    Break,
    BreakIf,
    CallStatement,
    Continue,
    Expression,
    For,
    If,
    Literal,
    Loop,
    Return,
    Statement,
    Step,
    Switch,
    Variable,
    While,
)
from gpucore.wgsl.uniformity.behaviors import Behavior, behavior
from gpucore.wgsl.uniformity.expressions import ExpressionWalk, Local, ModuleNames, Reference
from gpucore.wgsl.uniformity.graph import START, Graph

__all__ = ["StatementWalk"]

_Values = dict[Local, int]
_ONE = Literal("1")


class StatementWalk(ExpressionWalk):
    """Adds the body of one function to a graph."""

    def __init__(self, graph: Graph, module: ModuleNames) -> None:
        super().__init__(graph, module)
        self.parameters: list[Local] = []
        self.returned: list[int] = []
        self._ends: list[_Values] = []  # what variables contain where the function returns
        self._exits: list[list[_Values]] = []  # at each break of the loops and switches around
        self._repeats: list[list[_Values]] = []  # at each continue of the loops around

    def declare_parameter(self, name: str, node: int, contents: int | None) -> None:
        """Declare a parameter; ``contents`` is what a pointer points to."""
        local = Local(node)
        if contents is not None:
            held = Local(contents, contents=True)
            self.values[held] = contents
            local = Local(node, contents=True, target=Reference(held, node))
        self.scopes[-1][name] = local
        self.parameters.append(local)

    def contents_at_end(self, parameter: Local) -> list[int]:
        """Return the nodes of what a pointer points to where the function returns."""
        assert parameter.target is not None
        root = parameter.target.root
        return [values[root] for values in self._ends if isinstance(root, Local)]

    def body(self, block: Block) -> None:
        """Walk the body of the function."""
        self._block(block, START)
        if behavior(block) & Behavior.NEXT:
            self._ends.append(self.values)

    def _block(self, block: Block, flow: int) -> int:
        self.scopes.append({})
        flow = self._sequence(block.statements, flow)
        self.scopes.pop()
        return flow

    def _sequence(self, statements: Iterable[Statement], flow: int) -> int:
        for statement in statements:
            flow = self._statement(statement, flow)
            if not behavior(statement) & Behavior.NEXT:
                break
        return flow

    def _statement(self, statement: Statement, flow: int) -> int:
        match statement:
            case Block():
                return self._block(statement, flow)
            case If():
                return self._if(statement, flow)
            case Switch():
                return self._switch(statement, flow)
            case Loop(body=body, continuing=continuing):
                return self._loop(statement, body, continuing, None, flow)
            case While(condition=condition, body=body):
                return self._loop(statement, body, None, condition, flow)
            case For(start=start, condition=condition, update=update, body=body):
                self.scopes.append({})
                if start is not None:
                    flow = self._statement(start, flow)
                flow = self._loop(statement, body, update, condition, flow)
                self.scopes.pop()
                return flow
            case _:
                return self._simple(statement, flow)

    def _simple(self, statement: Statement, flow: int) -> int:
        match statement:
            case Variable():
                return self._declare(statement, flow)
            case Assign(target=None, value=value):
                return self.value(value, flow).flow
            case Assign(target=target, operator=operator, value=value) if target is not None:
                return self._assign(target, operator != "=", value, flow)
            case Step(target=target):
                return self._assign(target, True, _ONE, flow)
            case CallStatement(call=call):
                return self.value(call, flow).flow
            case Return(value=value):
                if value is not None:
                    flow, node = self.value(value, flow)
                    self.returned.append(node)
                self._ends.append(dict(self.values))
            case Break():
                self._exits[-1].append(dict(self.values))
            case BreakIf(condition=condition):
                flow = self.value(condition, flow).node
                self._exits[-1].append(dict(self.values))
            case Continue():
                self._repeats[-1].append(dict(self.values))
        return flow

    def _declare(self, variable: Variable, flow: int) -> int:
        node, target = flow, None
        if variable.value is not None and self.is_pointer(variable.value):
            flow, target = self.pointer(variable.value, flow)
            node = target.node
        elif variable.value is not None:
            flow, node = self.value(variable.value, flow)
        local = Local(node, variable.kind == "var", target)
        if local.contents:
            self.values[local] = node
        self.scopes[-1][variable.name] = local
        return flow

    def _assign(self, target: Expression, reads: bool, value: Expression, flow: int) -> int:
        nodes = []
        if reads:
            flow, node = self.value(target, flow)
            nodes.append(node)
        flow, node = self.value(value, flow)
        flow, reference = self.reference(target, flow)
        self.store(reference, self.graph.new(node, *nodes))
        return flow

    def _if(self, statement: If, flow: int) -> int:
        clause, *others = statement.clauses
        flow, condition = self.value(clause.condition, flow)
        before = dict(self.values)
        ends = [self._block(clause.body, condition)]
        left = [self.values] if behavior(clause.body) & Behavior.NEXT else []
        self.values = before
        rest = If(tuple(others), statement.otherwise) if others else statement.otherwise
        ends.append(condition if rest is None else self._statement(rest, condition))
        if rest is None or behavior(rest) & Behavior.NEXT:
            left.append(self.values)
        self.values = self._merge(left, before)
        return flow if behavior(statement) == Behavior.NEXT else self.graph.new(*ends)

    def _switch(self, statement: Switch, flow: int) -> int:
        flow, selector = self.value(statement.selector, flow)
        before = dict(self.values)
        left: list[_Values] = []
        ends = []
        self._exits.append(left)
        for clause in statement.clauses:
            self.values = dict(before)
            ends.append(self._block(clause.body, selector))
            if behavior(clause.body) & Behavior.NEXT:
                left.append(self.values)
        self._exits.pop()
        self.values = self._merge(left, before)
        return flow if behavior(statement) == Behavior.NEXT else self.graph.new(*ends)

    def _loop(
        self,
        statement: Statement,
        body: Block,
        last: Statement | None,
        condition: Expression | None,
        flow: int,
    ) -> int:
        """Walk a loop; ``last`` is its continuing block, or what a ``for`` does after the body."""
        before = self.values
        head = self.graph.new(flow)
        starts = {local: self.graph.new(node) for local, node in before.items()}
        self.values = dict(starts)
        self._exits.append([])
        self._repeats.append([])
        inside = head
        if condition is not None:
            inside = self.value(condition, head).node
            self._exits[-1].append(dict(self.values))
        self.scopes.append({})
        inside = self._sequence(body.statements, inside)
        repeats = self._repeats.pop()
        if behavior(body) & Behavior.NEXT:
            repeats.append(self.values)
        if repeats:
            self.values = self._merge(repeats, self.values)
            if last is not None:
                inside = self._statement(last, inside)
            self.graph.add(head, inside)
            for local, node in starts.items():
                self.graph.add(node, self.values[local])
        self.scopes.pop()
        self.values = self._merge(self._exits.pop(), starts)
        return flow if behavior(statement) == Behavior.NEXT else head

    def _merge(self, ways: list[_Values], known: _Values) -> _Values:
        """Return what variables contain after several ways that lead to one place."""
        if len(ways) <= 1:
            return dict(ways[0] if ways else known)
        merged: _Values = {}
        for local in ways[0]:
            nodes = {way[local] for way in ways if local in way}
            merged[local] = nodes.pop() if len(nodes) == 1 else self.graph.new(*nodes)
        return merged
