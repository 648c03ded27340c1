"""The error of the C printer, below `gpucore.wgsl.errors`.

::

    WgslError
    └── UnsupportedError    WGSL that has no form in the C family here
"""

from __future__ import annotations

from gpucore.wgsl.errors import WgslError, locate
from gpucore.wgsl.syntax import Node

__all__ = ["UnsupportedError", "unsupported_error"]


class UnsupportedError(WgslError):
    """The printer has no form for a part of the source."""


def unsupported_error(what: str, source: str, node: Node) -> UnsupportedError:
    """Return an error that names a part of the source."""
    return UnsupportedError(f"{what} cannot be printed as C", *locate(source, node.at))
