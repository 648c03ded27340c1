"""Loading: files in their order, and little memory of the host beyond what stays there."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diffusion.checkpoints.safetensors import save_safetensors
from diffusion.checkpoints.weights import Weights, open_weights
from diffusion.models.layers import Linear
from diffusion.models.module import Module, Residence, load, parked_bytes, residence
from gpucore import AdapterInfo, Device, f16
from gpucore.backends.null import NullBackend, NullRead
from gpucore.backends.trace import TraceBackend

MOST = 300e6
"""Bytes of the host beyond what is asked to stay there."""


class DroppingBackend(NullBackend):
    """Takes what is written and keeps none of it, so that only the loader's own memory counts."""

    def __init__(self, info: AdapterInfo) -> None:
        super().__init__(info)
        self._sizes = TraceBackend(info)
        self.allocate = self._sizes.allocate  # type: ignore[assignment]
        self.write = self._sizes.write  # type: ignore[method-assign]
        self.read = self._sizes.read  # type: ignore[method-assign]
        self.submit = self._sizes.submit  # type: ignore[method-assign]


class Layers(Module):
    """Linear layers of 0.5 GB in f16; the largest is SDXL's table of tokens, of 253 MB in f32."""

    def __init__(self) -> None:
        self.first = Linear(1280, 49408)
        self.rest = [Linear(1280, 10240, bias=False) for _ in range(14)]


def own_bytes() -> int:
    """Return the bytes of this process that no file backs."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return sum(1024 * int(n) for n in re.findall(r"(?:RssAnon|RssShmem):\s+(\d+)", text))


def peak_during(work: Callable[[], None]) -> int:
    """Return the most bytes of this process in a function, beyond those before it."""
    found, stop = [own_bytes()], threading.Event()

    def watch() -> None:
        while not stop.wait(0.001):
            found.append(own_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        work()
    finally:
        stop.set()
        thread.join()
    return max(found) - found[0]


def file_of_holes(path: Path, network: Module, dtype: str) -> Weights:
    """Write a file whose weights are holes, which take no room on the disk."""
    size = {"F16": 2, "F32": 4}[dtype]
    shapes = {name: parameter.shape for name, parameter in network.parameters()}
    ends = np.cumsum([size * int(np.prod(shape)) for shape in shapes.values()]).tolist()
    starts = [0, *ends]
    items = [
        f'"{name}":{{"dtype":"{dtype}","shape":{list(shape)},"data_offsets":[{starts[i]},{ends[i]}]}}'
        for i, (name, shape) in enumerate(shapes.items())
    ]
    header = ("{" + ",".join(items) + "}").encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + ends[-1])
    return open_weights(path, ())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells RssAnon")
@pytest.mark.parametrize(
    ("dtype", "share"),
    [
        ("F16", 0.5),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("F16", 0.0), ("F32", 0.0), ("F32", 0.5))
        ),
    ],
)
def test_the_host_keeps_little_while_a_large_file_is_loaded(
    tmp_path: Path, dtype: str, share: float
) -> None:
    device = Device(DroppingBackend(Device.null().info))
    network = Layers()
    weights = file_of_holes(tmp_path / "a.safetensors", network, dtype)

    def work() -> None:
        with residence.around(Residence(share)), weights.reading() as read:
            load(network, read, device, f16, weights.order)

    peak = peak_during(work)
    stays = parked_bytes(network)
    assert stays == pytest.approx(share * 0.5e9, rel=0.2, abs=1)
    assert peak - stays < MOST
    largest = 1280 * 49408 * 2
    assert peak > largest / 2, "the watch saw nothing"


@pytest.mark.parametrize("readers", [1, 4])
def test_tensors_come_in_the_order_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readers: int
) -> None:
    monkeypatch.setattr("diffusion.checkpoints.safetensors.read_ahead._READERS", readers)
    arrays = {name: np.full(3, i, np.float32) for i, name in enumerate("cadb")}
    save_safetensors(tmp_path / "a.safetensors", arrays)
    weights = open_weights(tmp_path / "a.safetensors", ())
    offsets = [weights.entries[name].offset for name in weights.order]
    assert offsets == sorted(offsets)
    with weights.reading() as read:
        asked = [weights.order[0], weights.order[2], weights.order[1], weights.order[3]]
        for name in asked:  # one is left out, and asked for later
            np.testing.assert_array_equal(read(name), arrays[name])


def test_an_error_of_a_file_is_raised_where_its_tensor_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_safetensors(path, {"a": np.zeros(4, np.float32), "b": np.zeros(4, np.float32)})
    weights = open_weights(path, ())
    path.write_bytes(path.read_bytes() + b"more")
    with weights.reading() as read, pytest.raises(Exception, match="changed"):
        read("a")


def test_reads_of_a_backend_that_drops_give_zeros() -> None:
    """The backend above is what the test of memory takes it for."""
    device = Device(DroppingBackend(Device.null().info))
    buffer = device.buffer_from_array(np.ones(4, np.float32))
    assert buffer.read().tolist() == [0, 0, 0, 0]
    assert isinstance(device.engine.read(buffer.storage.handle, 16), NullRead)
