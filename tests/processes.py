"""Processes of their own that import this checkout."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["environment"]

ROOT = Path(__file__).parents[1]


def environment(*before: Path, **changes: str) -> dict[str, str]:
    """Return the environment with ``changes``, whose modules are found in this checkout.

    The folders ``before`` come before it on ``PYTHONPATH``, and the old contents after it: an
    installation may have its packages only there.
    """
    found = [*map(str, before), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(found), **changes}
