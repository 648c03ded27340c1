"""What a script is: its arguments, and the plan that it makes of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from PIL import Image

from diffusion.errors import quote
from diffusion.server.errors import RefusedError
from diffusion.server.routes.sdapi.requests import DrawBody, Img2ImgBody
from diffusion.settings import random_seed

__all__ = [
    "Argument",
    "Plan",
    "Script",
    "Shown",
    "check_several",
    "fix_seeds",
    "read_arguments",
]

Body = TypeVar("Body", bound=DrawBody)


@dataclass(frozen=True)
class Argument:
    """An argument of a script, by its place. ``value``: its default, which fixes its type.

    ``choices``: texts of which it is one; it may be given by its number, too.
    """

    label: str
    value: bool | int | str | tuple[str, ...]
    minimum: int | None = None
    maximum: int | None = None
    step: int | None = None
    choices: tuple[str, ...] | None = None

    def as_shown(self) -> Mapping[str, object]:
        """Return what ``script-info`` shows."""
        return {
            "label": self.label,
            "value": list(self.value) if isinstance(self.value, tuple) else self.value,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "step": self.step,
            "choices": None if self.choices is None else list(self.choices),
        }

    def read(self, given: object) -> Any:
        """Return a given value, checked; the default for None. Raises `RefusedError`."""
        if given is None:
            return self.value
        if self.choices is not None:
            return self._read_choice(given, self.choices)
        if isinstance(self.value, bool):
            if isinstance(given, int) and given in (0, 1):
                return bool(given)
        elif isinstance(self.value, int):
            low, high = self.minimum, self.maximum
            if type(given) is int and (low is None or high is None or low <= given <= high):
                return given
        elif isinstance(self.value, str):
            if isinstance(given, str):
                return given
        elif isinstance(given, list) and all(isinstance(each, str) for each in given):
            return tuple(given)
        elif given == "":
            return ()
        raise self._refusal(given)

    def _read_choice(self, given: object, choices: tuple[str, ...]) -> str:
        if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < len(choices):
            return choices[given]
        for choice in choices:
            if isinstance(given, str) and given.casefold() == choice.casefold():
                return choice
        raise self._refusal(given)

    def _refusal(self, given: object) -> RefusedError:
        if self.choices is not None:
            rule = f"one of {', '.join(self.choices)}, or its number from 0"
        else:
            rule = f"of a kind with {quote(self.value)}"
            if self.maximum is not None:
                rule += f", from {self.minimum} to {self.maximum}"
        return RefusedError(f"script_args: {self.label} must be {rule}; got {quote(given)}")


class Shown(NamedTuple):
    """A picture of an answer, and its infotext."""

    image: Image.Image
    infotext: str


class Plan(Protocol):
    """The drawings of a script: ``bodies``, each like a request without a script.

    ``keeps_pictures``: the answer has their pictures after the grids.
    """

    @property
    def bodies(self) -> Sequence[DrawBody]: ...

    @property
    def keeps_pictures(self) -> bool: ...

    def make_grids(self, drawn: Sequence[Sequence[Shown]]) -> list[Shown]:
        """Return the grids, from the pictures of each body; fewer where it was interrupted."""


class Script(Protocol):
    """A script. ``title``: as in the WebUI."""

    title: str

    def arguments(self, is_img2img: bool) -> Sequence[Argument]:
        """Return its arguments, in their order."""

    def plan(self, body: DrawBody, arguments: Sequence[Any]) -> Plan:
        """Return what to draw, from checked arguments. Raises `DiffusionError`."""


def read_arguments(arguments: Sequence[Argument], given: Sequence[object]) -> list[Any]:
    """Return the values of all arguments; those that are left out have their defaults.

    Raises `RefusedError`.
    """
    filled = [*given[: len(arguments)], *[None] * (len(arguments) - len(given))]
    return [argument.read(value) for argument, value in zip(arguments, filled, strict=True)]


def check_several(body: Img2ImgBody) -> None:
    """Raise `RefusedError` for more init images than a batch has pictures."""
    count = len(body.init_images or [])
    if count > max(body.batch_size, 1):
        message = f"{count} init_images are more than batch_size, {body.batch_size}"
        raise RefusedError(f"{message}; make it as many, and each is drawn n_iter times")


def fix_seeds(body: Body) -> Body:
    """Return a body in which random seeds are drawn, so that all of its pictures share them."""
    seed = random_seed() if body.seed < 0 else body.seed
    subseed = random_seed() if body.subseed < 0 else body.subseed
    return body.model_copy(update={"seed": seed, "subseed": subseed})
