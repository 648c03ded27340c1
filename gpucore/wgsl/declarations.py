"""The syntax tree without the bodies of functions: enough for reflection, and seven times as fast.

Kernels of one template share most declarations, so the tree of each declaration is cached by its
text. The head of a function is parsed. Its body is searched for the names that it mentions, as the
parser notes them; the engine finds the faults in it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from gpucore.wgsl.errors import WgslError
from gpucore.wgsl.lexer import LINE_COMMENT
from gpucore.wgsl.parser import parse
from gpucore.wgsl.reflection import Reflection, reflect
from gpucore.wgsl.syntax import ConstAssert, Declaration, Directive, Function, Module, Variable

_END: Final = re.compile("[;{]")
_FUNCTION: Final = re.compile(r"\bfn\s")
# Words: declarations with their keyword, calls with "(", members with ".", attributes with "@", and
# numbers.
_DECLARED: Final = re.compile(r"(?:(?:let|const|var)\s+|var\s*<[^;=>]*>\s*)(\w+)")
_WORD: Final = re.compile(
    r"(?:(?:let|const|var)\s+|var\s*<[^;=>]*>\s*)\w+|(?:[.@]\s*)?\w+(?:\s*\()?"
)


@functools.lru_cache(64)
def reflect_outline(source: str) -> Reflection:
    """Reflect the `outline` of ``source``; for errors, reflect the whole tree.

    Kernels in CUDA C++ of one template may share the WGSL that declares their bindings.
    """
    try:
        return reflect(outline(source))
    except WgslError:
        return reflect(parse(source))


def outline(source: str) -> Module:
    """Parse ``source`` without the bodies of its functions. Raises ``WgslSyntaxError``.

    Only variables have the right offsets. A function is parsed completely if a name that it
    declares is also that of a variable or type of the module. All functions are, if the source has
    block comments or letters beyond ASCII.
    """
    text = LINE_COMMENT.sub(lambda comment: " " * len(comment[0]), source)
    if "/*" in source or not text.isascii():
        return parse(source)
    pieces = [(at, text[at:end]) for at, end in _pieces(text)]
    modules = [_parse_piece(piece) for _, piece in pieces]
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
                declarations.append(_with_mentions(piece, each, functions, others))
            elif isinstance(each, Variable):
                declarations.append(replace(each, at=each.at + at, end=each.end + at))
            else:
                declarations.append(each)
    return Module(tuple(directives), tuple(declarations), source, at=0)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each directive and declaration; the rest of the text is the last."""
    at = 0
    while (mark := _END.search(text, at)) is not None:
        end = mark.end() if mark[0] == ";" else _end_of_block(text, mark.end())
        yield at, end
        at = end
    if text[at:].strip():
        yield at, len(text)


def _end_of_block(text: str, at: int) -> int:
    """Return the end of the block that opens before ``at``; the end of the text if it is open."""
    depth = 0
    while (end := text.find("}", at)) >= 0:
        depth += text.count("{", at, end)
        if not depth:
            return end + 1
        depth, at = depth - 1, end + 1
    return len(text)


@functools.lru_cache(2048)
def _parse_piece(piece: str) -> Module:
    """Parse a piece as a module of its own, without a function's body."""
    if not _FUNCTION.search(piece):
        return parse(piece)
    head = piece[: piece.index("{") + 1]
    return parse(f"{head}{piece[-1]}")


@functools.lru_cache(2048)
def _body_words(piece: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return the names that a function's body calls, mentions and declares."""
    words = set(_WORD.findall(piece, piece.index("{")))
    called = frozenset(word[:-1].rstrip() for word in words if word[-1] == "(")
    declares = frozenset(found[1] for word in words if (found := _DECLARED.fullmatch(word)))
    return called, frozenset(words), declares


def _with_mentions(
    piece: str, function: Function, functions: AbstractSet[str], others: AbstractSet[str]
) -> Function:
    """Return a function with the module's names that it mentions, or parsed completely.

    A parameter hides a declaration of its name. A name of ``functions`` counts where it is called.
    """
    called, words, declares = _body_words(piece)
    if not declares.isdisjoint(others):
        (whole,) = parse(piece).declarations
        assert isinstance(whole, Function)
        return whole
    assert function.mentions is not None
    assert function.declares is not None
    seen = functions & called | others & called | others & words
    mentions = function.mentions | (seen - function.declares)
    return replace(function, mentions=mentions, declares=frozenset())
