"""Fixtures shared by all tests: one body runs on every engine present."""

from __future__ import annotations

import functools
import gc
import os
import tempfile
from collections import Counter

import numpy as np
import pytest

from gpucore import AdapterInfo, Device
from tests.gpucore.backends.hip.host_hip import HostDriver, host_backend

# Mesa warns if it is not set. It is read when an engine first lists its adapters.
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())

# The first one that works is the default: Dawn, which has the most features.
ENGINES = (
    *("dawn-vulkan", "dawn-metal", "wgpu-vulkan", "wgpu-metal", "wgpu-dx12", "wgpu-gl"),
    "cuda",  # by name alone, as `Device.auto`
)
# HIP's kernels, run on the processor: by name alone, since g++ takes a second for each kernel.
HOST_ENGINES = {"hip-host": "gfx1030", "hip-host-64": "gfx90a"}
# Engines that continuous integration must have; elsewhere a missing one is a named skip.
REQUIRED = ("wgpu-vulkan", "wgpu-gl", "dawn-vulkan")


PROBE = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) { x[id.x] += 1u; }
"""


@functools.cache
def adapters_by_engine() -> dict[str, AdapterInfo]:
    """Return the first adapter of each engine."""
    found: dict[str, AdapterInfo] = {}
    for info in Device.list():
        found.setdefault(info.backend, info)
    return found


@functools.cache
def open_engine(engine: str) -> Device:
    """Open the device of an engine, once for the whole run, since it caches kernels."""
    if engine in HOST_ENGINES:
        return Device(host_backend(HostDriver(HOST_ENGINES[engine])))
    return Device.open(adapters_by_engine()[engine])


@functools.cache
def engine_problem(engine: str) -> str:
    """Return why an engine cannot be tested here; empty where it can.

    A driver may show an adapter and then lose its device, such as NVIDIA's OpenGL under wgpu. The
    doctor reports that, and the tests skip the engine.
    """
    if engine not in HOST_ENGINES and engine not in adapters_by_engine():
        return f"engine {engine} is not present: run `avila doctor` for what to install"
    try:
        device = open_engine(engine)
        numbers = device.buffer_from_array(np.arange(4, dtype=np.uint32))
        device.compile_kernel(PROBE)(numbers, grid=1)
        works = numbers.read().tolist() == [1, 2, 3, 4]
    except Exception as error:  # noqa: BLE001
        return f"engine {engine} does not work here: {error}"
    return "" if works else f"engine {engine} cannot add one"


def present_engines() -> list[str]:
    """Return the engines that this machine has, and those that it must have."""
    return [each for each in ENGINES if each in adapters_by_engine() or each in REQUIRED]


@functools.cache
def engines() -> tuple[str, ...]:
    """Return the engines that tests of a device run on.

    ``AVILA_TEST_ENGINES`` names them, separated by commas, or is ``all``. Without it the first
    one that works here is used; ``make test-all`` tests all engines.
    """
    chosen = os.environ.get("AVILA_TEST_ENGINES", "")
    if chosen == "all":
        return tuple(present_engines())
    if chosen:
        return tuple(chosen.split(","))
    named = present_engines()
    return (next((each for each in named if not engine_problem(each)), named[0]),)


def require_engine(engine: str) -> Device:
    """Return the device of an engine; if there is none, skip the test, or fail on CI."""
    message = engine_problem(engine)
    if message and os.environ.get("CI"):
        pytest.fail(message)
    if message:
        pytest.skip(message)
    return open_engine(engine)


def skip_without_f16(device: Device, *dtypes: str) -> None:
    """Skip a test of ``dtypes`` where f16 is among them and the device lacks it."""
    if "f16" in dtypes and not device.has_f16:
        pytest.skip(f"{device!r} has no f16")


def first_device() -> Device:
    """Return the device of the first engine that works: for tests that need only one."""
    named = engines()
    return require_engine(next((each for each in named if not engine_problem(each)), named[0]))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what ``make test`` leaves out, or what it has run before.

    Slow tests, and all cases of sampled ones, run where ``AVILA_TEST_ENGINES`` is set. With
    ``AVILA_TEST_USUAL``, as in ``make test-engines``, the engines run what ``make test`` runs on
    the first one, less what is of the host alone, and by turns what draws pictures. With
    ``AVILA_TEST_REST``, as in the second run of ``make test-all``, tests that depend on no engine,
    and those of the first engine, have run before.
    """
    if os.environ.get("AVILA_TEST_REST"):
        kept = [each for each in items if takes_another_engine(each) or is_for_test_all(each)]
    elif os.environ.get("AVILA_TEST_USUAL") or not os.environ.get("AVILA_TEST_ENGINES"):
        kept = by_turns(every_sixth([each for each in items if is_usual(each)]))
    else:
        return
    selected = set(kept)
    config.hook.pytest_deselected(items=[each for each in items if each not in selected])
    items[:] = kept


def pytest_collection_finish() -> None:
    """Hide the tests from the garbage collector: half a million objects, 0.3 s a collection."""
    gc.collect()
    gc.freeze()


def is_usual(item: pytest.Item) -> bool:
    """Tell whether a test is neither slow nor one of the host on one more engine."""
    if item.get_closest_marker("one_engine") and takes_another_engine(item):
        return False
    return not item.get_closest_marker("slow")


def every_sixth(items: list[pytest.Item]) -> list[pytest.Item]:
    """Leave out five of six cases of each function that is marked as sampled, on each engine."""
    seen: Counter[tuple[str, str]] = Counter()
    kept = []
    for each in items:
        function = each.nodeid.partition("[")[0], engine_of(each)
        if not each.get_closest_marker("sampled") or seen[function] % 6 == 0:
            kept.append(each)
        seen[function] += 1
    return kept


def by_turns(items: list[pytest.Item]) -> list[pytest.Item]:
    """Leave out tests of pictures on further engines: those take turns.

    They launch what the tests of the array library compare on every engine. Of four tests each
    further engine runs one; all run on the first engine.
    """
    further = {name: at for at, name in enumerate(engines()[1:])}
    seen: Counter[str] = Counter()
    kept = []
    for each in items:
        name = engine_of(each)
        if name not in further or "diffusion" not in each.path.parts:
            kept.append(each)
            continue
        if (seen[name] + 2 * further[name]) % 4 == 0:
            kept.append(each)
        seen[name] += 1
    return kept


def is_for_test_all(item: pytest.Item) -> bool:
    """Tell whether ``make test`` leaves a test out, or some of its cases."""
    return any(item.get_closest_marker(name) for name in ("slow", "sampled"))


def engine_of(item: pytest.Item) -> str:
    """Return the engine that a test runs on; empty for one that takes no ``device``."""
    call = getattr(item, "callspec", None)
    return "" if call is None else str(call.params.get("device", ""))


def takes_another_engine(item: pytest.Item) -> bool:
    """Tell whether a test runs on an engine, and not on the first one."""
    return engine_of(item) not in ("", engines()[0])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that takes ``device`` once on every engine."""
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", engines(), indirect=True, scope="session")


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> Device:
    """Return a device of each engine in turn."""
    return require_engine(request.param)


@pytest.fixture(scope="session")
def first() -> Device:
    """Return the device of `first_device`."""
    return first_device()
