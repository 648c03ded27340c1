"""`Budget`: the most memory of a device, as a user gives it."""

from __future__ import annotations

from typing import NamedTuple

from diffusion.checks import read_bytes
from diffusion.settings import Settings

__all__ = ["Budget"]


class Budget(NamedTuple):
    """A size such as "4G" or a number of bytes, and the drawing that weights are placed for first.

    Without ``most`` it is all that the device has; without ``settings`` one picture of the model's
    size, or the smallest one where that does not fit.
    """

    most: int | str | None = None
    settings: Settings | None = None

    @property
    def nbytes(self) -> int | None:
        """The size in bytes. Raises `SettingsError`."""
        return read_bytes("vram", self.most)

    @classmethod
    def of(cls, given: int | str | Budget | None) -> Budget:
        """Return a budget that was given in one of the ways that a pipeline takes it."""
        return given if isinstance(given, Budget) else cls(given)
