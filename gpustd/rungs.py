"""Taking a chosen rung of an operation's shader ladder, for tests and for tuning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

__all__ = ["forced_rung", "wanted_rung"]

_NONE: Mapping[str, str] = MappingProxyType({})

_wanted: ContextVar[Mapping[str, str]] = ContextVar("wanted", default=_NONE)


@contextmanager
def forced_rung(op: str, rung: str) -> Iterator[None]:
    """Inside, ``op`` takes ``rung`` (the stem of a WGSL file in ``shaders/<op>``)."""
    token = _wanted.set({**_wanted.get(), op: rung})
    try:
        yield
    finally:
        _wanted.reset(token)


def wanted_rung(op: str) -> str | None:
    """The rung that `forced_rung` asks for, if any."""
    return _wanted.get().get(op)
