"""PyTorch's own times of the same networks on the same card: fp16, channels-last."""

from __future__ import annotations

import functools
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from bench.models import decoded_sizes, image_row, unet_row, vae_row
from tools.full_size.models import Model

__all__ = ["compiled_rows", "peer_rows", "unet_arguments"]

Call = Callable[[], object]
Network = Callable[..., Any]

STEPS = 20
_BUSY_S = 0.5
_REPEATS = 20


def unet_arguments(model: Model, inputs: dict[str, torch.Tensor]) -> tuple[Any, ...]:
    """Return the arguments of a UNet call at batch 2 and step 500, in diffusers' own order."""
    time_step = torch.full((), 500.0, device=inputs["latents"].device)
    added = None
    if model.pooled_width:
        sizes = [model.sizes] * 2
        time_ids = torch.tensor(sizes, device=time_step.device, dtype=inputs["pooled"].dtype)
        added = {"text_embeds": inputs["pooled"], "time_ids": time_ids}
    return inputs["latents"], time_step, inputs["text"], None, None, None, None, added


def peer_rows(
    model: Model, networks: dict[str, Any], inputs: dict[str, torch.Tensor]
) -> dict[str, dict[str, float]]:
    """Return the seconds of each row by its competitor; the networks become fp16."""
    rows = {name: _call_seconds(*call) for name, call in _calls(model, networks, inputs).items()}
    if not model.pooled_width:
        image = functools.partial(_image, networks, {k: v.half() for k, v in inputs.items()})
        rows[image_row(model.name, model.size, STEPS)] = {"PyTorch eager": _wall_seconds(image)}
    return rows


def compiled_rows(
    model: Model, networks: dict[str, Any], inputs: dict[str, torch.Tensor]
) -> Iterator[tuple[str, float]]:
    """Yield each row's name and its seconds by ``torch.compile`` as a CUDA graph; takes minutes."""
    for name, (network, arguments) in _calls(model, networks, inputs).items():
        torch.compiler.reset()
        quick = torch.compile(network)
        with torch.no_grad():
            yield name, _seconds(_as_cuda_graph(functools.partial(quick, *arguments)))


def _calls(
    model: Model, networks: dict[str, Any], inputs: dict[str, torch.Tensor]
) -> dict[str, tuple[Network, tuple[Any, ...]]]:
    """Return what each row calls, with its arguments: fp16 networks, channels last."""
    torch.backends.cudnn.benchmark = True
    last = torch.channels_last
    for network in networks.values():
        network.half()
    unet = networks["unet"].to(memory_format=last)
    vae = networks["vae"].to(memory_format=last)
    half = {name: value.half() for name, value in inputs.items()}
    half |= {name: half[name].contiguous(memory_format=last) for name in ("latents", "code")}
    calls = {unet_row(model.name, model.size): (unet, unet_arguments(model, half))}
    for size in decoded_sizes(model.size):
        times = size // model.size
        code = half["code"].repeat(1, 1, times, times).contiguous(memory_format=last)
        calls[vae_row(model.name, size)] = (vae.decode, (code,))
    return calls


@torch.no_grad()
def _call_seconds(network: Network, arguments: tuple[Any, ...]) -> dict[str, float]:
    """Return the seconds of a call: eager, and as a CUDA graph."""
    call = functools.partial(network, *arguments)
    return {"PyTorch eager": _seconds(call), "PyTorch CUDA graph": _seconds(_as_cuda_graph(call))}


def _as_cuda_graph(call: Call) -> Call:
    """Return the same call as the replay of a CUDA graph."""
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
    """Return the median of 20 calls on CUDA's own clock; the card is kept busy before."""
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


@torch.no_grad()
def _wall_seconds(call: Call) -> float:
    """Return the median of 20 calls on the host's clock, after one that is not counted."""
    call()
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _image(networks: dict[str, Any], inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Compute a picture on the host: text, 20 Euler steps with guidance, decoding."""
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
