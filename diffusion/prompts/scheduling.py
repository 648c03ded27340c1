r"""The texts of a prompt over the steps: scheduling and alternation, by A1111's rules.

======================  =========================================================================
``[a:b:n]``             a for the first n steps, then b; either may be empty
``[b:n]``               nothing for the first n steps, then b
``[a|b|c]``             a at the first step, b at the second, c, a again, ...; any may be empty
======================  =========================================================================

With a decimal point, n is a share of the steps (``0.5``), else a number of steps. The forms nest in
each other and in brackets that weigh, in both directions. Counting continues in a second pass:
there ``1.5`` is the middle of the second pass, and whole numbers count from the first step of the
first pass.

Other brackets are text for the grammar of weights, with their backslashes: a bracket that is never
closed, one with more colons, without a number, or with an unclosed round bracket in it. (The WebUI
draws one step more with a than its documentation says; here there are n.)

The time is linear in the text's length: each token is seen once, and the contents of a bracket are
moved once, into its node.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from diffusion.errors import SettingsError

__all__ = ["MAX_VARIANTS", "PromptSteps", "schedule_prompt"]

MAX_VARIANTS: Final = 256
"""Different texts of one prompt."""

_TOKEN: Final = re.compile(r"\\.?|[\[\]():|]|[^\\\[\]():|]++", re.DOTALL)
_NUMBER: Final = re.compile(
    r"\s*+([+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)\s*+"
)


@dataclass(frozen=True, slots=True)
class _Switch:
    """``before`` for the first ``end`` steps, then ``after``."""

    before: _Items
    after: _Items
    end: int

    def at(self, step: int) -> _Items:
        """Return the items of a step."""
        return self.before if step < self.end else self.after


@dataclass(frozen=True, slots=True)
class _Alternation:
    """The options in turn, a new one at each step."""

    options: Sequence[_Items]

    def at(self, step: int) -> _Items:
        """Return the items of a step."""
        return self.options[step % len(self.options)]


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

    def add_bar(self, place: int) -> None:
        """Add the place of a bar."""
        if self.bars is None:
            self.bars = []
        self.bars.append(place)


@dataclass
class _Reader:
    """Reads a prompt into items: texts, switches and alternations.

    ``steps``: the steps of the pass; ``done``: those of the pass before, None in the first pass.
    ``open_brackets``: innermost last; ``open_squares``: how many of them are square. ``ends``: the
    steps at which a switch changes. ``period``: all alternations repeat after so many steps.
    """

    steps: int
    done: int | None
    items: _Items = field(default_factory=list)
    open_brackets: list[_OpenBracket] = field(default_factory=list)
    open_squares: int = 0
    ends: set[int] = field(default_factory=set)
    period: int = 1

    def read(self, text: str) -> _Items:
        """Return the items of a text."""
        for match in _TOKEN.finditer(text):
            token = match[0]
            if token == "]" and self.open_squares:
                self._close()
                continue
            if token == "[" or (token == "(" and self.open_squares):
                self.open_brackets.append(_OpenBracket(token, len(self.items)))
                self.open_squares += token == "["
            elif token == ")" and self.open_brackets and self.open_brackets[-1].kind == "(":
                self.open_brackets.pop()
            elif self.open_brackets and token == ":":
                self.open_brackets[-1].colons = (*self.open_brackets[-1].colons, len(self.items))[
                    :3
                ]
            elif self.open_brackets and token == "|":
                self.open_brackets[-1].add_bar(len(self.items))
            self.items.append(token)
        return self.items

    def _close(self) -> None:
        """Close the innermost square bracket; round brackets open in it are text."""
        while (bracket := self.open_brackets.pop()).kind == "(":
            pass
        self.open_squares -= 1
        node = self._read_switch(bracket) or self._read_alternation(bracket)
        if node is None:
            self.items.append("]")
        else:
            self.items[bracket.start :] = [node]

    def _read_switch(self, bracket: _OpenBracket) -> _Switch | None:
        """Return the switch that ends with the last item, or None if it is none."""
        colons, items = bracket.colons, self.items
        if not 1 <= len(colons) <= 2 or colons[-1] != len(items) - 2:
            return None
        last = items[-1]
        number = _NUMBER.fullmatch(last) if isinstance(last, str) else None
        if number is None:
            return None
        end = self._switch_step(number[1])
        self.ends.add(end)
        first = colons[0] if len(colons) == 2 else bracket.start
        before = items[bracket.start + 1 : first]
        return _Switch(before, items[first + 1 : colons[-1]], end)

    def _read_alternation(self, bracket: _OpenBracket) -> _Alternation | None:
        """Return the alternation that ends with the last item, or None if it is none."""
        if bracket.bars is None:
            return None
        starts = [bracket.start, *bracket.bars]
        ends = [*bracket.bars, len(self.items)]
        options = [self.items[a + 1 : b] for a, b in zip(starts, ends, strict=True)]
        self.period = min(math.lcm(self.period, len(options)), self.steps)
        return _Alternation(options)

    def _switch_step(self, number: str) -> int:
        """Return how many steps of this pass come before the switch."""
        value = float(number)
        if "." in number:
            value = (value - (self.done is not None)) * self.steps
        else:
            value -= self.done or 0
        return int(min(max(value, 0.0), float(self.steps)))


@dataclass(frozen=True)
class PromptSteps:
    """A prompt over the steps of a pass.

    ``texts``: the different texts; ``step_texts``: the number of the text that each step has.
    """

    texts: tuple[str, ...]
    step_texts: tuple[int, ...]

    def at(self, step: int) -> int:
        """Return the number of a step's text; after the end, the last step's."""
        return self.step_texts[min(step, len(self.step_texts) - 1)]


def schedule_prompt(field_name: str, text: str, steps: int, done: int | None = None) -> PromptSteps:
    """Return the texts of a prompt at each of ``steps`` steps, 1 or more.

    ``done``: the steps of the pass before, None in the first pass. Raises `SettingsError` under
    ``field_name`` if there may be more than 256 texts.
    """
    reader = _Reader(steps, done)
    items = reader.read(text)
    ends = sorted(reader.ends | {steps})
    states: dict[tuple[int, int], int] = {}
    texts: dict[str, int] = {}
    step_texts = []
    ends_passed = 0
    for step in range(steps):
        while step >= ends[ends_passed]:
            ends_passed += 1
        state = (ends_passed, step % reader.period)
        if state not in states:
            if len(states) == MAX_VARIANTS:
                hint = f"it changes in more than {MAX_VARIANTS} ways over the steps"
                raise SettingsError(field_name, text, hint)
            text_now = "".join(_pieces_at(items, step))
            states[state] = texts.setdefault(text_now, len(texts))
        step_texts.append(states[state])
    return PromptSteps(tuple(texts), tuple(step_texts))


def _pieces_at(items: _Items, step: int) -> Iterator[str]:
    """Yield the pieces of text at a step.

    There is no recursion, since brackets may be nested ten thousand deep.
    """
    stack = [iter(items)]
    while stack:
        for item in stack[-1]:
            if isinstance(item, str):
                yield item
            else:
                stack.append(iter(item.at(step)))
                break
        else:
            stack.pop()
