"""Time pictures with a full-size IP-Adapter and image encoder of random weights.

    python -m tools.full_size.image_prompts FOLDER [--model sd15|sdxl] [--kind base|plus|full]

Writes the model, ``ip-adapter.safetensors`` and ``image_encoder/`` into ``FOLDER`` unless they are
there, by NumPy alone. Prints the time of a step without and with the adapter, and how long the
picture takes to be encoded. With ``--device cpu --size 64 --steps 2`` it shows that all of it runs.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from PIL import Image

from diffusion.checkpoints.safetensors import write_safetensors
from diffusion.control import ControlFolder, ImagePrompt
from diffusion.models.image_prompts import (
    ClipVisionConfig,
    ClipVisionModel,
    IpAdapter,
    IpAdapterConfig,
    ResamplerConfig,
    cross_places,
)
from diffusion.models.module import Module
from diffusion.models.unet import UNet
from diffusion.models.unet_config import UNetConfig
from diffusion.pipeline.events import Step
from diffusion.pipeline.pipeline import Pipeline
from diffusion.settings import Settings
from tools.full_size.models import BLOCKS, MODELS, Model
from tools.full_size.random_folder import draw_weight, write_random_folder

VIT_H: Final = ClipVisionConfig(1280, 5120, 32, 16, 224, 14, "gelu", 1e-5, 1024)
VIT_BIGG: Final = ClipVisionConfig(1664, 8192, 48, 16, 224, 14, "gelu", 1e-5, 1280)
RESAMPLERS: Final = {
    768: ResamplerConfig(768, 768, 4, 3072),
    2048: ResamplerConfig(1280, 1280, 4, 5120),
}


def adapter_config(model: Model, kind: str) -> tuple[IpAdapterConfig, ClipVisionConfig]:
    """Return the configs of a published adapter and of its encoder."""
    unet = UNetConfig.from_json({**BLOCKS, **model.parts["unet"]}, "config.json")
    widths = tuple(each.width for each in cross_places(UNet(unet)))
    context = unet.cross_attention_dim
    encoder = VIT_BIGG if kind == "base" and context == 2048 else VIT_H
    if kind == "plus":
        sizes = RESAMPLERS[context]
        return IpAdapterConfig("plus", encoder.hidden_size, 16, context, widths, sizes), encoder
    if kind == "full":
        return IpAdapterConfig("full", encoder.hidden_size, 0, context, widths), encoder
    return IpAdapterConfig("base", encoder.projection_dim, 4, context, widths), encoder


def write_network(path: Path, network: Module) -> None:
    """Write a network's random weights in f16."""
    shapes = {name: each.shape for name, each in network.parameters()}
    kinds = {name: ("F16", shape) for name, shape in shapes.items()}
    write_safetensors(path, kinds, functools.partial(draw_weight, shapes), {"format": "pt"})


def time_steps(pipeline: Pipeline, settings: Settings) -> tuple[float, float]:
    """Return seconds until the first step, and of each step after it; the device is waited for."""
    times = [time.perf_counter()]
    for event in pipeline.generate(settings):
        if isinstance(event, Step) and event.index in (1, settings.steps):
            pipeline.device.synchronize()
            times.append(time.perf_counter())
    return times[1] - times[0], (times[-1] - times[1]) / max(1, (settings.steps or 1) - 1)


def main() -> None:
    """Write what is missing, then draw without the adapter and with it."""
    parser = argparse.ArgumentParser(prog="python -m tools.full_size.image_prompts")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=("sd15", "sdxl"), default="sd15")
    parser.add_argument("--kind", choices=("base", "plus", "full"), default="plus")
    parser.add_argument("--device", default=None)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, default=None)
    chosen = parser.parse_args()
    model, root = MODELS[chosen.model], chosen.folder / chosen.model
    if not root.exists():
        write_random_folder(root, model)
    config, encoder = adapter_config(model, chosen.kind)
    nets = chosen.folder / f"{chosen.model}-{chosen.kind}"
    if not nets.exists():
        (nets / "image_encoder").mkdir(parents=True)
        (nets / "image_encoder/config.json").write_text(json.dumps(asdict(encoder)) + "\n")
        write_network(nets / "image_encoder/model.safetensors", ClipVisionModel(encoder))
        write_network(nets / "ip-adapter.safetensors", IpAdapter(config))
    side = chosen.size or model.size
    plain = Settings("a cat", width=side, height=side, steps=chosen.steps)
    prompt = ImagePrompt("ip-adapter", (Image.new("RGB", (512, 384), (90, 40, 200)),))
    prompted = replace(plain, image_prompts=(prompt,))
    with Pipeline.load(root, chosen.device) as pipeline:
        pipeline.controls.folder = ControlFolder(nets)
        for name, settings in (("without", plain), ("with", prompted)):
            cold, _ = time_steps(pipeline, settings)
            first, step = time_steps(pipeline, settings)
            told = f"step {1e3 * step:.2f} ms, " if chosen.steps > 1 else ""
            print(f"{name}: {told}first {1e3 * first:.0f} ms, cold {cold:.1f} s", flush=True)
        ((_, loaded),) = pipeline.image_prompts.load((prompt,), pipeline.controls.folder)
        loaded.known.clear()
        start = time.perf_counter()
        loaded.read(prompt)
        pipeline.device.synchronize()
        print(f"encoding: {1e3 * (time.perf_counter() - start):.1f} ms")


if __name__ == "__main__":
    main()
