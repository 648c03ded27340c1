"""Options about what improves guidance: rescaling, thresholding, NGMS, PAG, SAG and FreeU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from typer import Option

from diffusion.cli.options.completion import complete_from
from diffusion.cli.options.groups import OptionGroup
from diffusion.cli.options.parsing import MAX_DIGITS
from diffusion.errors import SettingsError
from diffusion.settings import Settings
from diffusion.tasks import FreeU, GuidanceOptions, SelfAttentionGuidance, Thresholding

__all__ = ["ImprovementOptions", "parse_freeu"]

FREEU: Final = {
    "sd1.4": FreeU(1.3, 1.4, 0.9, 0.2),
    "sd1.5": FreeU(1.5, 1.6, 0.9, 0.2),
    "sd2.1": FreeU(1.4, 1.6, 0.9, 0.2),
    "sdxl": FreeU(1.3, 1.4, 0.9, 0.2),
}
"""The factors that its authors publish for each model (github.com/ChenyangSi/FreeU)."""

_MIMIC_OPTIONS: Final = {
    "percentile": "percentile",
    "separate_channels": "channels",
    "startpoint": "startpoint",
    "measure": "measure",
    "share": "share",
}
"""The ends of the options' names, by the fields of `Thresholding`."""


@dataclass(frozen=True)
class ImprovementOptions(OptionGroup, panel="Guidance"):
    """Choices beside the scale of guidance; all are off by default."""

    guidance_rescale: Annotated[
        float | None,
        Option(
            metavar="SHARE",
            help="Bring back the contrast that guidance raises, 0 to 1; 0.7 is usual for models "
            "with zero terminal SNR.",
            show_default="0",
        ),
    ] = None
    mimic_scale: Annotated[
        float | None,
        Option(
            metavar="SCALE",
            help="Give a high --guidance the range of colours of this lower one (dynamic "
            "thresholding). 0 turns it off.",
            show_default="off",
        ),
    ] = None
    mimic_percentile: Annotated[
        float | None,
        Option(
            metavar="SHARE",
            help="The share of values that thresholding does not clip, 0 to 1.",
            show_default="1",
        ),
    ] = None
    mimic_channels: Annotated[
        bool | None,
        Option(
            "--mimic-channels/--mimic-whole",
            help="Threshold each channel by itself, or all of them together.",
            show_default="mimic-channels",
        ),
    ] = None
    mimic_startpoint: Annotated[
        str | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(("mean", "zero")),
            help="What values are scaled around: mean or zero.",
            show_default="mean",
        ),
    ] = None
    mimic_measure: Annotated[
        str | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(("AD", "STD")),
            help="The measure of a range: AD, the largest distance, or STD.",
            show_default="AD",
        ),
    ] = None
    mimic_share: Annotated[
        float | None,
        Option(
            metavar="SHARE",
            help="How much of thresholding counts beside plain guidance, 0 to 1.",
            show_default="1",
        ),
    ] = None
    ngms: Annotated[
        float | None,
        Option(
            metavar="SIGMA",
            help="Leave the negative prompt out of every second call below this noise level, which "
            "saves time. 1 to 4 is usual; 0 turns it off.",
            show_default="0",
        ),
    ] = None
    ngms_all: Annotated[
        bool | None,
        Option("--ngms-all/--no-ngms-all", help="Of every call below it.", show_default=False),
    ] = None
    skip_early: Annotated[
        float | None,
        Option(
            metavar="SHARE",
            help="Leave the negative prompt out of this share of the first calls, 0 to 1.",
            show_default="0",
        ),
    ] = None
    pag: Annotated[
        float | None,
        Option(
            metavar="SCALE",
            help="Perturbed-attention guidance: away from a picture without inner coherence. 3 is "
            "usual, and half more work.",
            show_default="0",
        ),
    ] = None
    sag: Annotated[
        float | None,
        Option(
            metavar="SCALE",
            help="Self-attention guidance: away from a picture that is blurred where the network "
            "looks. 0.5 to 1 is usual, and half more work; 0 turns it off.",
            show_default="off",
        ),
    ] = None
    sag_blur: Annotated[
        float | None,
        Option(metavar="SIGMA", help="The deviation of its blur in latents.", show_default="2"),
    ] = None
    sag_threshold: Annotated[
        float | None,
        Option(help="How much more than the mean a place is looked at.", show_default="1"),
    ] = None
    freeu: Annotated[
        str | None,
        Option(
            metavar="B1,B2,S1,S2",
            autocompletion=complete_from(("off", *FREEU)),
            help=f"FreeU's four factors, or a model's: {', '.join(FREEU)}, or off.",
            show_default="off",
        ),
    ] = None
    freeu_version: Annotated[
        int | None,
        Option(help="1, as in diffusers, or 2, as in ComfyUI and Forge.", show_default="2"),
    ] = None

    def change(self, settings: Settings) -> Settings:
        """Return ``settings`` with what was typed. Raises `SettingsError`."""
        old = settings.guidance_options
        typed: dict[str, Any] = {
            "rescale": self.guidance_rescale,
            "skip_below": self.ngms,
            "skip_all": self.ngms_all,
            "skip_early": self.skip_early,
            "perturbed": self.pag,
        }
        options: GuidanceOptions = replace(
            old,
            **{name: value for name, value in typed.items() if value is not None},
            thresholding=self._thresholding(old.thresholding),
            freeu=self._freeu(old.freeu),
            self_attention=self._self_attention(old.self_attention),
        )
        return replace(settings, guidance_options=options)

    def _self_attention(self, old: SelfAttentionGuidance | None) -> SelfAttentionGuidance | None:
        if self.sag == 0:
            return None
        typed = {"scale": self.sag, "blur": self.sag_blur, "threshold": self.sag_threshold}
        given: dict[str, Any] = {name: each for name, each in typed.items() if each is not None}
        if old is None and self.sag is None:
            for name, value in given.items():
                raise SettingsError(f"sag_{name}", value, "needs --sag SCALE")
            return None
        return replace(old or SelfAttentionGuidance(), **given)

    def _thresholding(self, old: Thresholding | None) -> Thresholding | None:
        typed: dict[str, Any] = {
            name: getattr(self, f"mimic_{option}") for name, option in _MIMIC_OPTIONS.items()
        }
        given = {name: value for name, value in typed.items() if value is not None}
        if self.mimic_scale == 0:
            return None
        if self.mimic_scale is None and old is None:
            for name, value in given.items():
                option = f"mimic_{_MIMIC_OPTIONS[name]}"
                raise SettingsError(option, value, "needs --mimic-scale SCALE")
            return None
        changed = replace(old or Thresholding(), **given)
        return (
            changed if self.mimic_scale is None else replace(changed, mimic_scale=self.mimic_scale)
        )

    def _freeu(self, old: FreeU | None) -> FreeU | None:
        found = old if self.freeu is None else parse_freeu(self.freeu)
        if self.freeu_version is None:
            return found
        if found is None:
            raise SettingsError("freeu version", self.freeu_version, "needs --freeu B1,B2,S1,S2")
        if self.freeu_version not in (1, 2):
            raise SettingsError("freeu version", self.freeu_version, "must be 1 or 2")
        return replace(found, version=1 if self.freeu_version == 1 else 2)


def parse_freeu(text: str) -> FreeU | None:
    """Return the factors of a text such as ``sd1.5`` or ``1.3,1.4,0.9,0.2``; None for ``off``.

    Raises `SettingsError`.
    """
    name = text.strip().lower()
    if name == "off":
        return None
    if name in FREEU:
        return FREEU[name]
    try:
        numbers = [float(each[:MAX_DIGITS]) for each in text.split(",", 4)]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        hint = f"must be four numbers, such as 1.3,1.4,0.9,0.2, or one of {', '.join(FREEU)}, off"
        raise SettingsError("freeu", text, hint)
    b1, b2, s1, s2 = numbers
    return FreeU(b1, b2, s1, s2)
