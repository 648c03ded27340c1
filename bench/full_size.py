"""The full-size Stable Diffusion 1.5 with random weights on one device.

    python -m tools.full_size FOLDER     # with PyTorch: weights, fp32 references, peer times
    python -m bench.full_size FOLDER --device dawn --json bench/results/NAME.json

Compares one UNet call and one VAE decoding with diffusers in fp32, times both (median of 20, the
device kept busy), makes a 512 x 512 image of 20 steps, and counts bytes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion import Pipeline, Result, Settings, Step
from diffusion.checkpoints import ModelFolder
from diffusion.models.unet import time_features
from diffusion.networks import Networks, load_networks
from gpucore import Buffer, Device
from gpustd import to_image

REPEATS = 20


def channels_last(array: NDArray[Any]) -> NDArray[Any]:
    """(n, channels, height, width) as (n, height, width, channels)."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def distance(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    """Relative L2."""
    wide = expected.astype(np.float64)
    return float(np.linalg.norm(actual - wide) / np.linalg.norm(wide))


def median_ms(device: Device, call: Callable[[], object]) -> float:
    """Median time of a call; a burst before keeps the card at its working clocks."""
    end = time.perf_counter() + 0.5
    while time.perf_counter() < end:
        call()
        device.synchronize()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        device.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def unet_call(networks: Networks, arrays: Any) -> dict[str, float]:
    """Accuracy and time of one captured UNet call at batch 2."""
    device, dtype = networks.device, networks.dtype
    latents = device.buffer_from_array(channels_last(arrays["latents"]), dtype)
    features = device.buffer_from_array(time_features([500.0] * 2, networks.folder.unet), dtype)
    prompt = networks.unet.prompt_keys(device.buffer_from_array(arrays["text"], dtype))
    started = time.perf_counter()
    with device.capture() as graph:
        output: Buffer[Any] = networks.unet(latents, features, prompt)
    graph.replay()
    error = distance(output.read(), channels_last(arrays["unet"]))
    first = time.perf_counter() - started
    start = time.perf_counter()
    graph.replay()
    host_ms = (time.perf_counter() - start) * 1e3
    device.synchronize()
    return {
        "unet_relative_l2": error,
        "unet_first_s": first,
        "unet_ms": median_ms(device, graph.replay),
        "unet_host_ms": host_ms,
        "unet_launches": len(graph),
    }


def vae_call(networks: Networks, arrays: Any) -> dict[str, float]:
    """Accuracy and time of one captured decoding to 512 x 512."""
    device = networks.device
    code = device.buffer_from_array(channels_last(arrays["code"]), networks.dtype)
    with device.capture() as graph:
        image: Buffer[Any] = networks.vae.decode(code)
        to_image(image)
    graph.replay()
    return {
        "vae_relative_l2": distance(image.read(), channels_last(arrays["image"])),
        "vae_ms": median_ms(device, graph.replay),
    }


def image(pipeline: Pipeline) -> dict[str, Any]:
    """Time of a 20-step image, and whether every step's latents are finite."""
    settings = Settings("a red apple", steps=20, guidance=7.5, seed=1)
    finite = True
    for event in pipeline.generate(settings):
        if isinstance(event, Step):
            finite &= bool(np.isfinite(event.latents()).all())
    start = time.perf_counter()
    for event in pipeline.generate(settings):
        if isinstance(event, Result):
            seconds = time.perf_counter() - start
    return {"image_s": seconds, "image_finite": finite}


def measure(folder: Path, device: Device) -> dict[str, Any]:
    """All numbers of one device."""
    start = time.perf_counter()
    networks = load_networks(ModelFolder(folder), device)
    device.synchronize()
    arrays = np.load(folder / "reference.npz")
    results: dict[str, Any] = {
        "device": device.name,
        "backend": device.info.backend,
        "driver": device.driver,
        "dtype": networks.dtype.name,
        "date": time.strftime("%Y-%m-%d"),
        "load_s": time.perf_counter() - start,
        "weights_bytes": device.memory.live,
    }
    results |= unet_call(networks, arrays)
    results |= vae_call(networks, arrays)
    device.trim()
    device.pool.reset_peak()
    results |= image(Pipeline(networks))
    results["image_peak_bytes"] = device.memory.peak_reserved
    return results


def main() -> None:
    """Measure the device named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    device = Device.named(chosen.device) if chosen.device else Device.auto()
    results = measure(chosen.folder, device)
    peer = chosen.folder / "peer.json"
    if peer.is_file():
        results["peer"] = json.loads(peer.read_text())
    text = json.dumps(results, indent=2)
    print(text)
    if chosen.json:
        chosen.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
