"""All preprocessors by name: those of this package, and those that other packages add."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from diffusion.catalogue import Catalogue
from diffusion.control.preprocessors.edges import EDGES
from diffusion.control.preprocessors.levels import LEVELS
from diffusion.control.preprocessors.preprocessor import Preprocessor
from diffusion.control.preprocessors.smoothing import SMOOTHING
from diffusion.errors import SettingsError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["ENTRY_POINT", "PREPROCESSORS", "find_preprocessor", "preprocessor_names"]

ENTRY_POINT: Final = "avila.annotators"
"""The group of entry points, each of which is a `Preprocessor`."""

_NETWORKS: Final = (
    *("depth", "openpose", "dw_openpose", "densepose", "normal", "seg_", "mlsd", "mediapipe"),
    *("softedge_hed", "softedge_pidi", "softedge_teed", "scribble_hed", "scribble_pidinet"),
    *("lineart_anime", "lineart_coarse", "lineart_realistic", "inpaint_only+lama"),
)
"""How the names of the extension's preprocessors begin that are networks."""

PREPROCESSORS: Final = Catalogue("preprocessor", [*LEVELS, *EDGES, *SMOOTHING])
"""Those of this package."""


def find_preprocessor(name: str) -> Preprocessor:
    """Return a preprocessor by a name. Raises `SettingsError`, also for a package that fails."""
    found = PREPROCESSORS.get(name)
    if found is not None:
        return found
    others = _others()
    if name in others:
        return _load(others[name])
    if name.lower().startswith(_NETWORKS):
        hint = "that is a network, which is not here; take none, with a map that was made elsewhere"
        raise SettingsError("preprocessor", name, hint)
    if others:
        known = ", ".join(preprocessor_names())
        raise SettingsError("preprocessor", name, f"must be one of {known}")
    return PREPROCESSORS.find(name)


def preprocessor_names() -> list[str]:
    """Return the names of all preprocessors, those of other packages last."""
    return [*PREPROCESSORS.names, *sorted(_others())]


@cache
def _others() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # takes time to load, and is seldom needed

    return {each.name: each for each in entry_points(group=ENTRY_POINT)}


def _load(entry: EntryPoint) -> Preprocessor:
    """Return the preprocessor of an entry point. Raises `SettingsError`."""
    try:
        found = entry.load()
    except Exception as error:  # a foreign package may raise anything
        hint = f"its package fails: {error}; update or remove it"
        raise SettingsError("preprocessor", entry.name, hint) from error
    if not isinstance(found, Preprocessor):
        hint = f"its entry point {entry.value} must be a Preprocessor; update or remove it"
        raise SettingsError("preprocessor", entry.name, hint)
    return found
