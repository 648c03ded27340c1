"""The errors of the typed pass, below `gpucore.wgsl.errors`.

::

    WgslError
    ├── WgslTypeError    an expression or statement whose types do not fit
    └── OverloadError    the same, before its place is known
"""

from __future__ import annotations

from gpucore.wgsl.errors import WgslError, locate

__all__ = ["OverloadError", "WgslTypeError", "type_error"]


class WgslTypeError(WgslError):
    """The types of an expression or a statement do not fit, or a name is not declared."""


class OverloadError(WgslError):
    """No overload takes these types; becomes a ``WgslTypeError`` where the place is known."""


def type_error(message: str, source: str, offset: int) -> WgslTypeError:
    """Return a ``WgslTypeError`` at ``offset`` of ``source``."""
    return WgslTypeError(message, *locate(source, offset))
