"""The devices of ``--device`` and ``--devices``, by names that each open one card.

Naming them starts engines, and the server's process never touches a GPU: a short-lived child does
it.
"""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from diffusion.server.errors import ConfigurationError
from gpucore import GpuError
from gpucore.adapters import choose, names_of_equals

__all__ = ["find_device_names", "name_devices", "require_device"]

T = TypeVar("T")
U = TypeVar("U")


def find_device_names(items: Sequence[str]) -> list[str]:
    """Return a name for each worker's device. Raises `ConfigurationError`.

    An item is one of these:

    - ``all``: all cards like the best one; ``dawn:all``, ``cuda:all``: those of a name;
    - a number: of one of ``all``, from 0;
    - a name as ``--device`` takes it.

    A device that is named twice gets two workers.
    """
    return _look("devices", name_devices, list(items))


def require_device(name: str) -> None:
    """Raise `ConfigurationError` where no device has the name, as ``--device`` takes it."""
    _look("device", _require, name)


def _look(setting: str, function: Callable[[T], U], argument: T) -> U:
    """Return what a function finds in a child. Raises `ConfigurationError`."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as child:
        try:
            return child.submit(function, argument).result()
        except (GpuError, ValueError) as error:
            raise ConfigurationError(f"{setting}: {error}") from error
        except BrokenProcessPool as error:
            message = f"{setting}: a driver ended the process that looked for it; try avila doctor"
            raise ConfigurationError(message) from error


def _require(name: str) -> None:
    choose(name)


def name_devices(items: Sequence[str]) -> list[str]:
    """Do the same in this process. Raises `GpuError`, and ``ValueError`` for a wrong number."""
    return [name for item in items for name in _names_of(item.strip())]


def _names_of(item: str) -> list[str]:
    word, _, last = item.rpartition(":")
    if last.lower() == "all":
        return names_of_equals(word)
    if not re.fullmatch(r"[0-9]{1,6}", item):
        choose(item)
        return [item]
    equals = names_of_equals()
    if int(item) >= len(equals):
        raise ValueError(f"there is no device {item}; they are 0 to {len(equals) - 1}")
    return [equals[int(item)]]
