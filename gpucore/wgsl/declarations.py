"""The syntax tree without what stands in functions: all that reflection wants, seven times sooner.

Kernels of one template have most declarations in common, so that each is parsed once for its text.
Of a function the head is parsed; its body is not, so that faults there are left to the engine: only
the names that it mentions are noted, as the parser notes them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final

from gpucore.wgsl.errors import WgslError
from gpucore.wgsl.lexer import LINE_COMMENT
from gpucore.wgsl.parser import parse
from gpucore.wgsl.reflection import Reflection, reflect
from gpucore.wgsl.syntax import ConstAssert, Declaration, Directive, Function, Module, Variable

_END: Final = re.compile("[;{]")
_FUNCTION: Final = re.compile(r"\bfn\s")
# Declared names with what stands before them, called ones with "(", members with ".", attributes
# with "@", numbers.
_DECLARED: Final = re.compile(r"(?:(?:let|const|var)\s+|var\s*<[^;=>]*>\s*)(\w+)")
_WORD: Final = re.compile(
    r"(?:(?:let|const|var)\s+|var\s*<[^;=>]*>\s*)\w+|(?:[.@]\s*)?\w+(?:\s*\()?"
)


def reflect_outline(source: str) -> Reflection:
    """`reflect` of the `outline` of ``source``; what is wrong is told of the whole tree."""
    try:
        return reflect(outline(source))
    except WgslError:
        return reflect(parse(source))


def outline(source: str) -> Module:
    """The module of ``source``, the bodies of its functions empty. Raises ``WgslSyntaxError``.

    Places are right for variables alone. A function that hides a variable or a type of the module
    behind a name of its own is whole; of a source with block comments, or with letters beyond
    ASCII in its names, all are.
    """
    text = LINE_COMMENT.sub(lambda comment: " " * len(comment[0]), source)
    if "/*" in source or not text.isascii():
        return parse(source)
    pieces = [(at, text[at:end]) for at, end in _pieces(text)]
    modules = [_parsed(piece) for _, piece in pieces]
    named = [d for module in modules for d in module.declarations if not isinstance(d, ConstAssert)]
    functions = {each.name for each in named if isinstance(each, Function)}
    others = {each.name for each in named}.difference(functions)
    directives: list[Directive] = []
    declarations: list[Declaration] = []
    for (at, piece), module in zip(pieces, modules, strict=True):
        if module.directives and declarations:
            return parse(source)
        directives += module.directives
        for each in module.declarations:
            if isinstance(each, Function):
                declarations.append(_noted(piece, each, functions, others))
            elif isinstance(each, Variable):
                declarations.append(replace(each, at=each.at + at, end=each.end + at))
            else:
                declarations.append(each)
    return Module(tuple(directives), tuple(declarations), source, at=0)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Where each directive and declaration begins and ends; what is left over is the last."""
    at = 0
    while (mark := _END.search(text, at)) is not None:
        end = mark.end() if mark[0] == ";" else _behind_braces(text, mark.end())
        yield at, end
        at = end
    if text[at:].strip():
        yield at, len(text)


def _behind_braces(text: str, at: int) -> int:
    """Where the brace closes that opens before ``at``; the end of the text where none does."""
    depth = 0
    while (end := text.find("}", at)) >= 0:
        depth += text.count("{", at, end)
        if not depth:
            return end + 1
        depth, at = depth - 1, end + 1
    return len(text)


@functools.lru_cache(2048)
def _parsed(piece: str) -> Module:
    """A piece as a module of its own, a function's body empty."""
    if not _FUNCTION.search(piece):
        return parse(piece)
    head = piece[: piece.index("{") + 1]
    return parse(f"{head}{piece[-1]}")


@functools.lru_cache(2048)
def _words(piece: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Of a function's body: the names it calls, mentions and declares."""
    words = set(_WORD.findall(piece, piece.index("{")))
    called = frozenset(word[:-1].rstrip() for word in words if word[-1] == "(")
    declares = frozenset(found[1] for word in words if (found := _DECLARED.fullmatch(word)))
    return called, frozenset(words), declares


def _noted(
    piece: str, function: Function, functions: Collection[str], others: Collection[str]
) -> Function:
    """The function with the names of its head and of its body, or the whole of it.

    Its parameters hide what has their names; a name of ``functions`` is theirs where it is called.
    """
    called, words, declares = _words(piece)
    if not declares.isdisjoint(others):
        (whole,) = parse(piece).declarations
        assert isinstance(whole, Function)
        return whole
    assert function.mentions is not None
    assert function.declares is not None
    seen = called.union(words.difference(functions)).difference(function.declares)
    return replace(function, mentions=function.mentions.union(seen), declares=frozenset())
