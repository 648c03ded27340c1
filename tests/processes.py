"""Processes of their own that import this checkout."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["environment"]

ROOT = Path(__file__).parents[1]


def environment(*before: Path, **changes: str) -> dict[str, str]:
    """The variables here and ``changes``; modules are found in ``before``, then in this checkout.

    What was on ``PYTHONPATH`` comes after them: an installation may have its packages there alone.
    """
    found = [*map(str, before), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(found), **changes}
