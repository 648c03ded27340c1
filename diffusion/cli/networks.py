"""Options that say which networks draw beside the model's own, and what all compute in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from diffusion.checks import check_number
from diffusion.errors import SettingsError
from diffusion.pipeline.refiner import SWITCH
from gpucore import Device, DType, f16, f32

__all__ = ["DTypeName", "NamedRefiner", "Refiner", "RefinerSwitch", "Vae", "chosen_dtype"]

DTYPES: dict[str, type[DType]] = {"f16": f16, "f32": f32}
_PANEL = "Files and devices"
_REFINING = "Refiner"

Vae = Annotated[
    Path | None,
    Option(
        "--vae",
        metavar="PATH",
        help="Folder or .safetensors file of a VAE to use in the place of the model's own.",
        rich_help_panel=_PANEL,
    ),
]
DTypeName = Annotated[
    str | None,
    Option(
        "--dtype",
        metavar="NAME",
        help=f"What the networks compute in, one of {', '.join(DTYPES)}; if absent f16 where the "
        "device is good at it.",
        rich_help_panel=_PANEL,
    ),
]
Refiner = Annotated[
    Path | None,
    Option(
        "--refiner",
        metavar="MODEL",
        help="A second model of the same latents, such as SDXL's refiner, that takes the last "
        "steps; named as --model.",
        rich_help_panel=_REFINING,
    ),
]
RefinerSwitch = Annotated[
    float | None,
    Option(
        "--refiner-switch",
        metavar="SHARE",
        help=f"Share of the steps that the first model makes, 0 to 1; {SWITCH} if absent.",
        rich_help_panel=_REFINING,
    ),
]


@dataclass(frozen=True)
class NamedRefiner:
    """The model that ``--refiner`` names, and the share of steps before it."""

    path: Path
    switch: float = SWITCH

    @classmethod
    def chosen(
        cls, path: Path | None, switch: float | None, usual: float | None = None
    ) -> NamedRefiner | None:
        """From the options; ``usual``: the switch where none is given. Raises `SettingsError`."""
        if path is None:
            if switch is not None:
                raise SettingsError("refiner switch", switch, "give --refiner MODEL beside it")
            return None
        wanted = usual if switch is None else switch
        check_number("refiner switch", wanted, 0, 1)
        return cls(path, SWITCH if wanted is None else wanted)


def chosen_dtype(text: str | None, device: Device | None = None) -> type[DType] | None:
    """What ``--dtype`` names. Raises `SettingsError`, also where the ``device`` lacks it."""
    if text is None:
        return None
    if text not in DTYPES:
        raise SettingsError("dtype", text, f"give one of {', '.join(DTYPES)}")
    if device is not None and DTYPES[text] is f16 and not device.has_f16:
        raise SettingsError("dtype", text, f"{device.name} has no f16; give f32")
    return DTYPES[text]
