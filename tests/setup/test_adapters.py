"""tools/setup/adapters.py judges what a machine lacks."""

from __future__ import annotations

import pytest

from tools.setup import adapters
from tools.setup.adapters import NOTHING, PARTIAL, READY

VULKAN_CPU = {"backend_type": "Vulkan", "adapter_type": "CPU"}
OPENGL_CPU = {"backend_type": "OpenGL", "adapter_type": "CPU"}
VULKAN_GPU = {"backend_type": "Vulkan", "adapter_type": "DiscreteGPU"}
METAL_GPU = {"backend_type": "Metal", "adapter_type": "IntegratedGPU"}


@pytest.mark.parametrize(
    ("wgpu", "dawn", "status"),
    [
        pytest.param([VULKAN_CPU, OPENGL_CPU], [VULKAN_CPU], READY, id="software, complete"),
        pytest.param([VULKAN_CPU], [VULKAN_CPU], PARTIAL, id="software, no OpenGL"),
        pytest.param([VULKAN_CPU, OPENGL_CPU], [], PARTIAL, id="Mesa too old for Dawn"),
        pytest.param([OPENGL_CPU], [], NOTHING, id="OpenGL alone"),
        pytest.param([], [], NOTHING, id="nothing"),
        pytest.param([VULKAN_GPU], [], READY, id="a GPU that one engine sees"),
        pytest.param([METAL_GPU], [METAL_GPU], READY, id="Metal"),
    ],
)
def test_judgement(wgpu: list[dict[str, str]], dawn: list[dict[str, str]], status: int) -> None:
    assert adapters.judge({"wgpu": wgpu, "wgpudawn": dawn}) == status


def test_an_engine_that_cannot_be_imported_has_no_adapters() -> None:
    assert adapters.adapters_of("no_such_engine") == []
