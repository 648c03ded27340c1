"""Text states, UNet calls, VAE encodings and decodings of the golden models."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from tests.goldens.cases import TEXT_PROMPTS, UNET_CASES, VAE_CASES

Arrays: TypeAlias = dict[str, NDArray[Any]]


def text(pipelines: Mapping[str, Any]) -> Arrays:
    """Return `model/ids` and `model/states` of the text prompts; `pipelines` by model name."""
    arrays: Arrays = {}
    for model, pipeline in pipelines.items():
        ids = pipeline.tokenizer(
            list(TEXT_PROMPTS), padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        arrays[f"{model}/ids"] = ids.numpy().astype(np.int32)
        arrays[f"{model}/states"] = pipeline.text_encoder(ids)[0].numpy()
    return arrays


def unet(pipelines: Mapping[str, Any]) -> Arrays:
    """Return the predicted noise of each case."""
    arrays: Arrays = {}
    for case in UNET_CASES:
        network = pipelines[case.model].unet
        latents, states = (
            torch.from_numpy(array).to(network.dtype) for array in (case.latents(), case.text())
        )
        timestep = torch.tensor(case.timestep, dtype=torch.float64)
        arrays[case.name] = network(latents, timestep, states).sample.numpy()
    return arrays


def vae(pipelines: Mapping[str, Any]) -> Arrays:
    """Return `name/moments` and `name/decoded` of each case."""
    arrays: Arrays = {}
    for case in VAE_CASES:
        network = pipelines[case.model].vae
        image, latents = (
            torch.from_numpy(array).to(network.dtype) for array in (case.image(), case.latents())
        )
        arrays[f"{case.name}/moments"] = network.encode(image).latent_dist.parameters.numpy()
        arrays[f"{case.name}/decoded"] = network.decode(latents).sample.numpy()
    return arrays
