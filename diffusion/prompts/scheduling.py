r"""The texts of a prompt over the steps: scheduling and alternation, as A1111's WebUI does it.

======================  =========================================================================
``[a:b:n]``             a up to call n of the network, then b; either may be empty
``[b:n]``               nothing up to call n, then b
``[a|b|c]``             a, b, c, a again, ... in turn; any may be empty
======================  =========================================================================

With a decimal point, n is a share of all calls (``0.5``), else a number of calls. The forms nest in
each other and in brackets that weigh, in both directions. Counting continues in a second pass:
there ``1.5`` is the middle of the second pass, and whole numbers count from the start of the first.

The WebUI counts calls of the network, not steps: a step of a sampler of second order (Heun, DPM2,
DPM++ 2S a, DPM++ SDE, Restart) has two. Calls are numbered from 0, and texts from 1. Calls 0 and 1
have text 1, so that ``[a:b:3]`` draws a with 4 calls and ``[a|b]`` begins with a, a, b. A sampler
that makes more calls than were planned (DPM adaptive) gets text 1 again.

What the WebUI's grammar does not read is text, with its backslashes: a bracket that is never
closed, is closed by another kind or holds such a one; a square bracket with colons but no number at
its end; a round one with two colons. Where a bar stands outside of an alternation, or a backslash
before nothing, the whole prompt is text.

The time is linear in the text's length: each token is seen once, and the contents of a bracket are
moved once, into its node.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from diffusion.checks import check_text
from diffusion.errors import SettingsError

__all__ = ["MAX_VARIANTS", "PromptCalls", "schedule_prompt", "text_of_call"]

MAX_VARIANTS: Final = 256
"""Different texts of one prompt."""

_TOKEN: Final = re.compile(r"\\.?|[\[\]():|]|[^\\\[\]():|]++")
_OPENING: Final = {")": "(", "]": "["}
_NUMBER: Final = re.compile(
    r"\s*+([+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)\s*+"
)


@dataclass(frozen=True, slots=True)
class _Switch:
    """``before`` up to text ``end``, then ``after``."""

    before: _Items
    after: _Items
    end: int

    def at(self, place: int) -> _Items:
        """Return the items of a text, from 0."""
        return self.before if place < self.end else self.after


@dataclass(frozen=True, slots=True)
class _Alternation:
    """The options in turn, a new one in each text."""

    options: Sequence[_Items]

    def at(self, place: int) -> _Items:
        """Return the items of a text, from 0."""
        return self.options[place % len(self.options)]


_Items: TypeAlias = "list[str | _Switch | _Alternation]"


@dataclass(slots=True)
class _OpenBracket:
    """A bracket that is not closed yet: its place, and the colons and bars of its own level.

    Only the first three colons are kept: three are too many for a switch.
    """

    kind: str
    start: int
    colons: tuple[int, ...] = ()
    bars: list[int] | None = None

    def add_colon(self, place: int) -> None:
        """Add the place of a colon."""
        if len(self.colons) < 3:
            self.colons = (*self.colons, place)

    def add_bar(self, place: int) -> None:
        """Add the place of a bar."""
        if self.bars is None:
            self.bars = []
        self.bars.append(place)


@dataclass
class _Reader:
    """Reads a prompt into items: texts, switches and alternations.

    ``calls``: the calls of the pass; ``done``: those of the pass before, None in the first pass.
    ``open_brackets``: innermost last. ``ends``: the texts at which a switch changes. ``period``:
    all alternations repeat after so many texts. ``unreadable``: the grammar has no reading of the
    prompt at all.
    """

    calls: int
    done: int | None
    items: _Items = field(default_factory=list)
    open_brackets: list[_OpenBracket] = field(default_factory=list)
    ends: set[int] = field(default_factory=set)
    period: int = 1
    unreadable: bool = False

    def read(self, text: str) -> _Items:
        """Return the items of a text."""
        for match in _TOKEN.finditer(text):
            self._add(match[0])
        self._give_up_brackets()
        if self.unreadable:
            self.ends, self.period = set(), 1
            return [text]
        return self.items

    def _add(self, token: str) -> None:
        """Add a token to the items."""
        if token in _OPENING:
            self._close(token)
            return
        if token in ("\\", "|") and not (token == "|" and self.open_brackets):
            self.unreadable = True
        elif token in ("(", "["):
            self.open_brackets.append(_OpenBracket(token, len(self.items)))
        elif token == ":" and self.open_brackets:
            self.open_brackets[-1].add_colon(len(self.items))
        elif token == "|":
            self.open_brackets[-1].add_bar(len(self.items))
        self.items.append(token)

    def _close(self, token: str) -> None:
        """Close the innermost bracket, if ``token`` does."""
        if not self.open_brackets or self.open_brackets[-1].kind != _OPENING[token]:
            self._give_up_brackets()
            self.items.append(token)
            return
        bracket = self.open_brackets.pop()
        node: _Switch | _Alternation | None = None
        if bracket.bars is not None:
            self.unreadable |= token == ")" or bool(bracket.colons)
            node = self._read_alternation(bracket, bracket.bars)
        elif token == "]" and bracket.colons:
            node = self._read_switch(bracket)
        if node is not None:
            self.items[bracket.start :] = [node]
            return
        if len(bracket.colons) > (token == ")"):
            self._give_up_brackets()
        self.items.append(token)

    def _give_up_brackets(self) -> None:
        """Take all open brackets as text; where one of them has bars, the whole prompt."""
        self.unreadable |= any(bracket.bars for bracket in self.open_brackets)
        self.open_brackets.clear()

    def _read_switch(self, bracket: _OpenBracket) -> _Switch | None:
        """Return the switch that ends with the last item, or None if it is none."""
        colons, items = bracket.colons, self.items
        if len(colons) > 2 or colons[-1] != len(items) - 2:
            return None
        last = items[-1]
        number = _NUMBER.fullmatch(last) if isinstance(last, str) else None
        if number is None:
            return None
        end = self._switch_end(number[1])
        self.ends.add(end)
        first = colons[0] if len(colons) == 2 else bracket.start
        before = items[bracket.start + 1 : first]
        return _Switch(before, items[first + 1 : colons[-1]], end)

    def _read_alternation(self, bracket: _OpenBracket, bars: list[int]) -> _Alternation:
        """Return the alternation that ends with the last item."""
        starts = [bracket.start, *bars]
        ends = [*bars, len(self.items)]
        options = [self.items[a + 1 : b] for a, b in zip(starts, ends, strict=True)]
        self.period = min(math.lcm(self.period, len(options)), self.calls)
        return _Alternation(options)

    def _switch_end(self, number: str) -> int:
        """Return how many texts of this pass come before the switch."""
        value = float(number)
        if "." in number:
            value = (value - (self.done is not None)) * self.calls
        else:
            value -= self.done or 0
        return int(min(max(value, 0.0), float(self.calls)))


def text_of_call(call: int, calls: int) -> int:
    """Return the number of the text, from 0, that call ``call`` of planned ``calls`` has."""
    return call - 1 if 1 <= call <= calls else 0


@dataclass(frozen=True)
class PromptCalls:
    """A prompt over a pass.

    ``texts``: the different texts; ``order``: the numbers of these in turn, one for each call that
    is planned.
    """

    texts: tuple[str, ...]
    order: tuple[int, ...]

    def at(self, call: int) -> int:
        """Return the number of the text of a call of the network, from 0."""
        return self.order[text_of_call(call, len(self.order))]


def schedule_prompt(field_name: str, text: str, calls: int, done: int | None = None) -> PromptCalls:
    """Return the texts of a prompt over a pass of ``calls`` calls of the network, 1 or more.

    ``done``: the calls of the pass before, None in the first pass. Raises `SettingsError` under
    ``field_name`` for more than 65,536 characters, before any is read, or if there may be more than
    256 texts.
    """
    check_text(field_name, text)
    reader = _Reader(calls, done)
    items = reader.read(text)
    ends = sorted(reader.ends | {calls})
    states: dict[tuple[int, int], int] = {}
    texts: dict[str, int] = {}
    order = []
    ends_passed = 0
    for place in range(calls):
        while place >= ends[ends_passed]:
            ends_passed += 1
        state = (ends_passed, place % reader.period)
        if state not in states:
            if len(states) == MAX_VARIANTS:
                hint = f"it changes in more than {MAX_VARIANTS} ways over the steps"
                raise SettingsError(field_name, text, hint)
            text_now = "".join(_pieces_at(items, place))
            states[state] = texts.setdefault(text_now, len(texts))
        order.append(states[state])
    return PromptCalls(tuple(texts), tuple(order))


def _pieces_at(items: _Items, place: int) -> Iterator[str]:
    """Yield the pieces of a text, from 0.

    There is no recursion, since brackets may be nested ten thousand deep.
    """
    stack = [iter(items)]
    while stack:
        for item in stack[-1]:
            if isinstance(item, str):
                yield item
            else:
                stack.append(iter(item.at(place)))
                break
        else:
            stack.pop()
