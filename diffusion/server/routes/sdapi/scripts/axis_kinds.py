"""The axes of the X/Y/Z plot, with the WebUI's names, in its order (its ``scripts/xyz_grid.py``).

Clients name an axis by its place in this list, which differs between text and pictures as a start.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from diffusion.errors import SettingsError
from diffusion.grids import AxisValue, expand_numbers
from diffusion.server.errors import NotBuiltError
from diffusion.server.routes.sdapi.requests import DrawBody
from diffusion.settings import random_seed

__all__ = ["AxisKind", "find_axis_kinds"]

MOST_ORDERED: Final = 6
"""Texts whose orders make an axis."""
_FEWEST_TEXTS: Final = 2
_BOTH, _TEXT, _PICTURE = "both", "txt2img", "img2img"
_SEEDS: Final = {"seed", "subseed"}


@dataclass(frozen=True)
class AxisKind:
    """A kind of axis. ``changes``: the field or option that its values change; "" for none here.

    ``kind``: of its values: ``int``, ``float``, ``text``, or one that has its own rule.
    """

    label: str
    changes: str = ""
    kind: str = "text"
    start: str = _BOTH

    def values(self, texts: Sequence[str], body: DrawBody) -> list[AxisValue]:
        """Return the values of texts. Raises `SettingsError` and `NotBuiltError`."""
        if self.kind == "nothing":
            return [AxisValue("")]
        if not texts:
            raise SettingsError("script_args", self.label, "this axis needs values")
        if self.kind == "words":
            return self._words(texts)
        if self.kind == "order":
            return _orders(texts, body.prompt)
        if self.kind == "size":
            return [AxisValue(text, _size(text)) for text in texts]
        if self.kind == "styles":
            before = body.styles or []
            return [AxisValue(text, {"styles": [*before, *text.split(",")]}) for text in texts]
        if not self.changes:
            message = f"this server does not do the axis {self.label} yet; take another one"
            raise NotBuiltError(message)
        if self.kind == "text":
            return [AxisValue(text, {self.changes: text}) for text in texts]
        numbers = expand_numbers(texts, self.kind == "float")
        return [AxisValue(text, {self.changes: self._number(text)}) for text in numbers]

    def _words(self, texts: Sequence[str]) -> list[AxisValue]:
        if len(texts) < _FEWEST_TEXTS:
            raise SettingsError("script_args", texts[0], f"{self.label} needs two texts or more")
        return [AxisValue(each, words=(texts[0], each)) for each in texts]

    def _number(self, text: str) -> int | float:
        try:
            number = int(text) if self.kind == "int" else float(text)
        except ValueError as error:
            rule = "must be a whole number" if self.kind == "int" else "must be a number"
            raise SettingsError(self.label, text, rule) from error
        return random_seed() if self.changes in _SEEDS and number < 0 else number


def _orders(texts: Sequence[str], prompt: str) -> list[AxisValue]:
    """Return a value for each order of texts that stand in a prompt."""
    if len(texts) > MOST_ORDERED:
        raise SettingsError("script_args", len(texts), f"at most {MOST_ORDERED} texts are ordered")
    places = {text: prompt.find(text) for text in texts}
    if missing := [text for text, place in places.items() if place < 0]:
        raise SettingsError("script_args", missing[0], "must stand in the prompt")
    found = []
    for order in itertools.permutations(texts):
        result, end = "", 0
        for new, (old, place) in zip(order, sorted(places.items(), key=_place), strict=False):
            result, end = result + prompt[end:place] + new, place + len(old)
        found.append(AxisValue(", ".join(order), {"prompt": result + prompt[end:]}))
    return found


def _place(pair: tuple[str, int]) -> int:
    return pair[1]


def _size(text: str) -> dict[str, object]:
    width, cross, height = text.lower().replace("×", "x").partition("x")
    if not cross or not width.strip().isdecimal() or not height.strip().isdecimal():
        raise SettingsError("size", text, "must be WIDTHxHEIGHT, such as 512x768")
    return {"width": int(width[:9]), "height": int(height[:9])}


_KINDS: Final = (
    AxisKind("Nothing", kind="nothing"),
    AxisKind("Seed", "seed", "int"),
    AxisKind("Var. seed", "subseed", "int"),
    AxisKind("Var. strength", "subseed_strength", "float"),
    AxisKind("Steps", "steps", "int"),
    AxisKind("Hires steps", "hr_second_pass_steps", "int", _TEXT),
    AxisKind("CFG Scale", "cfg_scale", "float"),
    AxisKind("Image CFG Scale", start=_PICTURE),
    AxisKind("Prompt S/R", kind="words"),
    AxisKind("Prompt order", kind="order"),
    AxisKind("Sampler", "sampler_name", start=_TEXT),
    AxisKind("Hires sampler", "hr_sampler_name", start=_TEXT),
    AxisKind("Sampler", "sampler_name", start=_PICTURE),
    AxisKind("Checkpoint name", "sd_model_checkpoint"),
    AxisKind("Negative Guidance minimum sigma", "s_min_uncond", "float"),
    AxisKind("Sigma Churn", "s_churn", "float"),
    AxisKind("Sigma min", "s_tmin", "float"),
    AxisKind("Sigma max", "s_tmax", "float"),
    AxisKind("Sigma noise", "s_noise", "float"),
    AxisKind("Schedule type", "scheduler"),
    AxisKind("Schedule min sigma", "sigma_min", "float"),
    AxisKind("Schedule max sigma", "sigma_max", "float"),
    AxisKind("Schedule rho", "rho", "float"),
    AxisKind("Skip Early CFG", "skip_early_cond", "float"),
    AxisKind("Beta schedule alpha"),
    AxisKind("Beta schedule beta"),
    AxisKind("Eta", "eta", "float"),
    AxisKind("Clip skip", "CLIP_stop_at_last_layers", "int"),
    AxisKind("Denoising", "denoising_strength", "float"),
    AxisKind("Initial noise multiplier", "initial_noise_multiplier", "float"),
    AxisKind("Extra noise"),
    AxisKind("Hires upscaler", "hr_upscaler", start=_TEXT),
    AxisKind("Cond. Image Mask Weight", start=_PICTURE),
    AxisKind("VAE", "sd_vae"),
    AxisKind("Styles", kind="styles"),
    AxisKind("UniPC Order", "uni_pc_order", "int"),
    AxisKind("Face restore"),
    AxisKind("Token merging ratio", "token_merging_ratio", "float"),
    AxisKind("Token merging ratio high-res", "token_merging_ratio_hr", "float"),
    AxisKind("Always discard next-to-last sigma"),
    AxisKind("SGM noise multiplier"),
    AxisKind("Refiner checkpoint", "refiner_checkpoint"),
    AxisKind("Refiner switch at", "refiner_switch_at", "float"),
    AxisKind("RNG source", "randn_source"),
    AxisKind("FP8 mode"),
    AxisKind("Size", kind="size"),
)


def find_axis_kinds(is_img2img: bool) -> dict[str, AxisKind]:
    """Return the kinds of axes by their names, in the WebUI's order."""
    fitting = (_BOTH, _PICTURE if is_img2img else _TEXT)
    return {kind.label: kind for kind in _KINDS if kind.start in fitting}
