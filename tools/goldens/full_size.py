"""`python -m tools.goldens.full_size`: make full_size.npz, names and shapes without weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from tests.goldens.full_size import TEXT_ENCODERS, TINY_VAES, UNETS, VAES
from tests.goldens.loader import FOLDER


def text_encoder(name: str, config: Mapping[str, Any]) -> Any:
    """Build the network; the largest has the projection."""
    owner = CLIPTextModelWithProjection if name == "open_clip_bigg" else CLIPTextModel
    return owner(CLIPTextConfig(**config))


def main() -> None:
    """Build each network on the meta device and write what it lists."""
    with torch.device("meta"):
        networks: dict[str, Any] = {
            **{name: UNet2DConditionModel(**config) for name, config in UNETS.items()},
            **{name: text_encoder(name, config) for name, config in TEXT_ENCODERS.items()},
            **{name: AutoencoderTiny(**config) for name, config in TINY_VAES.items()},
            **{name: AutoencoderKL(**config) for name, config in VAES.items()},
        }
    arrays = {}
    for name, network in networks.items():
        shapes = {key: "x".join(map(str, p.shape)) for key, p in network.named_parameters()}
        text = "\n".join(f"{key} {shape}" for key, shape in sorted(shapes.items()))
        arrays[name] = np.frombuffer(text.encode("utf-8"), np.uint8)
        print(f"{name}: {len(shapes)} parameters")
    np.savez_compressed(FOLDER / "full_size.npz", **arrays)


if __name__ == "__main__":
    main()
