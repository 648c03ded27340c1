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

__all__ = ["CONTROL_KEY", "control_text", "find_resize", "read_controls", "unknown_modules"]

CONTROL_KEY: Final = re.compile(r"ControlNet (\d{1,2})")
_BETWEEN: Final = re.compile(r",\s*(?![^(]*\))")
_END: Final = ".safetensors"
_MOST: Final = 40
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
        "Weight": _number(control.weight),
        "Resize Mode": resize,
    }
    if control.resolution is not None:
        pairs["Processor Res"] = control.resolution
    given = preprocessor.thresholds(control.threshold_a, control.threshold_b)
    rules = (preprocessor.a, preprocessor.b)
    for letter, rule, value in zip("AB", rules, given, strict=True):
        if rule is not None:
            pairs[f"Threshold {letter}"] = _number(value)
    pairs |= {
        "Guidance Start": _number(control.start),
        "Guidance End": _number(control.end),
        "Pixel Perfect": control.resolution is None,
        "Control Mode": MODES.find(control.mode).label,
    }
    if PASSES.find(control.passes).name != "both":
        pairs["Hr Option"] = PASSES.find(control.passes).label
    if control.kind is not None:
        pairs["Union Control Type"] = KINDS.find(control.kind).label
    if control.layer_weights:
        pairs["Layer Weights"] = " ".join(map(_number, control.layer_weights))
    return ", ".join(f"{key}: {value}" for key, value in pairs.items())


def _number(value: float) -> str:
    return f"{value:.6g}"


def read_controls(settings: Mapping[str, str]) -> tuple[Control, ...]:
    """Return the controls of an infotext's settings, in order, without pictures.

    A preprocessor that is not here becomes ``none``. Raises `SettingsError` for values of a wrong
    type.
    """
    found = []
    for key, text in settings.items():
        match = CONTROL_KEY.fullmatch(key)
        if match:
            found.append((int(match[1]), _read_control(key, text)))
    return tuple(control for _, control in sorted(found, key=lambda pair: pair[0]))


def unknown_modules(settings: Mapping[str, str]) -> Iterator[str]:
    """Yield the preprocessors of an infotext's controls that are not here."""
    for key, text in settings.items():
        module = _pairs(text).get("Module", "none") if CONTROL_KEY.fullmatch(key) else "none"
        if _module(module) == "none" and module.lower() != "none":
            yield f"{key}: Module: {module}"


def _read_control(key: str, text: str) -> Control:
    pairs = _pairs(text)
    values: dict[str, Any] = {"model": _model_name(pairs.get("Model", ""))}
    try:
        for name, field, read in (
            ("Module", "preprocessor", _module),
            ("Weight", "weight", _float),
            ("Resize Mode", "resize", find_resize),
            ("Threshold A", "threshold_a", _float),
            ("Threshold B", "threshold_b", _float),
            ("Guidance Start", "start", _float),
            ("Guidance End", "end", _float),
            ("Control Mode", "mode", lambda text: MODES.find(text).name),
            ("Hr Option", "passes", lambda text: PASSES.find(text).name),
            ("Union Control Type", "kind", _kind),
            ("Layer Weights", "layer_weights", _floats),
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
