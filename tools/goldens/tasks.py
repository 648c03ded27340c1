"""Runs of diffusers' img2img and inpainting pipelines on the golden models."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from diffusers.models.autoencoders import vae as autoencoder
from diffusers.pipelines.stable_diffusion import (
    pipeline_stable_diffusion_img2img as img2img,
)
from diffusers.pipelines.stable_diffusion import (
    pipeline_stable_diffusion_inpaint as inpaint,
)
from numpy.typing import NDArray

from tests.goldens.cases import GUIDANCE, NEGATIVE, PROMPT
from tests.goldens.loader import relative_error
from tests.goldens.task_cases import (
    KERNELS,
    RESAMPLED,
    TASK_CASES,
    TaskCase,
    resampling_input,
    write_task_model,
)
from tools.goldens import agreement, sampling
from tools.goldens.networks import Arrays
from tools.goldens.schedules import Schedule, schedule


def run(dtype: torch.dtype) -> Arrays:
    """Return `name/start`, `name/latents` and `name/image` of each case."""
    arrays: Arrays = {}
    for case in TASK_CASES:
        start, latents, image = run_case(case, _pipeline(case, dtype))
        arrays[f"{case.name}/start"] = start
        arrays[f"{case.name}/latents"] = latents
        arrays[f"{case.name}/image"] = image
    return arrays | _run_resampling(dtype)


def _run_resampling(dtype: torch.dtype) -> Arrays:
    """Return `resample/KERNEL/HEIGHTxWIDTH` by PyTorch's `interpolate`."""
    arrays: Arrays = {}
    source = torch.from_numpy(resampling_input()).to(dtype)
    modes = {"linear": "bilinear", "cubic": "bicubic", "nearest_exact": "nearest-exact"}
    for kernel in KERNELS:
        name = kernel.removesuffix("_antialiased")
        for height, width in RESAMPLED:
            found = torch.nn.functional.interpolate(
                source, (height, width), mode=modes.get(name, name), antialias=name != kernel
            )
            arrays[f"resample/{kernel}/{height}x{width}"] = found.numpy()
    return arrays


def check(actual: Arrays, expected: Arrays) -> None:
    """Raise ArithmeticError where an f32 run is far from the float64 one."""
    latents = [
        relative_error(a, b)
        for key, array in actual.items()
        if not key.endswith("/image")
        for a, b in zip(array, expected[key], strict=True)
    ]
    images = [
        agreement.distance(array, expected[key]).largest
        for key, array in actual.items()
        if key.endswith("/image")
    ]
    agreement.check("tasks in f32, latents, relative L2", max(latents), agreement.LATENTS_LIMIT)
    agreement.check("tasks in f32, images, grey levels", max(images), agreement.IMAGE_LIMIT)


def _pipeline(case: TaskCase, dtype: torch.dtype) -> Any:
    kind: Any = (
        StableDiffusionImg2ImgPipeline if case.task == "img2img" else StableDiffusionInpaintPipeline
    )
    with tempfile.TemporaryDirectory() as folder:
        write_task_model(Path(folder), case)
        loaded = kind.from_pretrained(folder, local_files_only=True, torch_dtype=dtype)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def run_case(case: TaskCase, pipeline: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.uint8]]:
    """Return x at the start (1, 4, h, w), after each step (kept, 1, 4, h, w), and the image u8."""
    given = schedule(case.schedule, case.steps)
    dtype = pipeline.unet.dtype
    pipeline.scheduler = sampling.scheduler(case.sampler, given, dtype)
    scales = sampling.scale(case.sampler, given.sigmas)[case.steps - case.kept :]
    states: list[NDArray[Any]] = []

    def collect(_: object, index: int, timestep: object, values: dict[str, Any]) -> dict[str, Any]:
        states.append(values["latents"].numpy() * scales[index + 1])
        return {}

    picture = torch.from_numpy(case.picture().astype(np.float64) / 255).permute(2, 0, 1)[None]
    mask = torch.from_numpy(case.mask().astype(np.float64) / 255)[None, None]
    arguments = {} if case.task == "img2img" else {"mask_image": mask.to(dtype)}
    if case.task != "img2img":
        arguments |= {"height": picture.shape[2], "width": picture.shape[3]}
    with _given_noise(case), sampling.given_noise(case):
        pictures = pipeline(
            PROMPT,
            image=picture.to(dtype),
            negative_prompt=NEGATIVE,
            guidance_scale=GUIDANCE,
            num_inference_steps=case.steps,
            strength=(case.kept + 0.5) / case.steps,
            output_type="np",
            callback_on_step_end=collect,
            **arguments,
        ).images
    assert len(states) == case.kept
    return (
        _start(case, given, pipeline, picture.to(dtype)),
        np.stack(states),
        np.round(pictures * 255).astype(np.uint8),
    )


def _start(case: TaskCase, given: Schedule, pipeline: Any, picture: torch.Tensor) -> NDArray[Any]:
    """Return x = latents + σ·noise, from the encoder itself."""
    found = pipeline.vae.encode(2 * picture - 1).latent_dist
    noise = torch.from_numpy(case.encoding_noise(0)).to(found.mean.dtype)
    latents = (found.mean + found.std * noise) * pipeline.vae.config.scaling_factor
    sigma = given.sigmas[case.steps - case.kept]
    start: NDArray[Any] = latents.numpy() + sigma * case.initial_noise()
    return start


@contextmanager
def _given_noise(case: TaskCase) -> Iterator[None]:
    """Make the encoder and the pipelines draw the case's noise, inside the context."""
    encoded = 0

    def encoding(shape: Any, *, dtype: torch.dtype, **_: object) -> torch.Tensor:
        nonlocal encoded
        noise = torch.from_numpy(case.encoding_noise(encoded)).to(dtype)
        assert noise.shape == shape
        encoded += 1
        return noise

    def initial(shape: Any, *, dtype: torch.dtype, **_: object) -> torch.Tensor:
        noise = torch.from_numpy(case.initial_noise()).to(dtype)
        assert noise.shape == shape
        return noise

    with ExitStack() as stack:
        for module, draw in ((autoencoder, encoding), (img2img, initial), (inpaint, initial)):
            stack.callback(setattr, module, "randn_tensor", module.randn_tensor)
            module.randn_tensor = draw
        yield
