"""Options about templates: prompts of which each picture draws its own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from typer import Option

from diffusion.cli.options.groups import OptionGroup
from diffusion.errors import SettingsError
from diffusion.infotext.grammar import parse_infotext
from diffusion.settings import Settings
from diffusion.templates import NO_WILDCARDS, Wildcards, all_prompts, draw_prompt
from diffusion.templates.block_draws import draw_block_weights
from diffusion.templates.draws import Draws

__all__ = ["TemplateOptions", "Templates"]

MOST_PICTURES = 1000


@dataclass(frozen=True)
class Templates:
    """The templates of a run. ``prompts``: all prompts in turn, or none where seeds draw them."""

    prompt: str
    negative: str
    wildcards: Wildcards = NO_WILDCARDS
    prompts: list[str] = field(default_factory=list)

    def fill(self, settings: Settings, number: int, seed: int) -> Settings:
        """Return ``settings`` with the prompts of picture ``number``, whose seed is ``seed``."""
        if self.prompts:
            prompt = draw_block_weights(self.prompts[number % len(self.prompts)], Draws(seed))
        else:
            prompt = draw_prompt(self.prompt, seed, self.wildcards)
        negative = draw_prompt(self.negative, seed, self.wildcards)
        return replace(settings, prompt=prompt, negative=negative)

    def fields(self) -> dict[str, str]:
        """Return the fields of an infotext, named as by the WebUI's extension."""
        fields = {"Template": self.prompt, "Negative Template": self.negative}
        return {name: text for name, text in fields.items() if text}


@dataclass(frozen=True)
class TemplateOptions(OptionGroup, panel="Templates of prompts"):
    """Options of dynamic prompts and wildcards."""

    dynamic: Annotated[
        bool,
        Option(
            "--dynamic",
            help="Read a prompt as a template: {a|b} is a or b, {2$$a|b|c} two of three. Each "
            "picture draws its own by its seed. With --from, the picture's template is read.",
        ),
    ] = False
    wildcards: Annotated[
        Path | None,
        Option(
            metavar="FOLDER",
            help="Draw a line of FOLDER/name.txt for __name__ in a prompt. Turns on --dynamic.",
            show_default=False,
        ),
    ] = None
    combinatorial: Annotated[
        bool,
        Option(
            "--combinatorial",
            help="Draw --count pictures of every prompt that the template makes, in turn. Turns on "
            "--dynamic.",
        ),
    ] = False

    def read(self, settings: Settings, earlier_text: str | None) -> Templates | None:
        """Return the templates of a run, None where prompts are plain. Raises `SettingsError`.

        ``earlier_text``: of the picture that the settings come from. Its templates count where its
        prompts were not replaced.
        """
        if not (self.dynamic or self.wildcards or self.combinatorial):
            return None
        prompt, negative = settings.prompt, settings.negative
        if earlier_text is not None:
            infotext = parse_infotext(earlier_text)
            if prompt == infotext.prompt:
                prompt = infotext.settings.get("Template", prompt)
            if negative == infotext.negative:
                negative = infotext.settings.get("Negative Template", negative)
        wildcards = Wildcards(self.wildcards)
        prompts = all_prompts(prompt, wildcards) if self.combinatorial else []
        return Templates(prompt, negative, wildcards, prompts)

    def change(self, settings: Settings, templates: Templates) -> Settings:
        """Return ``settings`` for pictures that are drawn one by one. Raises `SettingsError`."""
        count = settings.count * max(len(templates.prompts), 1)
        if count > MOST_PICTURES:
            hint = f"{len(templates.prompts)} prompts at {settings.count} pictures make {count}"
            raise SettingsError("count", settings.count, f"{hint}; at most {MOST_PICTURES}")
        first = templates.fill(settings, 0, settings.seed)
        return replace(first, count=count, batch=1)
