"""From a template to prompts: one that a seed draws, or all of them in turn."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from diffusion.checks import MOST_PROMPT, check_text
from diffusion.errors import SettingsError
from diffusion.templates.block_draws import draw_block_weights
from diffusion.templates.draws import Draws
from diffusion.templates.grammar import (
    Choice,
    Node,
    Option,
    Wildcard,
    parse_template,
    split_weight,
)
from diffusion.templates.wildcards import NO_WILDCARDS, Wildcards

__all__ = ["MAX_COMBINATIONS", "all_prompts", "draw_prompt"]

MAX_COMBINATIONS: Final = 1000
"""As many pictures as one run makes."""
MAX_NESTING: Final = 20
"""Files of wildcards whose lines name files."""
MAX_PARTS: Final = 20_000
"""Choices that one prompt draws: lines that name each other twice would draw without end."""


@dataclass
class _Expander:
    """Expands nodes. ``names``: the wildcards that are being read, outermost first."""

    wildcards: Wildcards
    names: list[str] = field(default_factory=list)
    parts: int = 0

    def options(self, name: str) -> Sequence[Option]:
        """Return the lines of a wildcard as options. Raises `SettingsError`."""
        if len(self.names) >= MAX_NESTING or name in self.names:
            chain = " → ".join(f"__{each}__" for each in [*self.names[-3:], name])
            raise SettingsError("prompt", chain, "these files name each other without end")
        lines = [split_weight(parse_template(line)) for line in self.wildcards.lines(name)]
        options = [option for option in lines if option.weight > 0]
        if not options:
            raise SettingsError("prompt", f"__{name}__", "one of its weights must be above 0")
        return options

    def _count(self) -> None:
        """Count a part. Raises `SettingsError` for more than 20,000."""
        self.parts += 1
        if self.parts > MAX_PARTS:
            hint = f"it makes more than {MAX_PARTS} choices"
            raise SettingsError("prompt", "a template", hint)

    def draw(self, nodes: Sequence[Node], draws: Draws) -> str:
        """Return the text of nodes, whose choices are drawn."""
        texts = []
        for node in nodes:
            self._count()
            if isinstance(node, str):
                texts.append(node)
            elif isinstance(node, Wildcard):
                options = self.options(node.name)
                self.names.append(node.name)
                place = draws.place([option.weight for option in options])
                texts.append(self.draw(options[place].nodes, draws))
                self.names.pop()
            else:
                texts.append(self._draw_choice(node, draws))
        return "".join(texts)

    def _draw_choice(self, choice: Choice, draws: Draws) -> str:
        """Return the options that are drawn, none of them twice."""
        left = [option for option in choice.options if option.weight > 0]
        most = min(choice.most, len(left))
        least = min(choice.least, most)
        count = least + draws.below(most - least + 1) if most > least else least
        texts = []
        for _ in range(count):
            option = left.pop(draws.place([each.weight for each in left]))
            texts.append(self.draw(option.nodes, draws).strip())
        return choice.separator.join(texts)

    def all(self, nodes: Sequence[Node]) -> Iterator[str]:
        """Yield each text of nodes, the last choice changing quickest."""
        texts = [list(itertools.islice(self._all_of(node), MAX_COMBINATIONS + 1)) for node in nodes]
        return map("".join, itertools.product(*texts))

    def _all_of(self, node: Node) -> Iterator[str]:
        """Yield each text of one node."""
        self._count()
        if isinstance(node, str):
            yield node
        elif isinstance(node, Wildcard):
            options = self.options(node.name)
            self.names.append(node.name)
            for option in options:
                yield from list(itertools.islice(self.all(option.nodes), MAX_COMBINATIONS + 1))
            self.names.pop()
        else:
            options = [option for option in node.options if option.weight > 0]
            most = min(node.most, len(options))
            for count in range(min(node.least, most), most + 1):
                for chosen in itertools.combinations(options, count):
                    texts = (list(self._texts_of(option)) for option in chosen)
                    yield from map(node.separator.join, itertools.product(*texts))

    def _texts_of(self, option: Option) -> Iterator[str]:
        """Yield each text of an option, at most as many as are asked for in all."""
        texts = (text.strip() for text in self.all(option.nodes))
        return itertools.islice(texts, MAX_COMBINATIONS + 1)


def draw_prompt(template: str, seed: int, wildcards: Wildcards = NO_WILDCARDS) -> str:
    """Return the prompt that a picture's ``seed`` draws from a template.

    The same seed draws the same prompt on every machine. Raises `SettingsError` for wildcards that
    are missing or name each other without end, and for a prompt of more than 65,536 characters.
    """
    check_text("prompt", template)
    draws = Draws(seed)
    text = draw_block_weights(_Expander(wildcards).draw(parse_template(template), draws), draws)
    check_text("prompt", text)
    return text


def all_prompts(template: str, wildcards: Wildcards = NO_WILDCARDS) -> list[str]:
    """Return every prompt of a template, each once, in the order of its options.

    Raises `SettingsError` as `draw_prompt`, and for more than 1,000 prompts.
    """
    check_text("prompt", template)
    found: dict[str, None] = {}
    made = _Expander(wildcards).all(parse_template(template))
    for number, text in enumerate(made):
        if number == MAX_COMBINATIONS or len(text) > MOST_PROMPT:
            hint = f"it makes more than {MAX_COMBINATIONS} prompts; let seeds draw some of them"
            raise SettingsError("prompt", template, hint)
        found[text] = None
    return list(found)
