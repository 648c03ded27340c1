"""Statements as C."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from gpucore.wgsl.c_family.errors import unsupported_error
from gpucore.wgsl.c_family.expressions import ExpressionPrinter, has_call
from gpucore.wgsl.c_family.spelling import (
    count_name,
    has_length,
    symbol_name,
    type_name,
    user_name,
)
from gpucore.wgsl.syntax import (
    Assign,
    Block,
    Break,
    BreakIf,
    CallStatement,
    ConstAssert,
    Continue,
    Expression,
    For,
    Function,
    If,
    Loop,
    Return,
    Statement,
    Step,
    Switch,
    Variable,
    While,
)
from gpucore.wgsl.types.kinds import I32, Pointer
from gpucore.wgsl.values import Constant

__all__ = ["StatementPrinter"]

_INDENT = "    "
_BARRIERS = frozenset(("workgroupBarrier", "storageBarrier", "textureBarrier"))


class StatementPrinter:
    """Prints functions, with the expressions of ``printer``."""

    def __init__(self, printer: ExpressionPrinter) -> None:
        self._printer = printer
        self._facts = printer.facts
        self._labels = itertools.count(1)
        self._continue = ["continue;"]

    def function(self, function: Function) -> Iterator[str]:
        """Yield the lines of a function."""
        parameters: list[str] = []
        for symbol in (self._facts.declared[id(p)] for p in function.parameters):
            parameters.append(f"{type_name(symbol.type)} {symbol_name(symbol)}")
            if has_length(symbol.type):
                parameters.append(f"unsigned {count_name(symbol)}")
                self._printer.counts[symbol.name, symbol.number] = count_name(symbol)
        found = self._facts.results[function.name]
        result = "void" if found is None else type_name(found)
        yield f"W_DEV {result} {user_name(function.name)}({', '.join(parameters)}) {{"
        yield from self._lines(function.body)
        yield "}"

    def _lines(self, block: Block) -> Iterator[str]:
        """Yield the statements of a block, indented."""
        yield from indent(self._each(block.statements))

    def _each(self, statements: Sequence[Statement]) -> Iterator[str]:
        """Yield statements; of barriers that follow each other, one: it orders all memory."""
        before: Statement | None = None
        for statement in statements:
            if not (is_barrier(statement) and before is not None and is_barrier(before)):
                yield from self._statement(statement)
            before = statement

    def _statement(self, node: Statement) -> Iterator[str]:
        match node:
            case Block():
                yield "{"
                yield from self._lines(node)
                yield "}"
            case If():
                yield from self._if(node)
            case Switch():
                yield from self._switch(node)
            case Loop():
                yield from self._loop(node)
            case For():
                yield from self._for(node)
            case While(condition=condition, body=body):
                yield f"while ({self._printer.loop_condition(condition)}) {{"
                yield from self._loop_body(body, "continue;")
                yield "}"
            case BreakIf(condition=condition):
                yield f"if ({self._printer.text(condition)}) break;"
            case ConstAssert():
                pass
            case Continue():
                yield self._continue[-1]
            case Break():
                yield "break;"
            case Assign() | Step():
                yield from self._guarded_assign(node)
            case _:
                if text := self._simple(node):
                    yield f"{text};"

    def _guarded_assign(self, node: Assign | Step) -> Iterator[str]:
        """Print an assignment that does nothing where its place is past the end of a buffer."""
        guard = "" if node.target is None else self._printer.guard(node.target)
        if not guard or node.target is None or has_call(node.target):
            yield f"{self._simple(node)};"
            return
        target = self._printer.text(node.target)
        value = self._value(node, node.target, target)
        yield f"{{ const auto w_value = {value}; if ({guard}) {target} = w_value; }}"

    def _value(self, node: Assign | Step, target: Expression, old: str) -> str:
        """Return what is assigned to ``target``, whose value before has the text ``old``."""
        if isinstance(node, Step):
            if self._facts.type_of(target) == I32:  # signed integers must not overflow in C
                return f"{'w_add' if node.operator == '++' else 'w_sub'}({old}, 1)"
            return f"({old} {node.operator[0]} 1u)"
        if node.operator == "=":
            return self._printer.text(node.value)
        return self._printer.combine_with(old, node.operator[:-1], target, node.value)

    def _loop_body(self, body: Block, continued: str) -> Iterator[str]:
        yield from self._turn()
        self._continue.append(continued)
        yield from self._lines(body)
        self._continue.pop()

    def _turn(self) -> Iterator[str]:
        """Begin a loop's body: C++ takes it that a loop without effects ends, WGSL does not."""
        if self._printer.checks:
            yield f"{_INDENT}W_TURN;"

    def _simple(self, node: Statement) -> str:
        """Return a statement of one line, without its semicolon; nothing for a known constant."""
        text = self._printer.text
        match node:
            case Variable():
                return self._local(node)
            case Assign(target=None, value=value):
                return f"(void)({text(value)})"
            case Assign() | Step():
                return self._assign(node)
            case CallStatement(call=call):
                return text(call)
            case Return(value=value):
                return "return" if value is None else f"return {text(value)}"
            case _:
                raise unsupported_error(
                    f"'{type(node).__name__.lower()}'", self._printer.source, node
                )

    def _local(self, node: Variable) -> str:
        symbol = self._facts.declared[id(node)]
        if node.kind == "const" and symbol.value is not None:
            return ""
        type_ = symbol.type
        self._note_pointer(node)
        constant = "" if node.kind == "var" or isinstance(type_, Pointer) else "const "
        value = "{}" if node.value is None else f" = {self._printer.text(node.value)}"
        return f"{constant}{type_name(type_)} {symbol_name(symbol)}{value}"

    def _note_pointer(self, node: Variable) -> None:
        """Note what a pointer points to, for the length of an array behind it."""
        symbol = self._facts.declared[id(node)]
        if isinstance(symbol.type, Pointer) and node.value is not None:
            self._printer.pointers[symbol.name, symbol.number] = node.value

    def _assign(self, node: Assign | Step) -> str:
        assert node.target is not None
        target = self._printer.text(node.target)
        if node.operator == "=" or not has_call(node.target):
            return f"{target} = {self._value(node, node.target, target)}"
        once = self._value(node, node.target, "w_target")
        return f"[&] {{ auto& w_target = {target}; w_target = {once}; }}()"

    def _if(self, node: If) -> Iterator[str]:
        head = ""
        for clause in node.clauses:
            yield f"{head}if ({self._printer.text(clause.condition)}) {{"
            yield from self._lines(clause.body)
            head = "} else "
        if node.otherwise is not None:
            yield "} else {"
            yield from self._lines(node.otherwise)
        yield "}"

    def _switch(self, node: Switch) -> Iterator[str]:
        yield f"switch ({self._printer.text(node.selector)}) {{"
        for clause in node.clauses:
            labels = [
                "default:" if selector is None else f"case {self._selector(selector)}:"
                for selector in clause.selectors
            ]
            yield f"{' '.join(labels)} {{"
            yield from self._lines(clause.body)
            yield f"{_INDENT}break;"
            yield "}"
        yield "}"

    def _selector(self, node: Expression) -> str:
        value = self._facts.value_of(node)
        if not isinstance(value, Constant):
            raise unsupported_error("a selector that is not known", self._printer.source, node)
        return self._printer.text(node)

    def _loop(self, node: Loop) -> Iterator[str]:
        """Print a loop; ``continue`` jumps over the rest of the body to the continuing block."""
        if node.continuing is None or not node.continuing.statements:
            yield "while (true) {"
            yield from self._loop_body(node.body, "continue;")
            yield "}"
            return
        label = f"w_continuing{next(self._labels)}"
        shared = [s for s in node.body.statements if isinstance(s, Variable)]
        yield "while (true) {"
        yield from self._turn()
        for variable in shared:
            yield from indent(self._hoist(variable))
        yield f"{_INDENT}{{"
        self._continue.append(f"goto {label};")
        for statement in node.body.statements:
            lines = self._set(statement) if statement in shared else self._statement(statement)
            yield from indent(indent(lines))
        self._continue.pop()
        yield f"{_INDENT}}}"
        yield f"{_INDENT}{label}:;"
        yield from self._lines(node.continuing)
        yield "}"

    def _hoist(self, variable: Variable) -> Iterator[str]:
        """Declare a variable of a loop's body before it, where the continuing block sees it."""
        symbol = self._facts.declared[id(variable)]
        if variable.kind != "const" or symbol.value is None:
            yield f"{type_name(symbol.type)} {symbol_name(symbol)}{{}};"

    def _set(self, variable: Statement) -> Iterator[str]:
        """Give a hoisted variable its value."""
        assert isinstance(variable, Variable)
        symbol = self._facts.declared[id(variable)]
        if variable.kind == "const" and symbol.value is not None:
            return
        self._note_pointer(variable)
        zero = f"{type_name(symbol.type)}{{}}"
        value = zero if variable.value is None else self._printer.text(variable.value)
        yield f"{symbol_name(symbol)} = {value};"

    def _for(self, node: For) -> Iterator[str]:
        start = "" if node.start is None else self._simple(node.start)
        test = node.condition
        condition = "" if test is None else f" {self._printer.loop_condition(test)}"
        update = "" if node.update is None else f" {self._simple(node.update)}"
        yield f"for ({start};{condition};{update}) {{"
        yield from self._loop_body(node.body, "continue;")
        yield "}"


def indent(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines one level deeper."""
    return (_INDENT + line for line in lines)


def is_barrier(node: Statement) -> bool:
    """Tell whether a statement is a barrier."""
    return isinstance(node, CallStatement) and node.call.function.name in _BARRIERS
