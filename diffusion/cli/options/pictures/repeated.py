"""Options that are given once for each of several networks: their n-th value is for the n-th."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from diffusion.cli.options.groups import OptionGroup
from diffusion.cli.options.parsing import is_place, nth_value, read_numbers
from diffusion.control import Control, ImagePrompt
from diffusion.errors import SettingsError
from diffusion.images import read_image

__all__ = ["RepeatedOptions"]

T = TypeVar("T", Control, ImagePrompt)


class RepeatedOptions(OptionGroup):
    """Options whose values are fields of `Control` or `ImagePrompt`.

    ``names``: options. ``places``: those of them that may be paths. ``pictures``: options whose
    files are read. ``unshared``: those whose one value is for the first alone. ``renamed``: fields
    that are called otherwise than their options. All have ``layers``, a factor for each layer.
    """

    names: ClassVar[Sequence[str]] = ()
    places: ClassVar[Sequence[str]] = ()
    pictures: ClassVar[Sequence[str]] = ()
    unshared: ClassVar[Sequence[str]] = ()
    renamed: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def spelling(cls, name: str) -> str:
        """Return how an option is written, without hyphens before it."""
        return f"{cls.prefix}-{name.replace('_', '-')}"

    def typed_names(self) -> list[str]:
        """Return the options that were typed."""
        return [each for each in (*self.names, *self.pictures, "layers") if getattr(self, each)]

    def missing_error(self, name: str, needs: str) -> SettingsError:
        """Return the error of a typed option without what it ``needs``."""
        return SettingsError(self.spelling(name), str(getattr(self, name)[0]), f"needs {needs}")

    def change_all(
        self,
        present: Sequence[T],
        count: int,
        make: Callable[[dict[str, Any]], T],
        more: Sequence[Mapping[str, Any]] = (),
    ) -> tuple[T, ...]:
        """Return ``count`` things: those ``present`` with what was typed, then new ones.

        ``make``: makes one of its fields. ``more``: further fields of each. Raises `SettingsError`.
        """
        found = list(present)
        for number in range(count):
            values = self._values(number, count) | dict(more[number] if more else {})
            if number < len(found):
                found[number] = replace(found[number], **values)
            else:
                found.append(make(values))
        return tuple(found)

    def _values(self, number: int, count: int) -> dict[str, Any]:
        """Return the fields of the thing ``number`` that were typed."""
        values: dict[str, Any] = {}

        def find(name: str) -> Any:
            shares = name not in self.unshared
            given = getattr(self, name)
            return nth_value(self.spelling(name), given, number, count, shares_one=shares)

        for name in (*self.names, *self.pictures):
            value = find(name)
            if value is None:
                continue
            if name in self.pictures:
                value = read_image(value, self.spelling(name))
            elif name in self.places and is_place(value):
                value = Path(value)
            values[self.renamed.get(name, name)] = value
        layers = find("layers")
        if layers is not None:
            values["layer_weights"] = read_numbers(self.spelling("layers"), layers)
        return values
