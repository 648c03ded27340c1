"""`python -m tools.goldens.families`: make families.npz and families.json.

What diffusers computes with the models of `tests/goldens/families.py`, in float64, stored as f32.
Nothing is written unless diffusers in plain f32 agrees. Each run is the pipeline's own, with the
scheduler that the model's folder names; its noise levels are computed in float64 too.
"""

import functools
import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers.utils.logging import disable_progress_bar
from numpy.typing import NDArray
from safetensors import safe_open
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from tests.goldens.cases import NEGATIVE, PROMPT
from tests.goldens.families import (
    FAMILIES,
    NOISE,
    REFINED_STEPS,
    REFINED_SWITCH,
    RUN_CASES,
    TEXT_CASES,
    TINY_VAE_CASES,
    UNET_CASES,
    RunCase,
    TextCase,
    TinyVAECase,
    UNetCase,
)
from tests.goldens.family_folders import LIBRARIES, write_family
from tests.goldens.loader import FOLDER
from tests.goldens.weights import digest, initial_noise, weight
from tools.goldens import agreement
from tools.goldens.models import exact
from tools.goldens.samplers import computing_in

Arrays = dict[str, NDArray[Any]]
Owner = diffusers.EulerDiscreteScheduler

TEXT_CLASSES = {
    "text_encoder": CLIPTextModel,
    "text_encoder_2": CLIPTextModelWithProjection,
}
# Steps that start at σ = 4096 leave f32 four digits less of the picture; 3e-5 was measured.
LIMIT = {"zero_snr": 1e-4}


def network(part: str, config: Mapping[str, Any]) -> Any:
    """Return a part as PyTorch has it, on whatever device is the default."""
    if part in TEXT_CLASSES:
        return TEXT_CLASSES[part](CLIPTextConfig(**config))
    return getattr(diffusers, LIBRARIES[part][1])(**config)


def describe(model: str, part: str) -> dict[str, Any]:
    """Save the network as its library does, then read back what it wrote."""
    made = network(part, FAMILIES[model].parts[part])
    state = made.state_dict()
    drawn = {name: weight(model, part, name, tuple(t.shape)) for name, t in state.items()}
    made.load_state_dict({name: torch.from_numpy(array) for name, array in drawn.items()})
    with tempfile.TemporaryDirectory() as folder:
        made.save_pretrained(folder)
        config = json.loads((Path(folder) / "config.json").read_text())
        (file,) = Path(folder).glob("*.safetensors")
        with safe_open(file, framework="np") as opened:
            saved = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    shapes = {name: list(array.shape) for name, array in sorted(saved.items())}
    return {"config": config, "digest": digest(saved), "shapes": shapes}


@functools.cache
def pipeline(model: str, dtype: torch.dtype) -> Any:
    """Load the model in diffusers: a pipeline, or its one network."""
    family = FAMILIES[model]
    with tempfile.TemporaryDirectory() as folder:
        write_family(Path(folder), model)
        if not family.pipeline:
            (part,) = family.parts
            owner = getattr(diffusers, LIBRARIES[part][1])
            return owner.from_pretrained(f"{folder}/{part}", torch_dtype=dtype)
        loaded = getattr(diffusers, family.pipeline).from_pretrained(
            folder, local_files_only=True, torch_dtype=dtype
        )
    loaded.set_progress_bar_config(disable=True)
    return loaded


def text(case: TextCase, dtype: torch.dtype) -> Arrays:
    """Call the pipeline's `encode_prompt`; the negative row comes first."""
    made = pipeline(case.model, dtype)
    found = made.encode_prompt(
        PROMPT,
        device=torch.device("cpu"),
        num_images_per_prompt=1,
        do_classifier_free_guidance=True,
        negative_prompt=case.negative,
        clip_skip=case.clip_skip,
    )
    arrays = {f"{case.name}/context": torch.cat([found[1], found[0]]).numpy()}
    if len(found) == 4:
        arrays[f"{case.name}/pooled"] = torch.cat([found[3], found[2]]).numpy()
    return arrays


def unet(case: UNetCase, dtype: torch.dtype) -> Arrays:
    """Call the UNet once."""
    made = pipeline(case.model, dtype)
    made = getattr(made, "unet", made)
    up: Callable[[Any], torch.Tensor] = lambda array: torch.from_numpy(array).to(dtype)  # noqa: E731
    added = None
    pooled = case.pooled()
    if pooled is not None:
        ids = torch.tensor([case.sizes()] * case.batch, dtype=dtype)
        added = {"text_embeds": up(pooled), "time_ids": ids}
    condition = None
    if made.config.time_cond_proj_dim:
        condition = diffusers.StableDiffusionPipeline.get_guidance_scale_embedding(
            None,
            torch.tensor([case.guidance - 1.0] * case.batch, dtype=dtype),
            embedding_dim=made.config.time_cond_proj_dim,
            dtype=dtype,
        )
    timestep = torch.tensor(case.timestep, dtype=torch.float64)
    output = made(
        up(case.latents()),
        timestep,
        up(case.text()),
        timestep_cond=condition,
        added_cond_kwargs=added,
    )
    return {case.name: output.sample.numpy()}


def tiny_vae(case: TinyVAECase, dtype: torch.dtype) -> Arrays:
    """Encode and decode once."""
    made = pipeline(case.model, dtype)
    image, latents = (torch.from_numpy(a).to(dtype) for a in (case.image(), case.latents()))
    return {
        f"{case.name}/latents": made.encode(image).latents.numpy(),
        f"{case.name}/decoded": made.decode(latents).sample.numpy(),
    }


def scheduler(config: Mapping[str, object], steps: int) -> Any:
    """Return diffusers' Euler scheduler with a folder's config, its levels set."""
    made = Owner.from_config({key: value for key, value in config.items() if key[0] != "_"})
    made.set_timesteps(steps)
    return made


def run(case: RunCase, dtype: torch.dtype) -> Arrays:
    """Run all steps, or without the `skipped` first ones."""
    made = pipeline(case.model, dtype)
    made.scheduler = scheduler(case.noise, case.steps)
    sigmas = made.scheduler.sigmas.numpy()
    steps: list[NDArray[Any]] = []

    def collect(_: object, index: int, timestep: object, values: dict[str, Any]) -> dict[str, Any]:
        steps.append(values["latents"].numpy())
        return {}

    noise = torch.from_numpy(case.initial_noise()).to(dtype)
    own = {"latents": noise}
    if case.skipped:
        start = float(made.scheduler.timesteps[case.skipped]) + 1.0
        own = {"image": noise * float(sigmas[case.skipped]), "denoising_start": 1 - start / 1000}
    else:
        factor = made.vae_scale_factor
        own |= {"height": factor * case.height, "width": factor * case.width}
    pictures = made(
        PROMPT,
        negative_prompt=case.negative,
        guidance_scale=case.guidance,
        num_inference_steps=case.steps,
        num_images_per_prompt=case.batch,
        output_type="np",
        callback_on_step_end=collect,
        **own,
    ).images
    assert len(steps) == case.steps - case.skipped
    return {
        f"{case.name}/sigmas": sigmas.astype(np.float64),
        f"{case.name}/latents": np.stack(steps),
        f"{case.name}/image": np.round(pictures * 255).astype(np.uint8),
    }


def run_refined(dtype: torch.dtype) -> Arrays:
    """Run the base's first steps, then the refiner's, as their documentation does."""
    base, refiner = (pipeline(model, dtype) for model in ("xl_base", "xl_refiner"))
    for model, each in (("xl_base", base), ("xl_refiner", refiner)):
        each.scheduler = scheduler({**NOISE, **FAMILIES[model].scheduler}, REFINED_STEPS)
    switch = 1.0 - (float(base.scheduler.timesteps[REFINED_SWITCH]) + 1.0) / 1000
    given = {
        "prompt": PROMPT,
        "negative_prompt": NEGATIVE,
        "num_inference_steps": REFINED_STEPS,
        "guidance_scale": 5.0,
    }
    noise = torch.from_numpy(initial_noise(batch=1, height=8, width=12)).to(dtype)
    size = {"height": 8 * base.vae_scale_factor, "width": 12 * base.vae_scale_factor}
    latents = base(
        **given, **size, latents=noise, denoising_end=switch, output_type="latent"
    ).images
    pictures = refiner(**given, image=latents, denoising_start=switch, output_type="np").images
    image = np.round(pictures * 255).astype(np.uint8)
    return {"refined/latents": latents.numpy(), "refined/image": image}


def compute(dtype: torch.dtype) -> Arrays:
    """Compute all arrays in one precision."""
    arrays: Arrays = {}
    with ExitStack() as stack:
        if dtype == torch.float64:
            stack.enter_context(exact())
            stack.enter_context(computing_in(dtype, Owner))
        for text_case in TEXT_CASES:
            arrays |= text(text_case, dtype)
        for unet_case in UNET_CASES:
            arrays |= unet(unet_case, dtype)
        for tiny_case in TINY_VAE_CASES:
            arrays |= tiny_vae(tiny_case, dtype)
        for run_case in RUN_CASES:
            arrays |= run(run_case, dtype)
        arrays |= run_refined(dtype)
    return arrays


def check(single: Arrays, double: Arrays) -> None:
    """Compare two precisions: images within a grey level, all else by relative L2."""
    for name, array in single.items():
        found = agreement.distance(array, double[name])
        if name.endswith("/image"):
            agreement.check(name, found.largest, agreement.IMAGE_LIMIT)
        else:
            limit = next((LIMIT[key] for key in LIMIT if key in name), agreement.NETWORK_LIMIT)
            agreement.check(name, found.relative, limit)


def main() -> None:
    """Make both files."""
    torch.use_deterministic_algorithms(True)
    disable_progress_bar()
    document = {
        model: {part: describe(model, part) for part in family.parts}
        for model, family in FAMILIES.items()
    }
    lines = json.dumps(document, sort_keys=True, separators=(",", ":")).replace('],"', '],\n"')
    (FOLDER / "families.json").write_text(lines + "\n", encoding="utf-8")
    with torch.no_grad():
        double = compute(torch.float64)
        check(compute(torch.float32), double)
    stored = {
        name: array if array.dtype == np.uint8 or name.endswith("/sigmas") else np.float32(array)
        for name, array in double.items()
    }
    np.savez_compressed(FOLDER / "families.npz", **stored)


if __name__ == "__main__":
    main()
