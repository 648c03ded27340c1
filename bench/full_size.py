"""A whole model on one device: the full-size Stable Diffusion with random weights, or any other.

    python -m tools.full_size FOLDER       # with PyTorch: weights, fp32 references, peers' times
    python -m bench.full_size FOLDER --device dawn --json bench/results/NAME.json
    python -m bench.full_size models/emoji --model bundled --size 256 --device cpu --command

Times one captured UNet call for an image with guidance (batch 2; and as pictures are made, of one
latent), the host's part of it, a decoding (one of twice the size, too, up to 1024), and an image of
20 steps; counts bytes. Fresh processes with empty and with filled caches, the driver's own among
them, are timed up to the first step with --cold, and with --command as ``avila txt2img`` of 12 and
20 steps, from start to end. Medians of 20 (7 on software renderers), the device kept busy, images
of a new prompt each time; of 3 processes. Where the folder has ``reference.npz``, the UNet and the
VAE are compared with diffusers in fp32; where it has ``peer.json``, its times stand beside ours.
With --profile, the UNet's layers and kernels are shown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cold_start import cold_starts
from bench.command import command_seconds
from bench.entry import Row
from bench.measure import host_seconds, open_device, replay_seconds
from bench.models import (
    SD15,
    cold_row,
    command_row,
    decoded_sizes,
    goal_of,
    guided_row,
    host_row,
    image_row,
    unet_row,
    vae_row,
)
from bench.report import HEAD, line, report
from bench.roofs import Roofs
from bench.torch_peer import torch_peer
from diffusion import Pipeline, Result, Settings, Step
from diffusion.checkpoints import ModelFolder
from diffusion.models.layers import Activations
from diffusion.models.unet import size_features, time_features
from diffusion.pipeline.loading import load_networks
from diffusion.pipeline.networks import Networks
from gpucore import Device, Graph, Roof
from gpustd import to_image

Array = NDArray[Any]

TIMESTEP = 500.0


@dataclass
class Run:
    """What is measured, of which model at which size, and what came out.

    ``named``: the device as the command line has it, for processes that open it anew.
    """

    folder: Path
    device: Device
    model: str
    size: int
    steps: int
    peers: dict[str, dict[str, float]]
    named: str = ""
    rows: list[Row] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)

    def add(self, name: str, seconds: float, graph: Graph | None, roof: Roof | None) -> None:
        """Keep a row, with the work of a graph, and show it."""
        works = graph.works if graph else []
        least = sum(map(roof.seconds, works)) if roof else 0.0
        goal = goal_of(name, self.device.info.engine)
        row = Row(
            name,
            seconds,
            flops=sum(work.flops for work in works),
            bytes=sum(work.bytes for work in works),
            roof=least / seconds if least else None,
            peers=self.peers.get(name, {}),
            target=goal.target if goal else None,
        )
        self.rows.append(row)
        print(line(row), flush=True)


def channels_last(array: Array) -> Array:
    """(n, channels, height, width) as (n, height, width, channels)."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def distance(actual: Array, expected: Array) -> float:
    """Relative L2."""
    wide = expected.astype(np.float64)
    return float(np.linalg.norm(actual - wide) / np.linalg.norm(wide))


def inputs(networks: Networks, size: int) -> dict[str, Array]:
    """Random inputs of one call, under the names and in the shapes of ``reference.npz``."""
    unet, rng = networks.folder.unet, np.random.default_rng(7)
    side = size // networks.folder.vae.downscale
    shapes = {
        "latents": (2, unet.in_channels, side, side),
        "text": (2, 77, unet.cross_attention_dim),
        "pooled": (2, pooled_width(networks)),
        "code": (1, networks.folder.vae.latent_channels, side, side),
    }
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def pooled_width(networks: Networks) -> int:
    """Width of the pooled text; 0 for models that take none."""
    unet = networks.folder.unet
    added = unet.projection_class_embeddings_input_dim
    return added - told_sizes(networks) * (unet.addition_time_embed_dim or 0) if added else 0


def told_sizes(networks: Networks) -> int:
    """Numbers beside the pooled text: the refiner, with one text encoder, is told a score."""
    return 6 if len(networks.text.encoders) > 1 else 5


def added_embedding(networks: Networks, pooled: Array, size: int) -> Activations | None:
    """What SDXL is told beside the prompt: pooled text, and the size three times over."""
    if not pooled_width(networks):
        return None
    told = (size, size, 0, 0, size, size) if told_sizes(networks) == 6 else (size, size, 0, 0, 6.0)
    sizes = size_features(told, networks.folder.unet)
    vectors = np.concatenate([pooled, np.tile(sizes, (2, 1))], axis=1)
    on_device = networks.device.buffer_from_array(vectors, networks.dtype)
    return networks.unet.embed_added(on_device)


def unet_graph(
    networks: Networks, arrays: dict[str, Array], size: int, parts: int = 1
) -> tuple[Graph, Any]:
    """One captured UNet call at batch 2, or of one latent in two parts, and its output."""
    device, dtype, images = networks.device, networks.dtype, 2 // parts
    latents = device.buffer_from_array(channels_last(arrays["latents"][:images]), dtype)
    features = time_features([TIMESTEP] * images, networks.folder.unet)
    time_input = device.buffer_from_array(features, dtype)
    prompt = networks.unet.prompt_keys(device.buffer_from_array(arrays["text"], dtype))
    added = added_embedding(networks, arrays.get("pooled", np.zeros((2, 0))), size)
    with device.capture() as graph, device.region("unet"):
        output = networks.unet(latents, time_input, prompt, parts=parts, added=added)
    return graph, output


def vae_graph(networks: Networks, code: Array) -> tuple[Graph, Any]:
    """One captured decoding of (1, channels, h, w), and its image."""
    latents = networks.device.buffer_from_array(channels_last(code), networks.vae_dtype)
    with networks.device.capture() as graph, networks.device.region("vae"):
        image = networks.vae.decode(latents)
        to_image(image)
    return graph, image


def text_distances(networks: Networks, arrays: dict[str, Array]) -> dict[str, float]:
    """Relative L2 of each text encoder's states, and of the pooled text."""
    found = {}
    names = [n for n in ("text_encoder", "text_encoder_2") if f"{n}_states" in arrays]
    for name, encoder in zip(names, networks.text.encoders, strict=True):
        states, pooled = encoder.encode(arrays["ids"].astype(int).tolist(), 0)
        found[f"{name}_relative_l2"] = distance(states.read(), arrays[f"{name}_states"])
        if pooled is not None:
            found["pooled_text_relative_l2"] = distance(pooled.read(), arrays["pooled_text"])
    return found


def measure_networks(run: Run, networks: Networks, roof: Roof, *, profile: bool) -> None:
    """The UNet, its host time and the VAE at two sizes."""
    device, size = run.device, run.size
    file = run.folder / "reference.npz"
    arrays = inputs(networks, size)
    if file.is_file():
        arrays |= dict(np.load(file))
    if "ids" in arrays:
        run.facts |= text_distances(networks, arrays)
    graph, output = unet_graph(networks, arrays, size)
    graph.replay()
    if "unet" in arrays:
        run.facts["unet_relative_l2"] = distance(output.read(), channels_last(arrays["unet"]))
    run.facts["unet_launches"] = len(graph)
    run.add(unet_row(run.model, size), replay_seconds(device, graph), graph, roof)
    run.add(host_row(run.model), host_seconds(device, graph), None, None)
    if profile:
        with device.profile(roof) as timed:
            graph.replay()
        print(timed.table())
    graph.release()
    graph, _ = unet_graph(networks, arrays, size, parts=2)
    run.add(guided_row(run.model, size), replay_seconds(device, graph), graph, roof)
    graph.release()
    for side in decoded_sizes(size):
        times = side // size
        graph, image = vae_graph(networks, np.tile(arrays["code"], (1, 1, times, times)))
        graph.replay()
        if side == size and "image" in arrays:
            run.facts["vae_relative_l2"] = distance(image.read(), channels_last(arrays["image"]))
        run.add(vae_row(run.model, side), replay_seconds(device, graph), graph, roof)
        graph.release()


def measure_image(run: Run, networks: Networks) -> None:
    """A whole image: once to see that each step is finite, then for its time, of new prompts.

    Its peak of memory is kept, too: that of the networks alone would say nothing of pictures.
    """
    run.device.trim()
    run.device.pool.reset_peak()
    pipeline = Pipeline(networks)
    settings = Settings(
        "a red apple", width=run.size, height=run.size, steps=run.steps, guidance=7.5, seed=1
    )
    finite = True
    for event in pipeline.generate(settings):
        if isinstance(event, Step):
            finite &= bool(np.isfinite(event.latents()).all())
    times = []
    for number in range(7 if run.device.is_cpu else 20):
        told = replace(settings, prompt=f"{settings.prompt}, number {number}")
        start = time.perf_counter()
        ended = [isinstance(event, Result) for event in pipeline.generate(told)]
        times.append(time.perf_counter() - start)
        assert ended[-1]
    run.facts["image_finite"] = finite
    run.facts["peak_bytes"] = run.device.memory.peak_reserved
    run.add(image_row(run.model, run.size, run.steps), statistics.median(times), None, None)


def measure_cold(run: Run) -> None:
    """Fresh processes up to the first step, less the time of the weights."""
    for cached, start in cold_starts(run.folder, run.named, run.size).items():
        run.add(cold_row(run.model, cached=cached), start.first_step, None, None)
        run.facts["cold_load_s" if not cached else "cached_load_s"] = start.load


def measure_command(run: Run) -> None:
    """Fresh processes of the command, from start to end."""
    for (steps, cached), seconds in command_seconds(run.folder, run.named, run.size).items():
        run.add(command_row(run.model, run.size, steps, cached=cached), seconds, None, None)


def measure(run: Run, *, image: bool, cold: bool, command: bool, profile: bool) -> dict[str, Any]:
    """All numbers of one device, as the JSON file holds them."""
    device = run.device
    roofs = Roofs(device, torch_peer(device))
    start = time.perf_counter()
    networks = load_networks(ModelFolder(run.folder), device)
    device.synchronize()
    run.facts["load_s"] = time.perf_counter() - start
    run.facts["weights_bytes"] = device.memory.live
    run.facts["dtype"] = networks.dtype.name
    print(HEAD)
    measure_networks(run, networks, roofs.of(networks.dtype), profile=profile)
    if image:
        measure_image(run, networks)
    if cold:
        measure_cold(run)
    if command:
        measure_command(run)
    rates = {"copies": roofs.copies, "products": roofs.products}
    return report(device, run.rows, model=run.model, **rates, facts=run.facts)


def read_peers(folder: Path) -> dict[str, dict[str, float]]:
    """Seconds of each row by others, from ``peer.json``; empty where there is none."""
    file = folder / "peer.json"
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"] if file.is_file() else {}
    return {str(name): dict(seconds) for name, seconds in rows.items()}


def main(arguments: list[str] | None = None) -> None:
    """Measure the device named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.full_size",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="", help="such as dawn, wgpu-vulkan, cpu")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--model", default=SD15, help=f"what rows call it ({SD15})")
    parser.add_argument("--size", type=int, default=512, help="pixels of a side (512)")
    parser.add_argument("--steps", type=int, default=20, help="of the image (20)")
    parser.add_argument("--no-image", action="store_true", help="leave the image out")
    parser.add_argument("--cold", action="store_true", help="start fresh processes too")
    parser.add_argument("--command", action="store_true", help="time avila txt2img as well")
    parser.add_argument("--profile", action="store_true", help="show the UNet's layers and kernels")
    chosen = parser.parse_args(arguments)
    device = open_device(chosen.device)
    peers = read_peers(chosen.folder)
    sizes = (chosen.size, chosen.steps)
    run = Run(chosen.folder, device, chosen.model, *sizes, peers, chosen.device)
    results = measure(
        run,
        image=not chosen.no_image,
        cold=chosen.cold,
        command=chosen.command,
        profile=chosen.profile,
    )
    for name, value in run.facts.items():
        print(f"{name}: {value}")
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
