"""The options that all commands share which draw pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace

from diffusion.adapters import LoraFolder
from diffusion.checkpoints.bundled import bundled_controls, bundled_loras
from diffusion.cli.options.embeddings import EmbeddingOptions
from diffusion.cli.options.groups import OptionGroup
from diffusion.cli.options.guidance import ImprovementOptions
from diffusion.cli.options.loras import LoraOptions
from diffusion.cli.options.model import ModelOptions, RefinerOptions
from diffusion.cli.options.picture import PictureOptions, VariationOptions
from diffusion.cli.options.pictures.controls import ControlOptions
from diffusion.cli.options.pictures.image_prompts import ImagePromptOptions
from diffusion.cli.options.preview import PreviewOptions
from diffusion.cli.options.run import RunOptions
from diffusion.cli.options.sampling import SamplingOptions
from diffusion.cli.options.series import SeriesOptions
from diffusion.cli.options.shortcuts import ShortcutOptions
from diffusion.cli.options.templates import TemplateOptions
from diffusion.cli.options.upscalers import UpscalerFolderOptions
from diffusion.control import ControlFolder
from diffusion.settings import Settings

__all__ = ["DrawingOptions"]


@dataclass(frozen=True)
class DrawingOptions(OptionGroup):
    """All groups of `avila img2img`, `inpaint`, `txt2img` and `upscale`."""

    picture: PictureOptions
    sampling: SamplingOptions
    improvements: ImprovementOptions
    shortcuts: ShortcutOptions
    variation: VariationOptions
    templates: TemplateOptions
    loras: LoraOptions
    inversion: EmbeddingOptions
    controls: ControlOptions
    image_prompts: ImagePromptOptions
    upscaling: UpscalerFolderOptions
    refiner: RefinerOptions
    model: ModelOptions
    preview: PreviewOptions
    series: SeriesOptions
    run: RunOptions

    def lora_folder(self) -> LoraFolder:
        """Return the folder that LoRAs' names are found in. Raises `SettingsError`."""
        return LoraFolder(self.loras.loras or bundled_loras(self.model.path))

    def control_folder(self) -> ControlFolder:
        """Return the folder that control networks' names are found in."""
        return ControlFolder(self.controls.controls or bundled_controls(self.model.path))

    def change(self, settings: Settings) -> Settings:
        """Return ``settings`` with what was typed. Raises `SettingsError`."""
        changed = self.run.change(self.sampling.change(self.picture.change(settings)))
        changed = self.shortcuts.change(self.improvements.change(changed))
        changed = self.inversion.change(self.loras.change(changed))
        changed = self.image_prompts.change(self.controls.change(changed, self.control_folder()))
        return replace(changed, variation=self.variation.change(settings.variation))
