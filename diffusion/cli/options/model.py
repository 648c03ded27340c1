"""Options that say which networks draw, and what number type they compute in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

from typer import Option

from diffusion.checks import check_number, read_bytes
from diffusion.cli.options.completion import complete_from, complete_models
from diffusion.cli.options.groups import OptionGroup
from diffusion.cli.options.parsing import find_name, find_prediction
from diffusion.cli.options.shared import ModelOption, PredictionOption, TokenizerOption, VramOption
from diffusion.errors import SettingsError
from diffusion.memory import Budget
from diffusion.models.quantized import WEIGHT_NAMES
from diffusion.pipeline.arguments import read_weights
from diffusion.pipeline.pipeline import Pipeline
from diffusion.pipeline.refiner import SWITCH
from diffusion.settings import Settings
from gpucore import Device, DType, f16, f32

__all__ = ["ModelOptions", "Refiner", "RefinerOptions", "find_dtype"]

_DTYPES: Final[dict[str, type[DType]]] = {"f16": f16, "f32": f32}


@dataclass(frozen=True)
class ModelOptions(OptionGroup, panel="Networks", first=("path",)):
    """The model, and what a single file does not hold."""

    path: ModelOption = None
    tokenizer: TokenizerOption = None
    prediction: PredictionOption = None
    vae: Annotated[
        Path | None,
        Option(
            "--vae",
            metavar="PATH",
            help="Folder or .safetensors file of a VAE to use in place of the model's own.",
        ),
    ] = None
    unet: Annotated[
        Path | None,
        Option(
            "--unet",
            metavar="PATH",
            help="A .gguf or .safetensors file of a UNet to use in place of the model's own.",
        ),
    ] = None
    dtype: Annotated[
        str | None,
        Option(
            "--dtype",
            metavar="NAME",
            autocompletion=complete_from(_DTYPES),
            help=f"Number type that the networks compute in: one of {', '.join(_DTYPES)}.",
            show_default="f16 where the device is good at it",
        ),
    ] = None

    weights: Annotated[
        str | None,
        Option(
            "--weights",
            metavar="NAME",
            autocompletion=complete_from(WEIGHT_NAMES),
            help="Format that the weights of UNet and text encoders are kept in, in fewer bytes: "
            f"one of {', '.join(WEIGHT_NAMES)}.",
            show_default="as in the file",
        ),
    ] = None
    vram: VramOption = None

    def check(self) -> None:
        """Check the names before anything is loaded. Raises `SettingsError`."""
        read_bytes("vram", self.vram)
        find_prediction(self.prediction)
        read_weights(self.weights)
        find_dtype(self.dtype)

    def for_refiner(self, path: Path) -> ModelOptions:
        """Return the options of the refiner at ``path``; a folder has a tokenizer of its own."""
        tokenizer = self.tokenizer if path.is_file() else None
        return replace(self, path=path, tokenizer=tokenizer, prediction=None, unet=None)

    def load(
        self,
        device: Device,
        preview: str | Path | None = None,
        plan_for: Settings | None = None,
    ) -> Pipeline:
        """Load the model onto a device, placed for a run where it does not fit as a whole.

        Raises as `Pipeline.load`, and `SettingsError`.
        """
        return Pipeline.load(
            self.path,
            device,
            find_dtype(self.dtype, device),
            vae=self.vae,
            preview=preview,
            tokenizer=self.tokenizer,
            prediction=find_prediction(self.prediction),
            weights=read_weights(self.weights),
            unet=self.unet,
            vram=Budget(self.vram, plan_for),
        )


@dataclass(frozen=True)
class Refiner:
    """A second model, and the share of the steps that the first model makes before it."""

    path: Path
    switch: float = SWITCH


@dataclass(frozen=True)
class RefinerOptions(OptionGroup, panel="Refiner", prefix="refiner"):
    """A second model that takes the last steps."""

    path: Annotated[
        Path | None,
        Option(
            "--refiner",
            metavar="MODEL",
            autocompletion=complete_models,
            help="A second model of the same latents that takes the last steps, such as the "
            "refiner of SDXL; named as in --model.",
            show_default="none",
        ),
    ] = None
    switch: Annotated[
        float | None,
        Option(
            metavar="SHARE",
            help="Share of the steps that the first model makes, 0 to 1.",
            show_default=str(SWITCH),
        ),
    ] = None

    def refiner(self, usual_switch: float | None = None) -> Refiner | None:
        """Return the refiner, or None where there is none. Raises `SettingsError`.

        ``usual_switch``: the share where none was typed; None for `SWITCH`.
        """
        if self.path is None:
            if self.switch is not None:
                raise SettingsError("refiner switch", self.switch, "needs --refiner MODEL")
            return None
        switch = usual_switch if self.switch is None else self.switch
        check_number("refiner switch", switch, 0, 1)
        return Refiner(self.path, SWITCH if switch is None else switch)


def find_dtype(text: str | None, device: Device | None = None) -> type[DType] | None:
    """Return the type that ``--dtype`` names.

    Raises `SettingsError`, also where the ``device`` does not have it.
    """
    if text is None:
        return None
    dtype = find_name("dtype", text, _DTYPES)
    if device is not None and dtype is f16 and not device.has_f16:
        raise SettingsError("dtype", text, f"{device.name} has no f16; give f32")
    return dtype
