"""The typed pass: the type of every expression that an entry point reaches.

It finds what overloads mean, turns abstract numbers into those that are asked for, and refuses
what does not fit. Functions and module-scope variables that the entry point does not use are
skipped, as the engines skip them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gpucore.wgsl.constants import Constants
from gpucore.wgsl.syntax import (
    Alias,
    Assign,
    Binary,
    Block,
    BreakIf,
    CallStatement,
    ConstAssert,
    Declaration,
    Expression,
    For,
    Function,
    If,
    Loop,
    Module,
    Name,
    Node,
    Return,
    Statement,
    Step,
    Struct,
    Switch,
    Unary,
    Variable,
    While,
)
from gpucore.wgsl.types.calls import CallTypes
from gpucore.wgsl.types.errors import WgslTypeError, type_error
from gpucore.wgsl.types.facts import Facts, Symbol, Value
from gpucore.wgsl.types.kinds import (
    BOOL,
    I32,
    U32,
    Pointer,
    Scalar,
    Structure,
    Type,
    converts,
    describe,
)
from gpucore.wgsl.types.resolution import Resolver
from gpucore.wgsl.usage import names_used
from gpucore.wgsl.values import Constant, Number

__all__ = ["infer_types"]

_STEP: Final = {"++": "+", "--": "-"}


def infer_types(module: Module, entry: str, constants: Mapping[str, Number]) -> Facts:
    """Find the types of what the entry point uses; ``constants`` are the values of overrides.

    An override has its name, or the number of its ``@id`` as text. Raises `WgslTypeError` and
    other errors of `WgslError`.
    """
    return _Pass(module, entry, constants).run()


class _Pass:
    def __init__(self, module: Module, entry: str, constants: Mapping[str, Number]) -> None:
        self._source = module.source
        named = [d for d in module.declarations if not isinstance(d, ConstAssert)]
        self._names: dict[str, Declaration] = {
            declaration.name: declaration for declaration in named
        }
        self._module = module
        self._constants = Constants(self._names, module.source, constants)
        self.facts = Facts()
        self._resolver = Resolver(self._names, module.source, self._count)
        self._expressions = CallTypes(module.source, self.facts, self._resolver)
        self._expressions.look_up = self._look_up
        self._symbols: dict[str, Symbol] = {}
        self._scopes: list[dict[str, Symbol]] = []
        self._numbers: dict[str, int] = {}
        self._open: set[str] = set()
        self._result: Type | None = None
        function = self._names.get(entry)
        if not isinstance(function, Function):
            raise self._error(f"there is no entry point '{entry}'", module)
        self._entry = function

    def run(self) -> Facts:
        """Walk what the entry point uses; return what was found."""
        used = names_used(self._entry, self._names)
        functions = [d for d in self._names.values() if isinstance(d, Function) and d.name in used]
        for name, declaration in self._names.items():
            if name in used and isinstance(declaration, Variable):
                symbol = self._module_symbol(name)
                self.facts.variables.append((declaration, symbol))
        for function in functions:
            self._function(function)
        self.facts.functions = functions
        self.facts.structures = self._resolver.structures
        return self.facts

    def _error(self, message: str, node: Node) -> WgslTypeError:
        return type_error(message, self._source, node.at)

    def _count(self, node: Expression) -> int:
        """Return a positive integer known before the shader runs; locals count, too."""
        type_ = self._expressions.infer(node)
        value = self.facts.value_of(node)
        if not isinstance(value, Constant) or type_ not in (I32, U32, Scalar("int")):
            return self._constants.count(node, "the size")
        if value.value < 1:
            raise self._error(f"the size is {value.value}, but must be at least 1", node)
        return int(value.value)

    # Names

    def _look_up(self, name: str) -> Symbol | None:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return self._module_symbol(name) if name in self._names else None

    def _module_symbol(self, name: str) -> Symbol:
        if name not in self._symbols:
            if name in self._open:
                raise self._error(f"'{name}' is defined through itself", self._names[name])
            self._open.add(name)
            scopes, self._scopes = self._scopes, []
            self._symbols[name] = self._made_symbol(self._names[name])
            self._scopes = scopes
            self._open.discard(name)
        return self._symbols[name]

    def _made_symbol(self, declared: Declaration) -> Symbol:
        """Return the symbol of a declaration of the module."""
        match declared:
            case Function(name=name, parameters=parameters, result=result):
                types = tuple((p.name, self._resolver.resolve(p.type)) for p in parameters)
                found = None if result is None else self._resolver.resolve(result)
                self.facts.results[name] = found
                return Symbol(name, "function", Structure(name, types))
            case Variable():
                return self._module_variable(declared)
            case Alias(name=name) | Struct(name=name):
                return Symbol(name, "type", Structure(name, ()))
            case _:
                raise self._error("this cannot be used", declared)

    def _module_variable(self, variable: Variable) -> Symbol:
        if variable.kind == "override":
            constant = self._constants.evaluate(Name(variable.name, at=variable.at))
            return Symbol(variable.name, "override", Scalar(constant.type), constant)
        type_, value = self._initial(variable)
        if variable.kind == "const":
            return Symbol(variable.name, "const", type_, value)
        space = variable.address_space or "private"
        access = variable.access or ("read" if space in ("storage", "uniform") else "read_write")
        return Symbol(variable.name, f"{space} {access}", type_)

    def _initial(self, variable: Variable) -> tuple[Type, Value | None]:
        """Return type and known value of a variable, from its type and its initial value."""
        declared = None if variable.type is None else self._resolver.resolve(variable.type)
        if variable.value is None:
            if declared is None:
                raise self._error(f"'{variable.name}' needs a type or a value", variable)
            return declared, None
        if declared is not None:
            self._expressions.expect(variable.value, declared, f"value of '{variable.name}'")
            return declared, self.facts.value_of(variable.value)
        if variable.kind == "const":
            type_ = self._expressions.infer(variable.value)
            value = self.facts.value_of(variable.value)
            if value is not None:
                return type_, value
        type_ = self._expressions.settle(variable.value)
        return type_, self.facts.value_of(variable.value)

    def _declare(self, node: Node, name: str, kind: str, type_: Type, value: Value | None) -> None:
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        symbol = Symbol(name, kind, type_, value, number)
        self._scopes[-1][name] = symbol
        self.facts.nodes.append(node)
        self.facts.declared[id(node)] = symbol

    # Statements

    def _function(self, function: Function) -> None:
        self._module_symbol(function.name)
        self._numbers = {}
        self._scopes = [{}]
        for parameter in function.parameters:
            type_ = self._resolver.resolve(parameter.type)
            self._declare(parameter, parameter.name, "parameter", type_, None)
        self._result = self.facts.results[function.name]
        self._block(function.body)
        self._scopes = []

    def _block(self, block: Block) -> None:
        self._scopes.append({})
        for statement in block.statements:
            self._statement(statement)
        self._scopes.pop()

    def _statement(self, node: Statement) -> None:
        match node:
            case Block():
                self._block(node)
            case Variable():
                self._local(node)
            case ConstAssert(condition=condition):
                self._assertion(condition)
            case Assign():
                self._assign(node)
            case Step(target=target):
                self._step(target)
            case CallStatement(call=call):
                self._expressions.infer(call)
            case Return():
                self._return(node)
            case BreakIf(condition=condition):
                self._expressions.expect(condition, BOOL, "condition")
            case _:
                self._compound(node)

    def _compound(self, node: Statement) -> None:
        match node:
            case If(clauses=clauses, otherwise=otherwise):
                for clause in clauses:
                    self._expressions.expect(clause.condition, BOOL, "condition")
                    self._block(clause.body)
                if otherwise is not None:
                    self._block(otherwise)
            case Switch():
                self._switch(node)
            case Loop(body=body, continuing=continuing):
                self._scopes.append({})
                for statement in body.statements:
                    self._statement(statement)
                if continuing is not None:
                    self._block(continuing)
                self._scopes.pop()
            case For():
                self._for(node)
            case While(condition=condition, body=body):
                self._expressions.expect(condition, BOOL, "condition")
                self._block(body)

    def _for(self, node: For) -> None:
        self._scopes.append({})
        if node.start is not None:
            self._statement(node.start)
        if node.condition is not None:
            self._expressions.expect(node.condition, BOOL, "condition")
        if node.update is not None:
            self._statement(node.update)
        self._block(node.body)
        self._scopes.pop()

    def _switch(self, node: Switch) -> None:
        type_ = self._expressions.settle(node.selector)
        if type_ not in (I32, U32):
            raise self._error(f"switch needs an integer, got {describe(type_)}", node)
        for clause in node.clauses:
            for selector in clause.selectors:
                if selector is not None:
                    self._expressions.expect(selector, type_, "selector")
            self._block(clause.body)

    def _local(self, node: Variable) -> None:
        type_, value = self._initial(node)
        kind = node.kind if node.kind != "var" else "function read_write"
        if node.kind != "const":
            value = None
        self._declare(node, node.name, kind, type_, value)

    def _assertion(self, condition: Expression) -> None:
        self._expressions.expect(condition, BOOL, "condition")
        value = self.facts.value_of(condition)
        if isinstance(value, Constant) and not value.value:
            raise self._error("const_assert failed", condition)

    def _assign(self, node: Assign) -> None:
        if node.target is None:
            self._expressions.settle(node.value)
            return
        target = self._target(node.target)
        if node.operator == "=":
            self._expressions.expect(node.value, target, "value")
            return
        operation = Binary(node.operator[:-1], node.target, node.value, at=node.at)
        result = self._expressions.infer(operation)
        self._expressions.convert(operation, target)
        if not converts(result, target):
            message = f"the result is of type {describe(result)}, not {describe(target)}"
            raise self._error(message, node)

    def _target(self, node: Expression) -> Type:
        """Infer what is assigned to. Raises `WgslTypeError` where it cannot be."""
        type_ = self._expressions.infer(node)
        root: Expression = node
        while not isinstance(root, Name):
            match root:
                case Unary(operator="*"):
                    return type_
                case _:
                    inner = getattr(root, "value", None)
                    if inner is None:
                        raise self._error("this cannot be assigned to", node)
                    if isinstance(self.facts.types.get(id(inner)), Pointer):
                        return type_
                    root = inner
        symbol = self.facts.symbol_of(root)
        if " " not in symbol.kind or symbol.kind.endswith(" read"):
            kind = "read-only" if symbol.kind.endswith(" read") else f"a {symbol.kind}"
            raise self._error(f"'{root.name}' is {kind} and cannot be assigned to", node)
        return type_

    def _step(self, target: Expression) -> None:
        if self._target(target) not in (I32, U32):
            raise self._error("'++' and '--' need an integer", target)

    def _return(self, node: Return) -> None:
        if node.value is None:
            if self._result is not None:
                raise self._error(f"return needs a value of {describe(self._result)}", node)
        elif self._result is None:
            raise self._error("this function returns no value", node)
        else:
            self._expressions.expect(node.value, self._result, "result")
