"""What one run of a drawing command draws: a `Request`, made of a `CommandLine`.

A series of pictures (a file of prompts, a grid) is one command line with changes, so that each of
its options can change, under the same checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

import typer

from diffusion.cli.error_texts import UsageError, usage_text
from diffusion.cli.from_picture import (
    find_earlier_controls,
    find_earlier_image_prompts,
    find_earlier_inversions,
    find_earlier_loras,
    find_earlier_upscaler,
    report_earlier_pictures,
)
from diffusion.cli.options.drawing import DrawingOptions
from diffusion.cli.options.groups import build_group
from diffusion.cli.options.preview import PreviewOptions
from diffusion.cli.options.run import RunOptions
from diffusion.cli.options.series import SeriesOptions
from diffusion.cli.options.templates import Templates
from diffusion.errors import SettingsError
from diffusion.settings import Settings

__all__ = ["Build", "CommandLine", "Request"]

_FIXED = {
    *("picture", "help"),
    *(
        group.prefix + each.name
        for group in (PreviewOptions, RunOptions, SeriesOptions)
        for each in fields(group)
        if each.name not in {"batch", "vae_tiling"}
    ),
}
"""Parameters that are the same for all requests of a series."""


@dataclass(frozen=True)
class Request:
    """Pictures that are drawn with one set of settings.

    ``input_files``: those that the command reads. ``earlier_text``: the text of the picture that
    the settings come from. ``templates``: what each picture draws its prompts from.
    """

    settings: Settings
    options: DrawingOptions
    input_files: tuple[Path, ...] = ()
    earlier_text: str | None = None
    templates: Templates | None = None


Build = Callable[..., Request]


@dataclass(frozen=True)
class CommandLine:
    """The values of all options and arguments, and the function that makes a request of them."""

    context: typer.Context
    values: Mapping[str, Any]
    build: Build = field(repr=False)

    @property
    def options(self) -> DrawingOptions:
        """The options that all commands share which draw."""
        return cast("DrawingOptions", build_group("", DrawingOptions, self.values))

    def request(self, changes: Mapping[str, Any] | None = None) -> Request:
        """Return what to draw, with ``changes`` by parameter. Raises `DiffusionError`."""
        request = self.build(**{**self.values, **(changes or {})})
        options, settings = request.options.templates, request.settings
        if request.earlier_text is not None:
            folder = request.options.lora_folder()
            settings = find_earlier_loras(settings, request.earlier_text, folder)
            words = request.options.inversion.folder()
            settings = find_earlier_inversions(settings, request.earlier_text, words)
            report_earlier_pictures(settings, request.earlier_text)
            control_folder = request.options.control_folder()
            settings = find_earlier_controls(settings, control_folder)
            settings = find_earlier_image_prompts(settings, control_folder)
            typed = self.values.get("hires_upscaler")
            if typed is None:
                upscaler_folder = request.options.upscaling.folder()
                settings = find_earlier_upscaler(settings, upscaler_folder)
            request = replace(request, settings=settings)
        templates = options.read(settings, request.earlier_text)
        if templates is None:
            return request
        return replace(request, settings=options.change(settings, templates), templates=templates)

    def parse(self, option: str, texts: Sequence[str]) -> dict[str, Any]:
        """Return changes by parameter for what could be typed: ``--steps=30``.

        ``option``: where the texts come from, for errors. Raises `SettingsError`.
        """
        command: Any = self.context.command
        try:
            found, rest, _ = command.make_parser(self.context).parse_args(list(texts))
            if rest:
                raise SettingsError(option, rest[0], "must be an option with a value")
            typed = {name: value for name, value in found.items() if value is not None}
            if fixed := typed.keys() & _FIXED:
                hint = "give it on the command line, for all pictures"
                raise SettingsError(option, min(fixed).replace("_", "-"), hint)
            parameters = {each.name: each for each in command.params}
            return {
                name: parameters[name].process_value(self.context, value)
                for name, value in typed.items()
            }
        except UsageError as error:
            raise SettingsError(option, " ".join(texts), usage_text(error)) from None
