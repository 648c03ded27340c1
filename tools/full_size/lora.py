"""Time a LoRA on a full-size UNet with random weights: merged, and beside the layers.

    python -m tools.full_size.lora [--model sdxl|sd15] [--rank 32] [--device dawn] [--profile]
    python -m tools.full_size.lora --folder models/emoji --size 256 --device cpu

The UNet is written into a temporary folder (f16: 5.1 GB for XL, 1.7 for SD 1.5), unless a model's
folder is given. The LoRA has the layers that trainers adapt by default: all linear layers of the
transformers. It is random. Times of calls are those of one picture with guidance, medians on a busy
device; other times are the least of some turns, up to when the device is done.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.measure import replay_seconds
from diffusion.adapters import (
    AdaptedModel,
    AdaptedPart,
    Adapter,
    MergedAdapter,
    Merger,
    open_adapter,
)
from diffusion.adapters.packed_factors import PackedFactors
from diffusion.adapters.rank_bank import RankBank, bank_layers, size_of
from diffusion.checkpoints.safetensors import write_safetensors
from diffusion.models.low_rank import updates
from diffusion.models.unet import UNet
from gpucore import Device, Graph, u32
from gpustd.matmul.low_rank import NO_UPDATE
from tools.full_size.random_folder import draw_weight
from tools.full_size.unets import PARTS, Inputs, Loaded, chosen_unet, unet_parser

__all__ = ["main"]

_TURNS = 3


def write_lora(path: Path, network: UNet, rank: int) -> Path:
    """Write a LoRA of the transformers' linear layers, with kohya's names, in f16."""
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, parameter in network.parameters():
        if "attentions" not in name or parameter.layout not in ("linear", "conv"):
            continue
        outputs, inputs, *kernel = parameter.shape
        module = f"lora_unet_{name.removesuffix('.weight').replace('.', '_')}"
        shapes[f"{module}.lora_up.weight"] = "F16", (outputs, rank, *kernel)
        shapes[f"{module}.lora_down.weight"] = "F16", (rank, inputs, *kernel)
    read = functools.partial(draw_weight, {name: shape for name, (_, shape) in shapes.items()})
    write_safetensors(path, shapes, read, {"format": "pt"})
    return path


class Call:
    """A captured call of a UNet for one picture with guidance."""

    def __init__(self, device: Device, loaded: Loaded, size: int, bank: RankBank | None) -> None:
        self.device = device
        inputs = Inputs(device, loaded, size)
        vectors = inputs.vectors
        added = None if vectors is None else loaded.network.embed_added(vectors)
        slots = device.buffer_from_array(np.full(PARTS, NO_UPDATE, np.uint32), u32)
        self.chosen = slots
        beside = None if bank is None else bank.updates(slots)
        with device.capture() as self.prompt, updates(beside):
            prompt = loaded.network.prompt_keys(inputs.text)
        self.prompt.replay()
        self.graph: Graph
        with device.capture() as self.graph, device.region("unet"), updates(beside):
            self.output = loaded.network(
                inputs.latents, inputs.time, prompt, parts=PARTS, added=added
            )

    def choose(self, slot: int) -> None:
        """Take the adapters of a slot, as drawings do: the prompt's keys are computed anew."""
        self.chosen.write(np.full(PARTS, slot, np.uint32))
        self.prompt.replay()

    def seconds(self) -> float:
        """Return the time of a call."""
        self.graph.replay()
        return replay_seconds(self.device, self.graph)

    def release(self) -> None:
        """Give the graphs' memory back."""
        self.graph.release()
        self.prompt.release()


def least_seconds(device: Device, turn: Callable[[], object]) -> float:
    """Return the least time of some turns, each up to when the device is done."""
    found = []
    for _ in range(_TURNS):
        device.synchronize()
        start = time.perf_counter()
        turn()
        device.synchronize()
        found.append(time.perf_counter() - start)
    return min(found)


def measure(device: Device, loaded: Loaded, size: int, rank: int, *, profile: bool) -> None:
    """Print all times."""
    parts = {"unet": AdaptedPart(loaded.network, loaded.weights, loaded.dtype)}
    with tempfile.TemporaryDirectory() as place:
        path = write_lora(Path(place) / "lora.safetensors", loaded.network, rank)
        print(f"LoRA: rank {rank}, {path.stat().st_size / 1e6:.0f} MB", flush=True)
        model = AdaptedModel.of({"unet": loaded.network}, loaded.config)
        opening = least_seconds(device, lambda: open_adapter(path, model))
        print(f"open and check: {1e3 * opening:.1f} ms", flush=True)
        adapter = open_adapter(path, model)
        _measure_transfers(device, adapter)
        chosen = [MergedAdapter(adapter, 1.0, 1.0)]
        _measure_beside(device, loaded, size, parts, chosen, profile=profile)
        _measure_merged(device, loaded, size, parts, chosen)


def _measure_transfers(device: Device, adapter: Adapter) -> None:
    """Print what a slot and a merge have in common: reading the file, and the uploads."""
    packed = PackedFactors(device, [change.group for change in adapter.changes.values()])

    def move() -> None:
        with packed.reading() as upload:
            upload()

    moving = least_seconds(device, move)
    arrays = [np.zeros(each.shape, each.dtype.numpy) for each in packed.buffers]

    def write() -> None:
        for buffer, array in zip(packed.buffers, arrays, strict=True):
            buffer.write(array)

    writing = least_seconds(device, write)
    print(f"read and upload it: {1e3 * moving:.1f} ms; upload alone: {1e3 * writing:.1f} ms")


def _measure_beside(
    device: Device,
    loaded: Loaded,
    size: int,
    parts: dict[str, AdaptedPart],
    chosen: list[MergedAdapter],
    *,
    profile: bool,
) -> None:
    plain = Call(device, loaded, size, None)
    before = plain.seconds()
    print(f"call without LoRA: {1e3 * before:.2f} ms, {len(plain.graph)} launches", flush=True)
    reference = plain.output.read()
    plain.release()
    bank_size = size_of(chosen, bank_layers(parts))
    bank = RankBank.make(device, parts, bank_size, 2)
    placing = least_seconds(device, lambda: bank.fill(0, chosen))
    print(f"put a LoRA into a slot: {1e3 * placing:.1f} ms", flush=True)
    bank.fill(1, [each._replace(unet=0.5) for each in chosen])
    call = Call(device, loaded, size, bank)
    call.choose(0)
    after = call.seconds()
    launches = len(call.graph)
    print(
        f"call with a LoRA beside: {1e3 * after:.2f} ms, {launches} launches, "
        f"{after / before:.3f} times",
        flush=True,
    )
    if profile:
        with device.profile() as timed:
            call.graph.replay()
        print(timed.table())
    slots = iter([1, 0, 1, 0, 1, 0])
    switching = least_seconds(device, lambda: call.choose(next(slots)))
    print(f"switch to a LoRA in another slot: {1e3 * switching:.2f} ms", flush=True)
    call.choose(NO_UPDATE)
    call.graph.replay()
    same = np.array_equal(call.output.read(), reference)
    print(f"without one in the same graph: {1e3 * call.seconds():.2f} ms, same bits: {same}")
    call.release()


def _measure_merged(
    device: Device,
    loaded: Loaded,
    size: int,
    parts: dict[str, AdaptedPart],
    chosen: list[MergedAdapter],
) -> None:
    plain = Call(device, loaded, size, None)
    plain.graph.replay()
    reference = plain.output.read()
    plain.release()
    merger = Merger(device, parts)
    merging = least_seconds(device, lambda: merger.merge(chosen))
    print(f"merge a LoRA: {1e3 * merging:.0f} ms", flush=True)
    merged = Call(device, loaded, size, None)
    print(f"call with a merged LoRA: {1e3 * merged.seconds():.2f} ms", flush=True)
    merged.release()
    start = time.perf_counter()
    merger.merge([])
    device.synchronize()
    print(f"take it out: {1e3 * (time.perf_counter() - start):.0f} ms", flush=True)
    again = Call(device, loaded, size, None)
    again.graph.replay()
    same = np.array_equal(again.output.read(), reference)
    print(f"without one again, same bits: {same}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Measure as the command line says."""
    parser = unet_parser("tools.full_size.lora", __doc__, "sdxl")
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--profile", action="store_true", help="show layers and kernels")
    options = parser.parse_args(arguments)
    with chosen_unet(options) as (device, loaded, size):
        measure(device, loaded, size, options.rank, profile=options.profile)


if __name__ == "__main__":
    main()
