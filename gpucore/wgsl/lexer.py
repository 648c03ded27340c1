"""The lexer: one regular expression, and the specification's discovery of template lists.

Tokens are three parallel lists (kinds, texts, offsets), since a kernel's source is lexed while
somebody waits. ``Tokens.__getitem__`` makes a token with line and column on demand.

A token's kind is its own text for punctuation and keywords, else one of ``ident``, ``number``,
``reserved``, ``template<``, ``template>`` and ``end``.
Source: WGSL specification, sections 3 (textual structure) and 3.9 (template lists).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from gpucore.wgsl.errors import line_starts, syntax_error

KEYWORDS: Final = frozenset(
    "alias break case const const_assert continue continuing default diagnostic discard else "
    "enable false fn for if let loop override requires return struct switch true var while".split()
)
RESERVED: Final = frozenset(
    "NULL Self abstract active alignas alignof as asm asm_fragment async attribute auto await "
    "become cast catch class co_await co_return co_yield coherent column_major common compile "
    "compile_fragment concept const_cast consteval constexpr constinit crate debugger decltype "
    "delete demote demote_to_helper do dynamic_cast enum explicit export extends extern external "
    "fallthrough filter final finally friend from fxgroup get goto groupshared highp impl "
    "implements import inline instanceof interface layout lowp macro macro_rules match mediump "
    "meta mod module move mut mutable namespace new nil noexcept noinline nointerpolation "
    "non_coherent noncoherent noperspective null nullptr of operator package packoffset partial "
    "pass patch pixelfragment precise precision premerge priv protected pub public readonly ref "
    "regardless register reinterpret_cast require resource restrict self set shared sizeof smooth "
    "snorm static static_assert static_cast std subroutine super target template this thread_local "
    "throw trait try type typedef typeid typename typeof union unless unorm unsafe unsized use "
    "using varying virtual volatile wgsl where with writeonly yield".split()
)
_WORD_KINDS: Final = {
    **{word: word for word in KEYWORDS},
    **dict.fromkeys(RESERVED, "reserved"),
    "_": "_",
}

_BREAKS = "\n\v\f\r\x85\u2028\u2029"
_BLANKS = " \t\u200e\u200f" + _BREAKS
_HEX = "[0-9a-fA-F]"
_HEX_EXPONENT = "[pP][+-]?[0-9]+(?:[fh]|lf)?"
_DEC_EXPONENT = "[eE][+-]?[0-9]+"
_NUMBER = "|".join(
    (
        rf"0[xX](?:{_HEX}*\.{_HEX}+|{_HEX}+\.)(?:{_HEX_EXPONENT})?",
        rf"0[xX]{_HEX}+{_HEX_EXPONENT}",
        rf"0[xX]{_HEX}+(?:[iu]|l[iu])?",
        rf"(?:[0-9]*\.[0-9]+|[0-9]+\.)(?:{_DEC_EXPONENT})?(?:[fh]|lf)?",
        rf"[0-9]+{_DEC_EXPONENT}(?:[fh]|lf)?",
        r"(?:0|[1-9][0-9]*)(?:[iufh]|l[iuf])?",
    )
)
_OPERATOR = (
    r"->|&&|\|\||\+\+|--|<<=|<<|<=|==|!=|[+\-*/%&|^]=|[-+*/%&|^~!=<>()\[\]{},;:@]|\.(?![0-9])"
)
_TOKEN = re.compile(
    rf"(?>[{_BLANKS}]+|//[^{_BREAKS}]*)*+"
    rf"(?:([A-Za-z_][A-Za-z_0-9]*+(?![^\x00-\x7f{_BLANKS}]))"
    r"|((?:0|[1-9][0-9]*)[iu]?(?![\w.]))"
    rf"|((?>{_NUMBER})(?!\w))"
    rf"|({_OPERATOR})"
    rf"|(\.?[0-9][\w.]*+|[A-Za-z_\u0080-\U0010ffff][^\x00-/:-@\[-^`{{-\x7f{_BLANKS}]*)"
    r"|(\Z)|(.))",
    re.DOTALL,
)
_WORD, _NUMBER_GROUP, _OPERATOR_GROUP, _OTHER_WORD, _END = 1, 3, 4, 5, 6
_COMMENT_MARK = re.compile(rf"//[^{_BREAKS}]*|/\*")
LINE_COMMENT = re.compile(rf"//[^{_BREAKS}]*")
_NESTED_MARK = re.compile(r"/\*|\*/")
_NOT_BREAK = re.compile(f"[^{_BREAKS}]")
_SHIFT_OR_COMPARE = re.compile(">>=(?!=)|>>(?!=)|>=(?!=)|>")
_RESETS: Final = frozenset("; { : = += -= *= /= %= &= |= ^= <<=".split())
_BEFORE_TEMPLATE: Final = frozenset({"ident", "reserved", *KEYWORDS} - {"true", "false"})


@dataclass(frozen=True, slots=True)
class Token:
    """One token: kind, text, and its place (offset from 0, line and column from 1)."""

    kind: str
    text: str
    offset: int
    line: int
    column: int


@dataclass(frozen=True)
class Tokens:
    """The tokens of a source as parallel lists, the last of kind ``end``."""

    source: str
    kinds: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    @cached_property
    def _starts(self) -> list[int]:
        return line_starts(self.source)

    def __len__(self) -> int:
        """Return the number of tokens, with the end token."""
        return len(self.kinds)

    def __getitem__(self, index: int) -> Token:
        """Return token number ``index`` with its line and column."""
        offset = self.offsets[index]
        line = bisect_right(self._starts, offset)
        column = offset - self._starts[line - 1] + 1
        return Token(self.kinds[index], self.texts[index], offset, line, column)


def tokenize(source: str) -> Tokens:
    """Split ``source`` into tokens. Raises ``WgslSyntaxError`` at text that is no token."""
    tokens = Tokens(source)
    _scan(blank_comments(source) if "/*" in source else source, tokens)
    if "__" in source:
        _forbid_double_underscore(tokens)
    return tokens


def _scan(text: str, tokens: Tokens) -> None:
    """Fill ``tokens`` from ``text``, and mark the ``<`` and ``>`` of template lists.

    ``pending`` holds the (token index, bracket depth) of each ``<`` that may open a template list.
    The depth counts only while one is pending: only brackets after it matter.
    """
    kinds, texts, offsets = tokens.kinds, tokens.texts, tokens.offsets
    pending: list[tuple[int, int]] = []
    depth = skip = 0
    for match in _TOKEN.finditer(text):
        group = match.lastindex or 0
        word = match[group]
        offset = match.start(group)
        if group == _WORD:
            kind = _WORD_KINDS.get(word, "ident")
        elif group == _OPERATOR_GROUP:
            if offset < skip:
                continue
            kind = word
            if word == "<":
                if kinds and kinds[-1] in _BEFORE_TEMPLATE:
                    pending.append((len(kinds), depth))
            elif word == ">":
                if pending and pending[-1][1] == depth:
                    kinds[pending.pop()[0]] = "template<"
                    kind = "template>"
                elif (found := _SHIFT_OR_COMPARE.match(text, offset)) is not None:
                    kind = word = found[0]
                    skip = found.end()
            elif pending:
                depth = _depth_after(word, pending, depth)
        elif group <= _NUMBER_GROUP:
            kind = "number"
        else:
            kind = _unusual_kind(tokens.source, offset, word, group)
        kinds.append(kind)
        texts.append(word)
        offsets.append(offset)
        if group == _END:
            return


def _depth_after(text: str, pending: list[tuple[int, int]], depth: int) -> int:
    """Update ``pending`` for punctuation inside a possible template list; return the new depth."""
    if text in ("(", "["):
        return depth + 1
    if text in (")", "]", "&&", "||"):
        while pending and pending[-1][1] >= depth:
            pending.pop()
        return max(0, depth - 1) if text in (")", "]") else depth
    if text in _RESETS:
        pending.clear()
        return 0
    return depth


def _unusual_kind(source: str, offset: int, text: str, group: int) -> str:
    """Return the kind of a token that is no ASCII word, number or operator."""
    if group == _END:
        return "end"
    if group == _OTHER_WORD and text[0] in ".0123456789":
        raise syntax_error(f"{text!r} is not a number literal of WGSL", source, offset)
    if group == _OTHER_WORD and text.isidentifier():
        return "ident"
    wrong = next((i for i in range(1, len(text) + 1) if not text[:i].isidentifier()), 1) - 1
    character = text[wrong]
    raise syntax_error(
        f"character {character!r} (U+{ord(character):04X}) does not belong in WGSL",
        source,
        offset + wrong,
    )


def blank_comments(source: str) -> str:
    """Replace comments by blanks; every other character keeps its offset."""
    parts: list[str] = []
    position = 0
    while (mark := _COMMENT_MARK.search(source, position)) is not None:
        end = mark.end() if mark[0] != "/*" else _comment_end(source, mark.start())
        parts += (source[position : mark.start()], _NOT_BREAK.sub(" ", source[mark.start() : end]))
        position = end
    return "".join(parts) + source[position:]


def _comment_end(source: str, start: int) -> int:
    """Return the offset after the block comment that opens at ``start``; comments nest."""
    depth = 0
    for mark in _NESTED_MARK.finditer(source, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    raise syntax_error("this block comment is never closed: '*/' is missing", source, start)


def _forbid_double_underscore(tokens: Tokens) -> None:
    for kind, text, offset in zip(tokens.kinds, tokens.texts, tokens.offsets, strict=True):
        if kind == "ident" and text.startswith("__"):
            raise syntax_error(
                f"name {text!r}: names must not start with two underscores", tokens.source, offset
            )
