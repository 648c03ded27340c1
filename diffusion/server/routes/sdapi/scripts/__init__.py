"""The built-in scripts of ``/sdapi/v1``: one request, many pictures, and a grid of them.

Law: a script turns a request's body into other bodies, and their pictures into grids. It neither
draws nor waits. No code comes from a folder or a request.
"""

from diffusion.server.routes.sdapi.scripts.plan import (
    Argument,
    Plan,
    Script,
    Shown,
    check_several,
    fix_seeds,
)
from diffusion.server.routes.sdapi.scripts.registry import SCRIPTS, make_plan

__all__ = [
    "SCRIPTS",
    "Argument",
    "Plan",
    "Script",
    "Shown",
    "check_several",
    "fix_seeds",
    "make_plan",
]
