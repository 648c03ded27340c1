"""The factor of an image prompt in each transformer of a UNet: its weight types.

They are those of cubiq/ComfyUI_IPAdapter_plus (``IPAdapterPlus.py``, ``CrossAttentionPatch.py``),
which numbers transformers in the order of computing. Those for style and composition name layers
of SD 1.x and XL by number (Wang et al. 2024, arXiv 2404.02733), and so are for these alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from diffusion.catalogue import Catalogue
from diffusion.errors import SettingsError
from diffusion.tasks.choices import Choice

__all__ = ["WEIGHT_TYPES", "LayerFactor", "layer_factors"]

WEIGHT_TYPES: Final = Catalogue(
    "ip type",
    [
        Choice("linear", "Linear", ("normal",)),
        Choice("ease_in", "Ease in"),
        Choice("ease_out", "Ease out"),
        Choice("ease_in_out", "Ease in-out"),
        Choice("reverse_in_out", "Reverse in-out"),
        Choice("weak_input", "Weak input"),
        Choice("weak_output", "Weak output"),
        Choice("weak_middle", "Weak middle"),
        Choice("strong_middle", "Strong middle"),
        Choice("style", "Style transfer"),
        Choice("composition", "Composition"),
        Choice("strong_style", "Strong style transfer"),
        Choice("style_and_composition", "Style and composition"),
        Choice("style_precise", "Style transfer precise"),
        Choice("composition_precise", "Composition precise"),
    ],
)

_WEAK: Final = 0.2
_EASE: Final = 0.05
_SIDES: Final[Mapping[str, tuple[str, ...]]] = {
    "weak_input": ("input",),
    "weak_output": ("output",),
    "weak_middle": ("middle",),
    "strong_middle": ("input", "output"),
}
"""Which sides of the UNet a type makes weak."""

_XL, _SD = 11, 16
"""How many transformers XL has, and SD 1.x and 2.x."""


class LayerFactor(NamedTuple):
    """A transformer's factor. ``away``: the negative prompt reads the pictures, the prompt zeros.

    Guidance then leads away from the pictures.
    """

    factor: float
    away: bool = False


def layer_factors(
    weight_type: str, layer_weights: Sequence[float], sides: Sequence[str]
) -> list[LayerFactor]:
    """Return the factors of transformers whose sides are given, in the order of computing.

    ``sides``: ``input``, ``middle`` or ``output``. ``layer_weights``: in place of the type's, if
    there are any. Raises `SettingsError` where they do not fit the model.
    """
    if layer_weights:
        if len(layer_weights) != len(sides):
            hint = f"must be {len(sides)} numbers for this model"
            raise SettingsError("ip layer weights", len(layer_weights), hint)
        return [LayerFactor(each) for each in layer_weights]
    name = WEIGHT_TYPES.find(weight_type).name
    if name in _SIDES:
        return [LayerFactor(_WEAK if side in _SIDES[name] else 1.0) for side in sides]
    if name in ("linear", "ease_in", "ease_out", "ease_in_out", "reverse_in_out"):
        return [LayerFactor(_ease(name, index / len(sides))) for index in range(len(sides))]
    if len(sides) not in (_XL, _SD):
        hint = "names layers of SD 1.x, 2.x or XL, and this model has others; give layer weights"
        raise SettingsError("ip type", name, hint)
    return [_factor_of_type(name, index, len(sides)) for index in range(len(sides))]


def _ease(name: str, place: float) -> float:
    """Return the factor at a place from 0 to 1."""
    shares = {
        "linear": 1.0,
        "ease_in": 1.0 - place,
        "ease_out": place,
        "ease_in_out": 1.0 - abs(2 * place - 1.0),
        "reverse_in_out": abs(2 * place - 1.0),
    }
    return _EASE + (1.0 - _EASE) * shares[name]


def _factor_of_type(name: str, index: int, count: int) -> LayerFactor:
    """Return the factor of a type for style or composition."""
    style = _style(index, count)
    composition = _composition(index, count)
    if name == "style":
        return LayerFactor(style)
    if name == "composition":
        return LayerFactor(composition)
    if name == "strong_style":
        return LayerFactor(0.0 if composition else 1.0)
    if name == "style_and_composition":
        return LayerFactor(style or composition)
    if name == "style_precise":
        return LayerFactor(style or composition, away=composition > 0)
    weak = 0.1 if count == _XL or index in (6, 7, 8) else 1.0
    if count == _XL and index == 6:
        weak = 1.0
    return LayerFactor(composition or weak, away=not composition)


def _style(index: int, count: int) -> float:
    if count == _XL:
        return float(index == 6)
    return float(index <= 3 or index >= 9)


def _composition(index: int, count: int) -> float:
    if count == _XL:
        return float(index == 3)
    return {4: 0.25, 5: 1.0}.get(index, 0.0)
