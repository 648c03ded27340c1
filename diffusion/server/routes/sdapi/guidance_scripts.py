"""Guidance in ``alwayson_scripts``: the scripts that Forge has built in, with their arguments.

Names, orders and defaults are those of lllyasviel/stable-diffusion-webui-forge
(``extensions-builtin/sd_forge_freeu``, ``_sag``, ``_perturbed_attention``,
``_dynamic_thresholding``). A title may go on, as in ``FreeU Integrated (SD 1.x, SD 2.x, SDXL)``.
Arguments at the end may be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from diffusion.errors import SettingsError
from diffusion.server.errors import NotBuiltError, RefusedError
from diffusion.server.jobs.guidance_request import (
    FreeURequest,
    SelfAttentionRequest,
    ThresholdingRequest,
)

__all__ = ["GUIDANCE_SCRIPTS", "GuidanceScript", "find_script", "script_guidance"]

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Argument:
    """An argument of a script. ``fixed``: another value than its default is answered with 501."""

    name: str
    label: str
    default: bool | float | str
    fixed: bool = False

    def as_shown(self) -> Mapping[str, object]:
        """Return what ``script-info`` shows."""
        limits = dict.fromkeys(("minimum", "maximum", "step", "choices"))
        return {"label": self.label, "value": self.default, **limits}


@dataclass(frozen=True)
class GuidanceScript:
    """A script: its titles' common beginnings, and what its arguments change of guidance."""

    title: str
    beginnings: tuple[str, ...]
    arguments: tuple[Argument, ...]
    read: Callable[[Values], Mapping[str, object]]

    def values(self, given: Sequence[Any]) -> dict[str, Any]:
        """Return arguments by name. Raises `SettingsError`, `NotBuiltError`."""
        if len(given) > len(self.arguments):
            hint = f"must have at most {len(self.arguments)} arguments"
            raise SettingsError(self.title, len(given), hint)
        found = {each.name: each.default for each in self.arguments}
        for argument, value in zip(self.arguments, given, strict=False):
            found[argument.name] = self._read(argument, value)
        return found

    def _read(self, argument: Argument, value: Any) -> Any:
        name, default = f"{self.title}: {argument.label}", argument.default
        if isinstance(default, bool):
            if not isinstance(value, bool):
                raise SettingsError(name, _short(value), "must be true or false")
        elif isinstance(default, str):
            if not isinstance(value, str):
                raise SettingsError(name, _short(value), "must be a text")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise SettingsError(name, _short(value), "must be a number")
        if argument.fixed and value != default:
            raise NotBuiltError(f"this server does not do {name} other than {default} yet")
        return value


def _short(value: object) -> object:
    return value if isinstance(value, str | int | float) else type(value).__name__


def _with_switch(*others: Argument) -> tuple[Argument, ...]:
    return (Argument("enabled", "Enabled", False), *others)


def _read_freeu(values: Values) -> Mapping[str, object]:
    return {"freeu": FreeURequest(**{name: values[name] for name in ("b1", "b2", "s1", "s2")})}


def _read_sag(values: Values) -> Mapping[str, object]:
    chosen = {name: values[name] for name in ("scale", "blur", "threshold")}
    return {"self_attention": SelfAttentionRequest(**chosen)}


def _read_pag(values: Values) -> Mapping[str, object]:
    return {"perturbed": values["scale"]}


def _read_thresholding(values: Values) -> Mapping[str, object]:
    starts, measures = ("MEAN", "ZERO"), ("AD", "STD")
    for name, known in (("start", starts), ("measure", measures)):
        if values[name].upper() not in known:
            hint = f"must be {' or '.join(known)}"
            raise SettingsError(f"DynamicThresholding {name}", values[name], hint)
    rule = ThresholdingRequest.model_validate(
        {
            "mimic_scale": values["mimic_scale"],
            "percentile": values["percentile"],
            "separate_channels": values["separate"].casefold() == "enable",
            "startpoint": values["start"].lower(),
            "measure": values["measure"].upper(),
            "share": values["phi"],
        }
    )
    return {"thresholding": rule}


GUIDANCE_SCRIPTS: Final = (
    GuidanceScript(
        "FreeU Integrated",
        ("freeu integrated",),
        _with_switch(
            Argument("b1", "B1", 1.01),
            Argument("b2", "B2", 1.02),
            Argument("s1", "S1", 0.99),
            Argument("s2", "S2", 0.95),
            Argument("start", "Start step", 0.0, fixed=True),
            Argument("end", "End step", 1.0, fixed=True),
        ),
        _read_freeu,
    ),
    GuidanceScript(
        "SelfAttentionGuidance Integrated",
        ("selfattentionguidance integrated",),
        _with_switch(
            Argument("scale", "Scale", 0.5),
            Argument("blur", "Blur Sigma", 2.0),
            Argument("threshold", "Blur mask threshold", 1.0),
        ),
        _read_sag,
    ),
    GuidanceScript(
        "PerturbedAttentionGuidance Integrated",
        ("perturbedattentionguidance integrated", "perturbed attention guidance integrated"),
        _with_switch(
            Argument("scale", "Scale", 3.0),
            Argument("attenuation", "Attenuation", 0.0, fixed=True),
            Argument("start", "Start step", 0.0, fixed=True),
            Argument("end", "End step", 1.0, fixed=True),
        ),
        _read_pag,
    ),
    GuidanceScript(
        "DynamicThresholding (CFG-Fix) Integrated",
        ("dynamicthresholding (cfg-fix) integrated",),
        _with_switch(
            Argument("mimic_scale", "Mimic Scale", 7.0),
            Argument("percentile", "Threshold Percentile", 1.0),
            Argument("mimic_mode", "Mimic Mode", "Constant", fixed=True),
            Argument("mimic_least", "Mimic Scale Min", 0.0),
            Argument("scale_mode", "Cfg Mode", "Constant", fixed=True),
            Argument("scale_least", "Cfg Scale Min", 0.0),
            Argument("schedule", "Sched Val", 1.0),
            Argument("separate", "Separate Feature Channels", "enable"),
            Argument("start", "Scaling Startpoint", "MEAN"),
            Argument("measure", "Variability Measure", "AD"),
            Argument("phi", "Interpolate Phi", 1.0),
        ),
        _read_thresholding,
    ),
)
"""The least scales and the schedule's value count in modes other than Constant alone."""


def find_script(name: str) -> GuidanceScript | None:
    """Return the script of a name in ``alwayson_scripts``; None for another one."""
    asked = name.casefold().strip()
    found = (each for each in GUIDANCE_SCRIPTS if asked.startswith(each.beginnings))
    return next(found, None)


def script_guidance(scripts: Mapping[str, Any]) -> dict[str, object]:
    """Return the fields of a `GuidanceRequest` that scripts which are enabled set.

    Raises `SettingsError`, `RefusedError` and `NotBuiltError`.
    """
    fields: dict[str, object] = {}
    for name, value in scripts.items():
        script = find_script(name)
        if script is None:
            continue
        given = value.get("args") if isinstance(value, Mapping) else value
        if not isinstance(given, Sequence) or isinstance(given, str):
            message = f"alwayson_scripts {script.title} must be an object with a list args"
            raise RefusedError(message)
        if not (given and given[0] is True):
            script.values(given[:1])
            continue
        fields |= script.read(script.values(given))
    return fields
