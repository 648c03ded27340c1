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
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, fields
from functools import wraps
from inspect import Parameter
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    TypeGuard,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from typer.models import OptionInfo

__all__ = ["FIRST", "OptionGroup", "build_group", "typed_values", "with_groups"]

R = TypeVar("R")

FIRST: Final = "Options"
"""The panel that the help shows first, which typer names so."""


class OptionGroup:
    """Options that belong together.

    ``panel``: the frame of the help that shows them. ``first``: fields that the first panel shows
    instead. ``prefix``: what their names begin with, where an option gives no name of its own.
    """

    panel: ClassVar[str] = FIRST
    first: ClassVar[Sequence[str]] = ()
    prefix: ClassVar[str] = ""

    def __init_subclass__(
        cls, *, panel: str = FIRST, first: Sequence[str] = (), prefix: str = ""
    ) -> None:
        cls.panel, cls.first = panel, first
        cls.prefix = f"{prefix}_" if prefix else ""


def with_groups(command: Callable[..., R]) -> Callable[..., R]:
    """Return ``command`` with each parameter that is a group replaced by the group's options."""
    signature = inspect.signature(command, eval_str=True)
    parameters = [each for given in signature.parameters.values() for each in _flatten(given)]

    @wraps(command)
    def call(**values: Any) -> R:
        arguments = {
            name: build_group(name, parameter.annotation, values)
            for name, parameter in signature.parameters.items()
        }
        return command(**arguments)

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
    annotations = get_type_hints(group, include_extras=True)
    for field in fields(group):  # type: ignore[arg-type]
        option = Parameter(
            group.prefix + field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=annotations[field.name],
        )
        yield from _flatten(option, FIRST if field.name in group.first else group.panel)


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


def build_group(name: str, annotation: object, values: Mapping[str, Any]) -> Any:
    """Return the value of a parameter: a group made of its options' values, or one value."""
    if not _is_group(annotation):
        return values[name]
    members = get_type_hints(annotation, include_extras=True)
    names = [field.name for field in fields(annotation)]  # type: ignore[arg-type]
    return annotation(
        **{each: build_group(annotation.prefix + each, members[each], values) for each in names}
    )
