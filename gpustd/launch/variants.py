"""Taking a chosen rung of an operation's shader ladder, for tests and for tuning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

__all__ = ["forced_rung", "wanted_rung", "wanted_tile"]

_Wanted = Mapping[str, tuple[str, object]]
_NONE: _Wanted = MappingProxyType({})

_wanted: ContextVar[_Wanted] = ContextVar("wanted", default=_NONE)


@contextmanager
def forced_rung(op: str, rung: str, tile: object = None) -> Iterator[None]:
    """Inside, ``op`` takes ``rung`` (the stem of a WGSL file), and ``tile`` if it has tiles."""
    token = _wanted.set({**_wanted.get(), op: (rung, tile)})
    try:
        yield
    finally:
        _wanted.reset(token)


def wanted_rung(op: str) -> str | None:
    """The rung that `forced_rung` asks for, if any."""
    return _wanted.get().get(op, (None, None))[0]


def wanted_tile(op: str) -> object:
    """The tile that `forced_rung` asks for, if any."""
    return _wanted.get().get(op, (None, None))[1]
