"""Choices that hold for what is called inside a context."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

__all__ = ["Ambient"]

T = TypeVar("T")


class Ambient(Generic[T]):
    """A value that functions read which are called inside its context; ``default`` outside."""

    def __init__(self, name: str, default: T) -> None:
        self._variable: ContextVar[T] = ContextVar(name, default=default)

    @contextmanager
    def around(self, value: T) -> Iterator[None]:
        """Have ``value`` inside the context.

        Never yield from a generator inside: its caller would be inside as well.
        """
        token = self._variable.set(value)
        try:
            yield
        finally:
            self._variable.reset(token)

    def get(self) -> T:
        """Return the value of the context around."""
        return self._variable.get()
