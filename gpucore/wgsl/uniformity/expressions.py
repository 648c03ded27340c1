"""Expressions in the graph: each yields the control flow after it, and the node of its value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gpucore.wgsl.syntax import (
    Binary,
    Call,
    Declaration,
    Expression,
    Index,
    Literal,
    Member,
    Name,
    Unary,
    Variable,
)
from gpucore.wgsl.uniformity.built_ins import built_in_summary
from gpucore.wgsl.uniformity.graph import NON_UNIFORM, START, Graph, Influence, Summary

__all__ = ["ExpressionWalk", "Local", "ModuleNames", "Reference", "Requirement", "Value"]


class ModuleNames(Protocol):
    """The names of a module that the analysis of a function needs."""

    off: frozenset[str]

    @property
    def declared(self) -> Mapping[str, Declaration]:
        """Return the declarations by name."""

    @property
    def lanes(self) -> int:
        """The lanes of a subgroup where one is looked at, 0 for a workgroup."""

    def summary(self, name: str) -> Summary | None:
        """Return the summary of a function of the module; None for any other name."""


@dataclass(eq=False)
class Local:
    """A name in a function: a value, a variable with contents, or a pointer to ``target``."""

    node: int
    contents: bool = False
    target: Reference | None = None


class Reference(NamedTuple):
    """A variable of the function or the module, or the part of one that ``node`` chooses."""

    root: Local | Variable
    node: int
    whole: bool = True


class Value(NamedTuple):
    """The control flow after an expression, and the node of what it yields."""

    flow: int
    node: int


class Requirement(NamedTuple):
    """A node that must be uniform, because ``name`` is called at an offset of the source."""

    node: int
    name: str
    at: int
    is_flow: bool

    @property
    def message(self) -> str:
        """The error where it is not."""
        if self.is_flow:
            return (
                f"'{self.name}' must be reached by all invocations of a workgroup or by none, but "
                "control flow here may differ between them: move it out of the if, loop or early "
                "return"
            )
        return (
            f"'{self.name}' needs an argument that is the same in all invocations of a workgroup, "
            "but this one may differ"
        )


class ExpressionWalk:
    """Adds expressions to a graph; ``values`` has the node of what each variable contains now."""

    def __init__(self, graph: Graph, module: ModuleNames) -> None:
        self.graph = graph
        self.module = module
        self.values: dict[Local, int] = {}
        self.requirements: list[Requirement] = []
        self.scopes: list[dict[str, Local]] = [{}]
        self.index: Local | None = None

    def find(self, name: str) -> Local | None:
        """Return the local of that name, if one hides the module's."""
        return next((scope[name] for scope in reversed(self.scopes) if name in scope), None)

    def value(self, expression: Expression, flow: int) -> Value:
        """Evaluate an expression."""
        match expression:
            case Name(name=name):
                return self._name(name, flow)
            case Member() | Index() | Unary():
                return self._part(expression, flow)
            case Binary():
                return self._binary(expression, flow)
            case Call():
                return self._call(expression, flow)
            case _:
                return Value(flow, flow)

    def _part(self, expression: Member | Index | Unary, flow: int) -> Value:
        if self._is_reference(expression):
            return self._load(self.reference(expression, flow))
        match expression:
            case Unary(operator="&", operand=operand):
                flow, found = self.reference(operand, flow)
                return Value(flow, found.node)
            case Unary(operand=inner) | Member(value=inner):
                return self.value(inner, flow)
            case Index(value=inner, index=index):
                flow, node = self.value(inner, flow)
                flow, chosen = self.value(index, flow)
                return Value(flow, self.graph.new(node, chosen))

    def _name(self, name: str, flow: int) -> Value:
        local = self.find(name)
        if local is not None and local.contents and local.target is None:
            return self._load((flow, Reference(local, flow)))
        if local is not None:
            return Value(flow, self.graph.new(flow, local.node))
        declared = self.module.declared.get(name)
        if isinstance(declared, Variable) and declared.kind == "var":
            return self._load((flow, Reference(declared, flow)))
        return Value(flow, flow)

    def _binary(self, expression: Binary, flow: int) -> Value:
        """Evaluate operands from the left, without recursion: sums may have hundreds of terms."""
        spine: list[Binary] = []
        left: Expression = expression
        while isinstance(left, Binary):
            spine.append(left)
            left = left.left
        if spine and self._is_subgroup(spine[-1]):
            spine.pop()
            value = Value(flow, flow)
        else:
            value = self.value(left, flow)
        for node in reversed(spine):
            if node.operator in ("&&", "||"):
                value = Value(value.flow, self.value(node.right, value.node).node)
            else:
                right = self.value(node.right, value.flow)
                value = Value(right.flow, self.graph.new(value.node, right.node))
        return value

    def _is_subgroup(self, node: Binary) -> bool:
        """Tell whether an expression is the index in the workgroup by the lanes of a subgroup."""
        if not self.module.lanes or node.operator != "/" or not isinstance(node.left, Name):
            return False
        if self.index is None or self.find(node.left.name) is not self.index:
            return False
        by = node.right
        if isinstance(by, Name) and self.find(by.name) is None:
            declared = self.module.declared.get(by.name)
            if isinstance(declared, Variable) and declared.kind == "const" and declared.value:
                by = declared.value
        digits = by.text.removesuffix("u") if isinstance(by, Literal) else ""
        return digits.isdecimal() and int(digits) > 0 and int(digits) % self.module.lanes == 0

    # References and pointers

    def _is_reference(self, expression: Expression) -> bool:
        """Tell whether an expression is a variable, a part of one, or behind a pointer."""
        while isinstance(expression, Index | Member):
            expression = expression.value
        if isinstance(expression, Unary):
            return expression.operator == "*"
        if not isinstance(expression, Name):
            return False
        local = self.find(expression.name)
        if local is not None:
            return local.contents or local.target is not None
        declared = self.module.declared.get(expression.name)
        return isinstance(declared, Variable) and declared.kind == "var"

    def reference(self, expression: Expression, flow: int) -> tuple[int, Reference]:
        """Return the variable that an expression is a part of."""
        match expression:
            case Member(value=inner):
                flow, found = self.reference(inner, flow)
                return flow, found._replace(whole=False)
            case Index(value=inner, index=index):
                flow, found = self.reference(inner, flow)
                flow, chosen = self.value(index, flow)
                return flow, Reference(found.root, self.graph.new(found.node, chosen), False)
            case Unary(operator="*", operand=operand):
                return self.pointer(operand, flow)
            case Name(name=name):
                local = self.find(name)
                if local is not None and local.target is not None:
                    return flow, self._pointee(local, flow)
                declared = self.module.declared.get(name)
                if local is not None:
                    return flow, Reference(local, flow)
                if isinstance(declared, Variable):
                    return flow, Reference(declared, flow)
        flow, node = self.value(expression, flow)
        return flow, Reference(Local(node), node)

    def pointer(self, expression: Expression, flow: int) -> tuple[int, Reference]:
        """Return what a pointer points to; `bufferView` yields one into its first argument."""
        match expression:
            case Unary(operator="&", operand=operand):
                return self.reference(operand, flow)
            case Name(name=name) if (local := self.find(name)) is not None and local.target:
                return flow, self._pointee(local, flow)
            case Call(arguments=(first, *rest)) if self.is_pointer(first):
                flow, found = self.pointer(first, flow)
                for argument in rest:
                    flow, node = self.value(argument, flow)
                    found = found._replace(node=self.graph.new(found.node, node))
                return flow, found._replace(whole=False)
        flow, node = self.value(expression, flow)
        return flow, Reference(Local(node), node)

    def _pointee(self, pointer: Local, flow: int) -> Reference:
        assert pointer.target is not None
        return pointer.target._replace(node=self.graph.new(flow, pointer.node))

    def is_pointer(self, expression: Expression) -> bool:
        """Tell whether the value of an expression is a pointer."""
        match expression:
            case Unary(operator="&"):
                return True
            case Name(name=name):
                local = self.find(name)
                return local is not None and local.target is not None
            case Call(function=Name(name="bufferView" | "bufferArrayView"), arguments=(first, *_)):
                return self.is_pointer(first)
            case _:
                return False

    def _load(self, found: tuple[int, Reference]) -> Value:
        flow, reference = found
        return Value(flow, self.graph.new(flow, reference.node, self.contents(reference.root)))

    def contents(self, root: Local | Variable) -> int:
        """Return the node of what a variable contains."""
        if isinstance(root, Local):
            return self.values.get(root, root.node)
        space = root.address_space
        written = space in ("private", "workgroup") or (
            space == "storage" and (root.access or "read") != "read"
        )
        return NON_UNIFORM if written else START

    def store(self, reference: Reference, node: int) -> None:
        """Let a variable of the function contain ``node``, beside its other parts if any."""
        root = reference.root
        if isinstance(root, Local) and root in self.values:
            old = () if reference.whole else (self.values[root],)
            self.values[root] = self.graph.new(node, reference.node, *old)

    # Calls

    def _call(self, call: Call, flow: int) -> Value:
        nodes: list[int] = []
        behind: list[Reference | None] = []
        for argument in call.arguments:
            reference = None
            if self.is_pointer(argument):
                flow, reference = self.pointer(argument, flow)
                node = reference.node
            else:
                flow, node = self.value(argument, flow)
            nodes.append(node)
            behind.append(reference)
        name = call.function.name
        summary = self.module.summary(name)
        if summary is None and name in self.module.declared:
            summary = Summary(result=Influence(values=frozenset(range(len(nodes)))))
        if summary is None:
            of_subgroup = self.module.lanes > 0
            summary = built_in_summary(name, len(nodes), self.module.off, of_subgroup=of_subgroup)
        inside = [START if one is None else self.contents(one.root) for one in behind]
        self._require(call, summary, flow, nodes, inside)
        result = self.graph.new(flow, *_influences(summary.result, nodes, inside))
        for i, output in summary.outputs.items():
            target = behind[i] if i < len(behind) else None
            if target is not None:
                made = self.graph.new(flow, *_influences(output, nodes, inside))
                self.store(target, made)
        return Value(flow, result)

    def _require(
        self, call: Call, summary: Summary, flow: int, nodes: list[int], inside: list[int]
    ) -> None:
        at = call.at if call.at >= 0 else call.function.at
        if summary.requires_flow:
            self.requirements.append(Requirement(flow, summary.requires_flow, at, True))
        for found, required in ((nodes, summary.required), (inside, summary.required_contents)):
            self.requirements += [
                Requirement(found[i], name, at, False)
                for i, name in required.items()
                if i < len(found)
            ]


def _influences(influence: Influence, nodes: list[int], inside: list[int]) -> Iterator[int]:
    """Yield the nodes of a call's arguments that a result depends on."""
    if influence.non_uniform:
        yield NON_UNIFORM
    yield from (nodes[i] for i in influence.values if i < len(nodes))
    yield from (inside[i] for i in influence.contents if i < len(inside))
