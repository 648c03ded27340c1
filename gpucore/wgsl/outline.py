"""The syntax tree without the insides of functions: what reflection looks at, several times sooner.

What stands in a function is not parsed, so that its faults are left to the engine; of its text only
the names it mentions are noted, as the parser notes them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Final

from gpucore.wgsl.lexer import LINE_COMMENT
from gpucore.wgsl.parser import parse
from gpucore.wgsl.syntax import Function, Module

_FUNCTION: Final = re.compile(r"\bfn\s+(\w+)[^{;]*\{")
# Declared names with what stands before them, called ones with "(", members with ".", attributes
# with "@", numbers.
_WORD: Final = re.compile(r"(?:let|const|var(?:\s*<[^;=>]*>)?)\s+\w+|[.@]?\w+(?:\s*\()?")
_GLOBAL: Final = re.compile(r"\b(?:override|alias|struct|const|var(?:\s*<[^;=>]*>)?)\s+(\w+)")


def outline(source: str) -> Module:
    """The module of ``source``, the bodies of its functions empty. Raises ``WgslSyntaxError``.

    A function that hides a variable or a type of the module behind a name of its own is whole; of
    a source with block comments all are.
    """
    if "/*" in source:
        return parse(source)
    text = LINE_COMMENT.sub(lambda comment: " " * len(comment[0]), source)
    bodies = list(_bodies(text))
    declared = set(_GLOBAL.findall("".join(_outside(text, bodies))))
    words = {span[0]: set(_WORD.findall(text, *span)) for span in bodies}
    plain = [span for span in bodies if declared.isdisjoint(_locals(words[span[0]]))]
    module = parse("".join(_outside(text, plain, " ")))
    inside = {start: words[start] for start, _ in plain}
    functions = {each.name for each in module.declarations if isinstance(each, Function)}
    declarations = tuple(
        _noted(each, inside.pop(each.body.at + 1), functions)
        if isinstance(each, Function) and each.body.at + 1 in inside
        else each
        for each in module.declarations
    )
    return parse(source) if inside else replace(module, declarations=declarations, source=source)


def _bodies(text: str) -> Iterator[tuple[int, int]]:
    """Where each function's body begins and ends, without its braces."""
    at = 0
    while (head := _FUNCTION.search(text, at)) is not None:
        at, end, depth = head.end(), text.find("}", head.end()), 0
        while end >= 0 and (depth := depth + text.count("{", at, end)):
            depth, at = depth - 1, end + 1
            end = text.find("}", at)
        if end < 0:
            return
        yield head.end(), end
        at = end + 1


def _outside(text: str, bodies: Iterable[tuple[int, int]], filler: str = "") -> Iterator[str]:
    """The parts of the text around the bodies, with as much of the filler as they were long."""
    at = 0
    for start, end in bodies:
        yield text[at:start]
        yield filler * (end - start)
        at = end
    yield text[at:]


def _locals(words: Collection[str]) -> Iterator[str]:
    return (word.split()[-1] for word in words if word[-1] != "(" and " " in word)


def _noted(function: Function, words: Collection[str], functions: Collection[str]) -> Function:
    """The function with the names of its head and those among the ``words`` of its body.

    Its parameters hide what has their names; a name of ``functions`` is theirs where it is called.
    """
    assert function.mentions is not None
    assert function.declares is not None
    called = {word[:-1].rstrip() for word in words if word[-1] == "("}
    seen = called.union(set(words).difference(functions)).difference(function.declares)
    return replace(function, mentions=function.mentions.union(seen), declares=frozenset())
