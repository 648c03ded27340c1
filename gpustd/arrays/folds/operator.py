"""The operator of a fold or scan that is not one of the templates' own."""

from __future__ import annotations

from dataclasses import dataclass

from gpustd.launch.template import Value

__all__ = ["Operator"]


@dataclass(frozen=True)
class Operator:
    """Functions of WGSL: ``combine`` of two accumulators, with its ``identity`` as a number.

    ``code`` declares the functions. ``mapped`` makes an accumulator of an element, ``finished`` a
    result of an accumulator; both convert alone where they are empty. ``name`` stands in profiles.
    """

    name: str
    code: str
    combine: str
    identity: str
    mapped: str = ""
    finished: str = ""

    def spec(self) -> dict[str, Value]:
        """Return the template variables."""
        return {
            "combine": "custom",
            "label": self.name,
            "code": self.code,
            "operator": self.combine,
            "identity": self.identity,
            "mapped_by": self.mapped,
            "finished_by": self.finished,
        }
