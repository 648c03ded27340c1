"""`Control`: a picture that leads a drawing, the network that reads it, and its strength."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from diffusion.catalogue import Catalogue
from diffusion.checks import check_integer, check_number, check_text
from diffusion.control.preprocessors import find_preprocessor
from diffusion.errors import SettingsError
from diffusion.images import MOST_PIXELS
from diffusion.tasks.choices import Choice
from diffusion.tasks.resizing import PIXEL_RESIZES, RESIZE_MODES

__all__ = [
    "KINDS",
    "MODES",
    "MOST_CONTROLS",
    "MOST_WEIGHT",
    "PASSES",
    "RESIZES",
    "Control",
    "check_controls",
    "check_picture",
    "is_path",
]

MOST_CONTROLS: Final = 10
MOST_WEIGHT: Final = 10.0
MOST_RESOLUTION: Final = 4096

RESIZES: Final = tuple(PIXEL_RESIZES)
"""How a map comes to the size drawn."""

MODES: Final = Catalogue(
    "control mode",
    [
        Choice("balanced", "Balanced"),
        Choice("prompt", "My prompt is more important"),
        Choice("control", "ControlNet is more important"),
        Choice("guess", "Guess mode"),
    ],
)
"""How prompt and picture share: the extension's three modes, and the guess mode of diffusers."""

PASSES: Final = Catalogue(
    "control passes",
    [
        Choice("both", "Both"),
        Choice("base", "Low res only"),
        Choice("hires", "High res only"),
    ],
)

KINDS: Final = Catalogue(
    "control kind",
    [
        Choice("openpose", "OpenPose", ("pose",)),
        Choice("depth", "Depth"),
        Choice("softedge", "Soft Edge", ("hed", "pidi", "scribble", "ted")),
        Choice("canny", "Canny", ("lineart", "anime_lineart", "mlsd", "hard edge")),
        Choice("normal", "Normal Map", ("normalbae",)),
        Choice("segment", "Segmentation", ("seg",)),
        Choice("tile", "Tile", ("blur",)),
        Choice("repaint", "Inpaint", ("inpainting",)),
    ],
)
"""The kinds of pictures that a union of ControlNets tells apart, in the order of its numbers."""


@dataclass(frozen=True)
class Control:
    """A picture that leads a drawing through a ControlNet or one of its relatives.

    Args:
        model: a name in the pipeline's folder of control networks, the path of a
            ``.safetensors`` file, or a folder of diffusers as a ``Path``.
        image: the picture; None takes the init image.
        preprocessor: what makes a map of the picture; ``none`` where it is a map already.
        weight: the strength; 1 is what the network was trained for.
        start, end: the share of the steps between which it counts.
        mode: a name in `MODES`.
        resize: how the map comes to the size drawn: ``crop``, ``stretch`` or ``fill``.
        region: grey levels of where it counts, resized as the picture; None for everywhere.
        mask: white where a picture is drawn anew, for the preprocessors that read it.
        resolution: the shorter side that a preprocessor computes at; None for the size drawn.
        threshold_a, threshold_b: the preprocessor's choices; None for its defaults.
        layer_weights: a factor for each layer that it adds to, in place of the mode's.
        passes: a name in `PASSES`, which says where it counts with hires fix.
        kind: what the picture shows, for a union of ControlNets: a name in `KINDS`.
    """

    model: str | Path
    image: Image.Image | None = None
    preprocessor: str = "none"
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    mode: str = "balanced"
    resize: str = "crop"
    region: Image.Image | None = None
    mask: Image.Image | None = None
    resolution: int | None = None
    threshold_a: float | None = None
    threshold_b: float | None = None
    layer_weights: tuple[float, ...] = ()
    passes: str = "both"
    kind: str | None = None

    @property
    def is_path(self) -> bool:
        """Tell whether ``model`` is a path rather than a name."""
        return is_path(self.model)

    def check(self) -> None:
        """Raise `SettingsError` for the first choice that is out of range."""
        model: object = self.model
        if not isinstance(model, (str, Path)) or not str(model):
            raise SettingsError("control model", model, "must be a name or a path")
        for field in ("image", "region", "mask"):
            if getattr(self, field) is not None:
                check_picture(f"control {field}", getattr(self, field))
        for field in ("preprocessor", "mode", "resize", "passes"):
            check_text(f"control {field}", getattr(self, field))
        check_number("control weight", self.weight, -MOST_WEIGHT, MOST_WEIGHT)
        check_number("control start", self.start, 0, 1)
        check_number("control end", self.end, 0, 1)
        if self.start >= self.end:
            hint = f"must be less than the end, {self.end:g}"
            raise SettingsError("control start", self.start, hint)
        MODES.find(self.mode)
        PASSES.find(self.passes)
        if RESIZE_MODES.find(self.resize) not in RESIZES:
            names = ", ".join(each.name for each in RESIZES)
            raise SettingsError("control resize", self.resize, f"must be one of {names}")
        check_integer("control resolution", self.resolution, 64, MOST_RESOLUTION)
        if self.kind is not None:
            check_text("control kind", self.kind)
            KINDS.find(self.kind)
        self._check_layers()
        find_preprocessor(self.preprocessor).thresholds(self.threshold_a, self.threshold_b)

    def _check_layers(self) -> None:
        given: object = self.layer_weights
        if not isinstance(given, tuple):
            raise SettingsError("control layer weights", given, "must be a tuple of numbers")
        for each in self.layer_weights:
            check_number("control layer weight", each, -MOST_WEIGHT, MOST_WEIGHT)


def is_path(model: str | Path) -> bool:
    """Tell whether a network is named by a path, rather than a name in a folder."""
    return isinstance(model, Path) or model.lower().endswith(".safetensors")


def check_picture(field: str, image: object) -> None:
    """Raise `SettingsError` for what is no picture, or one of too many pixels."""
    if not isinstance(image, Image.Image):
        raise SettingsError(field, image, "must be a picture")
    if image.width * image.height > MOST_PIXELS:
        size = f"{image.width}x{image.height}"
        raise SettingsError(field, size, f"at most {MOST_PIXELS} pixels are read")


def check_controls(controls: object, *, has_image: bool) -> None:
    """Raise `SettingsError` unless ``controls`` is a tuple of checked `Control`.

    ``has_image``: there is an init image, which a control without a picture takes.
    """
    if not isinstance(controls, tuple) or not all(isinstance(each, Control) for each in controls):
        raise SettingsError("controls", controls, "must be a tuple of Control")
    if len(controls) > MOST_CONTROLS:
        raise SettingsError("controls", len(controls), f"must be at most {MOST_CONTROLS}")
    for each in controls:
        each.check()
        if each.image is None and not has_image:
            raise SettingsError("control image", None, "give a picture, or an init image")
