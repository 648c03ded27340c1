"""Groups of options: a command takes dataclasses, and typer sees each field as an option.

A group is a frozen dataclass that inherits `OptionGroup`. Each field is annotated as typer wants
its parameters, or is a group itself::

    @dataclass(frozen=True)
    class HiresOptions(OptionGroup, panel="Second pass", prefix="hires"):
        scale: Annotated[float | None, Option("--hires", help="How many times larger.")] = None
        steps: Annotated[int | None, Option(help="Steps of the second pass.")] = None

    @app.command()
    @with_groups
    def draw(prompt: str, *, hires: HiresOptions) -> None: ...

The command then has the options ``--hires`` and ``--hires-steps``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import MISSING, fields
from functools import wraps
from inspect import Parameter
from typing import Annotated, Any, ClassVar, Final, TypeGuard, get_args, get_origin, get_type_hints

from typer.models import OptionInfo

__all__ = ["FIRST", "OptionGroup", "typed_values", "with_groups"]

FIRST: Final = "Options"
"""The panel that the help shows first, which typer names so."""


class OptionGroup:
    """Options that belong together.

    ``panel``: the frame of the help that shows them, where an option names no other.
    ``prefix``: what their names begin with, where an option gives no name of its own.
    """

    panel: ClassVar[str] = FIRST
    prefix: ClassVar[str] = ""

    def __init_subclass__(cls, *, panel: str = FIRST, prefix: str = "") -> None:
        cls.panel = panel
        cls.prefix = f"{prefix}_" if prefix else ""


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return ``command`` with each parameter that is a group replaced by the group's options."""
    signature = inspect.signature(command, eval_str=True)
    parameters = [each for given in signature.parameters.values() for each in _flatten(given)]

    @wraps(command)
    def call(**values: Any) -> None:
        arguments = {
            name: _build(name, parameter.annotation, values)
            for name, parameter in signature.parameters.items()
        }
        command(**arguments)

    call.__annotations__ = {each.name: each.annotation for each in parameters}
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return call


def typed_values(group: OptionGroup) -> dict[str, Any]:
    """Return the values of a group's options by field, without those that were not typed."""
    values = {field.name: getattr(group, field.name) for field in fields(group)}  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if value is not None}


def _is_group(annotation: object) -> TypeGuard[type[OptionGroup]]:
    return isinstance(annotation, type) and issubclass(annotation, OptionGroup)


def _flatten(parameter: Parameter, panel: str = FIRST) -> Iterator[Parameter]:
    """Yield the parameter itself, or one for each option of the group that it is."""
    group = parameter.annotation
    if not _is_group(group):
        yield parameter.replace(annotation=_complete(group, panel))
        return
    for name, default, annotation in _members(group):
        option = Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        yield from _flatten(option, group.panel)


def _members(group: type[OptionGroup]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name of each field with the group's prefix, its default and its annotation."""
    annotations = get_type_hints(group, include_extras=True)
    for field in fields(group):  # type: ignore[arg-type]
        default = Parameter.empty if field.default is MISSING else field.default
        yield group.prefix + field.name, default, annotations[field.name]


def _complete(annotation: object, panel: str) -> object:
    """Return an annotation whose option names its panel, and its default where that is a text.

    typer shows such a default in round brackets within the square ones, so it becomes help here.
    """
    if get_origin(annotation) is not Annotated:
        return annotation
    kind, option = get_args(annotation)
    if not isinstance(option, OptionInfo):
        return annotation
    option = copy(option)
    option.rich_help_panel = option.rich_help_panel or panel
    if isinstance(option.show_default, str):
        option.help = f"{option.help} [dim]\\[default: {option.show_default}][/dim]"
        option.show_default = False
    return Annotated[kind, option]


def _build(name: str, annotation: object, values: Mapping[str, Any]) -> Any:
    """Return the value of a parameter: a group made of its options' values, or one value."""
    if not _is_group(annotation):
        return values[name]
    parts = zip(fields(annotation), _members(annotation), strict=True)  # type: ignore[arg-type]
    return annotation(
        **{field.name: _build(option, kind, values) for field, (option, _, kind) in parts}
    )
