"""The uniformity analysis of a module (WGSL specification, section 15.2), function by function.

Each function becomes a graph (`gpucore.wgsl.uniformity.graph`). A barrier is wrong where its
control flow reaches what may be non-uniform. Calls use the summary of the called function.
"""

from __future__ import annotations

from typing import Final

from gpucore.wgsl.errors import WgslSyntaxError, syntax_error
from gpucore.wgsl.syntax import (
    ConstAssert,
    Diagnostic,
    Enable,
    Function,
    Module,
    Name,
    Struct,
    StructMember,
    Variable,
)
from gpucore.wgsl.syntax import Parameter as FunctionParameter
from gpucore.wgsl.uniformity.built_ins import (
    RULES,
    SUBGROUP_INPUTS,
    UNIFORM_INPUTS,
    needs_uniform_flow,
)
from gpucore.wgsl.uniformity.expressions import Requirement
from gpucore.wgsl.uniformity.graph import NON_UNIFORM, START, Graph, Influence, Summary
from gpucore.wgsl.uniformity.statements import StatementWalk

__all__ = ["keeps_subgroups_whole", "require_uniformity"]

_DISABLED: Final = "chromium_disable_uniformity_analysis"
"""Dawn's extension for kernels that count on what their cards do; wgpu refuses it."""


def require_uniformity(module: Module) -> None:
    """Raise `WgslSyntaxError` where a barrier may be missed by some invocations of a workgroup.

    The same holds for functions of subgroups. A rule that a diagnostic directive or attribute makes
    anything else than an error is left to the engine.
    """
    functions = [d for d in module.declarations if isinstance(d, Function)]
    names = _functions_with_barriers(functions)
    if not names:
        return
    enabled = {name for d in module.directives if isinstance(d, Enable) for name in d.names}
    if _DISABLED in enabled:
        return
    analysis = _Analysis(module)
    for name in names:
        analysis.summary(name)


def keeps_subgroups_whole(module: Module, lanes: int) -> bool:
    """Tell whether all lanes of a subgroup make each call of a subgroup's function together.

    Invocations ``lanes`` i to ``lanes`` i + ``lanes - 1`` of a workgroup are its subgroup i. False
    where the analysis cannot see it.
    """
    functions = [d for d in module.declarations if isinstance(d, Function)]
    analysis = _Analysis(module, lanes)
    try:
        for name in _functions_with_barriers(functions):
            analysis.summary(name)
    except WgslSyntaxError:
        return False
    return True


def _functions_with_barriers(functions: list[Function]) -> list[str]:
    """Return the functions that call what needs uniform control flow, or a function that does."""
    found: list[str] = []
    names = {f.name: f.mentions for f in functions}
    while more := [
        name
        for name, mentions in names.items()
        if mentions is None or any(m in found or needs_uniform_flow(m) for m in mentions)
    ]:
        found += more
        names = {name: mentions for name, mentions in names.items() if name not in more}
    return found


class _Analysis:
    """The summaries of one module's functions, each made at its first use.

    With ``lanes``, of a subgroup in place of a workgroup, and no rule is off.
    """

    def __init__(self, module: Module, lanes: int = 0) -> None:
        self.lanes = lanes
        self._source = module.source
        self.declared = {d.name: d for d in module.declarations if not isinstance(d, ConstAssert)}
        self.off: frozenset[str] = frozenset() if lanes else _rules_off(module)
        self._summaries: dict[str, Summary] = {}

    def summary(self, name: str) -> Summary | None:
        """Return the summary of a function of the module; None for any other name."""
        function = self.declared.get(name)
        if not isinstance(function, Function):
            return None
        if name not in self._summaries:
            self._summaries[name] = Summary()  # for recursion, which the engine refuses
            self._summaries[name] = self._summarize(function)
        return self._summaries[name]

    def _summarize(self, function: Function) -> Summary:
        graph = Graph()
        walk = StatementWalk(graph, self)
        entry = any(a.name == "compute" for a in function.attributes)
        places: list[tuple[int, int | None]] = []
        for parameter in function.parameters:
            value = graph.new()
            if entry:
                graph.add(value, START if self._is_uniform_input(parameter) else NON_UNIFORM)
            contents = graph.new() if self._is_pointer(parameter.type) else None
            walk.declare_parameter(parameter.name, value, contents)
            if entry and _built_in(parameter) == "local_invocation_index":
                walk.index = walk.find(parameter.name)
            places.append((value, contents))
        walk.body(function.body)
        summary = Summary()
        for requirement in walk.requirements:
            self._check(requirement, graph, places, summary)
        summary.result = _influence(graph, graph.new(*walk.returned), places)
        for i, local in enumerate(walk.parameters):
            if local.contents:
                out = graph.new(*walk.contents_at_end(local))
                summary.outputs[i] = _influence(graph, out, places)
        return summary

    def _check(
        self,
        requirement: Requirement,
        graph: Graph,
        places: list[tuple[int, int | None]],
        summary: Summary,
    ) -> None:
        """Note what a requirement asks of callers; raise where the function itself breaks it."""
        found = graph.reach(requirement.node)
        if NON_UNIFORM in found:
            raise syntax_error(requirement.message, self._source, requirement.at)
        if START in found:
            summary.requires_flow = summary.requires_flow or requirement.name
        for i, (value, contents) in enumerate(places):
            if value in found:
                summary.required.setdefault(i, requirement.name)
            if contents in found:
                summary.required_contents.setdefault(i, requirement.name)

    def _is_uniform_input(self, parameter: FunctionParameter) -> bool:
        struct = self.declared.get(self.resolve(parameter.type).name)
        members: tuple[FunctionParameter | StructMember, ...] = (parameter,)
        if isinstance(struct, Struct):
            members = struct.members
        uniform = SUBGROUP_INPUTS if self.lanes else UNIFORM_INPUTS
        return all(_built_in(member) in uniform for member in members)

    def _is_pointer(self, type_: Name) -> bool:
        return self.resolve(type_).name == "ptr"

    def resolve(self, type_: Name) -> Name:
        """Return a type without aliases."""
        for _ in self.declared:
            declaration = self.declared.get(type_.name)
            aliased = getattr(declaration, "type", None)
            if isinstance(declaration, Variable | Function) or not isinstance(aliased, Name):
                break
            type_ = aliased
        return type_


def _built_in(owner: FunctionParameter | StructMember) -> str:
    for attribute in owner.attributes:
        if attribute.name == "builtin" and attribute.arguments:
            named = attribute.arguments[0]
            return named.name if isinstance(named, Name) else ""
    return ""


def _influence(graph: Graph, node: int, places: list[tuple[int, int | None]]) -> Influence:
    found = graph.reach(node)
    return Influence(
        NON_UNIFORM in found,
        frozenset(i for i, (value, _) in enumerate(places) if value in found),
        frozenset(i for i, (_, contents) in enumerate(places) if contents in found),
    )


def _rules_off(module: Module) -> frozenset[str]:
    """Return the rules that a directive or an attribute makes no error, anywhere in the module."""
    listed = [(d.severity, d.rule) for d in module.directives if isinstance(d, Diagnostic)]
    found = {rule.rpartition(".")[2] for severity, rule in listed if severity != "error"}
    if "@diagnostic" in module.source.replace(" ", ""):
        found |= {rule for rule in RULES if rule in module.source}
    return frozenset(found)
