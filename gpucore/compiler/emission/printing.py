"""Lines that a kernel prints: each takes a place in a buffer of words, while there is room.

The first word of the buffer counts the words that were asked for, the second the lines. A line is
the number of its print, the three global ids, and its numbers.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final

from gpucore.compiler import ir
from gpucore.compiler.compiled import PrintSite
from gpucore.compiler.emission.expressions import ExpressionWriter
from gpucore.compiler.emission.trees import call, number
from gpucore.compiler.flexible import close
from gpucore.wgsl.parser import parse
from gpucore.wgsl.syntax import (
    Binary,
    Block,
    Call,
    CallStatement,
    Expression,
    Function,
    If,
    IfClause,
    Index,
    Name,
    Node,
    Statement,
    Unary,
    Variable,
)
from gpucore.wgsl.types.kinds import BOOL, F16, I32, U32, Scalar

__all__ = ["print_function", "print_statement", "site_of"]

_FUNCTION: Final = """
fn NAME(site: u32, words: u32, id: vec3<u32>) -> u32 {
    let size = arrayLength(&BUFFER);
    atomicAdd(&BUFFER[1], 1u);
    if (atomicLoad(&BUFFER[0]) >= size) {
        return 0u;
    }
    let start = atomicAdd(&BUFFER[0], words + 4u) + 2u;
    if (start + words + 4u > size) {
        return 0u;
    }
    atomicStore(&BUFFER[start], site);
    atomicStore(&BUFFER[start + 1u], id.x);
    atomicStore(&BUFFER[start + 2u], id.y);
    atomicStore(&BUFFER[start + 3u], id.z);
    return start + 4u;
}
"""


def print_function(name: str, buffer: str) -> Function:
    """Return the function that takes a place for a line; it returns 0 where there is no room."""
    text = _FUNCTION.replace("NAME", name).replace("BUFFER", buffer)
    (function,) = parse(text).declarations
    assert isinstance(function, Function)
    plain: Function = _without_places(function)
    return plain


def _without_places(node: Any) -> Any:
    """Return a tree without offsets of a text, which would be taken for places in Python."""
    if isinstance(node, tuple):
        return tuple(map(_without_places, node))
    if not isinstance(node, Node):
        return node
    inner = {each.name: _without_places(getattr(node, each.name)) for each in fields(node)}
    return replace(node, **{**inner, "at": -1})


def site_of(node: ir.Print) -> PrintSite:
    """Return what a line is made of, now that all types are known."""
    words = iter(node.words)
    pieces = []
    for piece in node.pieces:
        types = [close(next(words).type) for _ in range(piece.count)]
        name = types[0].name if types and isinstance(types[0], Scalar) else ""
        pieces.append(replace(piece, type="f32" if name == "f16" else name))
    return PrintSite(tuple(pieces))


def print_statement(
    node: ir.Print, writer: ExpressionWriter, names: tuple[str, str, str], site: int, at: int
) -> Statement:
    """Return the statement that writes a line; ``names`` are function, buffer and a local name."""
    function, buffer, local = names
    ids = writer.outside.built_in("global_invocation_id", at)
    start = call(function, number(site, U32), number(len(node.words), U32), ids, at=at)
    stores = []
    for offset, word in enumerate(node.words):
        index = Binary("+", Name(local), number(offset, U32)) if offset else Name(local)
        target = Unary("&", Index(Name(buffer, at=at), index, at=at), at=at)
        stored = call("atomicStore", target, _bits(word, writer, at), at=at)
        stores.append(CallStatement(stored, at=at))
    body: list[Statement] = [Variable("let", local, None, start, at=at)]
    room = Binary("!=", Name(local), number(0, U32), at=at)
    if stores:
        body.append(If((IfClause(room, Block(tuple(stores), at=at), at=at),), at=at))
    return Block(tuple(body), at=at)


def _bits(word: ir.Expression, writer: ExpressionWriter, at: int) -> Expression:
    """Return a number as a word: f16 as f32, bool as 0 or 1."""
    value, type_ = writer.write(word), close(word.type)
    if type_ == BOOL:
        return call("select", number(0, U32), number(1, U32), value, at=at)
    if type_ == U32:
        return value
    if type_ == I32:
        return call("u32", value, at=at)
    if type_ == F16:
        value = call("f32", value, at=at)
    return Call(Name("bitcast", (Name("u32"),)), (value,), at=at)
