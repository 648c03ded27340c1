"""Several equal cards in a machine are several adapters of Dawn's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gpucore.backends.webgpu.dawn import unlike_adapters


def raw(backend: str, kind: str, device: int, place: int = 0) -> Any:
    info = {"backend_type": backend, "adapter_type": kind, "vendor_id": 1, "device_id": device}
    return SimpleNamespace(info={**info, "device": f"card {device}"}, place=place)


def test_equal_cards_stay_and_other_repeats_go() -> None:
    found = [
        raw("Null", "Unknown", 0),
        raw("OpenGLES", "CPU", 9),
        raw("Vulkan", "CPU", 9, 1),
        raw("Vulkan", "DiscreteGPU", 5, 1),
        raw("Vulkan", "CPU", 9, 2),
        raw("Vulkan", "DiscreteGPU", 5, 2),
        raw("Vulkan", "DiscreteGPU", 6, 1),
    ]
    kept = [(r.info["backend_type"], r.info["device"], r.place) for r in unlike_adapters(found)]
    assert kept == [
        ("Vulkan", "card 9", 1),
        ("Vulkan", "card 5", 1),
        ("Vulkan", "card 5", 2),
        ("Vulkan", "card 6", 1),
        ("OpenGLES", "card 9", 0),
    ]
