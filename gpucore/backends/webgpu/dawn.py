"""wgpudawn: Dawn on Vulkan, Metal and D3D12, with matrix units where the adapter has them."""

from __future__ import annotations

import functools
import warnings
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from gpucore.backends.compilers import Compilers
from gpucore.backends.interface import AdapterInfo, Kind
from gpucore.backends.staging import StagingBuffer
from gpucore.backends.webgpu.backend import WebGpuBackend
from gpucore.backends.webgpu.dawn_pipelines import DawnPipeline
from gpucore.backends.webgpu.native_messages import drop_native_lines
from gpucore.integers import ceil_div
from gpucore.waiting import wait_in_turns

__all__ = ["adapters", "find_adapters", "open_adapter", "unlike_adapters"]

_APIS = {"Vulkan": "vulkan", "Metal": "metal", "D3D12": "dx12", "D3D11": "dx11", "Null": "null"}
_PREFERENCE = ("Vulkan", "Metal", "D3D12", "D3D11", "OpenGL", "OpenGLES")
_KINDS: dict[str, Kind] = {
    "DiscreteGPU": "discrete",
    "IntegratedGPU": "integrated",
    "CPU": "cpu",
}
_SYNCHRONIZED = "implicit-device-synchronization"
_HOST_MEMORY = "host-mapped-pointer"
_MAX_COMPILERS = 16
_FEATURES = {
    "shader-f16": "f16",
    "subgroups": "subgroups",
    "chromium-experimental-subgroup-matrix": "matrix-units",
    "subgroup-size-control": "subgroup-size-control",
    "timestamp-query": "timestamps",
}
# Dawn reduces these two limits on every adapter that has high ones, and says so at every start.
_NOISE = (b"Warning: maxDynamicUniformBuffers", b"Warning: maxDynamicStorageBuffers")
# f16 is hidden on NVIDIA's Vulkan driver, and matrix units everywhere, without these two.
_TOGGLES = ("allow_unsafe_apis", "vulkan_enable_f16_on_nvidia")
_ENABLE = ("disable_polyfills_on_integer_div_and_mod",)
_DISABLE = ("timestamp_quantization",)
# Checks that make faulty kernels harmless cost speed: bounds of indices, loops, zeroed memory.
_ENABLE_UNCHECKED = (*_ENABLE, "disable_robustness", "skip_validation", "disable_workgroup_init")
_DISABLE_UNCHECKED = (
    *_DISABLE,
    "lazy_clear_resource_on_first_use",
    "enable_spirv_validation",  # it validates the code that Dawn itself generated
)


class DawnBackend(WebGpuBackend):
    """A Dawn device; pipelines compile in threads.

    Dawn synchronizes its calls for these threads, where it can. All else is called by one thread at
    a time. Polling a pending operation lets Dawn run its callbacks.
    """

    def build(
        self, source: str, entry: str, constants: Mapping[str, float], layout: Any
    ) -> DawnPipeline:
        return DawnPipeline(self._device, source, entry, constants, layout)

    def _host_buffer(self, nbytes: int) -> Any:
        """Let the device use memory of this process, where it can.

        A buffer that the host may map would lie on the card where the host sees all of its memory.
        """
        if _HOST_MEMORY not in self._device.features:
            return None
        from wgpudawn.backends.dawn import extras

        unit = extras.get_host_memory_alignment(self._device)
        memory = extras.allocate_host_memory(self._device, ceil_div(nbytes, unit) * unit)
        usage = self._module.BufferUsage.COPY_SRC | self._module.BufferUsage.COPY_DST
        try:
            return extras.create_buffer_from_host_memory(self._device, memory, usage=usage)
        except self.errors as error:
            warnings.warn(f"the driver takes no memory of this process: {error}", stacklevel=2)
            return None

    def _map(self, staging: StagingBuffer, nbytes: int) -> _PendingPromise:
        promise = staging.raw.map_async("READ", 0, nbytes)
        return _PendingPromise(self, promise, f"reading {nbytes} bytes")

    def _unmap(self, staging: StagingBuffer) -> None:
        staging.raw.unmap()

    def fence(self) -> _PendingPromise:
        self.require_alive("waiting for it")
        done = self._device.queue.on_submitted_work_done_async()
        return _PendingPromise(self, done, "waiting for it")

    def _is_gone(self) -> bool:
        # Once the callback of the loss has run, Dawn accepts every call and does nothing.
        return bool(self._device._lost_promise._state != "pending")

    def lost_reason(self) -> str:
        _process_events()
        if not self._is_gone():
            return ""
        info = self._device._lost_promise.sync_wait()
        return f"{info.reason}: {info.message}"


def _process_events() -> None:
    from wgpudawn.backends.dawn import _api

    _api.process_events()


class _PendingPromise:
    """A promise of Dawn's as a `Pending`."""

    def __init__(self, backend: DawnBackend, promise: Any, action: str) -> None:
        self._backend = backend
        # An event loop that is running may end before the promise: detach them.
        promise._call_soon_threadsafe = None
        self._promise = promise
        self._sent = backend.sent
        self._action = action

    @property
    def done(self) -> bool:
        if self._promise._state == "pending":
            _process_events()
        return bool(self._promise._state != "pending")

    def wait(self) -> None:
        try:
            wait_in_turns(self, meanwhile=self._backend.encode_ahead)
            self._promise.sync_wait()
        except (RuntimeError, self._backend.errors) as error:
            raise self._backend.failure(self._action, error) from None
        self._backend.note_done(self._sent)
        # Dawn reports success for pending work when it destroys a device.
        if reason := self._backend.lost_reason():
            raise self._backend.failure(self._action, reason)


@functools.cache
def _prepare() -> None:
    """Set the instance's toggles, which must precede the first request for an adapter."""
    from wgpudawn.backends.dawn import extras

    extras.set_instance_extras(enable_toggles=_TOGGLES)


def _raw_adapters() -> list[Any]:
    import wgpudawn

    _prepare()
    with drop_native_lines(_NOISE):
        # Its public function drops the second of two equal cards.
        return unlike_adapters(wgpudawn.gpu._enumerate_all_adapters())


def unlike_adapters(found: Iterable[Any]) -> list[Any]:
    """Return raw adapters in the order of interfaces, each once, but all of several equal cards."""
    kept, seen = [], set()
    known = [raw for raw in found if raw.info["backend_type"] in _PREFERENCE]
    for raw in sorted(known, key=lambda each: _PREFERENCE.index(each.info["backend_type"])):
        info = raw.info
        names = ("backend_type", "vendor_id", "device_id", "device")
        key = tuple(info[name] for name in names)
        if key not in seen or info["adapter_type"] == "DiscreteGPU":
            kept.append(raw)
        seen.add(key)
    return kept


def _describe(raw: Any, index: int) -> AdapterInfo:
    from wgpudawn.backends.dawn import extras

    info = raw.info
    properties = extras.get_adapter_properties(raw)
    heaps = properties.get("memory_heaps", [])
    local = [h["size"] for h in heaps if "device-local" in h["properties"]]
    shapes = tuple(
        (str(c["component_type"]), str(c["result_component_type"]), c["m"], c["n"], c["k"])
        for c in properties.get("subgroup_matrix_configs", [])
    )
    return AdapterInfo(
        engine="dawn",
        api=_APIS.get(info["backend_type"], info["backend_type"].lower()),
        name=info["device"],
        vendor=info["vendor"],
        driver=info["description"],
        kind=_KINDS.get(info["adapter_type"], "unknown"),
        features=frozenset(ours for theirs, ours in _FEATURES.items() if theirs in raw.features),
        limits={k.replace("-", "_"): v for k, v in raw.limits.items()},
        subgroup_size=_subgroup_size(info),
        memory_size=max(local, default=None),
        matrix_shapes=shapes,
        index=index,
    )


def _subgroup_size(info: Any) -> tuple[int, int]:
    """Return the least and the greatest subgroup size.

    NVIDIA's is always 32, but its info has WebGPU's bounds only.
    """
    if info["vendor"].lower() == "nvidia":
        return 32, 32
    return int(info["stackgroup_min_size"]), int(info["stackgroup_max_size"])


def adapters() -> list[AdapterInfo]:
    """Return the adapters that Dawn sees; none where it is not installed or does not start."""
    try:
        return find_adapters()
    except (ImportError, OSError, RuntimeError):
        return []


def find_adapters() -> list[AdapterInfo]:
    """Return the adapters that Dawn sees; raise the engine's error where it does not start."""
    return [_describe(raw, index) for index, raw in enumerate(_raw_adapters())]


def open_adapter(info: AdapterInfo, *, checks: bool = True) -> DawnBackend:
    """Open an adapter with its full limits.

    Without ``checks``, kernels are trusted to stay inside their buffers.
    """
    import wgpudawn
    from wgpudawn.backends.dawn import extras, ffi, lib
    from wgpudawn.backends.dawn._api import libf

    raw = _raw_adapters()[info.index]
    features = [
        theirs for theirs in (*_FEATURES, _SYNCHRONIZED, _HOST_MEMORY) if theirs in raw.features
    ]
    device = extras.request_device_sync(
        raw,
        required_features=features,
        required_limits=dict(raw.limits),
        enable_toggles=_ENABLE if checks else _ENABLE_UNCHECKED,
        disable_toggles=_DISABLE if checks else _DISABLE_UNCHECKED,
    )
    compilers = Compilers(_MAX_COMPILERS if _SYNCHRONIZED in features else 0)
    _destroy_after_compiling(device, compilers)
    return DawnBackend(info, device, wgpudawn, lib, libf, ffi, compilers)


def _destroy_after_compiling(device: Any, compilers: Compilers) -> None:
    """Make ``device.destroy()`` wait for compiles, in which Dawn crashes if its device goes."""
    destroy, known = type(device).destroy, weakref.ref(device)

    def destroy_after_compiling() -> None:
        compilers.stop()
        alive = known()
        if alive is not None:
            destroy(alive)

    device.destroy = destroy_after_compiling
