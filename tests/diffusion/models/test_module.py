"""Modules record in regions that are named as their weights."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion.models import module
from diffusion.models.layers import Activations, Embedding, LayerNorm, Linear
from diffusion.models.module import Module, load
from gpucore import Device, LimitError, f16, f32
from gpucore.backends import Launch
from gpucore.backends.null import NullBackend
from gpustd import add
from tests.diffusion.buffer_limits import limit_buffers


class Pair(Module):
    """Two norms in a list and one that is called by another method."""

    def __init__(self) -> None:
        self.norms = [LayerNorm(4), LayerNorm(4)]
        self.last = LayerNorm(4)
        self._again = self.norms[0]

    def __call__(self, x: Activations) -> Activations:
        for norm in self.norms:
            x = norm(x)
        return add(x, x)

    def finish(self, x: Activations) -> Activations:
        return self._again(self.last(x))


class Wide(Pair):
    """Inherits the call."""


class Network(Module):
    def __init__(self) -> None:
        self.blocks = [Pair(), Wide()]

    def __call__(self, x: Activations) -> Activations:
        for block in self.blocks:
            x = block.finish(block(x))
        return x


def regions(device: Device) -> list[str]:
    """Return the regions of everything submitted so far."""
    assert isinstance(device.engine, NullBackend)
    lists = device.engine.submitted
    return [c.region for commands in lists for c in commands if isinstance(c, Launch)]


def test_regions_are_named_as_the_weights_are() -> None:
    device = Device.null()
    network = Network()
    names = {name.rpartition(".")[0] for name, _ in network.parameters()}
    load(network, lambda name: np.ones(4, np.float32), device, f32)
    x = device.buffer(f32, (2, 4))
    with device.capture() as graph, device.region("net"):
        network(x)
    assert device.stream.region == ""
    graph.replay()
    block = ["/norms.0", "/norms.1", ""]
    assert regions(device) == [
        f"net/{name}"
        for index in range(2)
        for name in [*(f"blocks.{index}{part}" for part in block), "last", "norms.0"]
    ]
    assert names == {f"blocks.{i}.{n}" for i in range(2) for n in ("norms.0", "norms.1", "last")}


def test_a_module_that_is_not_loaded_keeps_the_region_of_its_caller() -> None:
    device = Device.null()

    class Doubling(Module):
        def __call__(self, x: Activations, *, twice: bool = False) -> Activations:
            """Own words."""
            y = add(x, x)
            return add(y, y) if twice else y

    with device.region("outer"):
        Doubling()(device.buffer(f32, 4), twice=True)
    device.stream.submit()
    assert regions(device) == ["outer", "outer"]
    assert Doubling.__call__.__doc__ == "Own words."


class Falling(Module):
    """Weights that would fit into the upload buffers of those before them."""

    def __init__(self) -> None:
        self.first = Linear(256, 128, bias=False)
        self.second = Embedding(120, 256)
        self.third = Linear(256, 124, bias=False)


def test_weights_take_no_more_memory_than_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 256 * 128 * 4
    monkeypatch.setattr(module, "_MOST_IDLE", largest // 2)
    device, network = Device.null(), Falling()
    shapes = {name: parameter.shape for name, parameter in network.parameters()}
    load(network, lambda name: np.ones(shapes[name], np.float32), device, f32)
    memory = device.memory
    assert memory.live == sum(4 * rows * columns for rows, columns in shapes.values())
    assert memory.reserved - device.pool.idle == memory.live
    assert memory.peak_reserved <= memory.live + 2 * largest


@pytest.mark.parametrize(("nbytes", "parts"), [(4096, 1), (4095, 2), (1024, 4), (256, 16)])
def test_a_table_larger_than_a_buffer_is_kept_in_parts(
    device: Device, monkeypatch: pytest.MonkeyPatch, nbytes: int, parts: int
) -> None:
    """As SD 1.x's token embedding on Mesa's software renderer: 152 MB in f32, and 134 MB fit."""
    network, rows = Embedding(16, 64), np.random.default_rng(1).random((16, 64), np.float32)
    with monkeypatch.context() as patch:
        limit_buffers(patch, device, nbytes)
        load(network, lambda name: rows, device, f32)
    assert len(network.weight.parts) == parts
    ids = np.array([0, 15, 7, 8, 3, 3], np.int32)
    np.testing.assert_array_equal(network(device.buffer_from_array(ids)).read(), rows[ids])


def test_a_weight_larger_than_a_buffer_is_named(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the widest convolutions of the XL refiner there: 170 MB in f32."""
    limit_buffers(monkeypatch, device, 4096)
    network = Linear(64, 64, bias=False)
    reason = r"weight: a weight must take at most 4096 bytes on .*, got 16384 in f32; "
    hint = r"compute in f16 .*, or choose" if device.has_f16 else "choose"
    with pytest.raises(LimitError, match=f"{reason}{hint} another device"):
        load(network, lambda name: np.ones((64, 64), np.float32), device, f32)
    if device.has_f16:
        with pytest.raises(LimitError, match=r"got 8192 in f16; choose another device"):
            load(network, lambda name: np.ones((64, 64), np.float32), device, f16)
