"""wgpu-py: wgpu-native on Vulkan, Metal, DX12 and OpenGL."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gpucore.backends.interface import AdapterInfo, Kind
from gpucore.backends.webgpu import WebGpuBackend, compile_error

__all__ = ["adapters", "find_adapters", "open_adapter"]

_APIS = {"Vulkan": "vulkan", "OpenGL": "gl", "OpenGLES": "gl", "Metal": "metal", "D3D12": "dx12"}
_KINDS: dict[str, Kind] = {
    "DiscreteGPU": "discrete",
    "IntegratedGPU": "integrated",
    "CPU": "cpu",
    "VirtualGPU": "virtual",
}
_FEATURES = {
    "shader-f16": "f16",
    "subgroup": "subgroups",
    "timestamp-query": "timestamps",
}


class WgpuBackend(WebGpuBackend):
    """A wgpu-native device; pipelines compile in threads (the calls release the GIL)."""

    checks = True
    _compilers: ThreadPoolExecutor | None = None

    def _start_compile(
        self, source: str, entry: str, constants: dict[str, float], layout: Any
    ) -> Callable[[], Any]:
        if self._compilers is None:
            workers = min(8, os.cpu_count() or 1)
            self._compilers = ThreadPoolExecutor(workers, "gpucore-compile")
        return self._compilers.submit(self._build, source, entry, constants, layout).result

    def _build(self, source: str, entry: str, constants: dict[str, float], layout: Any) -> Any:
        try:
            make = self._device.create_shader_module if self.checks else self._trusted_module
            stage = {"module": make(code=source), "entry_point": entry, "constants": constants}
            return self._device.create_compute_pipeline(layout=layout, compute=stage)
        except self._module.GPUError as error:
            raise compile_error(str(error), source) from None

    def _trusted_module(self, code: str) -> Any:
        """A shader module without checks of indices and loops, which wgpu-py has no call for."""
        from wgpu.backends.wgpu_native import ffi, lib
        from wgpu.backends.wgpu_native._api import GPUShaderModule, libf

        text = code.encode()
        source = ffi.new("WGPUShaderSourceWGSL *")
        source.chain.sType = lib.WGPUSType_ShaderSourceWGSL
        kept = ffi.new("char[]", text)
        source.code.data, source.code.length = kept, len(text)
        descriptor = ffi.new("WGPUShaderModuleDescriptor *")
        descriptor.nextInChain = ffi.cast("WGPUChainedStruct *", source)
        make = libf.wgpuDeviceCreateShaderModuleTrusted
        return GPUShaderModule("", make(self._device._internal, descriptor, 0), self._device)

    def _timestamp_period(self) -> float:
        # wgpu-native resolves the adapter's raw ticks.
        period: float = self._native.wgpuQueueGetTimestampPeriod(self._device.queue._internal)
        return period

    def synchronize(self) -> None:
        # wgpu-py 0.32's on_submitted_work_done_async has a callback of the wrong type.
        self._native.wgpuDevicePoll(self._device._internal, True, self._null)

    def close(self) -> None:
        if self._compilers is not None:
            self._compilers.shutdown(wait=True, cancel_futures=True)
        super().close()


def _raw_adapters() -> list[Any]:
    import wgpu

    found: list[Any] = wgpu.gpu.enumerate_adapters_sync()
    return found


def _kind(info: Any) -> Kind:
    """Adapter kind; OpenGL says nothing of software renderers, their names do."""
    if any(name in info["device"].lower() for name in ("llvmpipe", "swiftshader", "softpipe")):
        return "cpu"
    return _KINDS.get(info["adapter_type"], "unknown")


def _describe(raw: Any, index: int) -> AdapterInfo:
    info = raw.info
    return AdapterInfo(
        engine="wgpu",
        api=_APIS.get(info["backend_type"], info["backend_type"].lower()),
        name=info["device"],
        vendor=info["vendor"],
        driver=info["description"],
        kind=_kind(info),
        features=frozenset(ours for theirs, ours in _FEATURES.items() if theirs in raw.features),
        limits={k.replace("-", "_"): v for k, v in raw.limits.items()},
        subgroup_size=(
            int(info.get("stackgroup_min_size") or info.get("subgroup_min_size") or 0),
            int(info.get("stackgroup_max_size") or info.get("subgroup_max_size") or 0),
        ),
        index=index,
    )


def adapters() -> list[AdapterInfo]:
    """Adapters that wgpu-py sees; empty where it is not installed or does not start."""
    try:
        return find_adapters()
    except (ImportError, OSError, RuntimeError):
        return []


def find_adapters() -> list[AdapterInfo]:
    """Adapters that wgpu-py sees; raises what the engine raises where it does not start."""
    return [_describe(raw, index) for index, raw in enumerate(_raw_adapters())]


def open_adapter(info: AdapterInfo, *, checks: bool = True) -> WgpuBackend:
    """Open an adapter of `adapters` with its full limits.

    Without ``checks``, kernels are trusted to stay inside their buffers.
    """
    import wgpu
    from wgpu.backends.wgpu_native import ffi, lib

    raw = _raw_adapters()[info.index]
    features = [theirs for theirs in _FEATURES if theirs in raw.features]
    device = raw.request_device_sync(required_features=features, required_limits=raw.limits)
    backend = WgpuBackend(info, device, wgpu, lib, ffi.NULL)
    backend.checks = checks
    return backend
