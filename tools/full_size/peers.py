"""PyTorch's own times of the same networks on the same card: fp16, channels-last."""

from __future__ import annotations

import functools
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from bench.models import decoded_sizes, image_row, unet_row, vae_row
from tools.full_size.models import Model

__all__ = ["peer_rows", "unet_arguments"]

Call = Callable[[], object]

STEPS = 20
_BUSY_S = 0.5
_REPEATS = 20


def unet_arguments(model: Model, inputs: dict[str, torch.Tensor]) -> tuple[Any, ...]:
    """Positional arguments of a UNet call at batch 2 and step 500: diffusers' own order."""
    time_step = torch.full((), 500.0, device=inputs["latents"].device)
    added = None
    if model.pooled_width:
        sizes = [model.sizes] * 2
        time_ids = torch.tensor(sizes, device=time_step.device, dtype=inputs["pooled"].dtype)
        added = {"text_embeds": inputs["pooled"], "time_ids": time_ids}
    return inputs["latents"], time_step, inputs["text"], None, None, None, None, added


@torch.no_grad()
def peer_rows(
    model: Model, networks: dict[str, Any], inputs: dict[str, torch.Tensor], *, compiled: bool
) -> dict[str, dict[str, float]]:
    """Seconds of each of the benchmark's rows, by who computes them; turns the networks to fp16.

    ``compiled`` adds ``torch.compile``, which takes minutes.
    """
    torch.backends.cudnn.benchmark = True
    last = torch.channels_last
    for network in networks.values():
        network.half()
    unet = networks["unet"].to(memory_format=last)
    vae = networks["vae"].to(memory_format=last)
    half = {name: value.half() for name, value in inputs.items()}
    half |= {name: half[name].contiguous(memory_format=last) for name in ("latents", "code")}
    arguments = unet_arguments(model, half)
    rows = {unet_row(model.name, model.size): _ways(unet, arguments, compiled=compiled)}
    for size in decoded_sizes(model.size):
        times = size // model.size
        code = half["code"].repeat(1, 1, times, times).contiguous(memory_format=last)
        rows[vae_row(model.name, size)] = _ways(vae.decode, (code,), compiled=compiled)
    if not model.pooled_width:
        image = functools.partial(_image, networks, half)
        rows[image_row(model.name, model.size, STEPS)] = {"PyTorch eager": _wall_seconds(image)}
    return rows


def _ways(
    network: Callable[..., Any], arguments: tuple[Any, ...], *, compiled: bool
) -> dict[str, float]:
    """Seconds of a call: eager, as a CUDA graph, and compiled (as a graph, too)."""
    call = functools.partial(network, *arguments)
    found = {"PyTorch eager": _seconds(call), "PyTorch CUDA graph": _seconds(_graphed(call))}
    if compiled:
        torch.compiler.reset()
        quick = torch.compile(network)
        found["PyTorch compile"] = _seconds(_graphed(functools.partial(quick, *arguments)))
    return found


def _graphed(call: Call) -> Call:
    """The same as the replay of a CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def _seconds(call: Call) -> float:
    """Median of 20 on CUDA's own clock, the card kept busy before."""
    end = time.perf_counter() + _BUSY_S
    while time.perf_counter() < end:
        call()
        torch.cuda.synchronize()
    times = []
    for _ in range(_REPEATS):
        begin, done = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        done.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(done) / 1e3)
    return statistics.median(times)


def _wall_seconds(call: Call) -> float:
    call()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _image(networks: dict[str, Any], inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Prompt to grey levels on the host: text, 20 Euler steps with guidance, decoding."""
    tokens = torch.ones((2, 77), device="cuda", dtype=torch.int64)
    text = networks["text_encoder"](tokens)[0]
    x = inputs["latents"][:1]
    sigmas = torch.linspace(14.6, 0.0, STEPS + 1).tolist()
    for sigma, following in itertools.pairwise(sigmas):
        scaled = (x / (sigma**2 + 1) ** 0.5).repeat(2, 1, 1, 1)
        negative, positive = networks["unet"](scaled, sigma * 60, text).sample.chunk(2)
        x = x + (following - sigma) * (negative + 7.5 * (positive - negative))
    pixels = networks["vae"].decode(x).sample
    return ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).cpu()
