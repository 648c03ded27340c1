"""``ControlNet 0: "Module: canny, Model: x [hash], …"``: a picture's controls in its infotext.

The form is that of Mikubill/sd-webui-controlnet (``infotext.py``); its form of 2023, in small
letters, is read, too. Pictures are not in the text, and nothing in it is taken for a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from diffusion.control import KINDS, MODES, PASSES, Control, find_preprocessor
from diffusion.errors import SettingsError
from diffusion.tasks.resizing import RESIZE_MODES

__all__ = [
    "CONTROL_KEY",
    "UnitText",
    "control_text",
    "find_resize",
    "is_image_prompt",
    "number_text",
    "pictures_of",
    "pictures_text",
    "read_controls",
    "unknown_modules",
]

CONTROL_KEY: Final = re.compile(r"ControlNet (\d{1,2})")
_BETWEEN: Final = re.compile(r",\s*(?![^(]*\))")
_END: Final = ".safetensors"
_MOST: Final = 40
_PICTURES: Final = ("region", "mask", "negative")
_OLD: Final = {
    "preprocessor": "Module",
    "model": "Model",
    "weight": "Weight",
    "resize mode": "Resize Mode",
    "pixel perfect": "Pixel Perfect",
    "control mode": "Control Mode",
}
_OLD_RESIZES: Final = {
    "Envelope (Outer Fit)": "fill",
    "Inner Fit (Scale to Fit)": "crop",
    "Outer Fit (Shrink to Fit)": "fill",
    "Scale to Fit (Inner Fit)": "crop",
}
"""Names that the extension had in 2023."""


def control_text(control: Control, name: str, digest: str) -> str:
    """Return the value of a control's field; ``name``, ``digest``: of its network."""
    preprocessor = find_preprocessor(control.preprocessor)
    resize = RESIZE_MODES.find(control.resize).label.title().replace("And", "and")
    pairs: dict[str, object] = {
        "Module": preprocessor.name,
        "Model": f"{name} [{digest}]",
        "Weight": number_text(control.weight),
        "Resize Mode": resize,
    }
    if control.resolution is not None:
        pairs["Processor Res"] = control.resolution
    given = preprocessor.thresholds(control.threshold_a, control.threshold_b)
    rules = (preprocessor.a, preprocessor.b)
    for letter, rule, value in zip("AB", rules, given, strict=True):
        if rule is not None:
            pairs[f"Threshold {letter}"] = number_text(value)
    pairs |= {
        "Guidance Start": number_text(control.start),
        "Guidance End": number_text(control.end),
        "Pixel Perfect": control.resolution is None,
        "Control Mode": MODES.find(control.mode).label,
    }
    if PASSES.find(control.passes).name != "both":
        pairs["Hr Option"] = PASSES.find(control.passes).label
    if control.kind is not None:
        pairs["Union Control Type"] = KINDS.find(control.kind).label
    if control.layer_weights:
        pairs["Layer Weights"] = " ".join(map(number_text, control.layer_weights))
    pairs |= pictures_text({"region": control.region, "mask": control.mask})
    return ", ".join(f"{key}: {value}" for key, value in pairs.items())


def pictures_text(pictures: Mapping[str, object]) -> dict[str, object]:
    """Return the pair that names the ``pictures`` of a unit beside its first; none for None."""
    given = [name for name, picture in pictures.items() if picture is not None]
    return {"Pictures": " ".join(given)} if given else {}


def number_text(value: float) -> str:
    """Return a number as the extension writes it."""
    return f"{value:.6g}"


def read_controls(settings: Mapping[str, str]) -> tuple[Control, ...]:
    """Return the controls of an infotext's settings, in order, without pictures.

    A preprocessor that is not here becomes ``none``. Raises `SettingsError` for values of a wrong
    type.
    """
    found = []
    for key, text in settings.items():
        match = CONTROL_KEY.fullmatch(key)
        if match and not is_image_prompt(text):
            found.append((int(match[1]), _read_control(key, text)))
    return tuple(control for _, control in sorted(found, key=lambda pair: pair[0]))


def unknown_modules(settings: Mapping[str, str]) -> Iterator[str]:
    """Yield the preprocessors of an infotext's controls that are not here."""
    for key, text in settings.items():
        if not CONTROL_KEY.fullmatch(key) or is_image_prompt(text):
            continue
        module = _pairs(text).get("Module", "none")
        if _module(module) == "none" and module.lower() != "none":
            yield f"{key}: Module: {module}"


def pictures_of(text: str) -> list[str]:
    """Return the names of the pictures that a unit had beside its first one."""
    return [each for each in _pairs(text).get("Pictures", "").split() if each in _PICTURES]


def is_image_prompt(text: str) -> bool:
    """Tell whether a unit's field is that of an IP-Adapter, by its module."""
    return _pairs(text).get("Module", "").lower().startswith("ip-adapter")


class UnitText:
    """The field of a unit; ``pairs``: its keys and values, those of the old form by new names."""

    def __init__(self, text: str) -> None:
        self.pairs = _pairs(text)

    def read_shared(self) -> dict[str, Any]:
        """Return the settings that all units have. Raises ``ValueError``, `SettingsError`."""
        values: dict[str, Any] = {"model": _model_name(self.pairs.get("Model", ""))}
        for name, field, read in (
            ("Weight", "weight", _float),
            ("Resize Mode", "resize", find_resize),
            ("Guidance Start", "start", _float),
            ("Guidance End", "end", _float),
            ("Hr Option", "passes", lambda text: PASSES.find(text).name),
            ("Layer Weights", "layer_weights", _floats),
        ):
            if name in self.pairs:
                values[field] = read(self.pairs[name])
        return values


def _read_control(key: str, text: str) -> Control:
    unit = UnitText(text)
    pairs = unit.pairs
    try:
        values = unit.read_shared()
        for name, field, read in (
            ("Module", "preprocessor", _module),
            ("Threshold A", "threshold_a", _float),
            ("Threshold B", "threshold_b", _float),
            ("Control Mode", "mode", lambda text: MODES.find(text).name),
            ("Union Control Type", "kind", _kind),
        ):
            if name in pairs:
                values[field] = read(pairs[name])
        if pairs.get("Pixel Perfect") != "True" and "Processor Res" in pairs:
            side = int(pairs["Processor Res"][:_MOST])
            values["resolution"] = side if side > 0 else None
    except ValueError:
        raise SettingsError(key, text, "this is not a value of this field") from None
    preprocessor = find_preprocessor(values.get("preprocessor", "none"))
    for letter in "ab":
        # The extension writes thresholds that a module does not read, and -1 for its own.
        given = values.get(f"threshold_{letter}")
        if given is not None and (getattr(preprocessor, letter) is None or given < 0):
            del values[f"threshold_{letter}"]
    return Control(**values)


def _pairs(text: str) -> dict[str, str]:
    """Return the pairs of a field; those of the old form under the names of the new one."""
    pairs: dict[str, str] = {}
    for each in _BETWEEN.split(text):
        name, colon, value = each.partition(":")
        name, value = name.strip(), value.strip()
        if colon and name == "starting/ending":
            pairs |= zip(("Guidance Start", "Guidance End"), _tuple(value), strict=False)
        elif colon and name == "preprocessor params":
            names = ("Processor Res", "Threshold A", "Threshold B")
            pairs |= zip(names, _tuple(value), strict=False)
        elif colon:
            pairs[_OLD.get(name, name)] = value
    return pairs


def _tuple(text: str) -> list[str]:
    return [each.strip() for each in text.strip("()").split(",")]


def _module(text: str) -> str:
    """Return the name of a preprocessor; ``none`` for one that is not here."""
    try:
        return find_preprocessor(text).name
    except SettingsError:
        return "none"


def _model_name(text: str) -> str:
    """Return a network's name, which no end of a file makes a path."""
    while text.lower().rstrip().endswith(_END):
        text = text.rstrip()[: -len(_END)]
    return text or "None"


def find_resize(text: str) -> str:
    """Return the name of a way to resize, also of those of 2023. Raises `SettingsError`."""
    return _OLD_RESIZES.get(text) or RESIZE_MODES.find(text).name


def _kind(text: str) -> str | None:
    return None if text == "Unknown" else KINDS.find(text).name


def _float(text: str) -> float:
    return float(text[:_MOST])


def _floats(text: str) -> tuple[float, ...]:
    return tuple(map(_float, text.split()))
