"""Choosing a device, by preference, by name and by environment variable; its properties."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys

import pytest

from gpucore import AdapterInfo, Device, DeviceNotFoundError, adapters

ORDER = ("discrete", "integrated", "virtual", "unknown", "cpu")


@pytest.fixture(autouse=True)
def no_preference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(adapters.DEVICE_VARIABLE, raising=False)


def fake_adapter(name: str, engine: str, api: str, kind: str, *features: str) -> AdapterInfo:
    """Return an adapter that does not exist."""
    info = Device.null().info
    return dataclasses.replace(
        info, name=name, engine=engine, api=api, kind=kind, features=frozenset(features)
    )


SOFTWARE = fake_adapter("llvmpipe", "dawn", "vulkan", "cpu", "f16", "subgroups")
OPENGL = fake_adapter("GLorious 3000", "wgpu", "gl", "discrete")
PLAIN = fake_adapter("Radiant 1", "wgpu", "vulkan", "discrete", "f16", "subgroups")
MATRIX = fake_adapter("Radiant 1", "dawn", "vulkan", "discrete", "f16", "subgroups", "matrix-units")
LAPTOP = fake_adapter("Thin 2", "dawn", "metal", "integrated", "f16", "subgroups")


@pytest.fixture
def five_adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the machine has five adapters of two engines, in no order."""
    monkeypatch.setattr(adapters.dawn, "adapters", lambda: [SOFTWARE, LAPTOP, MATRIX])
    monkeypatch.setattr(adapters.wgpu_native, "adapters", lambda: [OPENGL, PLAIN])
    monkeypatch.setattr(adapters, "cuda_adapters", list)
    monkeypatch.setattr(adapters, "hip_adapters", list)


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters.dawn, "adapters", list)
    monkeypatch.setattr(adapters.wgpu_native, "adapters", list)
    monkeypatch.setattr(adapters, "cuda_adapters", list)
    monkeypatch.setattr(adapters, "hip_adapters", list)


@pytest.mark.usefixtures("five_adapters")
def test_the_list_has_the_best_first() -> None:
    assert Device.list() == [MATRIX, PLAIN, OPENGL, LAPTOP, SOFTWARE]


@pytest.mark.usefixtures("five_adapters")
@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", MATRIX),
        ("dawn", MATRIX),
        ("wgpu", PLAIN),
        ("wgpu-gl", OPENGL),
        ("gl", OPENGL),
        ("metal", LAPTOP),
        ("cpu", SOFTWARE),
        ("integrated", LAPTOP),
        ("radiant", MATRIX),
        ("radiant:1", PLAIN),
        ("Thin 2", LAPTOP),
        ("  DAWN-Vulkan:1 ", SOFTWARE),
        (":4", SOFTWARE),
    ],
)
def test_names_choose(wanted: str, found: AdapterInfo) -> None:
    assert adapters.choose(wanted) is found


@pytest.mark.usefixtures("five_adapters")
def test_cuda_comes_first_where_it_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    card = fake_adapter("Radiant 1", "cuda", "", "discrete", "f16", "subgroups", "matrix-units")
    assert card.backend == "cuda"
    with monkeypatch.context() as patched:
        patched.setattr(adapters, "cuda_adapters", lambda: [card])
        assert Device.list() == [card, MATRIX, PLAIN, OPENGL, LAPTOP, SOFTWARE]
        assert adapters.choose("radiant:1") is MATRIX
        assert adapters.choose("vulkan") is adapters.choose("dawn") is MATRIX
        patched.setattr(adapters.dawn, "adapters", lambda: pytest.fail("Dawn was started"))
        for name in ("", "cuda", "discrete"):
            assert adapters.choose(name) is card
    old = dataclasses.replace(card, features=frozenset(("f16", "subgroups")))
    monkeypatch.setattr(adapters, "cuda_adapters", lambda: [old])
    assert adapters.choose("") is MATRIX, "the same card has matrix units there"
    assert adapters.choose("cuda") is old
    monkeypatch.setattr(adapters.dawn, "adapters", lambda: [SOFTWARE])
    assert adapters.choose("") is old


@pytest.mark.usefixtures("five_adapters")
def test_hip_is_taken_by_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    card = fake_adapter("Radiant 7", "hip", "", "discrete", "f16", "subgroups")
    monkeypatch.setattr(adapters, "hip_adapters", lambda: [card])
    assert Device.list()[-1] is card
    assert adapters.choose("") is MATRIX
    assert adapters.choose("hip") is adapters.choose("radiant 7") is card


def test_without_a_card_nobody_hears_of_cuda() -> None:
    """Listing, choosing and errors are as if the engine did not exist; no module of it is left."""
    program = """
import sys
from gpucore import Device, DeviceNotFoundError
from gpucore.backends.webgpu import dawn, wgpu_native
dawn.adapters = wgpu_native.adapters = list
assert Device.list() == []
for open in (Device.auto, lambda: Device.by_name("radiant"), Device.dawn):
    try:
        open()
    except DeviceNotFoundError as error:
        print(error)
print([name for name in sys.modules if name.startswith(("nvidia", "cuda", "hip"))])
print([name for name in sys.modules if name == "gpucore.backends.drivers.backend"])
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[-2:] == ["[]", "[]"]
    assert len(lines) == 5
    assert not re.search("cuda|nvrtc|rocm", done.stdout + done.stderr, re.IGNORECASE)


@pytest.mark.usefixtures("five_adapters")
@pytest.mark.parametrize("wanted", ["cuda", "dx12", "dawn:3", "dawn:x", "radiant:-1"])
def test_a_name_that_fits_nothing_lists_what_is_present(wanted: str) -> None:
    with pytest.raises(DeviceNotFoundError, match=re.escape(repr(wanted))) as caught:
        Device.by_name(wanted)
    assert "dawn-metal: Thin 2" in str(caught.value)


@pytest.mark.usefixtures("five_adapters")
def test_the_environment_variable_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUCORE_DEVICE", "metal")
    assert adapters.preferred_adapter() is LAPTOP
    monkeypatch.setenv("GPUCORE_DEVICE", "null")
    assert Device.auto().info.engine == "null"
    monkeypatch.setenv("GPUCORE_DEVICE", "cuda")
    with pytest.raises(DeviceNotFoundError, match="GPUCORE_DEVICE asked for it"):
        Device.auto()


@pytest.mark.usefixtures("bare_machine")
def test_without_adapters_the_error_says_what_to_install() -> None:
    assert Device.list() == []
    with pytest.raises(DeviceNotFoundError, match="no GPU adapter was found") as caught:
        Device.auto()
    assert adapters.install_hint() in str(caught.value)


@pytest.mark.parametrize(
    ("system", "advice"),
    [("Linux", "apt-get install mesa-vulkan-drivers"), ("Darwin", "Metal"), ("Windows", "driver")],
)
def test_the_hint_is_for_this_system(
    system: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters.platform, "system", lambda: system)
    assert advice in adapters.install_hint()


def test_present_adapters_are_listed_in_order() -> None:
    kinds = [ORDER.index(info.kind) for info in Device.list()]
    assert kinds == sorted(kinds)
    assert all(info.engine != "null" for info in Device.list())


def test_selectors_open_what_they_say(device: Device) -> None:
    selectors = {"wgpu": Device.wgpu, "dawn": Device.dawn, "cuda": Device.cuda, "hip": Device.hip}
    selector = selectors[device.info.engine]
    with_engine = selector()
    assert with_engine.info.engine == device.info.engine
    with_engine.close()
    api = {"vulkan": Device.vulkan, "metal": Device.metal, "dx12": Device.dx12}
    if device.info.api in api:
        of_interface = api[device.info.api]()
        assert of_interface.info.api == device.info.api
        of_interface.close()
    if device.is_cpu:
        software = Device.cpu()
        assert software.is_cpu
        software.close()


def test_properties(device: Device) -> None:
    assert device.name
    assert device.driver
    assert device.info.backend in repr(device)
    assert device.features <= {
        "f16",
        "subgroups",
        "matrix-units",
        "timestamps",
        "subgroup-size-control",
        "async-copies",
        "cuda-kernels",
        "ampere",
        "wgmma",
    }
    assert device.has_f16 == ("f16" in device.features)
    assert device.has_matrix_units <= bool(device.info.matrix_shapes)
    least, most = device.subgroup_size
    assert 0 <= least <= most <= 128
    assert (device.compute_units is not None) == device.is_cpu
    assert device.memory_size is None or device.memory_size > 2**20


def test_limits_are_those_of_the_adapter(device: Device) -> None:
    """WebGPU's defaults are 128 MiB a binding, 256 MiB a buffer and 16 KiB workgroup memory."""
    assert device.limits["max_compute_workgroups_per_dimension"] >= 65535
    assert device.limits["max_storage_buffer_binding_size"] >= 2**27
    assert device.limits["max_buffer_size"] > 2**28
    assert device.limits["max_compute_workgroup_storage_size"] >= 2**14


def test_a_backend_of_ones_own() -> None:
    backend = Device.null().engine
    device = Device(backend)
    assert device.engine is backend
    assert device.name == "null device"


@pytest.mark.usefixtures("five_adapters")
def test_an_engine_that_cannot_matter_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(adapters.wgpu_native, "adapters", lambda: asked.append("wgpu") or [PLAIN])
    for name in ("", "dawn", "dawn-metal", "dawn:1", "discrete"):
        adapters.choose(name)
    assert asked == []
    monkeypatch.setattr(adapters.dawn, "adapters", lambda: asked.append("dawn") or [SOFTWARE])
    assert adapters.choose("wgpu") is PLAIN
    assert asked == ["wgpu"]
    assert adapters.choose("") is PLAIN
    assert asked == ["wgpu", "dawn", "wgpu"]


@pytest.mark.parametrize(("value", "checks"), [("1", True), ("0", False), ("false", False)])
def test_the_environment_decides_on_checks(
    value: str, checks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUCORE_CHECKS", value)
    info = Device.null().info
    assert [Device.open(info, checks=each).checks for each in (True, False)] == [checks] * 2
