"""wgpu-py: wgpu-native on Vulkan, Metal, DX12 and OpenGL."""

from __future__ import annotations

import functools
import itertools
import re
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from gpucore.backends.compilers import Compilers
from gpucore.backends.interface import AdapterInfo, Kind
from gpucore.backends.staging import StagingBuffer
from gpucore.backends.webgpu.backend import WebGpuBackend
from gpucore.waiting import wait_in_turns
from gpucore.wgsl.lexer import blank_comments
from gpucore.wgsl.zeroing import zero_workgroup_memory

__all__ = ["adapters", "find_adapters", "open_adapter"]

_APIS = {"Vulkan": "vulkan", "OpenGL": "gl", "OpenGLES": "gl", "Metal": "metal", "D3D12": "dx12"}
_KINDS: dict[str, Kind] = {
    "DiscreteGPU": "discrete",
    "IntegratedGPU": "integrated",
    "CPU": "cpu",
    "VirtualGPU": "virtual",
}
_MAX_COMPILERS = 8
_MAPPED = "mappable-primary-buffers"
_FEATURES = {
    "shader-f16": "f16",
    "subgroup": "subgroups",
    "timestamp-query": "timestamps",
}


# wgpu-native 29 always has subgroups, and refuses the directives that WGSL has for them.
_DIRECTIVE = re.compile(r"\s*(enable|requires|diagnostic)\b([^;]*);|\s*;")


def _without_subgroups(source: str) -> str:
    """Remove subgroups and their diagnostics from directives; lines keep their numbers."""
    if "subgroup" not in source:
        return source
    text, parts, at = blank_comments(source), [], 0
    while match := _DIRECTIVE.match(text, at):
        piece = source[at : match.end()]
        if match[1] == "enable" and "subgroups" in (names := re.findall(r"\w+", match[2])):
            kept = ", ".join(name for name in names if name != "subgroups")
            piece = "\n" * piece.count("\n") + (f"enable {kept};" if kept else "")
        elif match[1] == "diagnostic" and "subgroup_uniformity" in match[2]:
            piece = "\n" * piece.count("\n")
        parts.append(piece)
        at = match.end()
    return "".join(parts) + source[at:]


class WgpuBackend(WebGpuBackend):
    """A wgpu-native device; pipelines compile in threads (the calls release the GIL).

    On OpenGL the caller compiles. Its context is for one thread at a time, and wgpu-native ends the
    process if one thread lists adapters while another compiles.
    """

    checks = True
    copies_to_mapped = False
    """Whether a buffer that the host may read may be copied to and from. It lies in the host's
    memory; one that the host may only write lies on the card, where the host sees all of it."""

    def __init__(
        self,
        info: AdapterInfo,
        device: Any,
        module: Any,
        native: Any,
        raising: Any,
        ffi: Any,
        compilers: Compilers,
    ) -> None:
        super().__init__(info, device, module, native, raising, ffi, compilers)
        # Mesa's Vulkan on the CPU blocks in a submission until the one before is done. There, wait
        # for that before, where the wait can be ended.
        self._submits_block = info.kind == "cpu" and info.api == "vulkan"
        self._latest: _Signal | None = None
        # Made here, since one thread at a time opens devices.
        self._map_callback, self._done_callback = _callbacks()
        self._probe = device.create_buffer(size=4, usage=module.BufferUsage.COPY_DST)
        self._nothing = ffi.new("char[4]")

    def build(self, source: str, entry: str, constants: Mapping[str, float], layout: Any) -> Any:
        code = _without_subgroups(source)
        zeroing = zero_workgroup_memory(code, entry) if self.checks else code
        try:
            return self._pipeline(zeroing, entry, constants, layout)
        except self.errors:
            if zeroing != code:
                self._pipeline(code, entry, constants, layout)  # its errors name the user's lines
            raise

    def _pipeline(self, code: str, entry: str, constants: Mapping[str, float], layout: Any) -> Any:
        make = self._device.create_shader_module if self.checks else self._trusted_module
        stage = {"module": make(code=code), "entry_point": entry, "constants": constants}
        return self._device.create_compute_pipeline(layout=layout, compute=stage)

    def _trusted_module(self, code: str) -> Any:
        """Make a shader module without checks of indices and loops; wgpu-py has no call for it."""
        from wgpu.backends.wgpu_native import ffi, lib
        from wgpu.backends.wgpu_native._api import GPUShaderModule

        text = code.encode()
        source = ffi.new("WGPUShaderSourceWGSL *")
        source.chain.sType = lib.WGPUSType_ShaderSourceWGSL
        characters = ffi.new("char[]", text)
        source.code.data, source.code.length = characters, len(text)
        descriptor = ffi.new("WGPUShaderModuleDescriptor *")
        descriptor.nextInChain = ffi.cast("WGPUChainedStruct *", source)
        make = self._raising.wgpuDeviceCreateShaderModuleTrusted
        return GPUShaderModule("", make(self._device._internal, descriptor, 0), self._device)

    def _timestamp_period(self) -> float:
        # wgpu-native resolves the adapter's raw ticks.
        period: float = self._native.wgpuQueueGetTimestampPeriod(self._device.queue._internal)
        return period

    def _host_buffer(self, nbytes: int) -> Any:
        if not self.copies_to_mapped:
            return None
        usage = self._module.BufferUsage
        flags = usage.COPY_SRC | usage.COPY_DST | usage.MAP_READ
        return self._device.create_buffer(size=nbytes, usage=flags)

    # wgpu-py 0.32 maps and waits through a thread that blocks in the driver, which holds up every
    # submission meanwhile. Its on_submitted_work_done_async has a callback of the wrong type.
    # Therefore both call the C library here.

    def _map(self, staging: StagingBuffer, nbytes: int) -> _Signal:
        signal = _Signal(self, f"reading {nbytes} bytes")
        info = self._ffi.new("WGPUBufferMapCallbackInfo *")
        info.mode = self._native.WGPUCallbackMode_AllowProcessEvents
        info.callback = self._map_callback
        info.userdata1 = self._ffi.cast("void *", signal.number)
        self._raising.wgpuBufferMapAsync(
            staging.raw._internal, self._native.WGPUMapMode_Read, 0, nbytes, info[0]
        )
        return signal

    def _unmap(self, staging: StagingBuffer) -> None:
        self._native.wgpuBufferUnmap(staging.raw._internal)

    def fence(self) -> _Signal:
        self.require_alive("waiting for it")
        return self._signal_done("waiting for it")

    def _signal_done(self, action: str) -> _Signal:
        """Return what is done once everything submitted so far is."""
        signal = _Signal(self, action)
        info = self._ffi.new("WGPUQueueWorkDoneCallbackInfo *")
        info.mode = self._native.WGPUCallbackMode_AllowProcessEvents
        info.callback = self._done_callback
        info.userdata1 = self._ffi.cast("void *", signal.number)
        self._native.wgpuQueueOnSubmittedWorkDone(self._device.queue._internal, info[0])
        return signal

    @property
    def is_ready(self) -> bool:
        return self._latest is None or self._latest.done

    def _submit_now(self, buffers: Sequence[Any]) -> None:
        if self._latest is not None:
            wait_in_turns(self._latest)
        super()._submit_now(buffers)
        if self._submits_block:
            self._latest = self._signal_done("submitting commands")

    def encode_ahead(self) -> None:
        """Do nothing: wgpu-native never frees a command buffer that is not submitted."""

    def poll(self) -> None:
        """Let wgpu-native run its callbacks."""
        self._native.wgpuDevicePoll(self._device._internal, False, self._null)

    def lost_reason(self) -> str:
        # No call tells whether a device is lost; a write of no bytes is refused if it is.
        try:
            self._raising.wgpuQueueWriteBuffer(
                self._device.queue._internal, self._probe._internal, 0, self._nothing, 0
            )
        except self.errors as error:
            return str(error).strip().rsplit("\n", 1)[-1].strip()
        return ""


class _Signal:
    """A callback of wgpu-native that comes once all work submitted so far is done; a `Pending`."""

    def __init__(self, backend: WgpuBackend, action: str) -> None:
        self.number = next(_NUMBERS)
        self.status: int | None = None
        self._backend = backend
        self._sent = backend.sent
        self._action = action
        _AWAITED[self.number] = self

    @property
    def done(self) -> bool:
        if self.status is None:
            self._backend.poll()
        return self.status is not None or bool(self._backend.lost_reason())

    def wait(self) -> None:
        wait_in_turns(self, meanwhile=self._backend.encode_ahead)
        self._backend.note_done(self._sent)
        # wgpu-native reports success for pending work when a device is destroyed.
        if reason := self._backend.lost_reason():
            raise self._backend.failure(self._action, reason)
        if self.status != _SUCCESS:
            raise self._backend.failure(self._action, f"the engine failed ({self.status})")


_SUCCESS = 1  # of both kinds of callback
_NUMBERS = itertools.count(1)
_AWAITED: weakref.WeakValueDictionary[int, _Signal] = weakref.WeakValueDictionary()


@functools.cache
def _callbacks() -> tuple[Any, Any]:
    """Return the callbacks of maps and of work done; kept for ever, since calls may come late."""
    from wgpu.backends.wgpu_native import ffi

    def settle(status: int, message: Any, number: Any, unused: Any) -> None:
        signal = _AWAITED.pop(int(ffi.cast("intptr_t", number)), None)
        if signal is not None:  # else nobody waits any more
            signal.status = int(status)

    return (
        ffi.callback("void(WGPUMapAsyncStatus, WGPUStringView, void *, void *)", settle),
        ffi.callback("void(WGPUQueueWorkDoneStatus, WGPUStringView, void *, void *)", settle),
    )


def _raw_adapters() -> list[Any]:
    import wgpu

    found: list[Any] = wgpu.gpu.enumerate_adapters_sync()
    return found


def _kind(info: Any) -> Kind:
    """Return the adapter's kind; on OpenGL only the name tells software renderers."""
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
    """Return the adapters that wgpu-py sees; none where it is not installed or does not start."""
    try:
        return find_adapters()
    except (ImportError, OSError, RuntimeError):
        return []


def find_adapters() -> list[AdapterInfo]:
    """Return the adapters that wgpu-py sees; raise the engine's error where it does not start."""
    return [_describe(raw, index) for index, raw in enumerate(_raw_adapters())]


def open_adapter(info: AdapterInfo, *, checks: bool = True) -> WgpuBackend:
    """Open an adapter with its full limits.

    Without ``checks``, kernels are trusted to stay inside their buffers.
    """
    import wgpu
    from wgpu.backends.wgpu_native import ffi, lib
    from wgpu.backends.wgpu_native._api import libf

    raw = _raw_adapters()[info.index]
    features = [theirs for theirs in (*_FEATURES, _MAPPED) if theirs in raw.features]
    device = raw.request_device_sync(required_features=features, required_limits=raw.limits)
    compilers = Compilers(0 if info.api == "gl" else _MAX_COMPILERS)
    backend = WgpuBackend(info, device, wgpu, lib, libf, ffi, compilers)
    backend.checks = checks
    backend.copies_to_mapped = _MAPPED in features
    return backend
