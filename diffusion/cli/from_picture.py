"""``--from PICTURE``: what the text of an earlier picture says, and which networks it names.

The text is as hostile as the file. Names of models in it are compared and never looked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from diffusion.cli.app import complain
from diffusion.cli.options.parsing import MAX_DIGITS
from diffusion.errors import SettingsError, quote
from diffusion.infotext.grammar import parse_infotext, read_infotext
from diffusion.infotext.to_settings import DTYPE

__all__ = ["dtype_of", "read_picture_text", "refiner_switch_of", "report_other_networks"]


def read_picture_text(picture: Path) -> str:
    """Return the text in a picture's file. Raises `SettingsError` where it has no settings."""
    text = read_infotext(picture, "from")
    if text is None or not parse_infotext(text).settings:
        raise SettingsError("from", str(picture), "must be a picture whose text has settings")
    return text


def dtype_of(text: str) -> str | None:
    """Return the ``--dtype`` that a picture's text names, if any; it is not checked."""
    return parse_infotext(text).settings.get(DTYPE)


def refiner_switch_of(text: str) -> float | None:
    """Return the ``--refiner-switch`` in a picture's text, or None where there is no number."""
    try:
        return float(parse_infotext(text).settings.get("Refiner switch at", "")[:MAX_DIGITS])
    except ValueError:
        return None


def report_other_networks(text: str, provenance: Mapping[str, Mapping[str, str]]) -> None:
    """Print a line for each network in a picture's text that is not the one that was loaded.

    ``provenance``: names and hashes of the ``model``, and of the ``vae`` and the ``refiner`` where
    they were given.
    """
    found = parse_infotext(text).settings
    refiner = found.get("Refiner")
    refiner_hash = refiner and refiner.rpartition("[")[2].rstrip("]")
    for part, name, expected_hash, without in (
        ("model", found.get("Model", ""), found.get("Model hash"), ""),
        ("VAE", found.get("VAE", ""), found.get("VAE hash"), "the model's own; give --vae"),
        ("refiner", refiner, refiner_hash, "the model alone; give --refiner"),
    ):
        loaded = provenance.get(part.lower())
        if expected_hash is not None and (loaded is None or loaded["hash"] != expected_hash):
            named = f"{quote(name)} ({quote(expected_hash, 20)})"
            drawn_by = "{name} ({hash})".format(**loaded) if loaded else without
            complain(f"the picture names another {part}, {named}; drawn by {drawn_by}")
