"""A driver's functions through ctypes, by what they do; each engine has a table of its own."""

from __future__ import annotations

import ctypes as c
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

from gpucore.backends.drivers.errors import DriverError
from gpucore.backends.native import TileMap

__all__ = ["Driver", "Entry", "Function", "LaunchShape"]


class Entry(NamedTuple):
    """A function of a driver's library: its name, the types of its parameters.

    ``last`` are arguments that are always the same and come last.
    """

    name: str
    types: tuple[Any, ...]
    last: tuple[Any, ...] = ()


class LaunchShape(NamedTuple):
    """The threads, and the bytes of shared memory, of each block of a launch.

    ``cluster`` blocks run together. With ``follows`` it may start before the launch ahead of it is
    done, and waits by itself.
    """

    block: tuple[int, int, int]
    memory: int
    cluster: int = 1
    follows: bool = False


class Function(Protocol):
    """A kernel that was loaded."""

    def launch(
        self, grid: tuple[int, int, int], pointers: Any, stream: int, *, follows: bool = True
    ) -> int:
        """Launch it in a stream with an array of its parameters' addresses; return the code.

        Without ``follows`` it begins when all before it is done, whatever its shape says.
        """


class Driver(ABC):
    """A driver's functions: ``driver("init", 0)`` raises `DriverError` where one fails."""

    title: ClassVar[str]
    """The engine's name in errors."""

    dlpack_kind: ClassVar[int]
    """The number of its kind of memory in dlpack.h."""

    entries: ClassVar[Mapping[str, Entry]]
    """The functions in use, by what they do."""

    def __init__(self, library: Any) -> None:
        self._functions: dict[str, Any] = {}
        for role, entry in self.entries.items():
            function = getattr(library, entry.name)
            function.argtypes, function.restype = entry.types, c.c_int
            self._functions[role] = _with_last(function, entry.last)

    def __call__(self, role: str, *arguments: Any) -> None:
        """Call a function. Raises `DriverError`."""
        code = self._functions[role](*arguments)
        if code:
            raise self.error(role, code)

    def error(self, role: str, code: int) -> DriverError:
        """Return the error of a function that returned ``code``."""
        return DriverError(self.entries[role].name, code, self._text(code))

    def code(self, role: str, *arguments: Any) -> int:
        """Call a function and return its result code."""
        code: int = self._functions[role](*arguments)
        return code

    def function(self, role: str) -> Any:
        """Return a function to call without a check, which returns its result code."""
        return self._functions[role]

    @abstractmethod
    def _text(self, code: int) -> str:
        """Return the driver's words for a result code."""

    @abstractmethod
    def take(self, index: int) -> Any:
        """Take a card into use; return what ``enter`` makes the thread's own."""

    @abstractmethod
    def leave(self, index: int, *, is_lost: bool) -> None:
        """End the use of a card; a lost one is reset for those that come."""

    @abstractmethod
    def prepare(self, address: int, shape: LaunchShape) -> Function:
        """Return a function of a module with the settings of its launches."""

    @abstractmethod
    def tile_map(self, address: int, tiles: TileMap) -> c.Structure:
        """Return the parameter through which a native kernel sees a buffer."""


def _with_last(function: Any, last: tuple[Any, ...]) -> Any:
    """Return a function that passes ``last`` behind its arguments."""
    return (lambda *arguments: function(*arguments, *last)) if last else function
