"""Options about pictures that lead the drawing: ``--control`` and what goes with each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from typer import Option

from diffusion.cli.options.completion import complete_from
from diffusion.cli.options.pictures.repeated import RepeatedOptions
from diffusion.cli.options.shared import (
    EndsOption,
    RegionsOption,
    StartsOption,
    StrengthsOption,
    name_option,
)
from diffusion.control import (
    KINDS,
    MODES,
    PASSES,
    PREPROCESSORS,
    RESIZES,
    Control,
    ControlFolder,
    preprocessor_names,
)
from diffusion.errors import SettingsError
from diffusion.settings import Settings

__all__ = [
    "ControlOptions",
    "PassesOption",
    "check_control_names",
]

_RESIZES: Final = tuple(each.name for each in RESIZES)


def _complete_preprocessors(incomplete: str) -> list[str]:
    """Return the names of preprocessors that begin so, those of other packages too."""
    return complete_from(preprocessor_names())(incomplete)


PassesOption = Annotated[
    list[str] | None,
    name_option(PASSES.names, "In which passes it counts with --hires", "both"),
]


@dataclass(frozen=True)
class ControlOptions(RepeatedOptions, panel="Pictures that lead", prefix="control"):
    """Pictures that lead the drawing, the networks that read them, and their strengths.

    Each option may be given several times: its n-th value is for the n-th picture. One value alone
    is for all pictures.
    """

    names: ClassVar = (
        *("model", "preprocessor", "weight", "start", "end", "mode", "resize", "resolution"),
        *("threshold_a", "threshold_b", "passes", "kind"),
    )
    places: ClassVar = ("model",)
    pictures: ClassVar = ("control", "region", "mask")
    unshared: ClassVar = ("control",)
    renamed: ClassVar = {"control": "image"}

    control: Annotated[
        list[Path] | None,
        Option(
            "--control",
            metavar="PICTURE",
            help="Lead the drawing by a picture, which --control-model reads: edges, depth, a pose "
            "or a scribble. Give it several times for several; the n-th value of each option below "
            "is then for the n-th picture, and one value alone for all.",
            show_default=False,
        ),
    ] = None
    model: Annotated[
        list[str] | None,
        Option(
            metavar="NAME",
            help="A control network of any kind: a name in --controls, the path of a .safetensors "
            "file, or a folder of diffusers.",
            show_default="the only one in --controls",
        ),
    ] = None
    controls: Annotated[
        Path | None,
        Option(
            "--controls",
            metavar="FOLDER",
            help="Where the names in --control-model are found.",
            show_default="what comes with the bundled model",
        ),
    ] = None
    preprocessor: Annotated[
        list[str] | None,
        Option(
            "--preprocessor",
            metavar="NAME",
            autocompletion=_complete_preprocessors,
            help="What makes the map that the network reads, where the picture is none: one of "
            f"{', '.join(PREPROCESSORS.names)}, or of a package that adds its own.",
            show_default="none: the picture is a map",
        ),
    ] = None
    weight: StrengthsOption = None
    start: StartsOption = None
    end: EndsOption = None
    mode: Annotated[
        list[str] | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(MODES.names),
            help="What is more important: balanced, prompt or control. guess is for an empty "
            "prompt.",
            show_default="balanced",
        ),
    ] = None
    resize: Annotated[
        list[str] | None,
        name_option(_RESIZES, "How the picture comes to the size drawn", "crop"),
    ] = None
    region: RegionsOption = None
    mask: Annotated[
        list[Path] | None,
        Option(
            metavar="PICTURE",
            help="White where the picture is drawn anew, for the preprocessor inpaint_only.",
            show_default="that of inpainting",
        ),
    ] = None
    resolution: Annotated[
        list[int] | None,
        Option(
            help="Shorter side in pixels that the preprocessor computes at.",
            show_default="the size drawn",
        ),
    ] = None
    threshold_a: Annotated[
        list[float] | None,
        Option(help="First choice of the preprocessor.", show_default="its own"),
    ] = None
    threshold_b: Annotated[
        list[float] | None,
        Option(help="Second choice of the preprocessor.", show_default="its own"),
    ] = None
    layers: Annotated[
        list[str] | None,
        Option(
            metavar="NUMBERS",
            help="A factor for each layer that it adds to, in place of the mode's: 1,0.8,0.5,...",
            show_default=False,
        ),
    ] = None
    passes: PassesOption = None
    kind: Annotated[
        list[str] | None,
        name_option(
            KINDS.names,
            "What the picture shows, for a network that knows several kinds",
            "what the preprocessor makes",
        ),
    ] = None

    @classmethod
    def spelling(cls, name: str) -> str:
        """Return how an option is written, without hyphens before it."""
        return name if name in ("control", "preprocessor") else super().spelling(name)

    def change(self, settings: Settings, folder: ControlFolder) -> Settings:
        """Return ``settings`` with the controls that were typed. Raises `SettingsError`.

        A control that names no network is read by the only one of the folder.
        """

        def make(values: dict[str, Any]) -> Control:
            return Control(**{"model": values.get("model") or _only_network(folder), **values})

        chosen = len(self.control or ()) or len(self.model or ())
        given = [name for name in self.typed_names() if name not in ("control", "model")]
        count = max(chosen, len(settings.controls)) if chosen or given else 0
        if given and not count:
            raise self.missing_error(given[0], "--control PICTURE")
        return replace(settings, controls=self.change_all(settings.controls, count, make))

    def files(self) -> tuple[Path, ...]:
        """Return the pictures that are read."""
        return tuple(path for name in self.pictures for path in getattr(self, name) or ())


def check_control_names(settings: Settings, folder: ControlFolder) -> None:
    """Raise `SettingsError` for a name that is not found, before a model is loaded."""
    for each in settings.controls:
        if not each.is_path:
            folder.find(str(each.model))


def _only_network(folder: ControlFolder) -> str:
    """Return the name of the one network of a folder. Raises `SettingsError`."""
    if folder.only is None:
        raise SettingsError("control-model", None, "name the network that reads the picture")
    return folder.only
