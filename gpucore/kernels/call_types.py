"""The types of kernels in Python for checkers: what a call gives for each parameter.

``a: f32`` takes a number, ``x: Array[f32]`` a ``Buffer[f32]``: `Takes` tells it. Checkers know up
to 8 parameters by place; of more, of dataclasses, and by name, they check nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

__all__ = ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "R_co", "S_co", "TypedCall"]

A = TypeVar("A")
S_co = TypeVar("S_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)
A1 = TypeVar("A1")
A2 = TypeVar("A2")
A3 = TypeVar("A3")
A4 = TypeVar("A4")
A5 = TypeVar("A5")
A6 = TypeVar("A6")
A7 = TypeVar("A7")
A8 = TypeVar("A8")


class Takes(Protocol[A]):
    """The type of a parameter for which a call gives an ``A``."""

    def _takes(self, argument: A) -> A: ...


P1 = TypeVar("P1", bound=Takes[Any])
P2 = TypeVar("P2", bound=Takes[Any])
P3 = TypeVar("P3", bound=Takes[Any])
P4 = TypeVar("P4", bound=Takes[Any])
P5 = TypeVar("P5", bound=Takes[Any])
P6 = TypeVar("P6", bound=Takes[Any])
P7 = TypeVar("P7", bound=Takes[Any])
P8 = TypeVar("P8", bound=Takes[Any])


class TypedCall(Generic[S_co, R_co]):
    """A kernel whose parameters have the types ``S_co``, and whose result is ``R_co``."""

    if TYPE_CHECKING:

        @overload
        def __call__(self: TypedCall[tuple[Takes[A1]], R_co], a1: A1, /) -> R_co: ...
        @overload
        def __call__(
            self: TypedCall[tuple[Takes[A1], Takes[A2]], R_co], a1: A1, a2: A2, /
        ) -> R_co: ...
        @overload
        def __call__(
            self: TypedCall[tuple[Takes[A1], Takes[A2], Takes[A3]], R_co], a1: A1, a2: A2, a3: A3, /
        ) -> R_co: ...
        @overload
        def __call__(
            self: TypedCall[tuple[Takes[A1], Takes[A2], Takes[A3], Takes[A4]], R_co],
            a1: A1,
            a2: A2,
            a3: A3,
            a4: A4,
            /,
        ) -> R_co: ...
        @overload
        def __call__(
            self: TypedCall[tuple[Takes[A1], Takes[A2], Takes[A3], Takes[A4], Takes[A5]], R_co],
            a1: A1,
            a2: A2,
            a3: A3,
            a4: A4,
            a5: A5,
            /,
        ) -> R_co: ...
        @overload
        def __call__(
            self: TypedCall[
                tuple[Takes[A1], Takes[A2], Takes[A3], Takes[A4], Takes[A5], Takes[A6]], R_co
            ],
            a1: A1,
            a2: A2,
            a3: A3,
            a4: A4,
            a5: A5,
            a6: A6,
            /,
        ) -> R_co: ...
        @overload
        def __call__(
            self: TypedCall[
                tuple[Takes[A1], Takes[A2], Takes[A3], Takes[A4], Takes[A5], Takes[A6], Takes[A7]],
                R_co,
            ],
            a1: A1,
            a2: A2,
            a3: A3,
            a4: A4,
            a5: A5,
            a6: A6,
            a7: A7,
            /,
        ) -> R_co: ...
        @overload
        def __call__(
            self: TypedCall[
                tuple[
                    Takes[A1],
                    Takes[A2],
                    Takes[A3],
                    Takes[A4],
                    Takes[A5],
                    Takes[A6],
                    Takes[A7],
                    Takes[A8],
                ],
                R_co,
            ],
            a1: A1,
            a2: A2,
            a3: A3,
            a4: A4,
            a5: A5,
            a6: A6,
            a7: A7,
            a8: A8,
            /,
        ) -> R_co: ...
        @overload
        def __call__(self, **named: Any) -> R_co: ...
        def __call__(self, *arguments: Any, **named: Any) -> Any:
            """Record a launch; return the result of an elementwise kernel."""
