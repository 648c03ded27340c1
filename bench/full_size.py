"""A whole model on one device: the full-size Stable Diffusion with random weights, or any other.

    python -m tools.full_size FOLDER       # with PyTorch: weights, fp32 references, peers' times
    python -m bench.full_size FOLDER --device dawn --json bench/results/NAME.json
    python -m bench.full_size models/emoji --model bundled --size 256 --device cpu --command

Measures:

- one captured UNet call for an image with guidance: at batch 2, and of one latent, as in pictures
- the host's time for that call
- a decoding, and one of twice the size up to 1024
- an image of 20 steps, with a new prompt each time, and its memory
- with --cold, fresh processes up to the first step, with empty and with filled caches
- with --command, ``avila txt2img`` of 12 and 20 steps, from start to end

Times are medians of 20 (7 on software renderers) on a busy device, or of 3 processes. If the folder
has ``reference.npz``, the UNet and the VAE are compared with diffusers in fp32. If it has
``peer.json``, its times are shown beside ours. --profile shows the UNet's layers and kernels.
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
from bench.devices import open_device
from bench.entry import Row
from bench.measure import host_seconds, replay_seconds
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
from bench.report import HEAD, line, make_report
from bench.roofs import Roofs
from bench.torch_peer import find_torch
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
    """A measurement of one model at one size, with its results.

    ``device_name`` is the device on the command line, for processes that open it themselves.
    """

    folder: Path
    device: Device
    model: str
    size: int
    steps: int
    peers: dict[str, dict[str, float]]
    device_name: str = ""
    rows: list[Row] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)

    def add(self, name: str, seconds: float, graph: Graph | None, roof: Roof | None) -> None:
        """Add a row, with the work of a graph, and print it."""
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
    """Move the axes of (n, channels, height, width) to (n, height, width, channels)."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def relative_l2(actual: Array, expected: Array) -> float:
    """Return the relative L2 error."""
    wide = expected.astype(np.float64)
    return float(np.linalg.norm(actual - wide) / np.linalg.norm(wide))


def inputs(networks: Networks, size: int) -> dict[str, Array]:
    """Return random inputs of one call, under the names and in the shapes of ``reference.npz``."""
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
    """Return the width of the pooled text; 0 for models without it."""
    unet = networks.folder.unet
    added = unet.projection_class_embeddings_input_dim
    return (
        added - added_number_count(networks) * (unet.addition_time_embed_dim or 0) if added else 0
    )


def added_number_count(networks: Networks) -> int:
    """Return the count of numbers beside the pooled text.

    SDXL has six sizes; the refiner, which has one text encoder, has four sizes and a score.
    """
    return 6 if len(networks.text.encoders) > 1 else 5


def added_embedding(networks: Networks, pooled: Array, size: int) -> Activations | None:
    """Embed the added conditioning of SDXL: pooled text, and the numbers beside it."""
    if not pooled_width(networks):
        return None
    last = (size, size) if added_number_count(networks) == 6 else (6.0,)
    sizes = size_features((size, size, 0, 0, *last), networks.folder.unet)
    vectors = np.concatenate([pooled, np.tile(sizes, (2, 1))], axis=1)
    on_device = networks.device.buffer_from_array(vectors, networks.dtype)
    return networks.unet.embed_added(on_device)


def unet_graph(
    networks: Networks, arrays: dict[str, Array], size: int, parts: int = 1
) -> tuple[Graph, Any]:
    """Capture a UNet call at batch 2, or of one latent in two parts; return graph and output."""
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
    """Capture a decoding of (1, channels, h, w); return the graph and its image."""
    latents = networks.device.buffer_from_array(channels_last(code), networks.vae_dtype)
    with networks.device.capture() as graph, networks.device.region("vae"):
        image = networks.vae.decode(latents)
        to_image(image)
    return graph, image


def text_errors(networks: Networks, arrays: dict[str, Array]) -> dict[str, float]:
    """Return the relative L2 error of each text encoder's states, and of the pooled text."""
    found = {}
    names = [n for n in ("text_encoder", "text_encoder_2") if f"{n}_states" in arrays]
    for name, encoder in zip(names, networks.text.encoders, strict=True):
        states, pooled = encoder.encode(arrays["ids"].astype(int).tolist(), 0)
        found[f"{name}_relative_l2"] = relative_l2(states.read(), arrays[f"{name}_states"])
        if pooled is not None:
            found["pooled_text_relative_l2"] = relative_l2(pooled.read(), arrays["pooled_text"])
    return found


def measure_networks(run: Run, networks: Networks, roof: Roof, *, profile: bool) -> None:
    """Measure the UNet, its host time and the VAE at two sizes."""
    device, size = run.device, run.size
    file = run.folder / "reference.npz"
    arrays = inputs(networks, size)
    if file.is_file():
        arrays |= dict(np.load(file))
    if "ids" in arrays:
        run.facts |= text_errors(networks, arrays)
    graph, output = unet_graph(networks, arrays, size)
    graph.replay()
    if "unet" in arrays:
        run.facts["unet_relative_l2"] = relative_l2(output.read(), channels_last(arrays["unet"]))
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
            run.facts["vae_relative_l2"] = relative_l2(image.read(), channels_last(arrays["image"]))
        run.add(vae_row(run.model, side), replay_seconds(device, graph), graph, roof)
        graph.release()


def measure_image(run: Run, networks: Networks) -> None:
    """Measure whole images: one to check that each step is finite, then others for the time.

    Each image has a new prompt. The peak of memory is recorded, too.
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
        renamed = replace(settings, prompt=f"{settings.prompt}, number {number}")
        start = time.perf_counter()
        ended = [isinstance(event, Result) for event in pipeline.generate(renamed)]
        times.append(time.perf_counter() - start)
        assert ended[-1]
    run.facts["image_finite"] = finite
    run.facts["peak_bytes"] = run.device.memory.peak_reserved
    run.add(image_row(run.model, run.size, run.steps), statistics.median(times), None, None)


def measure_cold(run: Run) -> None:
    """Measure fresh processes up to the first step, without the time of loading."""
    for cached, start in cold_starts(run.folder, run.device_name, run.size).items():
        run.add(cold_row(run.model, cached=cached), start.first_step, None, None)
        run.facts["cold_load_s" if not cached else "cached_load_s"] = start.load


def measure_command(run: Run) -> None:
    """Measure fresh processes of the command, from start to end."""
    for (steps, cached), seconds in command_seconds(run.folder, run.device_name, run.size).items():
        run.add(command_row(run.model, run.size, steps, cached=cached), seconds, None, None)


def measure(run: Run, *, image: bool, cold: bool, command: bool, profile: bool) -> dict[str, Any]:
    """Measure everything on one device; return the contents of the JSON file."""
    device = run.device
    roofs = Roofs(device, find_torch(device))
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
    return make_report(device, run.rows, model=run.model, **rates, facts=run.facts)


def read_peers(folder: Path) -> dict[str, dict[str, float]]:
    """Read the seconds of peers by row from ``peer.json``; empty where there is no file."""
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
    parser.add_argument("--model", default=SD15, help=f"name of the model in rows ({SD15})")
    parser.add_argument("--size", type=int, default=512, help="pixels of a side (512)")
    parser.add_argument("--steps", type=int, default=20, help="steps of the image (20)")
    parser.add_argument("--no-image", action="store_true", help="do not measure the image")
    parser.add_argument(
        "--cold", action="store_true", help="also time fresh processes up to the first step"
    )
    parser.add_argument("--command", action="store_true", help="also time avila txt2img")
    parser.add_argument("--profile", action="store_true", help="show the UNet's layers and kernels")
    options = parser.parse_args(arguments)
    device = open_device(options.device)
    peers = read_peers(options.folder)
    sizes = (options.size, options.steps)
    run = Run(options.folder, device, options.model, *sizes, peers, options.device)
    results = measure(
        run,
        image=not options.no_image,
        cold=options.cold,
        command=options.command,
        profile=options.profile,
    )
    for name, value in run.facts.items():
        print(f"{name}: {value}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
