"""The settings of a training run: sizes, loss weights, time, folders."""

from dataclasses import dataclass
from pathlib import Path

import torch

from tools.train_emoji.captions import LABEL_CHANCE

SCALING_FACTOR = 0.18215  # the latents' 1 / standard deviation in Stable Diffusion 1.x
STYLES = ("3d", "flat", "noto")


@dataclass(frozen=True)
class Folders:
    """Where a run reads its data, keeps its resumable state and writes its results."""

    data: Path
    work: Path
    out: Path


@dataclass(frozen=True)
class Sizes:
    """Shapes of the three networks; channel counts are multiples of 16 (the norm's groups)."""

    image: int = 256
    vae_channels: tuple[int, ...] = (32, 64, 96, 96)
    unet_channels: tuple[int, ...] = (64, 128, 160)
    text_width: int = 128
    text_hidden: int = 384
    text_layers: int = 3
    heads: int = 4
    vocabulary: int = 3072

    @property
    def latent(self) -> int:
        """Side of the latent image."""
        return int(self.image // 2 ** (len(self.vae_channels) - 1))


@dataclass(frozen=True)
class VaeTraining:
    """Weights of the reconstruction loss, and the optimiser's settings."""

    seconds: float = 300.0
    batch: int = 32
    learning_rate: float = 1e-3
    squared_weight: float = 2.0
    gradient_weight: float = 1.0
    kl_weight: float = 3e-4
    small_latent_share: float = 0.25
    small_latent_until: float = 0.75
    start_from: Path | None = None


@dataclass(frozen=True)
class Mix:
    """The mix of examples that the diffusion training draws.

    Shares of plain, recoloured and background pictures, sum 1; share of the 3D style (flat
    and cartoon share the rest as 10 to 11); chance that a plain picture stays as drawn; chance
    that a caption says the concept's label; weight of people beside things (1.2).
    """

    kinds: tuple[float, float, float] = (0.74, 0.20, 0.06)
    solid: float = 0.58
    still: float = 0.70
    label: float = LABEL_CHANCE
    people: float = 0.7


@dataclass(frozen=True)
class DiffusionTraining:
    """Time of this call, time over all calls (it shapes the learning rate), optimiser."""

    seconds: float = 300.0
    total_seconds: float = 600.0
    batch: int = 512
    learning_rate: float = 1e-3
    warm_up_steps: int = 400
    caption_dropout: float = 0.1
    snr_limit: float = 5.0
    least_weight: float = 0.0
    start_from: Path | None = None


@dataclass(frozen=True)
class Settings:
    """One run: everything that a stage needs to know beside its state on disk."""

    folders: Folders
    sizes: Sizes = Sizes()
    vae: VaeTraining = VaeTraining()
    diffusion: DiffusionTraining = DiffusionTraining()
    mix: Mix = Mix()
    compile: bool = True
    max_steps: int | None = None
    concepts: int | None = None
    deadline: float | None = None

    @property
    def device(self) -> torch.device:
        """The GPU if there is one, else the CPU (for tests at tiny sizes)."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
