"""Taking a chosen variant of an operation's shader ladder, for tests and for tuning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

__all__ = ["force_variant", "forced_tile", "forced_variant"]

_Wanted = Mapping[str, tuple[str, object]]
_NONE: _Wanted = MappingProxyType({})

_wanted: ContextVar[_Wanted] = ContextVar("wanted", default=_NONE)


@contextmanager
def force_variant(op: str, variant: str, tile: object = None) -> Iterator[None]:
    """Inside, ``op`` takes ``variant`` (the stem of a WGSL file), and ``tile`` if it has tiles."""
    token = _wanted.set({**_wanted.get(), op: (variant, tile)})
    try:
        yield
    finally:
        _wanted.reset(token)


def forced_variant(op: str) -> str | None:
    """The variant that `force_variant` asks for, if any."""
    return _wanted.get().get(op, (None, None))[0]


def forced_tile(op: str) -> object:
    """The tile that `force_variant` asks for, if any."""
    return _wanted.get().get(op, (None, None))[1]
