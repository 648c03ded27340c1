"""Copies from memory of the host in graphs: beside what computes, and in order where they meet.

So are launches that make a layer's weight of one that never changes, as expansions of blocks do.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from random import Random

import numpy as np
import pytest

from gpucore import Buffer, Device, GpuError, Graph, f32
from gpucore.memory.host import HostArray, host_bytes
from tests.gpucore.backends.hip.host_hip import COMPILER, HostLaunch, host_backend
from tests.gpucore.backends.hip.late_driver import LateDriver

pytestmark = pytest.mark.skipif(COMPILER is None, reason="g++ is not installed")

LAYERS, MOST = 24, 512
# y = w + x over the elements of y, where both have them.
LAYER = """\
@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    for (var i = id.x; i < arrayLength(&y); i += 64u) {
        y[i] = w[i % arrayLength(&w)] + x[i % arrayLength(&x)];
    }
}
"""


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPUCORE_HIP_CACHE", str(tmp_path_factory.mktemp("hip")))
        yield


class Network:
    """Layers of random sizes, whose weights lie in memory of the host or are made at each call."""

    def __init__(self, device: Device, seed: int, on_host: float = 0.7) -> None:
        random = Random(seed)
        self.device, self.kernel = device, device.compile_kernel(LAYER)
        self.x = device.buffer(f32, MOST)
        self.weights: list[Buffer[f32] | HostArray] = []
        self.numbers: list[np.ndarray] = []
        self.is_made: list[bool] = []
        self.zero = device.buffer_from_array(np.zeros(1, np.float32))
        self.sizes = [random.randrange(64, MOST) for _ in range(LAYERS)]
        for _ in range(LAYERS):
            count = random.choice((64, 100, 300, MOST))
            self.numbers.append(np.random.default_rng(seed).integers(9, size=count))
            on_device = device.buffer_from_array(self.numbers[-1].astype(np.float32))
            is_on_host = random.random() < on_host
            self.weights.append(HostArray(device, on_device) if is_on_host else on_device)
            self.is_made.append(random.random() < 0.7)

    def capture(self) -> tuple[Graph, Buffer[f32]]:
        with self.device.capture() as graph:
            x = self.x
            for weight, made, count in zip(self.weights, self.is_made, self.sizes, strict=True):
                y = self.device.buffer(f32, count)
                w = weight.upload() if isinstance(weight, HostArray) else weight
                if made:
                    stored, w = w, self.device.buffer(f32, w.shape)
                    self.kernel(stored, self.zero, w, grid=1, ahead=True)
                self.kernel(w, x, y, grid=1)
                x = y
        return graph, x

    def expected(self, x: np.ndarray) -> np.ndarray:
        for weight, count in zip(self.numbers, self.sizes, strict=True):
            at = np.arange(count)
            x = weight[at % len(weight)] + x[at % len(x)]
        return x


def agrees(driver: LateDriver, seed: int, on_host: float = 0.7) -> bool:
    """Replay a network whose memory is poisoned; tell whether it computed what it should."""
    device = Device(host_backend(driver))
    network = Network(device, seed, on_host)
    graph, y = network.capture()
    same = True
    for turn in range(3):
        x = np.arange(MOST, dtype=np.float32) * turn
        network.x.write(x)
        graph.replay()
        same &= bool((y.read() == network.expected(x)).all())
    device.close()
    return same


@pytest.mark.parametrize("hurries", [False, True])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("on_host", [0.0, 0.7])
def test_what_is_needed_is_there_in_time(seed: int, hurries: bool, on_host: float) -> None:
    assert agrees(LateDriver(seed, hurries=hurries), seed, on_host)


@pytest.mark.parametrize("on_host", [0.0, 0.7])
def test_it_would_tell_what_does_not_wait(on_host: float) -> None:
    found = [agrees(LateDriver(seed, ignores_waits=True), seed, on_host) for seed in range(6)]
    assert not any(found)


def run_once(network: Network, driver: LateDriver) -> list[bool]:
    """Replay a graph; tell of each command, in the order in which they ran, if it is a layer."""
    graph, y = network.capture()
    graph.replay()
    y.read()
    # A launch with `zero` makes a weight.
    zero = network.zero.storage.handle.address.to_bytes(8, "little")
    return [isinstance(each, HostLaunch) and zero not in each.parameters for each in driver.done]


def layers_before(are_layers: list[bool]) -> list[int]:
    """Return how many layers were computed before each of the other commands."""
    return [sum(are_layers[:at]) for at, is_layer in enumerate(are_layers) if not is_layer]


def test_copies_run_while_layers_before_them_compute() -> None:
    driver = LateDriver(1, hurries=True)
    device = Device(host_backend(driver))
    network = Network(device, 1)
    network.is_made = [False] * LAYERS
    computed = layers_before(run_once(network, driver))
    assert len(computed) > LAYERS / 2
    # Each but the first few was made ahead of the layer before the one that needs it.
    needs = [at for at, each in enumerate(network.weights) if isinstance(each, HostArray)]
    assert all(done <= need - 1 for done, need in zip(computed[1:], needs[1:], strict=True))
    assert max(computed) > LAYERS / 2, "memory bounds how far ahead"
    device.close()


def test_weights_are_made_while_layers_before_them_compute() -> None:
    driver = LateDriver(1, hurries=True)
    device = Device(host_backend(driver))
    network = Network(device, 1, on_host=0.0)
    network.is_made = [True] * LAYERS
    computed = layers_before(run_once(network, driver))
    assert len(computed) == LAYERS
    assert all(done < max(1, layer) for layer, done in enumerate(computed))
    assert max(computed) > LAYERS / 2, "memory bounds how far ahead"
    device.close()


@pytest.mark.parametrize("failing", ["hipModuleLaunchKernel", "hipGraphInstantiate"])
def test_nothing_stays_of_a_graph_that_fails(failing: str) -> None:
    driver = LateDriver(2)
    device = Device(host_backend(driver))
    network = Network(device, 2)
    graph, y = network.capture()
    before, made = set(driver.memory), driver.calls.count("hipStreamCreateWithFlags")
    driver.failing[failing] = 2 if failing == "hipGraphInstantiate" else 1
    with pytest.raises(GpuError):
        graph.replay()
    assert set(driver.memory) == before
    assert driver.calls.count("hipStreamDestroy") == 1
    assert driver.calls.count("hipStreamCreateWithFlags") == made + 1
    assert driver.calls.count("hipStreamBeginCapture") == driver.calls.count("hipStreamEndCapture")
    driver.failing.clear()
    network.x.write(np.zeros(MOST, np.float32))
    graph.replay()
    assert (y.read() == network.expected(np.zeros(MOST))).all()
    graph.release()
    del network, graph, y
    gc.collect()
    assert host_bytes(device) == 0
    device.close()
    assert driver.memory == {}


def uploads_agree(driver: LateDriver) -> bool:
    """Keep arrays on the host and upload them in another stream; tell whether all are right."""
    device = Device(host_backend(driver))
    stream = device.new_stream()
    given = [np.full(MOST, turn, np.float32) for turn in range(8)]
    spare = [device.buffer(f32, MOST) for _ in given]  # what uploads take, without a wait for it
    on_device = [device.buffer_from_array(each) for each in given]
    del spare
    kept = [HostArray(device, each) for each in on_device]
    with stream:
        found = [each.upload() for each in kept]
        same = all((x.read() == y).all() for x, y in zip(found, given, strict=True))
    device.close()
    return same


def test_an_array_is_on_the_host_before_another_stream_takes_it() -> None:
    assert all(uploads_agree(LateDriver(seed)) for seed in range(8))
    assert not all(uploads_agree(LateDriver(seed, ignores_waits=True)) for seed in range(8))


def test_keeping_an_array_on_the_host_waits_for_nothing() -> None:
    driver = LateDriver(1)
    device = Device(host_backend(driver))
    x = device.buffer_from_array(np.zeros(MOST, np.float32))
    kept = HostArray(device, x)
    x.write(np.ones(MOST, np.float32))
    device.buffer(f32, MOST).release()
    assert device.trim() > 0
    assert not {"hipEventQuery", "hipStreamSynchronize"} & set(driver.calls)
    assert (kept.upload().read() == 0).all()
    del kept, x
    gc.collect()
    assert host_bytes(device) == 0
    device.close()
    assert driver.memory == {}


def test_nothing_stays_of_an_array_that_is_not_copied() -> None:
    driver = LateDriver(1)
    device = Device(host_backend(driver))
    x = device.buffer_from_array(np.zeros(MOST, np.float32))
    driver.failing["hipMemcpyDtoHAsync"] = 2
    with pytest.raises(GpuError):
        HostArray(device, x)
    assert host_bytes(device) == 0
    x.release()
    device.close()
    assert driver.memory == {}
