"""Runs that start from a picture: what diffusers computes and the tests compare.

from tests.goldens.loader import load
from tests.goldens.task_cases import TASK_CASES

expected = load("tasks")[f"{case.name}/latents"]
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from tests.goldens import weights
from tests.goldens.cases import PipelineCase
from tests.goldens.configs import MODELS
from tests.goldens.folders import WEIGHT_FILES, write_model

Task = Literal["img2img", "inpaint", "inpaint9"]


@dataclass(frozen=True)
class TaskCase(PipelineCase):
    """A `PipelineCase` of one image that starts from a picture and makes the last ``kept`` steps.

    ``inpaint`` blends latents; ``inpaint9`` is a UNet that reads mask and masked latents too, and
    blends nothing. Golden: `name + "/start"` (1, 4, height, width), x at the first level;
    `"/latents"` (kept, 1, 4, height, width), x after each step, x = x₀ + σ·noise; `"/image"`
    (1, factor·height, factor·width, 3) u8.
    """

    task: Task = "img2img"
    kept: int = 3

    @property
    def name(self) -> str:
        """The first half of the case's keys in `tasks.npz`."""
        return f"{self.task}-{super().name}-last{self.kept}"

    def picture(self) -> NDArray[np.uint8]:
        """Return the picture: (factor·height, factor·width, 3)."""
        drawn = weights.uniform(f"{self.model}/picture", (*self._pixels, 3))
        return np.floor((drawn.astype(np.float64) + 1) * 128).astype(np.uint8)

    def mask(self) -> NDArray[np.uint8]:
        """Return 0 or 255, equal within each latent pixel: (factor·height, factor·width)."""
        small = weights.uniform("mask", (self.height, self.width)) > 0
        factor = MODELS[self.model].vae_factor
        return np.kron(small, np.full((factor, factor), 255)).astype(np.uint8)

    def encoding_noise(self, picture: int) -> weights.Array:
        """Return unit noise for the latents of the picture (0) or of its unmasked part (1)."""
        return weights.normal(f"noise/encoding {picture}", (1, 4, self.height, self.width))

    @property
    def _pixels(self) -> tuple[int, int]:
        factor = MODELS[self.model].vae_factor
        return factor * self.height, factor * self.width


TASK_CASES = [
    TaskCase("two_levels", "euler", "karras", 5),
    TaskCase("two_levels", "dpmpp_2m", "karras", 6, kept=5),
    TaskCase("three_levels", "euler_a", "karras", 5, 1, 8, 12),
    TaskCase("four_levels", "dpmpp_2m", "sgm_uniform", 5, 1, 10, 14),
    TaskCase("two_levels", "euler", "karras", 5, task="inpaint", kept=4),
    TaskCase("three_levels", "dpmpp_2m", "karras", 6, 1, 8, 12, task="inpaint", kept=5),
    TaskCase("two_levels", "dpmpp_2m", "karras", 5, task="inpaint9", kept=4),
    TaskCase("three_levels", "euler_a", "karras", 5, 1, 8, 12, task="inpaint9", kept=4),
]


def write_task_model(folder: Path, case: TaskCase) -> None:
    """Write the case's model: the golden one, for ``inpaint9`` with nine input channels."""
    write_model(folder, case.model)
    if case.task == "inpaint9":
        widen_unet(folder, case.model)


def widen_unet(folder: Path, model: str) -> None:
    """Give the UNet of a written model the nine input channels of one that inpaints."""
    place = folder / "unet" / "config.json"
    config = json.loads(place.read_text(encoding="utf-8"))
    place.write_text(json.dumps(config | {"in_channels": 9}), encoding="utf-8")
    file = folder / "unet" / WEIGHT_FILES["unet"]
    tensors = load_file(file)
    shape = (tensors["conv_in.weight"].shape[0], 9, 3, 3)
    tensors["conv_in.weight"] = weights.weight(model, "inpainting unet", "conv_in", shape)
    save_file(tensors, file, metadata={"format": "pt"})


RESAMPLED = ((13, 14), (18, 14), (5, 4), (9, 7))
"""Sizes of the results: key `resample/KERNEL/HEIGHTxWIDTH` of `tasks.npz`."""
KERNELS = (
    "nearest",
    "nearest_exact",
    "linear",
    "linear_antialiased",
    "cubic",
    "cubic_antialiased",
)


def resampling_input() -> weights.Array:
    """Return the array that is resampled: (2, 4, 9, 7)."""
    return weights.normal("resampled", (2, 4, 9, 7))
