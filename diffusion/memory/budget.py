"""`Budget`: the most memory of a device, as a user gives it."""

from __future__ import annotations

from typing import NamedTuple

from diffusion.checks import read_bytes
from diffusion.settings import Settings

__all__ = ["Budget"]


class Budget(NamedTuple):
    """A size such as "4G" or a number of bytes, and the drawing that weights are placed for first.

    Without ``settings`` that is one picture of the model's size.
    """

    most: int | str
    settings: Settings | None = None

    @property
    def nbytes(self) -> int:
        """The size in bytes. Raises `SettingsError`."""
        return read_bytes("vram", self.most) or 1

    @classmethod
    def of(cls, given: int | str | Budget | None) -> Budget | None:
        """Return a budget that was given in one of the ways that a pipeline takes it."""
        return given if given is None or isinstance(given, Budget) else cls(given)
